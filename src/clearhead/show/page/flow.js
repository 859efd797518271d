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

/** The flow leaves room for the numbers below it. */
const MAX_HEIGHT = 310;

/** Cards are not made smaller than this part of their size. */
const SMALLEST = 0.6;

/** How far from a card a wire turns. */
const GAP = 7;

const TOKENS = new Set(["token", "query", "key", "past"]);

/**
 * A wire: the numbers of one line go into another, directly or through lines that are not shown.
 * @typedef {{source: string, target: string, direct: boolean}} Edge
 */

/**
 * Whether a line has a card: what was kept, and what is left to be filled in.
 * @param {LineData} line
 */
export function isShown({ absent }) {
  return absent !== "unkept";
}

/**
 * The wires between shown lines. An operand of which only a size is read has none.
 * @param {Trace} trace
 * @param {Set<string>} shown
 * @returns {Edge[]}
 */
export function edgesOf(trace, shown) {
  /** @type {Map<string, Set<string>>} */
  const behind = new Map();
  /** @type {Edge[]} */
  const edges = [];
  for (const { name } of trace.content.lines) {
    const inputs = trace.inputs(name);
    const hidden = inputs.filter((each) => !shown.has(each)).flatMap((each) => [...(behind.get(each) ?? [])]);
    const direct = new Set(inputs.filter((each) => shown.has(each)));
    if (!shown.has(name)) behind.set(name, new Set([...direct, ...hidden]));
    else {
      for (const source of direct) edges.push({ source, target: name, direct: true });
      for (const source of new Set(hidden)) if (!direct.has(source)) edges.push({ source, target: name, direct: false });
    }
  }
  return edges;
}

/**
 * The lines by how many steps they are away from what is given; what is given stands just before its first use.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @returns {LineData[][]}
 */
export function levels(lines, edges) {
  /** @type {Map<string, number>} */
  const level = new Map();
  const sources = new Map(lines.map(({ name }) => [name, edges.filter(({ target }) => target === name).map(({ source }) => source)]));
  for (const { name, made } of lines) {
    if (made) level.set(name, Math.max(0, ...(sources.get(name) ?? []).map((each) => (level.get(each) ?? 0) + 1)));
  }
  for (const { name, made } of lines) {
    if (made) continue;
    const users = edges.filter(({ source }) => source === name).map(({ target }) => (level.get(target) ?? 1) - 1);
    level.set(name, users.length ? Math.min(...users) : 0);
  }
  /** @type {LineData[][]} */
  const columns = [];
  for (const line of lines) (columns[level.get(line.name) ?? 0] ??= []).push(line);
  return columns.filter(Boolean);
}

/**
 * The weights, biases and gains that only one line reads, and that line: they have no place of their own in the flow.
 * @param {LineData[]} lines
 * @param {Edge[]} edges
 * @returns {Map<string, string>}
 */
function foldedOf(lines, edges) {
  /** @type {Map<string, string>} */
  const folded = new Map();
  for (const { name, made, axes } of lines) {
    const users = edges.filter(({ source }) => source === name);
    const [only] = users;
    if (!made && only && users.length === 1 && !axes.some((word) => TOKENS.has(word))) folded.set(name, only.target);
  }
  return folded;
}

/**
 * The lines as rows: those of an MLP below the others, where there are both.
 * @param {LineData[]} lines
 */
function rowsOf(lines) {
  const below = lines.filter(({ name }) => /(^|\.)mlp\./.test(name));
  const above = lines.filter((line) => !below.includes(line));
  return [above, below].filter((row) => row.length);
}

