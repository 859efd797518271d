// Hints for an exercise in three steps: which line, which cell, what kind of mistake. No step says a number of the working.

import { fullCell, layout } from "./cells.js";
import { h } from "./dom.js";
import { Check } from "./exercise.js";
import { kindOf } from "./slips.js";
import { button } from "./tools.js";

/**
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./exercise.js").Exercise} Exercise
 * @typedef {import("./trace.js").Place} Place
 *
 * @typedef {{line: LineData, cell: number[], isWrong: boolean}} Next what to look at next
 */

const STEPS = 3;

export class Hints {
  /**
   * @param {Exercise} exercise
   * @param {(place: Place) => void} look
   */
  constructor(exercise, look) {
    this.exercise = exercise;
    this.look = look;
    this.step = 0;
    this.button = button("Hint", "In three steps: which line, which cell, what kind of mistake", () => this.more());
    this.element = h("p", { class: "remark hints", role: "status" });
    this.forget();
  }

  /** Takes the hints back, since something else was filled in. */
  forget() {
    this.step = 0;
    this.element.replaceChildren();
    this.element.hidden = true;
    this.button.disabled = false;
  }

  more() {
    this.step += 1;
    const next = nextOf(this.exercise);
    this.element.hidden = false;
    this.element.replaceChildren(...(next ? this.steps(next).slice(0, this.step).flat() : ["Nothing is wrong, and nothing is left to fill in."]));
    this.button.disabled = !next || this.step >= STEPS;
  }

  /**
   * @param {Next} next
   * @returns {(Node | string)[][]}
   */
  steps({ line, cell, isWrong }) {
    const { trace } = this.exercise;
    const place = { line: line.name, cell };
    /** @param {string} text */
    const link = (text) => h("button", { type: "button", class: "link", onclick: () => this.look(place) }, text);
    const kind = isWrong ? kindOf(new Check(trace, this.exercise.answers()), line)
      : `${line.made?.summary ?? ""} It is made from ${trace.inputs(line.name).join(" and ")}.`;
    return [
      [h("b", null, isWrong ? "Look first at " : "Go on with "), link(line.name), "."],
      [" The cell is ", link(trace.cellName(line.name, cell)), "."],
      [" ", kind],
    ];
  }
}

/**
 * The first line in which something is wrong, else the first in which something is left, and the cell there.
 * @param {Exercise} exercise
 * @returns {Next | null}
 */
function nextOf({ trace, blanks }) {
  const lines = blanks.map(({ name }) => trace.line(name));
  for (const line of lines) {
    const wrong = line.claims.filter(({ verdict }) => verdict === "wrong").sort((a, b) => inOrder(a.cell, b.cell))[0];
    if (wrong) return { line, cell: wrong.cell, isWrong: true };
  }
  for (const line of lines) {
    const done = new Set(line.claims.filter(({ verdict }) => verdict !== "coarse").map(({ cell }) => cell.join()));
    const open = cellsOf(line).find((cell) => !done.has(cell.join()));
    if (open) return { line, cell: open, isWrong: false };
  }
  return null;
}

/** @param {LineData} line */
function cellsOf(line) {
  const { count, rows, columns } = layout(line);
  return Array.from({ length: count * rows * columns }, (_, at) =>
    fullCell(line, Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns));
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function inOrder(a, b) {
  const at = a.findIndex((index, n) => index !== b[n]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
