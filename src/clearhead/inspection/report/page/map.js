// The map of a head: a square for each block of queries and each block of keys, shaded by the share that goes there.
// Where it is served it can be zoomed to single tokens.

import { h } from "../../../show/page/dom.js";
import { between, fit, inks } from "./plotting.js";
import { Shares, around } from "./shares.js";
import { written } from "./survey.js";

/**
 * @typedef {import("./survey.js").Survey} Survey
 * @typedef {import("./survey.js").Place} Place
 * @typedef {import("./shares.js").View} View
 * @typedef {import("./plotting.js").Inks} Inks
 * @typedef {{row: number, column: number}} Square
 */

/** The side of the map, of the bars beside it, and the gap between them, in pixels. */
const SIDE = 384;
const BARS = 44;
const GAP = 6;

/** This part of the squares is lighter than the darkest. */
const LIGHTER = 0.99;

/** Squares at least this wide have their share written in them, in percent. */
const WRITTEN = 24;

/** How much closer each step of the zoom is, and the fewest tokens that are shown. */
const CLOSER = 4;
const FEWEST = 12;

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const HOW = "Point, or move with the arrow keys. Click, or press Enter, to see both in the text.";
const CLOSER_HOW = "The wheel, or + and −, zoom to single tokens; 0 shows the whole text.";
const TO_ZOOM = "To zoom to single tokens, run clearhead inspect with --serve.";

export class Weights {
  /**
   * @param {Survey} survey
   * @param {(query: number, key: number) => void} choose shows two tokens in the text
   * @param {(square: Square | null) => void} tell told which square of the whole map is chosen; null for none
   */
  constructor(survey, choose, tell) {
    this.survey = survey;
    this.choose = choose;
    this.tellOthers = tell;
    const { served, tokens } = survey.content;
    this.tokens = tokens.length;
    /** @type {View} */
    this.whole = { queries: [0, this.tokens], keys: [0, this.tokens] };
    this.shares = new Shares(this.whole);
    /** @type {Map<string, Shares>} */
    this.known = new Map();
    /** @type {Place} */
    this.place = { layer: 0, head: 0 };
    /** @type {Square} */
    this.at = { row: 0, column: 0 };
    this.canvas = h("canvas", {
      role: "img", tabindex: 0, "aria-label": "Weights of blocks of tokens: a row for each block of queries, a column for each of keys",
      onpointermove: (/** @type {PointerEvent} */ event) => this.point(event),
      onclick: () => this.open(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
      onwheel: (/** @type {WheelEvent} */ event) => this.wheel(event),
    });
    this.said = h("p", { class: "said", "aria-live": "polite" });
    this.none = h("p", { class: "says" }, "There is no map in this file: the text is too long for one. To see it, run clearhead inspect with --serve.");
    this.nearer = h("button", { type: "button", onclick: () => this.zoom(1 / CLOSER) }, "Zoom in");
    this.farther = h("button", { type: "button", onclick: () => this.zoom(CLOSER) }, "Zoom out");
    this.all = h("button", { type: "button", onclick: () => void this.see(this.whole) }, "Whole text");
    this.element = h(
      "section", { class: "card-box map", "aria-label": "Who looks at whom" },
      h("div", { class: "bar" }, h("h2", null, "Who looks at whom"),
        served ? h("div", { class: "kinds", role: "group", "aria-label": "Zoom" }, this.nearer, this.farther, this.all) : null),
      h("p", { class: "says" }, "Rows are queries, columns keys, from the first token to the last. Each square is the mean over its queries of their weight on its keys, of all weights. Bars above: what each block of keys receives; bars on the right: who looks at the chosen keys."),
      this.none,
      this.board = h("div", { class: "map-board" }, this.canvas, this.said),
    );
  }

  /** @param {Place} place */
  async look(place) {
    this.place = place;
    await this.see(this.shares.view);
  }

  /**
   * Shows a part of the map, as soon as its shares are there.
   * @param {View} view
   */
  async see(view) {
    const { served, mapped } = this.survey.content;
    const isWhole = view.queries[1] - view.queries[0] === this.tokens && view.keys[1] - view.keys[0] === this.tokens;
    const isThere = Boolean(isWhole && mapped[this.place.layer]);
    this.board.hidden = !isThere && !served;
    this.none.hidden = isThere || served;
    this.nearer.disabled = view.queries[1] - view.queries[0] <= Math.min(FEWEST, this.tokens);
    this.farther.disabled = this.all.disabled = isWhole;
    const key = JSON.stringify([this.place, view]);
    const known = this.known.get(key);
    const shares = (this.shares = known ?? new Shares(view));
    if (!known && isThere) shares.numbers.set(await this.survey.of("map", this.place));
    this.known.set(key, shares);
    if (this.shares !== shares) return;
    this.isWhole = isThere;
    this.at = this.nearest();
    this.draw();
    if (!known && !isThere && served) void this.fetch(shares, key);
  }

  /**
   * @param {Shares} shares
   * @param {string} key
   */
  async fetch(shares, key) {
    const isSeen = () => this.shares === shares;
    try {
      await shares.fetch(this.survey, this.place, () => {
        if (isSeen()) this.draw();
        return isSeen();
      });
    } catch (error) {
      this.said.textContent = `The server gives no map: ${error instanceof Error ? error.message : error}`;
    }
    if (shares.numbers.some(Number.isNaN)) this.known.delete(key);
    else if (isSeen()) {
      this.at = this.nearest();
      this.draw();
    }
  }

  /** The square to begin with: that of the tokens that were chosen before, else the strongest. */
  nearest() {
    const { shares, chosen } = this;
    if (!chosen) return strongest(shares);
    /** @type {(edges: number[], token: number) => number} */
    const of = (edges, token) => Math.max(edges.filter((edge) => edge <= token).length - 1, 0);
    const row = Math.min(of(shares.rows, chosen.query), shares.high - 1);
    const column = Math.min(of(shares.columns, chosen.key), shares.wide - 1);
    return { row, column };
  }

  /**
   * Shows more or less, around the chosen square.
   * @param {number} factor
   */
  zoom(factor) {
    if (!this.survey.content.served) return;
    const { shares: { view, rows, columns }, at } = this;
    const size = Math.max((view.queries[1] - view.queries[0]) * factor, FEWEST);
    /** @type {(edges: number[], n: number) => number} */
    const middle = (edges, n) => ((edges[n] ?? 0) + (edges[n + 1] ?? 0)) / 2;
    this.chosen = { query: Math.floor(middle(rows, at.row)), key: Math.floor(middle(columns, at.column)) };
    void this.see({ queries: around(this.chosen.query, size, this.tokens), keys: around(this.chosen.key, size, this.tokens) });
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!this.survey.content.served || !event.deltaY) return;
    event.preventDefault();
    this.point(event);
    this.zoom(event.deltaY < 0 ? 1 / CLOSER : CLOSER);
  }

