// One head: its numbers, and its weights by distance.

import { h } from "../../../show/page/dom.js";
import { written } from "./survey.js";

/**
 * @typedef {import("./survey.js").Survey} Survey
 * @typedef {import("./survey.js").Place} Place
 */

export class Head {
  /** @param {Survey} survey */
  constructor(survey) {
    this.survey = survey;
    this.element = h("section", { class: "card-box one-head", "aria-label": "One head" });
  }

  /** @param {Place} place */
  async look(place) {
    const bands = await this.survey.of("bands", place);
    const entropy = this.survey.value("entropy", place);
    const facts = this.survey.content.statistics.map(({ name, title, says }) =>
      h("div", { title: says }, h("dt", null, title), h("dd", null, written(this.survey.value(name, place)))),
    );
    this.element.replaceChildren(
      h("h2", null, this.survey.name(place)),
      h("dl", { class: "facts" }, facts),
      h("p", { class: "says" }, `As wide as equal weights on ${written(Math.exp(entropy))} tokens.`),
      h("h3", null, "How far it looks, in tokens"),
      h("ul", { class: "bands" }, this.survey.bands().map((name, n) => band(name, bands[n] ?? 0))),
    );
  }
}

/**
 * @param {string} name
 * @param {number} weight
 */
function band(name, weight) {
  return h(
    "li", null, h("span", { class: "far" }, name),
    h("span", { class: "track" }, h("i", { style: { "--part": `${(100 * weight).toFixed(2)}%` } })),
    h("span", { class: "weight" }, `${(100 * weight).toFixed(1)} %`),
  );
}
