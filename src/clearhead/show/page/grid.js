// A matrix as a grid of numbers, for the pointer and the arrow keys. A large one is shown through a window,
// which follows the cell.

import { depth, spanOf, tone } from "./colour.js";
import { h, label, set } from "./dom.js";
import { edit, pasted } from "./editor.js";
import { claim, isMoved, verdict } from "./marks.js";
import { digits, typeset } from "./number.js";
import { flat, fullCell, inMatrix, layout } from "./cells.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./content.js").Claimed} Claimed
 * @typedef {import("./thumb.js").Spot} Spot
 *
 * @typedef {{cell: number[], written: string}} Entry
 *
 * @typedef {object} Doing what happens
 * @property {(cell: number[]) => void} [move] the focus came to a cell
 * @property {(cell: number[] | null) => void} [point] the pointer came to a cell, or left
 * @property {(cell: number[]) => void} [choose] a cell was clicked, or Enter pressed
 * @property {(entries: Entry[]) => string | null} [edit] numbers were typed or pasted; returns why they are refused
 * @property {(text: string) => void} [say] a message has to be shown
 */

/** Matrices up to the first size are shown whole; the second is the size of the window on larger ones. */
const MAX = 12;
const PART = { rows: 12, columns: 8 };

/** Matrices that are shown with more columns than this are set smaller, so that none is cut. */
const WIDE = 8;

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export class Grid {
  /**
   * @param {Trace} trace
   * @param {string} name
   * @param {number} matrix which of the line's matrices
   * @param {string} title what a screen reader calls it
   * @param {Doing} doing
   */
  constructor(trace, name, matrix, title, doing) {
    this.trace = trace;
    this.line = trace.line(name);
    this.matrix = matrix;
    this.doing = doing;
    this.layout = layout(this.line);
    const { rows, columns } = this.layout;
    this.window = { rows: rows > MAX ? PART.rows : rows, columns: columns > MAX ? PART.columns : columns };
    /** @type {Spot} */
    this.at = { row: 0, column: 0 };
    this.corner = { row: 0, column: 0 };
    /** @type {Set<string>} */
    this.lit = new Set();
    this.claims = claimsOf(trace, name);
    this.write = this.writer();
    /** What each cell of the table shows. @type {WeakMap<Element, string>} */
    this.shown = new WeakMap();
    this.table = h("table", {
      class: this.window.columns > WIDE ? "grid dense" : "grid", role: "grid", "aria-label": title,
      "aria-rowcount": this.layout.rows + 1, "aria-colcount": this.layout.columns + 1,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
      onclick: (/** @type {MouseEvent} */ event) => this.click(event),
      ondblclick: (/** @type {MouseEvent} */ event) => this.spot(event) && this.open(),
      onpaste: (/** @type {ClipboardEvent} */ event) => this.paste(event),
      onpointerover: (/** @type {PointerEvent} */ event) => this.pointed(event),
      onpointerleave: () => this.doing.point?.(null),
    });
    this.element = h("div", { class: "scroller" }, this.table);
    this.draw();
  }

  /** How numbers are written: the same for all windows of a matrix, so that columns keep their width. */
  writer() {
    const { trace, line } = this;
    const numbers = trace.numbers(line.name);
    const size = this.layout.rows * this.layout.columns;
    const start = this.matrix * size;
    const sample = numbers ? Array.from(numbers.subarray(start, start + Math.min(size, 4096))) : this.computed();
    return digits(sample, trace.content.decimals, trace.content.arrays[line.name]?.kind ?? "f8");
  }

  /** The first numbers of a line that the page computes. */
  computed() {
    if (!this.trace.knows(this.line.name)) return [];
    return span(0, this.window.rows).flatMap((row) => span(0, this.window.columns).map((column) => this.trace.value(this.line.name, this.full({ row, column }))));
  }

  /**
   * Shows a cell as the current one, and highlights others.
   * @param {Spot | null} at
   * @param {Spot[]} lit
   */
  show(at, lit) {
    this.lit = new Set(lit.map(({ row, column }) => `${row},${column}`));
    const goal = at ?? lit[0];
    if (at) this.at = at;
    if (goal && this.scrollTo(goal)) this.draw();
    else this.mark();
    this.current = at;
    this.mark();
  }

  /**
   * Moves the window so that it contains the cell; returns whether it moved.
   * @param {Spot} spot
   */
  scrollTo({ row, column }) {
    const before = `${this.corner.row},${this.corner.column}`;
    this.corner = {
      row: within(row, this.corner.row, this.window.rows, this.layout.rows),
      column: within(column, this.corner.column, this.window.columns, this.layout.columns),
    };
    return before !== `${this.corner.row},${this.corner.column}`;
  }

  draw() {
    const { layout: all, corner } = this;
    const rows = span(corner.row, Math.min(this.window.rows, all.rows));
    const columns = span(corner.column, Math.min(this.window.columns, all.columns));
    this.table.replaceChildren(
      h("thead", null, h("tr", { "aria-rowindex": 1 }, h("td", null), columns.map((column) => this.heading(-1, column)))),
      h("tbody", null, rows.map((row) =>
        h("tr", { "aria-rowindex": row + 2 }, this.heading(-2, row), columns.map((column) => this.cell(row, column))),
      )),
    );
  }

  /**
   * The label of a row (axis -2) or a column (axis -1).
   * @param {number} axis
   * @param {number} index
   */
  heading(axis, index) {
    const { shape, name } = this.line;
    const real = shape.length + axis;
    if (real < 0) return h("td", null); // A vector has no rows, and a number has no columns either.
    const text = this.trace.label(name, real, index);
    const role = axis === -1 ? "columnheader" : "rowheader";
    return h("th", { role, scope: axis === -1 ? "col" : "row", "aria-colindex": axis === -1 ? index + 2 : 1 }, label(text));
  }

  /**
   * @param {number} row
   * @param {number} column
   */
  cell(row, column) {
    const found = h("td", { role: "gridcell", tabindex: -1, "aria-colindex": column + 2, "data-spot": `${row},${column}` });
    this.fill(found, { row, column });
    return found;
  }

  /**
   * Puts into a cell of the table what it has to show now, where that is not there yet.
   * @param {Element} element
   * @param {Spot} spot
   */
  fill(element, spot) {
    const cell = this.full(spot);
    const value = this.trace.value(this.line.name, cell);
    const blank = !this.trace.knows(this.line.name);
    const claimed = this.claims.get(cell.join());
    const before = this.trace.before?.get(this.line.name)?.[flat(cell, this.line.shape)];
    const was = before === undefined || this.write(before) === this.write(value) ? null : typeset(this.write(before));
    const moved = isMoved(this.trace, this.line.name, cell);
    const number = typeset(blank ? (claimed?.written ?? "") : this.write(value));
    const kind = blank ? "blank" : [tone(value), moved ? "moved" : "", claimed?.agrees ? "ticked" : ""].join(" ");
    const shade = `${(100 * depth(value, spanOf(this.trace, this.line.name))).toFixed(1)}%`;
    const all = JSON.stringify([number, was, kind, shade, claimed]);
    if (this.shown.get(element) === all) return;
    this.shown.set(element, all);
    set(element, { class: kind, style: { "--depth": shade } });
    element.replaceChildren(...[
      h("span", { class: "number" }, number),
      was ? h("span", { class: "was" }, "was ", was) : [],
      moved ? h("span", { class: "unseen" }, ", changed") : [],
      claimed ? (blank ? verdict(claimed) : claim(claimed)) : [],
    ].flat());
  }

  /** Shows the numbers of now in the same cells: what has the focus keeps it. */
  refresh() {
    this.line = this.trace.line(this.line.name);
    this.claims = claimsOf(this.trace, this.line.name);
    this.write = this.writer();
    for (const cell of this.table.querySelectorAll("td[data-spot]")) this.fill(cell, spotOf(cell));
  }

  /**
   * Shows numbers that were typed as such, until all lines follow them.
   * @param {Entry[]} entries
   */
  wait(entries) {
    for (const { cell, written } of entries) {
      const { row, column } = inMatrix(this.line, cell);
      const found = this.table.querySelector(`td[data-spot="${row},${column}"]`);
      found?.querySelector(".number")?.replaceChildren(typeset(written));
      found?.classList.add("waiting");
    }
  }

  mark() {
    for (const cell of this.table.querySelectorAll("td[data-spot]")) {
      const spot = cell.getAttribute("data-spot") ?? "";
      const here = spot === `${this.at.row},${this.at.column}`;
      set(cell, { tabindex: here ? 0 : -1, "aria-selected": this.current && here ? "true" : null });
      cell.classList.toggle("current", Boolean(this.current) && here);
      cell.classList.toggle("lit", this.lit.has(spot));
    }
    if (!this.table.querySelector('td[tabindex="0"]')) {
      const first = this.table.querySelector("td[data-spot]");
      if (first) set(first, { tabindex: 0 });
    }
  }

  /** @param {Event} event */
  spot(event) {
    const found = event.target instanceof Element && event.target.closest("td[data-spot]");
    return found ? spotOf(found) : null;
  }

  /** @param {Spot} spot */
  full({ row, column }) {
    return fullCell(this.line, this.matrix, row, column);
  }

  /** @param {PointerEvent} event */
  pointed(event) {
    const spot = this.spot(event);
    if (spot && event.pointerType !== "touch") this.doing.point?.(this.full(spot));
  }

  /** @param {MouseEvent} event */
  click(event) {
    const spot = this.spot(event);
    if (!spot || (event.target instanceof Element && event.target.closest("input"))) return;
    this.at = spot;
    this.focus();
    this.doing.choose?.(this.full(spot));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const spot = this.spot(event);
    if (!spot || event.target instanceof HTMLInputElement || event.altKey || event.metaKey) return;
    const next = this.next(event, spot);
    if (next) {
      this.at = next;
      if (this.scrollTo(next)) this.draw();
      this.mark();
      this.focus();
      this.doing.move?.(this.full(next));
    } else if (this.doing.edit && (event.key === "F2" || isSign(event.key) && !event.ctrlKey)) {
      this.open(event.key === "F2" ? undefined : event.key);
    } else if (this.doing.edit && (event.key === "Delete" || event.key === "Backspace") && this.line.made) {
      if (!this.claims.has(this.full(spot).join())) return;
      this.doing.edit([{ cell: this.full(spot), written: "" }]);
      event.stopPropagation();
    } else if (event.key === "Enter" || event.key === " ") {
      this.doing.choose?.(this.full(spot));
    } else return;
    event.preventDefault();
  }

  /**
   * @param {KeyboardEvent} event
   * @param {Spot} spot
   * @returns {Spot | null}
   */
  next(event, { row, column }) {
    const { rows, columns } = this.layout;
    const last = { row: rows - 1, column: columns - 1 };
    if (event.key === "Home") return { row: event.ctrlKey ? 0 : row, column: 0 };
    if (event.key === "End") return { row: event.ctrlKey ? last.row : row, column: last.column };
    if (event.key === "PageUp") return { row: Math.max(row - this.window.rows, 0), column };
    if (event.key === "PageDown") return { row: Math.min(row + this.window.rows, last.row), column };
    const step = STEPS[event.key];
    if (!step) return null;
    return { row: clamp(row + step[0], 0, last.row), column: clamp(column + step[1], 0, last.column) };
  }

  /**
   * Pastes numbers, starting at the current cell.
   * @param {ClipboardEvent} event
   */
  paste(event) {
    const spot = this.spot(event);
    if (!this.doing.edit || !spot || event.target instanceof HTMLInputElement) return;
    const numbers = pasted(event.clipboardData?.getData("text") ?? "");
    const entries = numbers.flatMap((row, n) => row.map((each, m) => ({ row: spot.row + n, column: spot.column + m, written: each })));
    const inside = entries.filter(({ row, column }) => row < this.layout.rows && column < this.layout.columns);
    event.preventDefault();
    const reason = inside.length ? this.doing.edit(inside.map(({ written, ...at }) => ({ cell: this.full(at), written }))) : null;
    const left = entries.length - inside.length;
    if (reason) this.doing.say?.(`Nothing was pasted. ${reason}`);
    else if (left) this.doing.say?.(`${left} of ${entries.length} numbers did not fit into ${this.line.name} from here on, and were left out.`);
  }

  focus() {
    const cell = this.table.querySelector(`td[data-spot="${this.at.row},${this.at.column}"]`);
    if (cell instanceof HTMLElement) cell.focus();
  }

  /**
   * Starts to edit the number of the current cell.
   * @param {string} [typed]
   */
  open(typed) {
    const cell = this.table.querySelector(`td[data-spot="${this.at.row},${this.at.column}"]`);
    if (!this.doing.edit || !(cell instanceof HTMLElement) || cell.querySelector("input")) return;
    const full = this.full(this.at);
    edit(cell, this.element, {
      name: this.trace.cellName(this.line.name, full),
      old: this.line.made ? (this.claims.get(full.join())?.written ?? "") : written(this.trace, this.line.name, full),
      typed,
      take: (text) => this.doing.edit?.([{ cell: full, written: text }]) ?? null,
    });
  }
}

