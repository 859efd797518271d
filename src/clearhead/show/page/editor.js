// Numbers typed into a cell of a grid, and numbers pasted into a grid.

import { h, set } from "./dom.js";
import { normal } from "./typed.js";

/**
 * @typedef {object} Editing what is edited, and what becomes of it
 * @property {string} name the cell's name, for a screen reader
 * @property {string} old what stands in the cell
 * @property {string | undefined} typed what is typed already
 * @property {(written: string) => string | null} take takes a number that was typed; returns why it is refused
 */

/**
 * Edits the number of a cell, until Enter, Escape, or a click elsewhere.
 * @param {HTMLElement} cell
 * @param {HTMLElement} below where the reason for a refusal is put
 * @param {Editing} editing
 */
export function edit(cell, below, { name, old, typed, take }) {
  const input = h("input", { class: "edit", "aria-label": name, inputmode: "decimal", spellcheck: "false" });
  const why = h("span", { class: "reason", role: "alert" });
  input.value = typed ?? old;
  let done = false;
  /** @param {boolean} keep */
  const close = (keep) => {
    if (done) return;
    const wasIn = document.activeElement === input;
    done = true;
    // The cell has the focus before anything is drawn again: a focus that moves later lays out the page once more.
    cell.focus();
    input.remove();
    const reason = keep && input.value.trim() !== old ? take(normal(input.value)) : null;
    if (!reason) {
      why.remove();
      return;
    }
    done = false;
    why.textContent = reason;
    set(input, { "aria-invalid": "true" });
    cell.append(input);
    if (wasIn) input.focus();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") {
      event.preventDefault();
      close(event.key === "Enter");
    }
    event.stopPropagation();
  });
  input.addEventListener("blur", () => close(why.textContent === ""));
  cell.append(input);
  below.append(why);
  input.focus();
  if (!typed) input.select();
}

/**
 * The rows of numbers in a pasted text: one row a line, or in brackets as NumPy prints them.
 * @param {string} text
 * @returns {string[][]}
 */
export function pasted(text) {
  // Between tabs or semicolons a comma is a decimal comma.
  const number = /[;\t]/.test(text) ? /[^\s;[\]()]+/g : /[^\s,;[\]()]+/g;
  const rows = text.replaceAll("−", "-").split(/\n|\]\s*,?\s*\[/);
  return rows.map((row) => row.match(number) ?? []).filter((row) => row.length);
}
