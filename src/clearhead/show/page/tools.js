// The tools of a page whose numbers are edited in it: undo, redo, back to the file's numbers, and the file to keep.

import { h } from "./dom.js";

/** @typedef {import("./edits.js").Edits} Edits */

export class Tools {
  /**
   * @param {Edits} edits
   * @param {() => void} follow what follows a change
   * @param {(text: string) => void} say
   */
  constructor(edits, follow, say) {
    this.edits = edits;
    this.follow = follow;
    this.say = say;
    this.undo = button("Undo", "Undo (Ctrl+Z)", () => this.go(-1));
    this.redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => this.go(1));
    this.reset = button("Reset", "All numbers as the file has them", () => this.restart());
    this.save = button("Save", "The problem with your numbers, as a file", () => this.download());
    this.count = h("span", { class: "which", role: "status" });
    this.element = h("div", { class: "tools edits", role: "group", "aria-label": "Changes" }, this.count, this.undo, this.redo, this.reset,
      edits.trace.content.problem ? this.save : null);
    document.documentElement.addEventListener("keydown", (event) => this.key(event));
    this.mark();
  }

  /** @type {(line: string, entries: import("./grid.js").Entry[]) => string | null} */
  type = (line, entries) => {
    const reason = this.edits.type(line, entries);
    if (!reason) this.changed();
    return reason;
  };

  /** @param {number} step */
  go(step) {
    this.edits.go(step);
    this.changed();
  }

  restart() {
    this.edits.reset();
    this.changed();
  }

  changed() {
    const address = this.edits.address();
    history.replaceState(null, "", address ? `#${address}` : location.href.replace(/#.*/, ""));
    this.mark();
    this.follow();
  }

  mark() {
    const { state, at, history: all } = this.edits;
    this.undo.disabled = at === 0;
    this.redo.disabled = at === all.length - 1;
    this.reset.disabled = !state.size;
    this.count.textContent = state.size ? `${state.size} ${state.size === 1 ? "number" : "numbers"} typed` : "";
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (isTyping || !(event.ctrlKey || event.metaKey)) return;
    const step = { z: event.shiftKey ? 1 : -1, y: 1 }[event.key.toLowerCase()];
    if (!step) return;
    event.preventDefault();
    this.go(step);
  }

  download() {
    const text = this.edits.file();
    if (text === null) {
      this.say("This cannot be saved: a changed array does not stand in the problem's file.");
      return;
    }
    const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "application/toml" })), download: "problem.toml" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}

/**
 * @param {string} text
 * @param {string} title
 * @param {() => void} onclick
 */
function button(text, title, onclick) {
  return h("button", { type: "button", class: "button", title, onclick }, text);
}
