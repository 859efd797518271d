// What was typed into a page, with every earlier state of it: undo, redo, and back to the beginning.

/**
 * @typedef {import("./grid.js").Entry} Entry
 * @typedef {{line: string, cell: number[], written: string}} Change
 * @typedef {ReadonlyMap<string, Change>} State all edits, by line and cell
 */

export class History {
  constructor() {
    /** @type {State[]} */
    this.all = [new Map()];
    this.at = 0;
  }

  get state() {
    return /** @type {State} */ (this.all[this.at]);
  }

  /** @param {State} state what follows the present one; what was undone is forgotten */
  push(state) {
    this.all = [...this.all.slice(0, this.at + 1), state];
    this.at += 1;
  }

  /** @param {State} state what there is to begin with */
  begin(state) {
    this.all = [state];
    this.at = 0;
  }

  /** @param {number} step back (-1) or on (1) */
  go(step) {
    this.at = Math.min(Math.max(this.at + step, 0), this.all.length - 1);
  }
}

/**
 * The state with these changes in it.
 * @param {State} state
 * @param {Change[]} changes
 * @param {(change: Change) => boolean} isNone whether a change leaves its cell as it was at first
 */
export function withChanges(state, changes, isNone) {
  const next = new Map(state);
  for (const change of changes) {
    const key = keyOf(change);
    next.delete(key);
    if (!isNone(change)) next.set(key, change);
  }
  return next;
}

/** @param {{line: string, cell: number[]}} place */
export function keyOf({ line, cell }) {
  return `${line}[${cell}]`;
}

/**
 * Changes as text: the last part of an address, or what a browser keeps.
 * @param {State} state
 */
export function asText(state) {
  return [...state.values()].map(({ line, cell, written }) => `${line}[${cell}]=${written}`).map(encodeURIComponent).join(";");
}

/** Of a text no more changes than this are read. */
const MAX_CHANGES = 20_000;

/** A change of a line that there is not. @type {Change} */
const NOTHING = { line: "?", cell: [], written: "" };

/**
 * The changes that a text says; what says none is a change of nothing.
 * @param {string} text
 * @returns {Change[]}
 */
export function fromText(text) {
  return text.split(";").filter(Boolean).slice(0, MAX_CHANGES).map((part) => {
    const found = /^([^[\]=]{0,200})\[([\d,]{0,60})\]=(.{0,300})$/.exec(decoded(part));
    if (!found) return NOTHING;
    const [, line = "", cell = "", written = ""] = found;
    return { line, cell: cell.split(",").filter(Boolean).map(Number), written };
  });
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
