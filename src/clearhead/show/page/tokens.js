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
      return svg("path", { d: `M0 ${y1}C${bend} ${y1} ${bend} ${y2} ${WIDTH} ${y2}`, "data-row": row });
    });
    this.refresh();
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

  /** Draws the lines between tokens as wide as the weights of now are. */
  refresh() {
    this.paths?.forEach((path, n) => {
      const weight = this.weight(Math.floor(n / this.columns), n % this.columns);
      path.style.setProperty("--weight", String(Number.isFinite(weight) ? weight : 0));
    });
  }

  /** The text twice: once to choose the query, once shaded by its weight for each key. */
  asText() {
    const words = (/** @type {number} */ side, /** @type {number} */ count) =>
      span(count).map((index) => h("span", { role: "option", id: `token${side}-${index}`, "data-index": index }, label(this.label(side, index)), " "));
    this.asked = words(-2, this.rows);
    this.keys = words(-1, this.columns);
    return h(
      "div", null,
      h("h3", null, "Choose the query"),
      this.text("Queries", this.asked, "", (row) => [row, this.strongest(row)]),
      h("h3", null, "What it gives to each key"),
      this.text("Keys", this.keys, "keys-text", (column) => [this.row ?? 0, column]),
    );
  }

  /**
   * A text of which one token is chosen, by a click or by the arrow keys; it is one Tab stop.
   * @param {string} name
   * @param {HTMLElement[]} words
   * @param {string} kind
   * @param {(index: number) => [number, number]} spot
   */
  text(name, words, kind, spot) {
    const choose = (/** @type {number} */ index) => this.choose(fullCell(this.line, this.matrix, ...spot(index)));
    const onclick = (/** @type {Event} */ event) => {
      const found = event.target instanceof Element && event.target.closest("[data-index]");
      if (found) choose(Number(found.getAttribute("data-index")));
    };
    const onkeydown = (/** @type {KeyboardEvent} */ event) => {
      const at = words.findIndex((each) => each.classList.contains("current"));
      /** @type {Record<string, number>} */
      const moves = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: words.length - 1 };
      const index = moves[event.key];
      if (index === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      if (words[index]) choose(index);
    };
    return h("div", { class: `text ${kind}`, role: "listbox", tabindex: 0, "aria-label": name, onclick, onkeydown }, words);
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
    if (this.asked) current(this.asked, row);
    this.paths?.forEach((path) => path.classList.toggle("lit", path.getAttribute("data-row") === String(row)));
    this.keys?.forEach((key, n) => {
      const weight = this.weight(row, n);
      key.style.setProperty("--depth", `${(100 * depth(weight, spanOf(this.trace, this.line.name))).toFixed(1)}%`);
      if (this.few) key.classList.toggle("current", n === column);
    });
    if (!this.few) current(this.keys ?? [], column);
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

/**
 * Marks one token of a text, and scrolls the text to it.
 * @param {HTMLElement[]} words
 * @param {number} at
 */
function current(words, at) {
  words.forEach((each, n) => {
    each.classList.toggle("current", n === at);
    set(each, { "aria-selected": n === at ? "true" : "false" });
  });
  const [word, text] = [words[at], words[at]?.parentElement];
  if (!word || !text) return;
  set(text, { "aria-activedescendant": word.id });
  const [{ top, bottom }, room] = [word.getBoundingClientRect(), text.getBoundingClientRect()];
  if (top < room.top) text.scrollTop -= room.top - top + 4;
  if (bottom > room.bottom) text.scrollTop += bottom - room.bottom + 4;
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
