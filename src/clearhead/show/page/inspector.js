// One line: its formula, its numbers, the arithmetic of one cell, and the operands that it read.

import { besideBefore, formulas } from "./beside.js";
import { h, label, markup } from "./dom.js";
import { explain } from "./explain.js";
import { pathParts } from "./flow.js";
import { Grid } from "./grid.js";
import { typeset } from "./number.js";
import { Operand, matrixName } from "./operand.js";
import { fit, reveal } from "./room.js";
import { drawThumb, matrixOf, thumbSize } from "./thumb.js";
import { Steps, isStepwise } from "./steps.js";
import { Tokens, isBetweenTokens } from "./tokens.js";
import { plain } from "./text.js";
import { fullCell, inMatrix, layout } from "./cells.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./explain.js").Explanation} Explanation
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./text.js").Fragment} Fragment
 *
 * @typedef {object} Doing
 * @property {(place: Place) => void} look a cell of the line is selected
 * @property {(place: Place | null) => void} point the pointer is at a cell, or nowhere
 * @property {(place: Place) => void} follow an operand's cell is followed
 * @property {(line: string) => void} open another line is opened
 * @property {(line: string) => boolean} hasHeads whether the heads of a line can be chosen elsewhere on the page
 * @property {((line: string, entries: import("./grid.js").Entry[]) => string | null) | null} edit numbers were typed; why not
 * @property {(text: string) => void} say a message has to be shown
 */

const LARGE = 12;
const OVERVIEW = 240;

export class Inspector {
  /**
   * @param {Trace} trace
   * @param {Place} place
   * @param {Doing} doing
   */
  constructor(trace, place, doing) {
    this.trace = trace;
    this.past = trace.past;
    this.line = trace.line(place.line);
    this.doing = doing;
    this.layout = layout(this.line);
    this.matrix = inMatrix(this.line, place.cell).matrix;
    this.cell = h("section", { class: "cell", "aria-label": "The cell" });
    this.operands = trace.inputs(place.line).map((name) => new Operand(trace, name, doing));
    this.left = h("div", { class: "numbers" });
    this.steps = !trace.content.steps?.length && isStepwise(trace, this.line) ? new Steps(trace, this.line, (cell) => doing.look({ line: this.line.name, cell }), (factors, n) => this.light(factors, n)) : null;
    this.element = h(
      "section", { class: "inspector", id: "line", "aria-labelledby": "line-name", tabindex: -1 },
      h("div", { class: "columns-2" }, h("div", { class: "line" }, this.heading(), this.left), h("div", { class: "making" }, this.cell, this.steps?.element ?? null, this.sources())),
    );
    this.build();
  }

  heading() {
    const { line } = this;
    const sizes = line.axes.map((word, n) => `${word} ${line.shape[n] ?? ""}`.trim()).join(" × ");
    return h(
      "header", { class: "line-head" },
      h("h2", { id: "line-name" }, ...pathParts(line.name)), line.symbol ? h("span", { class: "symbol" }, markup(line.symbol)) : null,
      h("p", { class: "sizes" }, `${line.made ? "" : "given, "}${sizes}`),
      line.made ? h("p", { class: "summary" }, line.made.summary) : null,
      formulas(this.trace, line),
      line.changed && !this.trace.past ? h("p", { class: "remark warning" }, h("b", null, "Deviates: "), "a deviation made this line what it is.") : null,
    );
  }