/**
 * A given number as it is typed.
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} cell
 */
function written(trace, name, cell) {
  const value = trace.value(name, cell);
  if (trace.content.arrays[name]?.kind === "u1") return value ? "yes" : "no";
  return Number.isFinite(value) ? String(value) : value > 0 ? "inf" : "-inf";
}

/**
 * What is claimed of a line, by cell.
 * @param {Trace} trace
 * @param {string} name
 */
function claimsOf(trace, name) {
  return new Map(trace.line(name).claims.map((each) => [each.cell.join(), each]));
}

/** Whether a key writes a sign. Any begins an edit: of what is no number it is then said why. @param {string} key */
function isSign(key) {
  return [...key].length === 1 && key !== " ";
}

/**
 * The row and column of a cell of a table.
 * @param {Element} cell
 * @returns {Spot}
 */
function spotOf(cell) {
  const [row = 0, column = 0] = (cell.getAttribute("data-spot") ?? "").split(",").map(Number);
  return { row, column };
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * The corner of a window that contains an index and moves as little as possible.
 * @param {number} index
 * @param {number} corner
 * @param {number} size
 * @param {number} all
 */
function within(index, corner, size, all) {
  if (all <= size) return 0;
  return clamp(clamp(corner, index - size + 1, index), 0, all - size);
}

/**
 * @param {number} first
 * @param {number} count
 */
function span(first, count) {
  return Array.from({ length: count }, (_, n) => first + n);
}

/**
 * The spots of cells in one matrix of a line.
 * @param {Trace} trace
 * @param {string} name
 * @param {number} matrix
 * @param {number[][]} cells
 * @returns {Spot[]}
 */
export function spotsIn(trace, name, matrix, cells) {
  return cells.map((cell) => inMatrix(trace.line(name), cell)).filter((each) => each.matrix === matrix);
}