/** @type {(x1: number, y1: number, x2: number, y2: number) => string} */
function curve(x1, y1, x2, y2) {
  const bend = Math.max((x2 - x1) / 2, 6);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

/** @type {(x1: number, y1: number, x2: number, y2: number, between: number) => string} */
function backward(x1, y1, x2, y2, between) {
  return `M${x1} ${y1}h${GAP}V${between}H${x2 - GAP}V${y2}H${x2}`;
}

export class Flow {
  /**
   * @param {Trace} trace
   * @param {LineData[]} all the lines of which those that were kept are shown
   * @param {(name: string) => void} choose
   */
  constructor(trace, all, choose) {
    this.trace = trace;
    const lines = all.filter(isShown);
    this.wires = svg("svg", { class: "wires", "aria-hidden": "true", focusable: "false" });
    /** @type {Map<string, Card>} */
    this.cards = new Map(lines.map((line) => [line.name, new Card(trace, line, choose)]));
    this.edges = edgesOf(trace, new Set(this.cards.keys()));
    const folded = foldedOf(lines, this.edges);
    const rows = rowsOf(lines.filter((line) => !folded.has(line.name))).map((row) =>
      h("ol", { class: "levels" }, levels(row, this.edges).map((level) =>
        h("li", { class: "level" }, h("ul", null, level.map((line) => h("li", null, this.box(line, folded))))),
      )),
    );
    this.board = h("div", { class: "board" }, this.wires, rows);
    this.element = h("nav", { class: "flow", id: "flow", "aria-label": "The lines, in the order they are worked out" }, this.board);
    /** @type {number | undefined} */
    this.scale = undefined;
    new ResizeObserver(() => this.wire()).observe(this.element);
  }

  /**
   * The card of a line, and below it the weights and biases that only this line reads.
   * @param {LineData} line
   * @param {Map<string, string>} folded
   */
  box(line, folded) {
    const own = [...folded].filter(([, user]) => user === line.name).map(([name]) => name);
    for (const name of own) this.cards.get(name)?.fold();
    const inside = own.map((name) => this.cards.get(name)?.element);
    return h("div", { class: "box" }, this.cards.get(line.name)?.element, inside.length ? h("div", { class: "folds" }, inside) : null);
  }

  /** Makes a flow that is wider or higher than its place smaller, as far as it can still be read. */
  fit() {
    this.scale = 1;
    this.board.style.setProperty("zoom", "1");
    const room = this.element.clientWidth;
    const fits = Math.min(room / this.board.scrollWidth, MAX_HEIGHT / this.board.scrollHeight, 1);
    if (room) this.scale = Math.max(fits, SMALLEST);
    this.board.style.setProperty("zoom", String(this.scale));
  }

  wire() {
    this.fit();
    const scale = this.scale ?? 1;
    const origin = this.board.getBoundingClientRect();
    set(this.wires, { width: this.board.scrollWidth, height: this.board.scrollHeight });
    /** @param {number} length */
    const own = (length) => length / scale;
    /** @param {string} name */
    const box = (name) => this.cards.get(name)?.element.getBoundingClientRect();
    const paths = this.edges.filter(({ source }) => !this.cards.get(source)?.folded).map(({ source, target, direct }) => {
        const [from, to] = [box(source), box(target)];
        if (!from || !to) return null;
        const [x1, y1] = [own(from.right - origin.left), own(from.top + from.height / 2 - origin.top)];
        const [x2, y2] = [own(to.left - origin.left), own(to.top + to.height / 2 - origin.top)];
        const d = x2 > x1 ? curve(x1, y1, x2, y2) : backward(x1, y1, x2, y2, own(Math.max(from.bottom, to.top) - origin.top) - GAP);
        return svg("path", { d, class: direct ? null : "indirect", "data-from": source, "data-to": target });
    });
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
    const operands = new Set(this.edges.filter(({ target }) => target === place.line).map(({ source }) => source));
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

  /**
   * Draws a line whose numbers have been unpacked.
   * @param {string} name
   */
  draw(name) {
    this.cards.get(name)?.draw();
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
    this.folded = false;
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

  /** Shows the line as a letter on the card of the line that reads it. */
  fold() {
    this.folded = true;
    const ending = this.line.name.slice(this.line.name.lastIndexOf(".") + 1);
    const letter = { weight: "W", bias: "b", gain: "g" }[ending] ?? ending;
    this.element.className = "card given fold";
    set(this.element, { title: this.line.name, "aria-label": this.line.name });
    this.element.replaceChildren(letter);
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
