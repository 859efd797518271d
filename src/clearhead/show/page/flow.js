// The block drawn as its flow: a card for each line with its matrices in small, and wires from operands to results.

import { spanOf } from "./colour.js";
import { h, label, set, svg } from "./dom.js";
import { drawThumb, thumbSize } from "./thumb.js";
import { inMatrix, layout } from "./trace.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./thumb.js").Spot} Spot
 */

const UNIT = 12;
const MAX_SIDE = 76;
const MAX_THUMBS = 12;
const MAX_LABELS = 6;
const MAX_LABELLED = 2;

/**
 * The lines by how many steps they are away from what is given; what is given stands just before its first use.
 * @param {LineData[]} lines
 * @returns {LineData[][]}
 */
export function levels(lines) {
  /** @type {Map<string, number>} */
  const level = new Map();
  for (const line of lines) {
    if (line.made) level.set(line.name, Math.max(0, ...line.operands.map((each) => (level.get(each) ?? 0) + 1)));
  }
  const first = new Map(lines.filter((line) => !line.made).map((line) => [line.name, Infinity]));
  for (const line of lines) {
    for (const each of line.operands) {
      const known = first.get(each);
      if (known !== undefined) first.set(each, Math.min(known, (level.get(line.name) ?? 1) - 1));
    }
  }
  for (const [name, at] of first) level.set(name, Number.isFinite(at) ? at : 0);
  /** @type {LineData[][]} */
  const columns = [];
  for (const line of lines) (columns[level.get(line.name) ?? 0] ??= []).push(line);
  return columns.filter(Boolean);
}

export class Flow {
  /**
   * @param {Trace} trace
   * @param {(name: string) => void} choose
   */
  constructor(trace, choose) {
    this.trace = trace;
    this.wires = svg("svg", { class: "wires", "aria-hidden": "true", focusable: "false" });
    /** @type {Map<string, Card>} */
    this.cards = new Map(trace.content.lines.map((line) => [line.name, new Card(trace, line, choose)]));
    const columns = levels(trace.content.lines).map((level) =>
      h("li", { class: "level" }, h("ul", null, level.map((line) => h("li", null, this.cards.get(line.name)?.element)))),
    );
    this.board = h("div", { class: "board" }, this.wires, h("ol", { class: "levels" }, columns));
    this.element = h("nav", { class: "flow", id: "flow", "aria-label": "The lines, in the order they are worked out" }, this.board);
    new ResizeObserver(() => this.wire()).observe(this.board);
  }

  wire() {
    const origin = this.board.getBoundingClientRect();
    set(this.wires, { width: this.board.scrollWidth, height: this.board.scrollHeight });
    /** @param {string} name */
    const box = (name) => this.cards.get(name)?.element.getBoundingClientRect();
    const paths = this.trace.content.lines.flatMap((line) =>
      line.operands.map((operand) => {
        const [from, to] = [box(operand), box(line.name)];
        if (!from || !to) return null;
        const [x1, y1] = [from.right - origin.left, from.top + from.height / 2 - origin.top];
        const [x2, y2] = [to.left - origin.left, to.top + to.height / 2 - origin.top];
        const bend = Math.max((x2 - x1) / 2, 12);
        const d = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
        return svg("path", { d, "data-from": operand, "data-to": line.name });
      }),
    );
    this.wires.replaceChildren(...paths.filter((path) => path !== null));
    this.mark();
  }

  mark() {
    for (const path of this.wires.children) {
      path.classList.toggle("lit", path.getAttribute("data-to") === this.chosen);
    }
  }

  /**
   * Shows a line as chosen, its cell, and the cells that this was made from.
   * @param {Place} place
   * @param {Place[]} reads
   */
  show(place, reads) {
    const moved = this.chosen !== place.line;
    this.chosen = place.line;
    const operands = new Set(this.trace.line(place.line).operands);
    for (const [name, card] of this.cards) {
      const cells = name === place.line ? [place.cell] : reads.filter((each) => each.line === name).map((each) => each.cell);
      card.show(name === place.line, operands.has(name), cells);
    }
    this.mark();
    if (moved) this.cards.get(place.line)?.reveal(this.element);
  }

