// A walk through a working: a sentence for each step, the cells that matter lit, what is still to come left open.

import { h } from "./dom.js";

/**
 * @typedef {import("./content.js").Step} Step
 * @typedef {import("./trace.js").Place} Place
 */

/** How long the terms of a cell's arithmetic stand alone, one after another, in milliseconds. */
const BEAT = 650;

/** Of more numbers than this a cell's arithmetic is not built up. */
const MAX_BUILT = 16;

const ON = new Set(["ArrowRight", "PageDown", "n", " "]);
const BACK = new Set(["ArrowLeft", "PageUp", "p"]);

export class Tour {
  /**
   * @param {Step[]} steps
   * @param {HTMLElement} frame the page, which shows what is open and what is there
   * @param {(place: Place) => Promise<void>} look
   */
  constructor(steps, frame, look) {
    this.steps = steps;
    this.frame = frame;
    this.look = look;
    this.at = 0;
    this.timer = 0;
    this.says = h("p", { class: "says", "aria-live": "polite" });
    this.count = h("span", { class: "which" });
    this.previous = h("button", { type: "button", class: "button", title: "Back (Left, Page Up)", onclick: () => void this.go(this.at - 1) }, "‹ Back");
    this.next = h("button", { type: "button", class: "button", title: "On (Right, Page Down)", onclick: () => void this.on() }, "Next ›");
    this.element = h("section", { class: "tour", "aria-label": "The walk" }, this.previous, this.says, this.count, this.next);
    document.documentElement.addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => void this.go(fromAddress()));
  }

  async start() {
    await this.go(fromAddress());
    this.next.focus();
  }

  /** The next step; what is being built up is first finished. */
  async on() {
    if (this.timer) this.finish();
    else await this.go(this.at + 1);
  }

  /** @param {number} at */
  async go(at) {
    this.finish();
    this.at = Math.min(Math.max(Number.isInteger(at) ? at : 0, 0), this.steps.length - 1);
    const step = this.steps[this.at];
    if (!step) return;
    history.replaceState(null, "", `#${this.at + 1}`);
    this.frame.dataset["tour"] = step.whole ? "whole" : "cell";
    this.says.textContent = step.says;
    this.count.textContent = `${this.at + 1} of ${this.steps.length}`;
    this.previous.disabled = this.at === 0;
    this.next.disabled = this.at === this.steps.length - 1;
    await this.look({ line: step.line, cell: step.cell });
    this.open(step);
    if (!step.whole) this.build();
  }

  /**
   * Leaves open what is still to come.
   * @param {Step} now
   */
  open(now) {
    const reached = new Set(this.steps.slice(0, this.at + 1).filter((each) => each.whole || each.line !== now.line).map(({ line }) => line));
    const walked = new Set(this.steps.map(({ line }) => line));
    for (const card of this.frame.querySelectorAll(".card[data-line]")) {
      const line = card.getAttribute("data-line") ?? "";
      card.classList.toggle("later", walked.has(line) && !reached.has(line));
    }
  }

  /** Builds the arithmetic up, number by number, unless motion is to be reduced. */
  build() {
    const numbers = [...this.frame.querySelectorAll(".arithmetic .operand-number")];
    if (!numbers.length || numbers.length > MAX_BUILT || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const box = this.frame.querySelector(".arithmetic");
    box?.classList.add("building");
    let n = 0;
    const step = () => {
      numbers[n - 1]?.dispatchEvent(new Event("pointerleave"));
      const each = numbers[n];
      if (!each) return this.finish();
      each.closest(".piece")?.classList.add("on");
      each.classList.add("on");
      each.dispatchEvent(new Event("pointerenter"));
      n += 1;
      this.timer = window.setTimeout(step, BEAT);
    };
    step();
  }

  finish() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.frame.querySelector(".arithmetic")?.classList.remove("building");
    for (const each of this.frame.querySelectorAll(".arithmetic .operand-number.on")) {
      each.classList.remove("on");
      each.dispatchEvent(new Event("pointerleave"));
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const target = event.target instanceof Element ? event.target : null;
    if (event.altKey || event.ctrlKey || event.metaKey || target?.closest("input, select, summary, [role=grid], .flow")) return;
    if (event.key === " " && target?.closest("button")) return;
    if (!ON.has(event.key) && !BACK.has(event.key)) return;
    event.preventDefault();
    if (ON.has(event.key)) void this.on();
    else void this.go(this.at - 1);
  }
}

/** The step that the address says, counted from 0. */
function fromAddress() {
  return Number(location.hash.slice(1) || 1) - 1;
}
