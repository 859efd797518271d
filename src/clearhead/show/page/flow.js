// The flow of a block: a card for each line with small pictures of its matrices, and wires from operands to results.

import { h, set, svg } from "./dom.js";
import { Fold, badges } from "./fold.js";
import { borrowedBy, edgesOf, foldedOf, foldedResults, isShown, levels, place } from "./place.js";
import { drawThumb, matrixOf } from "./thumb.js";
import { inMatrix, layout } from "./cells.js";
import { lead } from "./wires.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./place.js").Placed} Placed
 * @typedef {import("./wires.js").Box} Box
 */

/** The side of a square in a small matrix, and the gap between small matrices. */
const UNIT = 12;
const GAP = 5;
const LEAST = 3;
const MAX_THUMBS = 12;

/** What a card has besides its pictures: its edges, its name, the letters of weights. */
const PADDING = { across: 12, down: 10 };
const NAME = { line: 13, letter: 6.9, size: 11.5, least: 9 };
const FOLD = { width: 26, high: 2, height: 29 };

/** The flow leaves room for the numbers below it. */
const MAX_HEIGHT = 342;

/** What is taller scrolls within that height. */
const TALLEST = 416;

/** Of more wires none is drawn: nobody could follow them, and to lead them takes seconds. */
const MAX_WIRES = 120;

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

export class Flow {
  /**
   * @param {Trace} trace
   * @param {LineData[]} all the lines of which those that were kept are shown
   * @param {(name: string) => void} choose
   * @param {number} [less] how much lower than others it is
   */
  constructor(trace, all, choose, less = 0) {
    this.choose = choose;
    this.room = MAX_HEIGHT - less;
    const shown = all.filter(isShown);
    const edges = edgesOf(trace, new Set(shown.map(({ name }) => name)));
    const folded = foldedOf(shown, edges);
    const results = foldedResults(shown, edges);
    this.lines = shown.filter(({ name }) => !folded.has(name) && !results.has(name));
    this.allEdges = edges;
    this.edges = edges.filter(({ source, target }) => !folded.has(source) && !results.has(target));
    const order = levels(this.lines, this.edges).flat();
    this.wires = svg("svg", { class: "wires", "aria-hidden": "true", focusable: "false" });
    const taken = [...[...folded].map(([source, target]) => ({ source, target })), ...borrowedBy(trace, this.lines)];
    this.folds = [
      ...taken.map(({ source, target }) => new Fold(trace, trace.line(source), target, choose)),
      ...[...results].map(([name, source]) => new Fold(trace, trace.line(name), source, choose, true)),
    ];
    /** @param {string} name */
    const foldsOf = (name) => this.folds.filter(({ host }) => host === name);
    /** @type {Map<string, Card>} */
    this.cards = new Map(order.map((line) => [line.name, new Card(trace, line, foldsOf(line.name), choose)]));
    this.titles = h("div", { "aria-hidden": "true" });
    this.board = h("div", { class: "board" }, this.wires, this.titles, h("ul", null, [...this.cards.values()].map(({ box }) => box)));
    this.element = h(
      "nav", { class: "flow", id: "flow", "aria-label": "The lines, in the order they are computed", onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) },
      this.board,
    );
    this.width = 0;
    new ResizeObserver(() => this.element.clientWidth !== this.width && this.wire()).observe(this.element);
  }

  /** Places the cards in the available width, and routes the wires between them. */
  wire() {
    this.width = this.element.clientWidth;
    if (!this.width || !this.lines.length) return;
    const placed = place(this.lines, this.edges, { width: this.width, height: this.room });
    const { boxes, titles, short, width, height } = placed;
    for (const [name, card] of this.cards) {
      const box = boxes.get(name);
      if (box) card.fit(box, short.get(name) ?? name);
    }
    set(this.board, { style: { width: `${width}px`, height: `${height}px` } });
    set(this.element, { style: { "max-height": height > this.room + TALLEST - MAX_HEIGHT ? `${this.room}px` : "none" } });
    set(this.wires, { width, height });
    this.titles.replaceChildren(...titles.map(({ text, box }) => h("span", { class: "group", style: { left: `${box.x}px`, top: `${box.y}px` } }, text)));
    const isRow = new Set([...boxes.values()].map(({ y }) => y)).size === 1 && width > this.width;
    const paths = isRow || this.edges.length > MAX_WIRES ? [] : lead({ boxes, closed: titles.map(({ box }) => box), width, height }, this.edges);
    this.wires.replaceChildren(...paths.flatMap((d, n) => {
      const { source, target, direct } = /** @type {import("./place.js").Edge} */ (this.edges[n]);
      return d ? [svg("path", { d, class: direct ? null : "indirect", "data-from": source, "data-to": target })] : [];
    }));
    this.mark();
  }

  mark() {
    for (const path of this.wires.children) {
      path.classList.toggle("lit", path.getAttribute("data-to") === this.chosen);
    }
  }

  /** All that can be chosen, in the order of the page. */
  stops() {
    return [...this.cards].flatMap(([name, card]) => [{ name, element: card.element }, ...card.folds.map((fold) => ({ name: fold.line.name, element: fold.element }))]);
  }

  /**
   * Shows a line as chosen, its cell, and the cells that this cell was computed from.
   * @param {Place} place
   * @param {Place[]} reads
   */
  show(place, reads) {
    const moved = this.chosen !== place.line;
    this.chosen = place.line;
    const operands = new Set(this.allEdges.filter(({ target }) => target === place.line).map(({ source }) => source));
    for (const [name, card] of this.cards) {
      const cells = name === place.line ? [place.cell] : reads.filter((each) => each.line === name).map((each) => each.cell);
      card.show(name === place.line, operands.has(name), cells);
    }
    for (const { line, host, isResult, element } of this.folds) mark(element, line.name === place.line, !isResult && host === place.line);
    const stops = this.stops();
    const first = stops.find(({ name }) => name === place.line) ?? stops[0];
    for (const each of stops) set(each.element, { tabindex: each === first ? 0 : -1 });
    this.mark();
    if (moved) this.reveal(stops.find(({ name }) => name === place.line)?.element);
  }

  /**
   * Arrow keys go to the nearest card or letter in their direction.
   * @param {KeyboardEvent} event
   */
  key(event) {
    const step = STEPS[event.key];
    const stops = this.stops();
    const here = stops.find(({ element }) => element === document.activeElement);
    if (!step || !here) return;
    event.preventDefault();
    const from = middle(here.element);
    const ahead = stops.filter((each) => each !== here).map((each) => {
      const to = middle(each.element);
      const [along, aside] = step[0] ? [(to.x - from.x) * step[0], to.y - from.y] : [(to.y - from.y) * step[1], to.x - from.x];
      return { ...each, along, far: along + 3 * Math.abs(aside) };
    });
    const next = ahead.filter(({ along }) => along > 4).sort((a, b) => a.far - b.far)[0];
    if (!next) return;
    next.element.focus({ preventScroll: true });
    this.choose(next.name);
  }

  redraw() {
    for (const card of this.cards.values()) card.draw();
  }

  /** Shows the lines as they are now. */
  refresh() {
    for (const each of [...this.cards.values(), ...this.folds]) each.refresh();
    this.redraw();
  }

  /**
   * Draws a line whose numbers have been unpacked.
   * @param {string} name
   */
  draw(name) {
    this.cards.get(name)?.draw();
  }

  /** @param {HTMLElement | undefined} element */
  reveal(element) {
    if (!element) return;
    const [own, all] = [element.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (own.left < all.left || own.right > all.right) {
      this.element.scrollBy({ left: own.left - all.left - (all.width - own.width) / 2 });
    }
    if (own.top < all.top || own.bottom > all.bottom) {
      this.element.scrollBy({ top: own.top - all.top - (all.height - own.height) / 2 });
    }
  }
}