  /** Builds what depends on the matrix that is shown. */
  build() {
    const { trace, line, matrix, doing } = this;
    this.fresh = true;
    if (!this.isSeen()) {
      this.left.replaceChildren(...[this.absence(), this.line.picture ? this.picture() : null].flatMap((each) => each ?? []));
      return;
    }
    const title = `${line.name}${this.layout.count > 1 ? `, ${matrixName(trace, line, matrix)}` : ""}`;
    /** @param {number[]} cell */
    const here = (cell) => ({ line: line.name, cell });
    this.grid = new Grid(trace, line.name, matrix, title, {
      move: (cell) => doing.look(here(cell)),
      choose: (cell) => doing.look(here(cell)),
      point: (cell) => doing.point(cell && here(cell)),
      say: doing.say,
      ...(doing.edit ? { edit: (entries) => doing.edit?.(line.name, entries) ?? null } : {}),
    });
    this.overview = this.isLarge() ? this.map() : null;
    this.tokens = isBetweenTokens(line)
      ? new Tokens(trace, line.name, matrix, (cell) => doing.look(here(cell)))
      : null;
    const matrices = h("div", { class: "matrices" }, this.heads(), besideBefore(trace, line, matrix, this.grid));
    const parts = [this.absence(), matrices, this.hint(), this.notes(), this.overview, this.tokens?.element];
    this.left.replaceChildren(...parts.flatMap((each) => each ?? []));
  }

  /**
   * Shows the numbers of now in the cells that are there.
   * @returns {boolean} whether that is all there is to change; else the line has to be built anew
   */
  refresh() {
    const line = this.trace.lines.get(this.line.name);
    const [now, then] = [line, this.line].map((each) => JSON.stringify([each?.made?.formula, each?.shape, each?.notes]));
    if (!line || now !== then || this.past || this.trace.past) return false;
    this.line = line;
    this.fresh = true;
    for (const each of [this.grid, this.tokens, this.steps, ...this.operands]) each?.refresh();
    return true;
  }

  notes() {
    return this.line.notes.map((note) => h("p", { class: "remark warning" }, h("b", null, "Note: "), note));
  }

  /** Whether there are cells to show: numbers, or boxes for them. */
  isSeen() {
    return this.trace.knows(this.line.name) || this.line.absent === "blank";
  }

  /** Why the file has no numbers of this line, and what to do. */
  absence() {
    const { name, absent, shape } = this.line;
    if (!absent) return null;
    if (absent === "blank") return h("p", { class: "hint" }, this.doing.edit ? "These numbers are left for you: type or paste them." : "These numbers are left for you to fill in.");
    const count = shape.reduce((a, b) => a * b, 1).toLocaleString("en");
    const why = absent === "large" ? `This page has no room for the ${count} numbers of this line.` : "The numbers of this line were not kept.";
    const then = this.trace.knows(name) ? " Its cells are computed here, from lines that the page has."
      : this.line.picture ? " This picture shows the largest weight at each of its points. Save the trace as .npz to have all."
      : absent === "large" ? " Save the trace as .npz to have them." : ` Trace with --keep ${name} to have them.`;
    return h("p", { class: "remark" }, why, then);
  }

  hint() {
    if (!this.doing.edit || this.line.absent === "blank") return null;
    return h("p", { class: "hint" }, this.line.made ? "Type or paste what you got, to compare it with this." : "Type or paste numbers to change them.");
  }

  isLarge() {
    return Math.max(this.layout.rows, this.layout.columns) > LARGE;
  }

  /** Lets the matrix end with the window, and shows its chosen row. */
  fit() {
    if (!this.grid) return;
    fit(this.grid.element, this.grid.window.rows);
    reveal(this.grid.element);
  }

  /** Small pictures of the line's matrices, to choose from. */
  heads() {
    const { trace, line } = this;
    if (this.layout.count < 2 || this.doing.hasHeads(line.name)) return null;
    const { rows, columns, count } = this.layout;
    const size = thumbSize(rows, columns, 12, 64);
    const group = `heads-${line.name}`;
    const choices = Array.from({ length: count }, (_, matrix) => {
      const canvas = h("canvas", { style: { width: `${size.width}px`, height: `${size.height}px` }, "aria-hidden": "true" });
      const input = h("input", { type: "radio", name: group, class: "unseen", onchange: () => this.choose(matrix) });
      input.checked = matrix === this.matrix;
      const choice = h("label", { class: "head" }, input, h("span", null, matrixName(trace, line, matrix)), canvas);
      return { canvas, choice, matrix };
    });
    this.thumbs = () => {
      for (const { canvas, matrix } of choices) {
        drawThumb(canvas, matrixOf(trace, line, matrix), size, []);
      }
    };
    return h("fieldset", { class: "heads" }, h("legend", null, count > 1 && line.head !== null ? "Heads" : "Matrices"), h("div", { class: "head-list" }, choices.map(({ choice }) => choice)));
  }

