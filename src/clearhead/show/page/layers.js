// The lines of a model: layers in order, with small pictures of their heads; below, the flow of the selected layer.

import { h, set } from "./dom.js";
import { Flow } from "./flow.js";
import { fixed } from "./number.js";
import { isShown } from "./place.js";
import { drawThumb, matrixOf, thumbSize } from "./thumb.js";
import { inMatrix, layout } from "./cells.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./content.js").LineData} LineData
 *
 * @typedef {object} Head a small picture of a head
 * @property {LineData} line
 * @property {number} matrix
 * @property {HTMLElement} element
 * @property {HTMLCanvasElement} canvas
 */

/** The side of a head's picture: smaller where there are more heads than this, so that all are in view. */
const SIDE = { usual: 28, small: 21, many: 120 };

/** What the name of a layer and its other lines take beside its heads. */
const BESIDE = 140;

/** Layers of which fewer lines than this were kept have no flow. */
const MIN_FLOW = 4;

const LAYER = /^(?:.*\.)?layers\.(\d+)\./;

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * The layer that a line belongs to: "layers.3." at the beginning of its name; "" for those before and after.
 * @param {string} name
 */
export function layerOf(name) {
  return LAYER.exec(name)?.[0] ?? "";
}

/**
 * Whether lines of several layers are shown.
 * @param {LineData[]} lines
 */
export function hasLayers(lines) {
  return lines.some((line) => isShown(line) && layerOf(line.name));
}

