// What stands on a card besides its pictures: badges, and the letters of lines that have no card of their own.

import { h, set } from "./dom.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./content.js").LineData} LineData
 */

/** The letter of a line that has no card, by the end of its name. */
const LETTERS = { weight: "W", bias: "b", gain: "g" };

/** Weights or biases, their gradients, or a line that is not drawn here, as a letter on the card of another line. */
export class Fold {
  /**
   * @param {Trace} trace
   * @param {LineData} line
   * @param {string} host the line on whose card it is: one that reads it, or that it is computed from
   * @param {(name: string) => void} choose
   * @param {boolean} [isResult] whether it is computed from that line
   */
  constructor(trace, line, host, choose, isResult = false) {
    this.trace = trace;
    this.line = line;
    this.host = host;
    this.isResult = isResult;
    this.sign = h("span", { class: "sign" });
    this.element = h("button", {
      type: "button", class: `card fold ${line.made ? "" : "given"} ${isResult ? "result" : ""}`, "data-line": line.name, title: line.name, tabindex: -1,
      onclick: () => choose(line.name),
    }, this.sign, letterOf(line));
    this.refresh();
  }

  /** Takes its line as it is now: whether it is as claimed, and whether a deviation made it. */
  refresh() {
    this.line = this.trace.line(this.line.name);
    const said = badges(this.line).flatMap((badge) => badge?.textContent ?? []);
    const { kind, sign } = signOf(this.line);
    this.sign.textContent = sign;
    this.element.classList.remove("differs", "agrees", "changed");
    if (kind) this.element.classList.add(kind);
    set(this.element, { "aria-label": [this.line.name, ...said].join(", ") });
  }
}

/** @param {LineData} line */
function letterOf({ name, symbol }) {
  const own = name.replace(/\.grad$/, "");
  const ending = own.slice(own.lastIndexOf(".") + 1);
  const letter = LETTERS[/** @type {keyof typeof LETTERS} */ (ending)] ?? /<mi[^>]*>([^<]+)<\/mi>/.exec(symbol ?? "")?.[1] ?? ending;
  return own === name ? letter : `∇${letter}`;
}

/**
 * What a letter says of its line, as a class and a sign.
 * @param {LineData} line
 */
function signOf({ claims, changed }) {
  if (claims.some((each) => !each.agrees)) return { kind: "differs", sign: "✗" };
  if (claims.length) return { kind: "agrees", sign: "✓" };
  return changed ? { kind: "changed", sign: "≠" } : { kind: "", sign: "" };
}

/**
 * What a card says of its line.
 * @param {LineData} line
 */
export function badges(line) {
  const wrong = line.claims.filter((each) => !each.agrees).length;
  if (line.absent === "blank") return [answered(line, wrong)];
  return [
    line.changed ? h("span", { class: "badge changed" }, "deviates") : null,
    line.notes.length ? h("span", { class: "badge note" }, "note") : null,
    wrong ? h("span", { class: "badge differs" }, `✗ ${wrong}`, h("span", { class: "unseen" }, " claimed otherwise")) : null,
    line.claims.length && !wrong ? h("span", { class: "badge agrees" }, "✓", h("span", { class: "unseen" }, " as claimed")) : null,
  ];
}

/**
 * How much of a blank line is filled in, and how much of it is wrong.
 * @param {LineData} line
 * @param {number} wrong
 */
function answered({ claims, shape }, wrong) {
  const all = shape.reduce((a, b) => a * b, 1);
  if (wrong) return h("span", { class: "badge differs" }, `✗ ${wrong}`, h("span", { class: "unseen" }, " wrong"));
  const done = claims.filter((each) => each.verdict !== "coarse").length;
  if (done === all) return h("span", { class: "badge agrees" }, "✓", h("span", { class: "unseen" }, " right"));
  return done ? h("span", { class: "badge open" }, `${done} of ${all}`, h("span", { class: "unseen" }, " filled in")) : null;
}
