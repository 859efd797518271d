// The strongest pairs of a head: the largest weights, each token among its neighbours.

import { h } from "../../../show/page/dom.js";
import { press } from "./plotting.js";
import { fixed } from "../../../show/page/number.js";

/**
 * @typedef {import("./survey.js").Survey} Survey
 * @typedef {import("./survey.js").Place} Place
 * @typedef {import("./survey.js").Pair} Pair
 */

/** Tokens on either side of one. */
const AROUND = 4;

export class Pairs {
  /**
   * @param {Survey} survey
   * @param {(pair: Pair) => void} choose
   */
  constructor(survey, choose) {
    this.survey = survey;
    this.choose = choose;
    /** @type {"all" | "beyond"} */
    this.which = "beyond";
    /** @type {Place} */
    this.place = { layer: 0, head: 0 };
    /** @type {[("all" | "beyond"), string][]} */
    const kinds = [["beyond", "Beyond itself and the first four"], ["all", "All"]];
    this.kinds = h(
      "div", { class: "kinds", role: "group", "aria-label": "Which pairs" },
      kinds.map(([name, title]) => h("button", { type: "button", "data-name": name, onclick: () => void this.show(name) }, title)),
    );
    this.list = h("ol", { class: "pairs" });
    this.element = h(
      "section", { class: "card-box", "aria-label": "Strongest pairs" },
      h("div", { class: "bar" }, h("h2", null, "Strongest pairs"), this.kinds),
      h("p", { class: "says" }, "The token on the left looks at the one on the right. Choose a pair to see both in the text."),
      this.list,
    );
  }

  /** @param {"all" | "beyond"} which */
  async show(which) {
    this.which = which;
    await this.look(this.place);
  }

  /** @param {Place} place */
  async look(place) {
    this.place = place;
    press(this.kinds, this.which);
    const pairs = await this.survey.pairs(place, this.which);
    const rows = pairs.map((pair) => h("li", null, h(
      "button", { type: "button", onclick: () => this.choose(pair) },
      h("span", { class: "weight" }, fixed(pair.weight, 3)),
      h("span", { class: "track" }, h("i", { style: { "--part": `${100 * pair.weight}%` } })),
      this.context(pair.query), h("span", { class: "arrow", "aria-label": "looks at" }, "→"), this.context(pair.key),
      h("span", { class: "far" }, distance(pair)),
    )));
    this.list.replaceChildren(...(rows.length ? rows : [h("li", { class: "says" }, "None.")]));
  }

  /** @param {number} at */
  context(at) {
    const { tokens } = this.survey.content;
    const before = tokens.slice(Math.max(0, at - AROUND), at).join("");
    const after = tokens.slice(at + 1, at + 1 + AROUND).join("");
    return h(
      "span", { class: "context", title: `token ${at}` },
      h("bdi", { class: "before" }, before), h("bdi", { class: "it" }, tokens[at] ?? ""), h("bdi", { class: "after" }, after),
    );
  }
}

/** @param {Pair} pair */
function distance({ query, key }) {
  if (query === key) return "itself";
  const far = Math.abs(query - key).toLocaleString("en");
  return key < query ? `${far} back` : `${far} ahead`;
}
