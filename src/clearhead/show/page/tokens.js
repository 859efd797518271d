// Which token attends to which: the weights of one head. Few tokens are shown as two columns with lines between
// them; many are written as a text, shaded by the weights of one query.

import { depth, spanOf } from "./colour.js";
import { h, label, set, svg } from "./dom.js";
import { typeset, number } from "./number.js";
import { fullCell, layout } from "./cells.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./content.js").LineData} LineData
 */

const MAX_IN_COLUMNS = 20;
const STEP = 30;
const WIDTH = 220;

/**
 * Whether a line has weights between tokens.
 * @param {LineData} line
 */
export function isBetweenTokens({ axes, shares, absent }) {
  return shares && !absent && axes.at(-2) === "query" && axes.at(-1) === "key";
}

export class Tokens {
  /**
   * @param {Trace} trace
   * @param {string} name
   * @param {number} matrix
   * @param {(cell: number[]) => void} choose
   */
  constructor(trace, name, matrix, choose) {
    this.trace = trace;
    this.line = trace.line(name);
    this.matrix = matrix;
    this.choose = choose;
    const { rows, columns } = layout(this.line);
    this.rows = rows;
    this.columns = columns;
    this.few = Math.max(rows, columns) <= MAX_IN_COLUMNS;
    this.said = h("p", { class: "said" });
    this.element = h(
      "section", { class: "tokens", "aria-label": "Who looks at whom" },
      h("h3", null, "Who looks at whom"),
      this.few ? this.inColumns() : this.asText(),
      this.said,
    );
  }

  /**
   * @param {number} row
   * @param {number} column
   */
  weight(row, column) {
    return this.trace.value(this.line.name, fullCell(this.line, this.matrix, row, column));
  }

  /**
   * @param {number} side -2 for queries, -1 for keys
   * @param {number} index
   */
  label(side, index) {
    return this.trace.label(this.line.name, this.line.shape.length + side, index);
  }

  inColumns() {
    const height = Math.max(this.rows, this.columns) * STEP;
    this.paths = pairs(this.rows, this.columns).map(([row, column]) => {
      const [y1, y2] = [(row + 0.5) * STEP, (column + 0.5) * STEP];
      const bend = WIDTH / 2;
      const weight = this.weight(row, column);
      return svg("path", {
        d: `M0 ${y1}C${bend} ${y1} ${bend} ${y2} ${WIDTH} ${y2}`, "data-row": row,
        style: { "--weight": String(Number.isFinite(weight) ? weight : 0) },
      });
    });
    /** @param {number} row */
    const choose = (row) => this.choose(fullCell(this.line, this.matrix, row, this.strongest(row)));
    this.queries = span(this.rows).map((row) =>
      h("button", { type: "button", "aria-pressed": "false", onclick: () => choose(row) }, label(this.label(-2, row))),
    );
    this.keys = span(this.columns).map((column) => h("li", null, label(this.label(-1, column))));
    return h(
      "div", { class: "columns", style: { "--height": `${height}px` } },
      h("ul", { class: "queries", "aria-label": "Queries" }, this.queries.map((each) => h("li", null, each))),
      svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, preserveAspectRatio: "none", "aria-hidden": "true" }, ...this.paths),
      h("ul", { class: "keys", "aria-label": "Keys" }, this.keys),
    );
  }

  /** The text twice: once to choose the query, once shaded by its weight for each key. */
  asText() {
    const words = (/** @type {number} */ side, /** @type {number} */ count) =>
      span(count).map((index) => h("span", { "data-index": index }, label(this.label(side, index)), " "));
    this.asked = words(-2, this.rows);
    this.keys = words(-1, this.columns);
    return h(
      "div", null,
      h("h3", null, "Choose the query"),
      h("p", { class: "text", onclick: (/** @type {Event} */ event) => this.chose(event, (row) => [row, this.strongest(row)]) }, this.asked),
      h("h3", null, "What it gives to each key"),
      h("p", { class: "text keys-text", onclick: (/** @type {Event} */ event) => this.chose(event, (column) => [this.row ?? 0, column]) }, this.keys),
    );
  }

  /**
   * @param {Event} event
   * @param {(index: number) => [number, number]} spot
   */
  chose(event, spot) {
    const found = event.target instanceof Element && event.target.closest("[data-index]");
    if (found) this.choose(fullCell(this.line, this.matrix, ...spot(Number(found.getAttribute("data-index")))));
  }

  /** @param {number} row */
  strongest(row) {
    return span(this.columns).reduce((best, column) => (this.weight(row, column) > this.weight(row, best) ? column : best), 0);
  }

  /**
   * Shows the weights of one query.
   * @param {number} row
   * @param {number} column
   */
  show(row, column) {
    this.row = row;
    this.queries?.forEach((each, n) => set(each, { "aria-pressed": n === row ? "true" : "false" }));
    this.asked?.forEach((each, n) => each.classList.toggle("current", n === row));
    this.paths?.forEach((path) => path.classList.toggle("lit", path.getAttribute("data-row") === String(row)));
    this.keys?.forEach((key, n) => {
      const weight = this.weight(row, n);
      key.style.setProperty("--depth", `${(100 * depth(weight, spanOf(this.trace, this.line.name))).toFixed(1)}%`);
      key.classList.toggle("current", n === column);
    });
    const weight = typeset(number(this.weight(row, column), this.trace.content.decimals));
    this.said.replaceChildren(...this.called(-2, row, "Query"), " gives ", ...this.called(-1, column, "key"), ` the weight ${weight}.`);
  }

  /**
   * A token by its name; one that has none by its number.
   * @param {number} side -2 for queries, -1 for keys
   * @param {number} index
   * @param {string} what
   */
  called(side, index, what) {
    const [before, after] = this.line.named.at(side) === null ? [`${what} `, ""] : ["“", "”"];
    return [before, label(this.label(side, index)), after];
  }
}

/** @param {number} count */
function span(count) {
  return Array.from({ length: count }, (_, n) => n);
}

/**
 * @param {number} rows
 * @param {number} columns
 * @returns {[number, number][]}
 */
function pairs(rows, columns) {
  return span(rows).flatMap((row) => span(columns).map((column) => /** @type {[number, number]} */ ([row, column])));
}
