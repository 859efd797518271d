// The numbers that a line is made from, beside it.

import { h, markup } from "./dom.js";
import { pathParts } from "./flow.js";
import { Grid, spotsIn } from "./grid.js";
import { inMatrix, layout, unflat } from "./cells.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./inspector.js").Doing} Doing
 */

/** An operand, with the cells highlighted that a cell was computed from. */
export class Operand {
  /**
   * @param {Trace} trace
   * @param {string} name
   * @param {Doing} doing
   */
  constructor(trace, name, doing) {
    this.trace = trace;
    this.line = trace.line(name);
    this.doing = doing;
    this.body = h("div", { class: "operand-body" });
    this.caption = h("span", { class: "which" });
    this.element = h(
      "figure", { class: "operand" },
      h(
        "figcaption", null,
        h("button", { type: "button", class: "link", onclick: () => doing.open(name) }, ...pathParts(name)),
        this.line.symbol ? h("span", { class: "symbol" }, markup(this.line.symbol)) : null,
        this.caption,
      ),
      this.body,
    );
    this.matrix = -1;
  }

  /** @param {Place[]} reads */
  show(reads) {
    if (!this.trace.knows(this.line.name) && this.line.absent !== "blank") {
      this.caption.textContent = this.line.absent === "large" ? "not in this page" : "not kept";
      return;
    }
    const cells = reads.filter((each) => each.line === this.line.name).map((each) => each.cell);
    const matrix = cells[0] ? inMatrix(this.line, cells[0]).matrix : Math.max(this.matrix, 0);
    if (matrix !== this.matrix) {
      this.matrix = matrix;
      const several = layout(this.line).count > 1;
      const which = several ? matrixName(this.trace, this.line, matrix) : "";
      this.grid = new Grid(this.trace, this.line.name, matrix, `${this.line.name}, ${which}`, {
        choose: (cell) => this.doing.follow({ line: this.line.name, cell }),
      });
      this.caption.textContent = which;
      this.body.replaceChildren(this.grid.element);
    }
    this.grid?.show(null, spotsIn(this.trace, this.line.name, matrix, cells));
  }

  /** Shows the numbers of now, in the same cells. */
  refresh() {
    this.line = this.trace.line(this.line.name);
    this.grid?.refresh();
  }

  /** @param {Place | null} place */
  glow(place) {
    const spot = place?.line === this.line.name ? inMatrix(this.line, place.cell) : null;
    for (const cell of this.body.querySelectorAll("td[data-spot]")) {
      cell.classList.toggle("glow", spot !== null && cell.getAttribute("data-spot") === `${spot.row},${spot.column}`);
    }
  }
}

/**
 * The name of a matrix of a line: "head 2".
 * @param {Trace} trace
 * @param {LineData} line
 * @param {number} matrix
 */
export function matrixName(trace, line, matrix) {
  const lead = unflat(matrix, line.shape.slice(0, -2));
  return lead.map((index, axis) => `${line.axes[axis]} ${trace.label(line.name, axis, index)}`).join(", ");
}