class Card {
  /**
   * @param {Trace} trace
   * @param {LineData} line
   * @param {Fold[]} folds
   * @param {(name: string) => void} choose
   */
  constructor(trace, line, folds, choose) {
    this.trace = trace;
    this.line = line;
    this.folds = folds;
    this.layout = layout(line);
    this.isShort = false;
    this.size = { width: 3, height: 3, side: 1 };
    /** @type {number[][]} */
    this.lit = [];
    this.canvases = Array.from({ length: Math.min(this.layout.count, MAX_THUMBS) }, () => h("canvas", { "aria-hidden": "true" }));
    this.name = h("span", { class: "name" });
    this.thumbs = h("span", { class: "thumbs" }, this.canvases);
    this.badges = h("span", { class: "badges" }, badges(line));
    this.element = h(
      "button",
      { type: "button", class: `card ${line.made ? "" : "given"}`, "data-line": line.name, title: line.name, tabindex: -1, onclick: () => choose(line.name) },
      this.name, this.thumbs, this.badges,
    );
    this.box = h("li", { class: "box" }, this.element, folds.length ? h("div", { class: "folds" }, folds.map(({ element }) => element)) : null);
  }

  /**
   * Takes its place.
   * @param {Box} box
   * @param {string} name its name there
   */
  fit({ x, y, w, h }, name) {
    set(this.box, { style: { left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` } });
    this.name.replaceChildren(...pathParts(name));
    this.isShort = name !== this.line.name;
    this.label();
    const lines = name.length * NAME.letter > w ? 2 : 1;
    const longest = lines === 1 ? name.length : halved(name);
    this.name.style.fontSize = `${Math.max(Math.min(NAME.size, (NAME.size * w) / (longest * NAME.letter)), NAME.least)}px`;
    const high = h - PADDING.down - lines * NAME.line < FOLD.height ? 1 : FOLD.high;
    this.box.style.setProperty("--high", String(high));
    const beside = this.folds.length ? FOLD.width * Math.ceil(this.folds.length / high) : 0;
    this.element.style.paddingRight = beside ? `${beside + 2}px` : "";
    this.name.style.marginRight = beside ? `-${beside + 2}px` : "";
    const { rows, columns } = this.layout;
    const { across, side } = arranged(this.canvases.length, rows, columns, w - PADDING.across - beside, h - PADDING.down - lines * NAME.line);
    this.size = { width: Math.max(columns * side, LEAST), height: Math.max(rows * side, LEAST), side };
    this.thumbs.style.setProperty("--across", String(across));
    for (const canvas of this.canvases) set(canvas, { style: { width: `${this.size.width}px`, height: `${this.size.height}px` } });
    this.draw();
  }

  /** Its whole name for a screen reader, where a part of it stands above the card, and what its badges say. */
  label() {
    const said = [...this.badges.children].map((badge) => badge.textContent ?? "");
    set(this.element, { "aria-label": this.isShort ? [this.line.name, ...said].join(", ") : null });
  }

  /** Takes its line as it is now; to be drawn. */
  refresh() {
    this.line = this.trace.line(this.line.name);
    this.badges.replaceChildren(...badges(this.line).filter((each) => each !== null));
    this.label();
  }

  /**
   * @param {boolean} chosen
   * @param {boolean} operand
   * @param {number[][]} lit
   */
  show(chosen, operand, lit) {
    mark(this.element, chosen, operand);
    if (!lit.length && !this.lit.length) return;
    this.lit = lit;
    this.draw();
  }

  draw() {
    const spots = this.lit.map((cell) => inMatrix(this.line, cell));
    this.canvases.forEach((canvas, matrix) => {
      drawThumb(canvas, matrixOf(this.trace, this.line, matrix), this.size, spots.filter((spot) => spot.matrix === matrix));
    });
  }
}

/**
 * How matrices are arranged so that their squares are largest.
 * @param {number} count
 * @param {number} rows
 * @param {number} columns
 * @param {number} width
 * @param {number} height
 */
function arranged(count, rows, columns, width, height) {
  const ways = Array.from({ length: count }, (_, n) => {
    const down = Math.ceil(count / (n + 1));
    const side = Math.min(UNIT, (width - n * GAP) / ((n + 1) * columns), (height - (down - 1) * GAP) / (down * rows));
    const isTooHigh = down * Math.max(side * rows, LEAST) + (down - 1) * GAP > height + 0.5; // None is drawn lower than LEAST.
    return { across: n + 1, side: isTooHigh ? -n - 1 : side };
  });
  const best = ways.reduce((most, each) => (each.side >= most.side ? each : most));
  return { ...best, side: Math.max(best.side, 0) };
}

/**
 * @param {HTMLElement} element
 * @param {boolean} chosen
 * @param {boolean} operand
 */
function mark(element, chosen, operand) {
  set(element, { "aria-current": chosen ? "true" : null });
  element.classList.toggle("operand", operand);
}

/**
 * How many letters the longer line of a name has at least, written in two: it may be broken after a dot or before a _.
 * @param {string} name
 */
function halved(name) {
  const breaks = [...name.matchAll(/\.(?=.)|.(?=_)/g)].map(({ index }) => index + 1);
  return Math.min(name.length, ...breaks.map((at) => Math.max(at, name.length - at)));
}

/** @param {HTMLElement} element */
function middle(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2 };
}

/**
 * A name, with its path, and what says that it is a gradient, in light type.
 * @param {string} name
 */
export function pathParts(name) {
  if (name.startsWith("through_")) return [light(name)];
  const [, path, own, rest] = /^(.*?)([^.]*?)(\.grad(?:\..*)?)?$/.exec(name) ?? [];
  return [path ? light(path) : "", h("wbr", null), own ?? name, rest ? [h("wbr", null), light(rest)] : ""].flat();
}

/**
 * A part of a name in light type, which may be broken after a dot and before a low line.
 * @param {string} text
 */
function light(text) {
  const parts = text.split(/(?<=\.)(?=.)|(?=_)/);
  return h("span", { class: "path" }, parts.flatMap((part, n) => [n ? h("wbr", null) : "", part]));
}
