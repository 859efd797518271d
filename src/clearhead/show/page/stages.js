// The lines of a training step: forward, backward, update, one flow at a time, with what it takes from the others as
// letters on its cards.

import { h, set } from "./dom.js";
import { Flow } from "./flow.js";
import { Layers, hasLayers } from "./layers.js";
import { isShown } from "./place.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./trace.js").Place} Place
 * @typedef {import("./content.js").LineData} LineData
 *
 * @typedef {object} Stage
 * @property {string} name
 * @property {LineData[]} lines
 * @property {HTMLElement} tab
 * @property {HTMLElement} count how many of its claims differ
 */

/** What the tabs take of the flow's height. */
const TABS = 36;

/**
 * The flow of a trace: of the layers of a model, of the passes of training, or of one pass.
 * @param {Trace} trace
 * @param {(name: string, matrix?: number) => void} choose
 */
export function flowOf(trace, choose) {
  const { lines } = trace.content;
  if (hasLayers(lines)) return new Layers(trace, choose);
  const passes = new Set(lines.filter(isShown).map(({ stage }) => stage));
  return passes.size > 1 ? new Stages(trace, choose) : new Flow(trace, lines, choose);
}

class Stages {
  /**
   * @param {Trace} trace
   * @param {(name: string) => void} choose
   */
  constructor(trace, choose) {
    this.trace = trace;
    this.choose = choose;
    const shown = trace.content.lines.filter(isShown);
    const names = [...new Set(shown.map(({ stage }) => stage))].sort(inOrder);
    this.stages = names.map((name) => this.stage(name, shown.filter(({ stage }) => stage === name)));
    /** @type {Stage | undefined} */
    this.now = undefined;
    /** @type {Flow | undefined} */
    this.flow = undefined;
    this.box = h("div");
    this.element = h("div", { class: "stages" }, h("div", { class: "stage-tabs", role: "group", "aria-label": "The passes" }, this.tabs()), this.box);
  }

  /**
   * @param {string} name
   * @param {LineData[]} lines
   * @returns {Stage}
   */
  stage(name, lines) {
    const count = h("span", { class: "differs" });
    const last = lines.at(-1)?.name ?? "";
    const tab = h("button", { type: "button", class: "stage-tab", "data-stage": name, "aria-label": name, onclick: () => this.choose(last) }, name.split(": ").at(-1), count);
    return { name, lines, tab, count };
  }

  /** The tabs of each step behind its name. */
  tabs() {
    const steps = [...new Set(this.stages.map(({ name }) => stepOf(name)))];
    return steps.map((step) => h(
      "span", { class: "stage-step" }, step ? h("span", { "aria-hidden": "true" }, step) : null,
      this.stages.filter(({ name }) => stepOf(name) === step).map(({ tab }) => tab),
    ));
  }

  /**
   * @param {Place} place
   * @param {Place[]} reads
   */
  show(place, reads) {
    const { stage } = this.trace.line(place.line);
    const found = this.stages.find(({ name }) => name === stage);
    if (found && found !== this.now) this.open(found);
    this.flow?.show(place, reads);
  }

  /** @param {Stage} stage */
  open(stage) {
    this.now = stage;
    for (const each of this.stages) set(each.tab, { "aria-pressed": String(each === stage) });
    this.flow = new Flow(this.trace, stage.lines, this.choose, TABS);
    this.box.replaceChildren(this.flow.element);
    stage.tab.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
    this.flow.redraw();
    this.flow.wire();
  }

  wire() {
    this.flow?.wire();
  }

  redraw() {
    this.flow?.redraw();
  }

  refresh() {
    for (const { lines, count } of this.stages) {
      const wrong = lines.flatMap(({ name }) => this.trace.line(name).claims).filter((each) => !each.agrees).length;
      count.textContent = wrong ? ` ✗ ${wrong}` : "";
    }
    this.flow?.refresh();
  }

  /** @param {string} name */
  draw(name) {
    this.flow?.draw(name);
  }
}

/** @param {string} stage */
function stepOf(stage) {
  return stage.includes(": ") ? stage.slice(0, stage.indexOf(": ")) : "";
}

/**
 * Step by step, and what comes after the last step last.
 * @param {string} a
 * @param {string} b
 */
function inOrder(a, b) {
  const [one, other] = [a, b].map((each) => Number(/\d+/.exec(each)?.[0] ?? (each.startsWith("After") ? Infinity : 0)));
  return one === other ? 0 : /** @type {number} */ (one) - /** @type {number} */ (other);
}