  draw() {
    const { shares, at } = this;
    const pen = fit(this.canvas, SIDE + GAP + BARS, SIDE + GAP + BARS);
    const colours = inks(this.canvas);
    const [wide, high] = [SIDE / shares.wide, SIDE / shares.high];
    const most = largest(shares);
    pen.translate(0, BARS + GAP);
    for (let row = 0; row < shares.high; row += 1) {
      for (let column = 0; column < shares.wide; column += 1) {
        const share = shares.at(row, column);
        const part = Math.sqrt(Math.min(share / most, 1));
        pen.fillStyle = Number.isNaN(share) ? colours.paper : between(colours.cell, colours.above, part);
        pen.fillRect(column * wide, row * high, Math.ceil(wide), Math.ceil(high));
        if (wide >= WRITTEN && share >= 0.005) write(pen, colours, `${Math.round(100 * share)}`, (column + 0.5) * wide, (row + 0.5) * high);
      }
    }
    pen.strokeStyle = colours.lit;
    pen.lineWidth = 2;
    pen.strokeRect(at.column * wide, at.row * high, wide, high);
    this.bars(pen, colours, wide, high);
    this.tell(most);
    this.tellOthers(this.isWhole ? at : null);
  }

  /**
   * What each block of keys receives, above the map; who looks at the chosen keys, on its right.
   * @param {CanvasRenderingContext2D} pen
   * @param {Inks} colours
   * @param {number} wide
   * @param {number} high
   */
  bars(pen, colours, wide, high) {
    const { shares, at } = this;
    const received = shares.byKey();
    const looks = Array.from({ length: shares.high }, (_, row) => shares.at(row, at.column) || 0);
    const [top, side] = [Math.max(...received, 1e-12), Math.max(...looks, 1e-12)];
    received.forEach((each, column) => {
      pen.fillStyle = column === at.column ? colours.lit : colours.above;
      pen.fillRect(column * wide, -GAP - (each / top) * BARS, Math.max(wide - 0.5, 1), (each / top) * BARS);
    });
    looks.forEach((each, row) => {
      pen.fillStyle = row === at.row ? colours.lit : colours.above;
      pen.fillRect(SIDE + GAP, row * high, (each / side) * BARS, Math.max(high - 0.5, 1));
    });
  }

