// All heads at once: a heat map of layers and heads, shaded by one number of each.

import { h } from "../../../show/page/dom.js";
import { between, fit, inks, position, press } from "./plotting.js";
import { written } from "./survey.js";

/**
 * @typedef {import("./survey.js").Survey} Survey
 * @typedef {import("./survey.js").Place} Place
 */

const LEFT = 44;

/** The bars of means, of layers above and of heads on the right, and the gap before them. */
const MEAN = 24;
const GAP = 4;
const TOP = MEAN + GAP + 2;
const BOTTOM = 34;
const MAX_SIDE = 34;
const LEAST_SIDE = 9;

/** What the chosen square of the map is in every head. */
const SQUARE = { name: "square", title: "Chosen square", says: "The share of the square that is chosen in the map below, in every head.", log: false };

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Overview {
  /**
   * @param {Survey} survey
   * @param {(place: Place) => void} choose
   */
  constructor(survey, choose) {
    this.survey = survey;
    this.choose = choose;
    this.statistic = "entropy";
    /** @type {Place} */
    this.place = { layer: 0, head: 0 };
    this.canvas = h("canvas", {
      tabindex: 0, role: "img", class: "heat",
      onclick: (/** @type {MouseEvent} */ event) => this.at(event, (place) => this.choose(place)),
      onpointermove: (/** @type {PointerEvent} */ event) => this.at(event, (place) => this.describe(place)),
      onpointerleave: () => this.describe(this.place),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
    });
    this.kinds = h(
      "div", { class: "kinds", role: "group", "aria-label": "What the shades show" },
      [...survey.content.statistics, ...(survey.content.blocks.length ? [SQUARE] : [])].map(({ name, title }) => h("button", { type: "button", "data-name": name, onclick: () => void this.show(name) }, title)),
    );
    this.says = h("p", { class: "says" });
    this.scale = h("div", { class: "scale", "aria-hidden": "true" });
    this.said = h("p", { class: "said", "aria-live": "polite" });
    this.box = h("div", { class: "scroller" }, this.canvas);
    this.element = h(
      "section", { class: "card-box heads-overview", "aria-label": "All heads" },
      h("div", { class: "bar" }, h("h2", null, "All heads"), this.kinds), this.says, this.box,
      h("div", { class: "under" }, this.said, this.scale),
    );
  }

  /** @param {string} statistic */
  async show(statistic) {
    const { square } = this;
    if (statistic === SQUARE.name && square) {
      const shares = await this.survey.everywhere(square.row, square.column);
      if (square !== this.square) return;
      this.survey.summary.set(statistic, shares);
    }
    this.statistic = statistic;
    this.draw();
    this.describe(this.place);
  }

  /**
   * Takes the square that is chosen in the map; null where its share in other heads is not known.
   * @param {{row: number, column: number} | null} square
   */
  async mark(square) {
    this.square = square;
    const button = this.kinds.querySelector(`[data-name="${SQUARE.name}"]`);
    if (button instanceof HTMLButtonElement) button.disabled = !square;
    if (this.statistic === SQUARE.name) await this.show(square ? SQUARE.name : "entropy");
  }

  /** @param {Place} place */
  look(place) {
    this.place = place;
    this.draw();
    this.describe(place);
  }

  get kind() {
    return this.survey.content.statistics.find(({ name }) => name === this.statistic) ?? SQUARE;
  }

  /** @returns {[number, number]} */
  get span() {
    const numbers = [...(this.survey.summary.get(this.statistic) ?? [])].filter((each) => Number.isFinite(each));
    const low = numbers.reduce((a, b) => Math.min(a, b), Infinity);
    const high = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
    return this.kind.log ? [Math.max(low, 0.5), Math.max(high, 1)] : [Math.min(low, 0), high];
  }

  draw() {
    const { layers, heads } = this.survey.content;
    const room = (this.box.clientWidth || 700) - LEFT - GAP - MEAN - 2;
    const wide = Math.min(Math.max(Math.floor(room / layers.length), LEAST_SIDE), MAX_SIDE * 2);
    const high = Math.min(MAX_SIDE, Math.max(Math.floor(420 / heads), LEAST_SIDE));
    this.cell = { wide, high };
    const pen = fit(this.canvas, LEFT + wide * layers.length + GAP + MEAN + 2, TOP + high * heads + BOTTOM);
    const ink = inks(this.canvas);
    const [low, top] = this.span;
    for (let layer = 0; layer < layers.length; layer += 1) {
      for (let head = 0; head < heads; head += 1) {
        const part = position(this.survey.value(this.statistic, { layer, head }), low, top, this.kind.log);
        pen.fillStyle = between(ink.cell, ink.above, part);
        pen.fillRect(LEFT + layer * wide + 1, TOP + head * high + 1, wide - 2, high - 2);
      }
    }
    this.means(pen, ink);
    this.label(pen, ink.soft, ink.font);
    pen.strokeStyle = ink.lit;
    pen.lineWidth = 2.5;
    pen.strokeRect(LEFT + this.place.layer * wide, TOP + this.place.head * high, wide, high);
    this.scale.replaceChildren(written(low), h("i", null), written(top));
    this.says.textContent = `${this.kind.says} Bars: the means of each layer, and of each head number.`;
    this.canvas.setAttribute("aria-label", `${this.kind.title} by layer and head. Arrow keys choose a head.`);
    press(this.kinds, this.statistic);
  }

  /**
   * The mean of each layer above, and of each head over all layers on the right.
   * @param {CanvasRenderingContext2D} pen
   * @param {import("./plotting.js").Inks} ink
   */
  means(pen, ink) {
    const { layers, heads } = this.survey.content;
    const { wide, high } = this.cell ?? { wide: 1, high: 1 };
    const [low, top] = this.span;
    const right = LEFT + wide * layers.length + GAP;
    for (let layer = 0; layer < layers.length; layer += 1) {
      const long = MEAN * position(this.mean({ layer }), low, top, this.kind.log);
      pen.fillStyle = layer === this.place.layer ? ink.lit : ink.above;
      pen.fillRect(LEFT + layer * wide + 1, TOP - GAP - long, wide - 2, long);
    }
    for (let head = 0; head < heads; head += 1) {
      pen.fillStyle = head === this.place.head ? ink.lit : ink.above;
      pen.fillRect(right, TOP + head * high + 1, MEAN * position(this.mean({ head }), low, top, this.kind.log), high - 2);
    }
  }

  /**
   * The mean over all heads of a layer, or over one head of all layers, of what is known.
   * @param {{layer?: number, head?: number}} which
   */
  mean({ layer, head }) {
    const { layers, heads } = this.survey.content;
    const all = layers.flatMap((_, n) => (layer ?? n) !== n ? [] : Array.from({ length: heads }, (__, m) => (head ?? m) === m ? this.survey.value(this.statistic, { layer: n, head: m }) : NaN));
    const numbers = all.filter((each) => Number.isFinite(each));
    return numbers.reduce((a, b) => a + b, 0) / numbers.length;
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {string} colour
   * @param {string} font
   */
  label(pen, colour, font) {
    const { layers, heads } = this.survey.content;
    const { wide, high } = this.cell ?? { wide: 1, high: 1 };
    pen.fillStyle = colour;
    pen.font = `12px ${font}`;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    const rows = Math.ceil(13 / high);
    for (let head = 0; head < heads; head += rows) pen.fillText(String(head), LEFT - 6, TOP + (head + 0.5) * high);
    pen.textAlign = "center";
    const bottom = TOP + heads * high;
    const columns = Math.ceil(24 / wide);
    for (let n = 0; n < layers.length; n += columns) pen.fillText(String(layers[n]), LEFT + (n + 0.5) * wide, bottom + 10);
    pen.textAlign = "left";
    pen.fillText("layer →", LEFT, bottom + 26);
    pen.save();
    pen.translate(9, TOP + (heads * high) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText("head", 0, 0);
    pen.restore();
  }

  /**
   * @param {MouseEvent} event
   * @param {(place: Place) => void} use
   */
  at(event, use) {
    const { wide, high } = this.cell ?? { wide: 1, high: 1 };
    const layer = Math.floor((event.offsetX - LEFT) / wide);
    const head = Math.floor((event.offsetY - TOP) / high);
    const { layers, heads } = this.survey.content;
    if (layer >= 0 && layer < layers.length && head >= 0 && head < heads) use({ layer, head });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const { layers, heads } = this.survey.content;
    const layer = Math.min(Math.max(this.place.layer + step[0], 0), layers.length - 1);
    const head = Math.min(Math.max(this.place.head + step[1], 0), heads - 1);
    this.choose({ layer, head });
  }

  /** @param {Place} place */
  describe(place) {
    const means = `mean of the layer ${written(this.mean({ layer: place.layer }))}, of head ${place.head} in all layers ${written(this.mean({ head: place.head }))}`;
    this.said.textContent = `${this.survey.name(place)}: ${written(this.survey.value(this.statistic, place))} (${means})`;
  }
}
