// The text as a strip: one bar for each token, or for all tokens that share a pixel. It can be zoomed and moved.

import { h } from "../../../show/page/dom.js";
import { between, fit, inks, position, powers, press, short, spread, ticks } from "./plotting.js";
import { written } from "./survey.js";

/**
 * @typedef {import("./survey.js").Survey} Survey
 * @typedef {import("./survey.js").Place} Place
 * @typedef {import("./survey.js").Statistic} Statistic
 * @typedef {import("./plotting.js").Inks} Inks
 */

const LEFT = 44;
const HIGH = 150;
const SMALL = 34;

/** Space below the bars: for numbers of tokens, and for slanted tokens. */
const ROOM = 26;
const ASLANT = 74;

/** Bars at least this wide have their token written below them. */
const WRITTEN = 12;

/** Bars at least this wide have it upright. */
const UPRIGHT = 84;

/** Up to this number of visible tokens are also written as a text. */
const MAX_WRITTEN = 400;

/** The smallest number of visible tokens. */
const FEWEST = 8;

/** Where a logarithmic scale starts. */
const FLOOR = 1e-3;

export class Strip {
  /** @param {Survey} survey */
  constructor(survey) {
    this.survey = survey;
    const { tokens, along } = survey.content;
    this.count = tokens.length;
    this.begin = 0;
    this.end = this.count;
    /** @type {Statistic} */
    this.kind = along[0] ?? { name: "entropy", title: "Entropy", says: "", log: false };
    /** @type {Place} */
    this.place = { layer: 0, head: 0 };
    /** @type {Float32Array} */
    this.numbers = new Float32Array(this.count);
    /** @type {number[]} */
    this.marked = [];
    /** @type {number | null} */
    this.pointed = null;
    this.canvas = h("canvas", {
      tabindex: 0, role: "img", class: "strip",
      onwheel: (/** @type {WheelEvent} */ event) => this.wheel(event),
      onpointerdown: (/** @type {PointerEvent} */ event) => this.grip(event),
      onpointermove: (/** @type {PointerEvent} */ event) => this.move(event),
      onpointerup: () => (this.held = undefined),
      onpointerleave: () => this.point(null),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
      ondblclick: () => this.see(0, this.count),
    });
    this.whole = h("canvas", {
      class: "whole", "aria-hidden": "true",
      onpointerdown: (/** @type {PointerEvent} */ event) => this.jump(event),
      onpointermove: (/** @type {PointerEvent} */ event) => event.buttons && this.jump(event),
    });
    this.kinds = h(
      "div", { class: "kinds", role: "group", "aria-label": "What the bars show" },
      along.map((each) => h("button", { type: "button", "data-name": each.name, onclick: () => void this.show(each) }, each.title)),
    );
    this.says = h("p", { class: "says" });
    this.said = h("p", { class: "said", role: "status" });
    this.text = h("p", { class: "text" });
    this.box = h("div", { class: "strip-box" }, this.canvas, this.whole);
    this.element = h(
      "section", { class: "card-box", "aria-label": "Along the text" },
      h("div", { class: "bar" }, h("h2", null, "Along the text"), this.kinds), this.says, this.box,
      h("div", { class: "under" }, this.said, h("div", { class: "kinds", role: "group", "aria-label": "Zoom" },
        h("button", { type: "button", "aria-label": "Nearer", onclick: () => this.zoom(0.5) }, "+"),
        h("button", { type: "button", "aria-label": "Farther", onclick: () => this.zoom(2) }, "−"),
        h("button", { type: "button", onclick: () => this.see(0, this.count) }, "All"))),
      this.text,
    );
  }

  /** @param {Statistic} kind */
  async show(kind) {
    this.kind = kind;
    await this.look(this.place);
  }

  /** @param {Place} place */
  async look(place) {
    this.place = place;
    this.numbers = await this.survey.of(this.kind.name, place);
    this.draw();
  }

  /**
   * Brings two tokens into sight, and marks them.
   * @param {number} query
   * @param {number} key
   */
  showPair(query, key) {
    this.marked = [query, key];
    const [low, high] = [Math.min(query, key), Math.max(query, key)];
    const margin = Math.max((high - low) * 0.15, 20);
    this.see(low - margin, high + margin + 1);
    this.element.scrollIntoView({ block: "nearest" });
  }

  /**
   * Shows this range of tokens.
   * @param {number} begin
   * @param {number} end
   */
  see(begin, end) {
    const width = Math.min(Math.max(end - begin, Math.min(FEWEST, this.count)), this.count);
    this.begin = Math.min(Math.max(begin + (end - begin - width) / 2, 0), this.count - width);
    this.end = this.begin + width;
    this.draw();
  }