  /** @param {number} most the share of the darkest squares */
  tell(most) {
    const { row, column } = this.at;
    const { shares } = this;
    const share = shares.at(row, column);
    const [mean, among] = [shares.byKey()[column] ?? NaN, shares.byQuery()[row] ?? NaN];
    const { queries, keys } = shares.view;
    const isPart = keys[1] - keys[0] < this.tokens;
    const part = isPart ? [h("br", null), `Shown are queries ${queries[0]} to ${queries[1] - 1} and keys ${keys[0]} to ${keys[1] - 1}, to which ${written(100 * among)} % of this row's weight goes.`] : [];
    const rest = this.survey.content.served ? CLOSER_HOW : TO_ZOOM;
    this.said.replaceChildren(
      ...(Number.isNaN(share) ? ["Being computed …"] : [h("b", null, `${written(100 * share)} %`), ` of the weight of ${this.block(shares.rows, row)} goes to ${this.block(shares.columns, column)}.`]),
      h("br", null), `These keys receive ${written(100 * mean)} % of the weight of the shown queries.`, ...part,
      h("br", null), `The darkest squares have ${written(100 * most)} % or more. Shades grow with the square root of the share.`,
      h("br", null), `${HOW} ${rest}`,
    );
  }

  /**
   * @param {number[]} edges
   * @param {number} n
   */
  block(edges, n) {
    const [from, to] = [edges[n] ?? 0, (edges[n + 1] ?? 1) - 1];
    const { tokens } = this.survey.content;
    return from === to ? `token ${from} “${tokens[from] ?? ""}”` : `tokens ${from} to ${to} “${tokens[from] ?? ""} …${tokens[to] ?? ""}”`;
  }

  /** @param {MouseEvent} event */
  point(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    const scale = (SIDE + GAP + BARS) / width;
    const [x, y] = [(event.clientX - left) * scale, (event.clientY - top) * scale - BARS - GAP];
    this.go(Math.floor((y * this.shares.high) / SIDE), Math.floor((x * this.shares.wide) / SIDE));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = STEPS[event.key];
    const factor = { "+": 1 / CLOSER, "=": 1 / CLOSER, "-": CLOSER }[event.key];
    if (!step && !factor && event.key !== "Enter" && event.key !== "0") return;
    event.preventDefault();
    if (step) this.go(this.at.row + step[0], this.at.column + step[1]);
    else if (factor) this.zoom(factor);
    else if (event.key === "0") void this.see(this.whole);
    else this.open();
  }

  /**
   * @param {number} row
   * @param {number} column
   */
  go(row, column) {
    /** @type {(n: number, count: number) => number} */
    const within = (n, count) => Math.min(Math.max(n, 0), count - 1);
    const to = { row: within(row, this.shares.high), column: within(column, this.shares.wide) };
    if (to.row === this.at.row && to.column === this.at.column) return;
    this.at = to;
    this.chosen = { query: this.shares.rows[to.row] ?? 0, key: this.shares.columns[to.column] ?? 0 };
    this.draw();
  }

  open() {
    this.choose(this.shares.rows[this.at.row] ?? 0, this.shares.columns[this.at.column] ?? 0);
  }
}

/**
 * The square with the largest share beside the diagonal and the first column, else the first.
 * @param {Shares} shares
 */
function strongest(shares) {
  let best = { row: 0, column: 0 };
  for (let row = 1; row < shares.high; row += 1) {
    for (let column = 1; column < shares.wide; column += 1) {
      if (row !== column && shares.at(row, column) > (best.row ? shares.at(best.row, best.column) : 0)) best = { row, column };
    }
  }
  return best;
}

/**
 * The share of the darkest squares: few have more, such as the first, where a query sees little else.
 * @param {Shares} shares
 */
function largest({ numbers }) {
  const sorted = [...numbers].filter((share) => share > 0).sort((a, b) => a - b);
  return sorted[Math.floor(LIGHTER * (sorted.length - 1))] ?? 1;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Inks} colours
 * @param {string} text
 * @param {number} x
 * @param {number} y
 */
function write(pen, colours, text, x, y) {
  pen.fillStyle = colours.ink;
  pen.font = `11px ${colours.font}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(text, x, y);
}