export class Layers {
  /**
   * @param {Trace} trace
   * @param {(name: string, matrix?: number) => void} choose
   */
  constructor(trace, choose) {
    this.trace = trace;
    this.choose = choose;
    /** @type {Head[][]} */
    this.heads = [];
    /** @type {Map<string, HTMLElement>} */
    this.chips = new Map();
    /** @type {Head | undefined} */
    this.chosen = undefined;
    /** @type {string | undefined} */
    this.layer = undefined;
    /** @type {Flow | undefined} */
    this.flow = undefined;
    const lines = trace.content.lines.filter(isShown);
    const counts = lines.filter(isWeights).map((line) => layout(line).count);
    this.side = counts.reduce((a, b) => a + b, 0) > SIDE.many ? SIDE.small : SIDE.usual;
    const names = [...new Set(lines.map(({ name }) => layerOf(name)).filter(Boolean))].sort((a, b) => number(a) - number(b));
    const first = lines.findIndex(({ name }) => layerOf(name));
    const outside = lines.filter(({ name }) => !layerOf(name));
    const before = outside.filter((line) => lines.indexOf(line) < first || !line.made);
    this.layerFlow = h("div", { class: "layer-flow" });
    this.element = h(
      "nav", { class: "layers-box", id: "flow", "aria-label": "The layers, in order" },
      this.others(before, ""),
      h("div", { class: "layers", role: "group", style: { "--wide": `${BESIDE + Math.max(0, ...counts) * (this.side + 5)}px` }, "aria-label": "Heads of each layer", onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) },
        names.map((layer) => this.row(layer, lines.filter(({ name }) => layerOf(name) === layer)))),
      h("div", { class: "layers-foot" }, this.others(outside.filter((line) => !before.includes(line)), ""), nextTokens(trace)),
      this.layerFlow,
    );
  }

  /**
   * @param {string} layer
   * @param {LineData[]} lines
   */
  row(layer, lines) {
    const weights = lines.filter(isWeights);
    const heads = weights.flatMap((line) => Array.from({ length: layout(line).count }, (_, matrix) => this.head(layer, line, matrix)));
    if (heads.length) this.heads.push(heads);
    const rest = lines.filter((line) => !weights.includes(line));
    return h(
      "div", { class: "layer" },
      h("span", { class: "layer-name" }, `layer ${number(layer)}`),
      heads.length ? h("span", { class: "layer-heads" }, heads.map(({ element }) => element)) : null,
      rest.length < MIN_FLOW ? this.others(rest, layer) : this.more(rest),
    );
  }

  /**
   * @param {string} layer
   * @param {LineData} line
   * @param {number} matrix
   * @returns {Head}
   */
  head(layer, line, matrix) {
    const { rows, columns } = layout(line);
    const size = thumbSize(rows, columns, this.side, this.side);
    const canvas = h("canvas", { style: { width: `${size.width}px`, height: `${size.height}px` }, "aria-hidden": "true" });
    const label = `layer ${number(layer)}, head ${matrix + this.trace.content.first}${line.picture ? ", a small picture without numbers" : ""}`;
    const element = h("button", {
      type: "button", class: `layer-head ${line.picture ? "pictured" : ""}`, title: label, "aria-label": label, tabindex: -1, "data-line": line.name,
      onclick: () => this.choose(line.name, matrix),
    }, canvas);
    return { line, matrix, element, canvas };
  }

  /**
   * Whether the heads of a line are drawn here.
   * @param {string} name
   */
  hasHeads(name) {
    return this.heads.flat().some(({ line }) => line.name === name);
  }

  /**
   * Lines without heads, by their names.
   * @param {LineData[]} lines
   * @param {string} layer
   */
  others(lines, layer) {
    const alone = layer && lines.length === 1;
    return lines.length ? h("span", { class: "chips" }, lines.map((line) => this.chip(line, alone ? ending(line.name) : line.name.slice(layer.length)))) : null;
  }

  /**
   * @param {LineData} line
   * @param {string} text
   */
  chip(line, text) {
    const chip = h("button", { type: "button", class: `chip ${line.made ? "" : "given"}`, "data-line": line.name, title: line.name, "aria-label": text === ending(line.name) ? line.name : null, onclick: () => this.choose(line.name) }, text);
    this.chips.set(line.name, chip);
    return chip;
  }

  /**
   * Many lines of a layer, which are shown as its flow.
   * @param {LineData[]} lines
   */
  more(lines) {
    const last = lines.at(-1);
    return last ? h("span", { class: "chips" }, this.chip(last, `${lines.length} lines`)) : null;
  }

  /**
   * @param {Place} place
   * @param {Place[]} reads
   */
  show(place, reads) {
    const { matrix } = inMatrix(this.trace.line(place.line), place.cell);
    const all = this.heads.flat();
    const chosen = all.find((each) => each.line.name === place.line && each.matrix === matrix);
    if (!chosen || this.chosen !== chosen) {
      for (const each of all) set(each.element, { "aria-current": each === chosen ? "true" : null, tabindex: each === (chosen ?? all[0]) ? 0 : -1 });
    }
    for (const [name, chip] of this.chips) set(chip, { "aria-current": name === place.line ? "true" : null });
    this.chosen = chosen;
    this.showLayer(layerOf(place.line));
    this.flow?.show(place, reads);
  }

  /** @param {string} layer */
  showLayer(layer) {
    if (this.layer === layer) return;
    this.layer = layer;
    const lines = this.trace.content.lines.filter(({ name }) => layer && layerOf(name) === layer);
    this.flow = lines.filter(isShown).length > MIN_FLOW ? new Flow(this.trace, lines, (name) => this.choose(name)) : undefined;
    this.layerFlow.replaceChildren(...(this.flow ? [this.flow.element] : []));
    this.flow?.redraw();
    this.flow?.wire();
  }

  /**
   * Arrow keys move through layers and heads.
   * @param {KeyboardEvent} event
   */
  key(event) {
    const step = STEPS[event.key];
    const row = this.heads.findIndex((heads) => heads.some(({ element }) => element === document.activeElement));
    if (!step || row < 0) return;
    const column = this.heads[row]?.findIndex(({ element }) => element === document.activeElement) ?? 0;
    const next = this.heads[row + step[0]]?.[column + step[1]];
    event.preventDefault();
    if (!next) return;
    next.element.focus();
    this.choose(next.line.name, next.matrix);
  }

  wire() {
    this.flow?.wire();
  }

  redraw() {
    for (const head of this.heads.flat()) this.drawHead(head);
    this.flow?.redraw();
  }

  refresh() {
    for (const head of this.heads.flat()) this.drawHead(head);
    this.flow?.refresh();
  }

  /**
   * Draws a line whose numbers have been unpacked.
   * @param {string} name
   */
  draw(name) {
    for (const head of this.heads.flat()) if (head.line.name === name) this.drawHead(head);
    this.flow?.draw(name);
  }

  /** @param {Head} head */
  drawHead({ line, matrix, canvas }) {
    const { rows, columns } = layout(line);
    drawThumb(canvas, matrixOf(this.trace, line, matrix), thumbSize(rows, columns, this.side, this.side), []);
  }
}

/**
 * The most probable next tokens, as bars.
 * @param {Trace} trace
 */
function nextTokens({ content: { next, decimals } }) {
  if (!next.length) return null;
  const most = Math.max(...next.map(({ probability }) => probability));
  return h(
    "section", { class: "next", "aria-label": "The next token" },
    h("p", { class: "next-name" }, "The next token"),
    h("ol", null, next.map(({ token, probability }) =>
      h("li", null, h("bdi", null, token), h("span", null, fixed(probability, decimals ?? 3)), h("span", { class: "bar", style: { "--part": probability / most } })),
    )),
  );
}

/** @param {LineData} line */
function isWeights(line) {
  return line.shares && line.axes.at(-1) === "key";
}

/** @param {string} name */
function ending(name) {
  return name.slice(name.lastIndexOf(".") + 1);
}

/** @param {string} layer */
function number(layer) {
  return Number(LAYER.exec(layer)?.[1] ?? -1);
}
