// The report: all heads above, the chosen one beside them, below it the text and its strongest pairs.

import { h } from "../../../show/page/dom.js";
import { Head } from "./head.js";
import { Weights } from "./map.js";
import { Overview } from "./overview.js";
import { Pairs } from "./pairs.js";
import { Strip } from "./strip.js";
import { Survey } from "./survey.js";

/**
 * @typedef {import("./survey.js").Content} Content
 * @typedef {import("./survey.js").Place} Place
 */

const THEMES = /** @type {const} */ (["auto", "light", "dark"]);

class Report {
  /**
   * @param {HTMLElement} root
   * @param {Survey} survey
   */
  constructor(root, survey) {
    this.survey = survey;
    this.overview = new Overview(survey, (place) => void this.look(place));
    this.one = new Head(survey);
    this.strip = new Strip(survey);
    this.map = new Weights(survey, (query, key) => this.strip.showPair(query, key), (square) => void this.overview.mark(square));
    this.pairs = new Pairs(survey, ({ query, key }) => this.strip.showPair(query, key));
    const { title, about, notes, layers, heads } = survey.content;
    this.themes = h("button", { type: "button", class: "theme", title: "Light, dark or as the system has it", onclick: () => this.turn() });
    root.replaceChildren(h(
      "div", { class: "page report" },
      h("header", { class: "top" },
        h("div", null, h("h1", null, h("bdi", null, title)), h("p", { class: "about" }, about)), this.themes,
        notes.length ? h("ul", { class: "deviations" }, notes.map((note) => h("li", { class: "remark warning" }, note))) : null),
      layers.length && heads
        ? h("main", null, h("div", { class: "upper" }, this.overview.element, this.one.element), this.map.element, this.strip.element, this.pairs.element)
        : h("p", { class: "about" }, "No layer was finished."),
    ));
    this.theme("auto");
  }

  async start() {
    if (!this.survey.content.layers.length) return;
    await this.survey.start();
    await this.look({ layer: 0, head: 0 });
    new ResizeObserver(() => this.redraw()).observe(this.overview.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** @param {Place} place */
  async look(place) {
    this.overview.look(place);
    await Promise.all([this.one.look(place), this.map.look(place), this.strip.look(place), this.pairs.look(place)]);
    document.documentElement.dataset["shown"] = `${place.layer},${place.head}`;
  }

  redraw() {
    this.overview.draw();
    this.strip.draw();
    this.map.draw();
  }

  turn() {
    const now = document.documentElement.dataset["theme"] ?? "auto";
    this.theme(THEMES[(THEMES.indexOf(/** @type {any} */ (now)) + 1) % THEMES.length] ?? "auto");
    this.redraw();
  }

  /** @param {string} theme */
  theme(theme) {
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset["theme"];
    else root.dataset["theme"] = theme;
    this.themes.replaceChildren(h("span", { "aria-hidden": "true", class: `sun ${theme}` }), `Colours: ${theme}`);
  }
}

/**
 * Shows the report that a document holds.
 * @param {Document} document
 */
export function start(document) {
  document.documentElement.classList.add("scripted");
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  const content = /** @type {Content} */ (JSON.parse(document.getElementById("content")?.textContent ?? "{}"));
  const blocks = new Map([...document.querySelectorAll("script[data-line]")].map((block) => [block.getAttribute("data-line"), block]));
  const survey = new Survey(content, (name) => blocks.get(name)?.textContent ?? "");
  void new Report(root, survey).start();
}