  /** @param {number} matrix */
  choose(matrix) {
    const { row, column } = this.grid?.at ?? { row: 0, column: 0 };
    this.matrix = matrix;
    this.build();
    this.doing.look({ line: this.line.name, cell: fullCell(this.line, matrix, row, column) });
    this.left.querySelector("input:checked")?.dispatchEvent(new Event("focus"));
    const checked = this.left.querySelector("input:checked");
    if (checked instanceof HTMLElement) checked.focus();
  }

  /** A picture of a large matrix, to go to a place in it. */
  map() {
    const { rows, columns } = this.layout;
    const size = thumbSize(rows, columns, 8, OVERVIEW);
    const canvas = h("canvas", {
      class: "overview", role: "img", "aria-label": `All of ${this.line.name}, ${rows} rows and ${columns} columns`,
      style: { width: `${size.width}px`, height: `${size.height}px` },
      onclick: (/** @type {MouseEvent} */ event) => {
        const row = Math.min(Math.floor((event.offsetY / size.height) * rows), rows - 1);
        const column = Math.min(Math.floor((event.offsetX / size.width) * columns), columns - 1);
        this.doing.look({ line: this.line.name, cell: fullCell(this.line, this.matrix, row, column) });
      },
    });
    this.drawMap = () => {
      drawThumb(canvas, matrixOf(this.trace, this.line, this.matrix), size, this.grid ? [this.grid.at] : []);
    };
    return canvas;
  }

  /** The small picture of a head, in place of its numbers. */
  picture() {
    const { trace, line, matrix } = this;
    const drawn = matrixOf(trace, line, matrix);
    const size = thumbSize(drawn.rows, drawn.columns, 8, OVERVIEW);
    const canvas = h("canvas", {
      class: "overview small", role: "img", style: { width: `${size.width}px`, height: `${size.height}px` },
      "aria-label": `A small picture of ${line.name}, ${matrixName(trace, line, matrix)}`,
    });
    this.drawMap = () => drawThumb(canvas, drawn, size, []);
    return canvas;
  }

  sources() {
    if (!this.operands.length) return null;
    return h(
      "section", { class: "sources", "aria-label": "What it is made from" },
      h("h3", null, "Made from"),
      h("div", { class: "operand-list" }, this.operands.map((each) => each.element)),
    );
  }

  /**
   * Shows a cell of this line.
   * @param {Place} place
   * @param {Explanation | null} explanation
   */
  show(place, explanation) {
    const { matrix, row, column } = inMatrix(this.line, place.cell);
    if (matrix !== this.matrix) {
      this.matrix = matrix;
      this.build();
    }
    this.grid?.show({ row, column }, []);
    if (this.grid) reveal(this.grid.element);
    if (this.fresh) this.redraw();
    this.fresh = false;
    this.drawMap?.();
    this.tokens?.show(row, column);
    this.cell.replaceChildren(...this.rows(place, explanation).flatMap((each) => each ?? []));
    for (const operand of this.operands) operand.show(explanation?.reads ?? []);
    this.steps?.show(place);
  }

  redraw() {
    this.thumbs?.();
    this.drawMap?.();
  }