  /**
   * @param {number} factor
   * @param {number} [about]
   */
  zoom(factor, about = (this.begin + this.end) / 2) {
    this.see(about - (about - this.begin) * factor, about + (this.end - about) * factor);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const wide = this.end - this.begin;
    if (event.deltaY > 0 && wide >= this.count && !event.deltaX) return;
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      this.shift(((event.deltaX || event.deltaY) / this.width) * wide);
    } else this.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), this.token(event.offsetX));
  }

  /** @param {number} tokens */
  shift(tokens) {
    this.see(this.begin + tokens, this.end + tokens);
  }

  /** @param {PointerEvent} event */
  grip(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.held = { x: event.offsetX, begin: this.begin, end: this.end };
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (this.held) {
      const by = ((this.held.x - event.offsetX) / this.width) * (this.held.end - this.held.begin);
      this.see(this.held.begin + by, this.held.end + by);
    }
    this.point(Math.floor(this.token(event.offsetX)));
  }

  /** @param {PointerEvent} event */
  jump(event) {
    const at = ((event.offsetX - LEFT) / this.width) * this.count;
    const half = (this.end - this.begin) / 2;
    this.see(at - half, at + half);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = Math.max(1, (this.end - this.begin) / 10);
    /** @type {Record<string, () => void>} */
    const does = {
      ArrowLeft: () => this.shift(-step), ArrowRight: () => this.shift(step),
      PageUp: () => this.shift(-8 * step), PageDown: () => this.shift(8 * step),
      Home: () => this.shift(-this.count), End: () => this.shift(this.count),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), ArrowUp: () => this.zoom(0.5),
      "-": () => this.zoom(2), ArrowDown: () => this.zoom(2), 0: () => this.see(0, this.count),
    };
    const found = does[event.key];
    if (!found) return;
    event.preventDefault();
    found();
  }

  get width() {
    return Math.max((this.box.clientWidth || 900) - LEFT - 4, 100);
  }

  /** @param {number} x */
  token(x) {
    return this.begin + ((x - LEFT) / this.width) * (this.end - this.begin);
  }

  /** @returns {[number, number]} the ends of the scale */
  get span() {
    let [low, high] = [Infinity, 0];
    for (const each of this.numbers) {
      if (each > high) high = each;
      if (each > 0 && each < low) low = each;
    }
    if (!this.kind.log) return [0, high || 1];
    return [10 ** Math.floor(Math.log10(Math.max(Math.min(low, 0.1), FLOOR))), 10 ** Math.ceil(Math.log10(Math.max(high, 1)))];
  }

  draw() {
    const ink = inks(this.canvas);
    const step = this.width / (this.end - this.begin);
    const pen = fit(this.canvas, LEFT + this.width + 4, HIGH + (step >= WRITTEN && step < UPRIGHT ? ASLANT : ROOM));
    const [low, high] = this.span;
    this.lines(pen, ink, low, high);
    this.bars(pen, ink, { from: this.begin, to: this.end, low, high, tall: HIGH - 8 });
    this.write(pen, ink);
    this.drawWhole(ink, low, high);
    this.spell();
    const { log, says, title } = this.kind;
    this.says.textContent = says;
    this.canvas.setAttribute("aria-label", `${title} along the text${log ? ", on a logarithmic scale" : ""}. Plus and minus zoom, arrow keys move.`);
    press(this.kinds, this.kind.name);
    this.point(this.pointed);
  }

  /**
   * The scale at the side.
   * @param {CanvasRenderingContext2D} pen
   * @param {Inks} ink
   * @param {number} low
   * @param {number} high
   */
  lines(pen, ink, low, high) {
    const { log } = this.kind;
    pen.font = `11px ${ink.font}`;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of log ? powers(low, high) : [0, high / 2, high]) {
      const y = Math.round(HIGH - position(value, low, high, log) * (HIGH - 8)) - 0.5;
      pen.fillStyle = ink.line;
      pen.fillRect(LEFT, y, this.width, 1);
      pen.fillStyle = ink.soft;
      pen.fillText(written(value), LEFT - 6, Math.min(Math.max(y, 7), HIGH - 5));
    }
  }

  /**
   * Bars of the visible tokens. Where several share a pixel, the pale bar is their maximum, the dark one their mean.
   * @param {CanvasRenderingContext2D} pen
   * @param {Inks} ink
   * @param {{from: number, to: number, low: number, high: number, tall: number}} sight
   */
  bars(pen, ink, { from, to, low, high, tall }) {
    const { log } = this.kind;
    const step = this.width / (to - from);
    const pale = between(ink.card, ink.above, 0.4);
    /** @param {number} value */
    const height = (value) => position(Math.max(value, log ? low : 0), low, high, log) * tall;
    const columns = step >= 2 ? Math.ceil(to) - Math.floor(from) : Math.ceil(this.width);
    for (let column = 0; column < columns; column += 1) {
      const first = step >= 2 ? Math.floor(from) + column : Math.floor(from + column / step);
      const last = step >= 2 ? first + 1 : Math.max(first + 1, Math.floor(from + (column + 1) / step));
      const { mean, most } = spread(this.numbers, first, Math.min(last, this.count));
      const left = step >= 2 ? Math.max((first - from) * step, 0) : column;
      const right = step >= 2 ? Math.min((first + 1 - from) * step - Math.min(step * 0.15, 3), this.width) : column + 1;
      if (right <= left) continue;
      pen.fillStyle = pale;
      pen.fillRect(LEFT + left, tall + 8 - height(most), right - left, height(most));
      pen.fillStyle = this.marked.some((at) => at >= first && at < last) ? ink.lit : ink.above;
      pen.fillRect(LEFT + left, tall + 8 - height(mean), right - left, height(mean));
    }
  }

  /**
   * The axis: tokens where there is room for them, else their numbers; the marks of a pair.
   * @param {CanvasRenderingContext2D} pen
   * @param {Inks} ink
   */
  write(pen, ink) {
    const step = this.width / (this.end - this.begin);
    pen.font = `12px ${ink.font}`;
    pen.fillStyle = ink.soft;
    if (step >= WRITTEN) this.writeTokens(pen, ink, step);
    else {
      pen.textAlign = "center";
      pen.textBaseline = "top";
      for (const at of ticks(this.begin, this.end)) {
        pen.fillText(at.toLocaleString("en"), LEFT + (at - this.begin) * step, HIGH + 8);
      }
    }
    pen.fillStyle = ink.lit;
    for (const at of this.marked) {
      const x = LEFT + (at + 0.5 - this.begin) * step;
      if (x >= LEFT && x <= LEFT + this.width) pen.fillRect(x - 1, 0, 2, 8);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Inks} ink
   * @param {number} step
   */
  writeTokens(pen, ink, step) {
    pen.textAlign = step < UPRIGHT ? "right" : "center";
    pen.textBaseline = "middle";
    for (let at = Math.ceil(this.begin - 0.5); at < this.end - 0.4; at += 1) {
      pen.save();
      pen.translate(LEFT + (at + 0.5 - this.begin) * step, HIGH + (step < UPRIGHT ? 5 : 13));
      if (step < UPRIGHT) pen.rotate(-Math.PI / 3.2);
      pen.fillStyle = this.marked.includes(at) ? ink.lit : ink.ink;
      pen.fillText(short(this.survey.content.tokens[at] ?? ""), 0, 0);
      pen.restore();
    }
  }

  /**
   * The whole text in small, and which part of it is visible.
   * @param {Inks} ink
   * @param {number} low
   * @param {number} high
   */
  drawWhole(ink, low, high) {
    const pen = fit(this.whole, LEFT + this.width + 4, SMALL + 8);
    this.bars(pen, ink, { from: 0, to: this.count, low, high, tall: SMALL });
    const [left, right] = [this.begin, this.end].map((at) => LEFT + (at / this.count) * this.width);
    pen.strokeStyle = ink.lit;
    pen.lineWidth = 1.5;
    pen.strokeRect((left ?? 0) - 0.5, 7, Math.max((right ?? 0) - (left ?? 0), 3), SMALL);
  }

  /** The visible tokens as a text, if they are few. */
  spell() {
    const [first, last] = [Math.floor(this.begin), Math.ceil(this.end)];
    if (last - first > MAX_WRITTEN) {
      this.text.replaceChildren(h("span", { class: "hint" }, "Zoom in to read the text: wheel, drag, or the keys + − ← →."));
      return;
    }
    const [low, high] = this.span;
    const { log } = this.kind;
    this.text.replaceChildren(...this.survey.content.tokens.slice(first, last).map((token, n) => {
      const part = position(Math.max(this.numbers[first + n] ?? 0, low), low, high, log);
      return h("span", {
        class: this.marked.includes(first + n) ? "current" : null, style: { "--depth": `${(62 * part).toFixed(1)}%` },
        onpointerenter: () => this.point(first + n),
      }, h("bdi", null, token));
    }));
  }

  /** @param {number | null} at */
  point(at) {
    const { tokens } = this.survey.content;
    this.pointed = at !== null && at >= 0 && at < this.count ? at : null;
    if (this.pointed === null) {
      const [first, last] = [Math.floor(this.begin), Math.ceil(this.end) - 1];
      this.said.textContent = `Tokens ${first.toLocaleString("en")} to ${last.toLocaleString("en")} of ${this.count.toLocaleString("en")}`;
      return;
    }
    const before = tokens.slice(Math.max(0, this.pointed - 5), this.pointed).join("");
    const after = tokens.slice(this.pointed + 1, this.pointed + 6).join("");
    this.said.replaceChildren(
      `Token ${this.pointed.toLocaleString("en")}: ${written(this.numbers[this.pointed] ?? NaN)}   `,
      h("bdi", { class: "before" }, before), h("bdi", { class: "it" }, tokens[this.pointed] ?? ""), h("bdi", { class: "after" }, after),
    );
  }
}
