// A product of small matrices step by step: one term of a cell's sum after the other, then the next cell.

import { explain } from "./explain.js";
import { fullCell, inMatrix, layout } from "./cells.js";
import { h } from "./dom.js";
import { number, typeset } from "./number.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {{factors: [Place, Place], value: number, sum: number}} Term two cells, their product, and the sum up to it
 */

/** Matrices with more rows or columns than this are not walked through. */
const SMALL = 12;

/** Milliseconds between two steps that follow by themselves. */
const BEAT = 900;

/**
 * Whether a line is a product of small matrices, of which the page has all numbers, and whose sums have several terms.
 * @param {Trace} trace
 * @param {LineData} line
 */
export function isStepwise(trace, line) {
  const body = line.made?.body;
  if (body?.[0] !== "Reduce" || body[1] !== "sum" || body[2].length !== 1) return false;
  if ((line.made?.sizes?.[body[2][0] ?? ""] ?? 0) < 2) return false;
  const term = body[3];
  if (term[0] !== "Binary" || term[1] !== "*" || term[2][0] !== "Ref" || term[3][0] !== "Ref") return false;
  return [line, ...trace.inputs(line.name).map((name) => trace.line(name))].every((each) => {
    const { rows, columns } = layout(each);
    return Math.max(rows, columns) <= SMALL && Boolean(trace.numbers(each.name));
  });
}

export class Steps {
  /**
   * @param {Trace} trace
   * @param {LineData} line
   * @param {(cell: number[]) => void} look goes to a cell
   * @param {(factors: Place[], n: number) => void} light lights the two cells of a term, the n-th; none for none
   */
  constructor(trace, line, look, light) {
    this.trace = trace;
    this.line = line;
    this.look = look;
    this.light = light;
    /** @type {number[]} */
    this.cell = [];
    /** @type {Term[]} */
    this.terms = [];
    this.at = -1;
    this.timer = 0;
    this.back = h("button", { type: "button", class: "button", title: "The term before", onclick: () => this.step(-1) }, "Back");
    this.next = h("button", { type: "button", class: "button", title: "The next term, then the next cell", onclick: () => this.step(1) }, "Next term");
    this.playing = h("button", { type: "button", class: "button", "aria-pressed": "false", onclick: () => this.toggle() }, "Play");
    this.said = h("span", { class: "said", role: "status" });
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.element = h("div", { class: "steps", role: "group", "aria-label": "The product, step by step" }, this.back, this.next, isCalm ? null : this.playing, this.said);
  }

  /** Forgets its terms, of which the numbers are others now. */
  refresh() {
    this.cell = [];
  }

  /** @param {Place} place the cell that is shown now */
  show({ cell }) {
    if (cell.join() === this.cell.join()) return;
    this.stop();
    this.begin(cell, -1);
  }

  /**
   * @param {number[]} cell
   * @param {number} at which term, counted from 0; -1 for none
   */
  begin(cell, at) {
    this.cell = cell;
    this.terms = termsOf(this.trace, { line: this.line.name, cell });
    this.at = at < this.terms.length ? at : this.terms.length - 1;
    this.tell();
  }

  /** @param {number} by */
  step(by) {
    const at = this.at + by;
    if (at >= 0 && at < this.terms.length) {
      this.at = at;
      this.tell();
      return;
    }
    const beside = this.beside(by);
    if (!beside) return this.stop();
    this.begin(beside, by > 0 ? 0 : Infinity);
    this.look(beside);
    this.tell();
  }

  /**
   * The next cell of the matrix (1), or the one before (-1); null where there is none.
   * @param {number} by
   */
  beside(by) {
    const { matrix, row, column } = inMatrix(this.line, this.cell);
    const { rows, columns } = layout(this.line);
    const n = row * columns + column + by;
    return n < 0 || n >= rows * columns ? null : fullCell(this.line, matrix, Math.floor(n / columns), n % columns);
  }

  tell() {
    const term = this.terms[this.at];
    this.back.disabled = this.at <= 0 && !this.beside(-1);
    this.next.disabled = this.at === this.terms.length - 1 && !this.beside(1);
    this.light(term?.factors ?? [], this.at);
    this.said.textContent = term ? this.sentence(term) : `A sum of ${this.terms.length} products.`;
  }

  /** @param {Term} term */
  sentence({ factors, value, sum }) {
    const [a, b] = factors.map(({ line, cell }) => bracketed(this.written(this.trace.value(line, cell))));
    return typeset(`Term ${this.at + 1} of ${this.terms.length}: ${a} · ${b} = ${this.written(value)}; sum so far ${this.written(sum)}`);
  }

  /** @param {number} value */
  written(value) {
    return number(value, this.trace.content.decimals);
  }

  toggle() {
    if (this.timer) return this.stop();
    this.playing.textContent = "Pause";
    this.playing.setAttribute("aria-pressed", "true");
    this.timer = window.setInterval(() => (this.element.isConnected ? this.step(1) : this.stop()), BEAT);
    this.step(1);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.playing.textContent = "Play";
    this.playing.setAttribute("aria-pressed", "false");
  }
}

/**
 * The terms of a cell's sum, in order.
 * @param {Trace} trace
 * @param {Place} place
 * @returns {Term[]}
 */
function termsOf(trace, { line, cell }) {
  const links = explain(trace, line, cell, Infinity).rows.at(-1)?.filter((each) => typeof each !== "string") ?? [];
  /** @type {Term[]} */
  const terms = [];
  for (let n = 0; n + 1 < links.length; n += 2) {
    const [a, b] = /** @type {[Place, Place]} */ (links.slice(n, n + 2).map((each) => ({ line: each.line, cell: each.cell })));
    const value = trace.value(a.line, a.cell) * trace.value(b.line, b.cell);
    terms.push({ factors: [a, b], value, sum: (terms.at(-1)?.sum ?? 0) + value });
  }
  return terms;
}

/** @param {string} written */
function bracketed(written) {
  return written.startsWith("-") ? `(${written})` : written;
}