  redraw() {
    for (const card of this.cards.values()) card.draw();
  }
}

class Card {
  /**
   * @param {Trace} trace
   * @param {LineData} line
   * @param {(name: string) => void} choose
   */
  constructor(trace, line, choose) {
    this.trace = trace;
    this.line = line;
    this.layout = layout(line);
    this.size = thumbSize(this.layout.rows, this.layout.columns, UNIT, this.layout.count > 4 ? 44 : MAX_SIDE);
    /** @type {number[][]} */
    this.lit = [];
    this.canvases = Array.from({ length: Math.min(this.layout.count, MAX_THUMBS) }, () => this.canvas());
    this.element = h(
      "button",
      { type: "button", class: `card ${line.made ? "" : "given"}`, "data-line": line.name, onclick: () => choose(line.name) },
      h("span", { class: "name" }, ...pathParts(line.name)),
      h("span", { class: "picture" }, this.labels(), h("span", { class: "thumbs", style: { "--across": this.across() } }, this.canvases)),
      h("span", { class: "badges" }, badges(line)),
    );
    this.draw();
  }

  /** How many small matrices stand side by side. */
  across() {
    return this.layout.count <= MAX_LABELLED ? this.layout.count : this.layout.count <= 4 ? 2 : 4;
  }

  canvas() {
    const { width, height } = this.size;
    return h("canvas", { style: { width: `${width}px`, height: `${height}px` }, "aria-hidden": "true" });
  }

  /** The names of the tokens beside a small matrix. */
  labels() {
    const { shape, named, name } = this.line;
    const axis = shape.length - 2;
    if (!named[axis] || this.layout.rows > MAX_LABELS || this.layout.count > MAX_LABELLED) return null;
    const rows = Array.from({ length: this.layout.rows }, (_, row) => this.trace.label(name, axis, row));
    return h(
      "span", { class: "labels", "aria-hidden": "true", style: { "--side": `${this.size.side}px` } },
      rows.map((text) => h("span", null, label(text))),
    );
  }

  /**
   * @param {boolean} chosen
   * @param {boolean} operand
   * @param {number[][]} lit
   */
  show(chosen, operand, lit) {
    set(this.element, { "aria-current": chosen ? "true" : null });
    this.element.classList.toggle("operand", operand);
    if (!lit.length && !this.lit.length) return;
    this.lit = lit;
    this.draw();
  }

  draw() {
    const { rows, columns } = this.layout;
    const spots = this.lit.map((cell) => inMatrix(this.line, cell));
    this.canvases.forEach((canvas, matrix) => {
      const numbers = this.trace.numbers(this.line.name);
      const drawn = { rows, columns, offset: matrix * rows * columns, numbers, span: spanOf(this.trace, this.line.name) };
      drawThumb(canvas, drawn, this.size, spots.filter((spot) => spot.matrix === matrix));
    });
  }

  /** @param {HTMLElement} scroller */
  reveal(scroller) {
    const [own, all] = [this.element.getBoundingClientRect(), scroller.getBoundingClientRect()];
    if (own.left < all.left || own.right > all.right) {
      scroller.scrollBy({ left: own.left - all.left - (all.width - own.width) / 2 });
    }
  }
}

/**
 * The path of a name in light type before what it ends with.
 * @param {string} name
 */
export function pathParts(name) {
  const cut = name.lastIndexOf(".") + 1;
  return [cut ? h("span", { class: "path" }, name.slice(0, cut)) : null, h("wbr", null), name.slice(cut)];
}

/** @param {LineData} line */
function badges(line) {
  const wrong = line.claims.filter((each) => !each.agrees).length;
  return [
    line.changed ? h("span", { class: "badge changed" }, "deviates") : null,
    line.notes.length ? h("span", { class: "badge note" }, "note") : null,
    wrong ? h("span", { class: "badge differs" }, `✗ ${wrong}`, h("span", { class: "unseen" }, " claimed otherwise")) : null,
    line.claims.length && !wrong ? h("span", { class: "badge agrees" }, "✓", h("span", { class: "unseen" }, " as claimed")) : null,
  ];
}