  /**
   * @param {Place} place
   * @param {Explanation | null} explanation
   */
  rows(place, explanation) {
    const { trace, line } = this;
    const where = line.axes.map((word, axis) => {
      const [before, after] = (line.named[axis] ?? null) !== null ? ["“", "”"] : ["", ""];
      return [`${word} ${before}`, label(trace.label(line.name, axis, place.cell[axis] ?? 0)), after];
    });
    return [
      h("h3", { class: "cell-name" }, typeset(trace.cellName(line.name, place.cell))),
      h("p", { class: "where" }, ...where.flatMap((each, n) => (n ? [", ", ...each] : each))),
      h("div", { class: "arithmetic", "data-text": explanation?.rows.map(plain).join("\n") ?? null }, explanation ? explanation.rows.map((row) => this.written(row)) : h("p", null, this.whyAbsent())),
      explanation && isShortened(explanation) ? this.allTerms(place) : null,
      this.trace.knows(line.name) ? h("p", { class: "unrounded" }, h("span", null, "unrounded "), String(trace.value(line.name, place.cell))) : null,
    ];
  }

  /**
   * A button that shows all terms of every sum.
   * @param {Place} place
   */
  allTerms(place) {
    const all = () => this.show(place, explain(this.trace, place.line, place.cell, Infinity));
    return h("button", { type: "button", class: "link all-terms", onclick: all }, "Show every term");
  }

  whyAbsent() {
    if (this.line.absent === "blank") return "This is left for you to compute.";
    const missing = this.trace.inputs(this.line.name).filter((each) => !this.trace.knows(each));
    if (!missing.length) return "The arithmetic is not shown: it takes more numbers than the page computes at once.";
    return `The arithmetic is not shown: it takes numbers of ${missing.join(" and ")}, which this page does not have.`;
  }

  /**
   * A row of arithmetic. Parts without a space are not broken across lines.
   * @param {Fragment[]} row
   */
  written(row) {
    const line = h("p");
    let piece = h("span", { class: "piece" });
    for (const each of row) {
      if (typeof each !== "string") {
        piece.append(this.number(each));
        continue;
      }
      for (const part of sign(each).split(/( +)/)) {
        if (!part.startsWith(" ")) piece.append(part);
        else {
          line.append(piece, part);
          piece = h("span", { class: "piece" });
        }
      }
    }
    line.append(piece);
    return line;
  }

  /**
   * A number with a link to its cell.
   * @param {import("./text.js").Link} link
   */
  number(link) {
    const place = { line: link.line, cell: link.cell };
    const name = this.trace.cellName(link.line, link.cell);
    return h(
      "button",
      {
        type: "button", class: "operand-number", title: name, "aria-label": `${link.text}, ${name}`,
        onclick: () => this.doing.follow(place),
        onpointerenter: () => this.glow(place), onpointerleave: () => this.glow(null),
        onfocus: () => this.glow(place), onblur: () => this.glow(null),
      },
      typeset(link.text),
    );
  }

  /** @param {Place | null} place */
  glow(place) {
    for (const operand of this.operands) operand.glow(place);
  }

  /**
   * Lights the two numbers of a term, among the operands and in the arithmetic.
   * @param {Place[]} factors
   * @param {number} n which term
   */
  light(factors, n) {
    for (const operand of this.operands) operand.glow(factors.find(({ line }) => line === operand.line.name) ?? null);
    const numbers = [...this.cell.querySelectorAll(".operand-number")];
    numbers.forEach((each, at) => each.classList.toggle("now", factors.length > 0 && Math.floor(at / 2) === n));
  }
}

/**
 * Whether terms of a sum are left out.
 * @param {Explanation} explanation
 */
function isShortened({ rows }) {
  return rows.some((row) => /\.\.\. \d+ more/.test(plain(row)));
}

/**
 * Arithmetic with typographic signs.
 * @param {string} text
 */
function sign(text) {
  return typeset(text).replaceAll("*", " · ").replaceAll("/", " / ").replaceAll("^", " ^ ");
}
