// The page: the flow on top, one line below it, and the history of visited cells.

import { forgetPalette } from "./colour.js";
import { h, markup, set } from "./dom.js";
import { Edits, isEditable } from "./edits.js";
import { Exercise, isExercise } from "./exercise.js";
import { explained } from "./explain.js";
import { focused, refocus } from "./focus.js";
import { Hints } from "./hints.js";
import { Inspector } from "./inspector.js";
import { Layers } from "./layers.js";
import { reasons } from "./reasons.js";
import { flowOf } from "./stages.js";
import { plain } from "./text.js";
import { Tools } from "./tools.js";
import { Tour } from "./tour.js";
import { fullCell, inMatrix, startRow } from "./cells.js";
import { Trace } from "./trace.js";

/**
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./content.js").Source} Source
 * @typedef {import("./trace.js").Place} Place
 *
 * @typedef {object} Live what a served page adds
 * @property {HTMLElement} panel
 * @property {(line: string, entries: import("./grid.js").Entry[]) => string | null} edit
 */

/** Traces with more numbers than this are unpacked line by line. */
const LARGE = 300_000;

const THEMES = /** @type {const} */ (["auto", "light", "dark"]);

export class App {
  /**
   * @param {HTMLElement} root
   * @param {Content} content
   * @param {Source} source
   * @param {Live | null} live
   */
  constructor(root, content, source, live) {
    this.root = root;
    this.live = live;
    /** @type {Place[]} */
    this.trail = [];
    this.status = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.way = h("nav", { class: "way", "aria-label": "The way here" });
    this.flowBox = h("div", { class: "flow-box" });
    this.lineBox = h("div", { class: "line-box" });
    this.diagnosis = h("div", { class: "diagnosis-box" });
    this.head = h("div");
    this.verdict = h("p", { class: "verdict" });
    this.notice = h("p", { class: "remark warning notice", role: "alert", hidden: true });
    this.frame = h(
      "div", { class: "page" },
      h("a", { class: "skip", href: "#line" }, "Skip to the numbers"),
      live?.panel ?? null, this.head, this.notice,
      h("main", null, this.flowBox, h("div", { class: "lower" }, h("div", { class: "work" }, this.way, this.lineBox), this.diagnosis)),
      this.status,
    );
    this.trace = new Trace(content, source);
    this.place = { line: "", cell: /** @type {number[]} */ ([]) };
    /** @type {Tools | null} */
    this.tools = null;
    /** @type {Hints | null} */
    this.hints = null;
    /** @type {Inspector | undefined} */
    this.inspector = undefined;
    this.drawn = "";
  }

  async start() {
    this.root.replaceChildren(this.frame);
    await this.fill();
    const { steps } = this.trace.content;
    if (steps?.length) {
      const tour = new Tour(steps, this.frame, (place) => this.look(place));
      this.head.querySelector(".theme")?.before(tour.element);
      await tour.start();
      return;
    }
    if (!this.live && isExercise(this.trace)) this.practised();
    else if (!this.live && isEditable(this.trace)) this.edited();
    await this.look(this.beginning());
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) matchMedia(query).addEventListener("change", () => this.recolour());
    addEventListener("resize", () => this.inspector?.fit());
    document.documentElement.addEventListener("keydown", (event) => {
      if (event.key !== "Backspace" || !this.trail.length || event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return;
      event.preventDefault();
      void this.back(this.trail.length - 1);
    });
  }

  /**
   * Shows other numbers at the same place.
   * @param {Content} content
   * @param {Source} source
   */
  async update(content, source) {
    const [place, focus] = [this.place, focused(this.root)];
    this.trace = new Trace(content, source);
    await this.fill();
    this.trail = this.trail.filter((each) => this.fits(each));
    this.inspector = undefined;
    await this.look(this.fits(place) ? place : this.beginning());
    if (focus) refocus(this.root, focus);
  }

  /** Makes the numbers editable in the page, starting with the edits in its address. */
  edited() {
    const edits = new Edits(this.trace);
    const left = edits.open(location.hash.slice(1));
    this.equip(edits);
    if (left) this.notify(`${left} of the changes in the address fit nothing here and were left out.`);
    if (edits.state.size) this.refill();
  }

  /** Lets the blanks be filled in, from what the browser has kept on. */
  practised() {
    const exercise = new Exercise(this.trace);
    exercise.open();
    const tools = this.equip(exercise);
    this.hints = new Hints(exercise, (place) => void this.look(place));
    tools.save.before(this.hints.button);
    this.head.querySelector(".theme")?.after(this.hints.element);
    this.refill();
  }

  /** @param {Edits | Exercise} edits */
  equip(edits) {
    this.tools = new Tools(edits, () => void this.followed(), (text) => this.notify(text));
    this.head.querySelector(".theme")?.before(this.tools.element);
    this.head.querySelector(".theme")?.after(this.tools.about);
    return this.tools;
  }

  /** Shows all numbers again, at the same place. */
  async followed() {
    this.notify("");
    this.hints?.forget();
    this.refill();
    await this.again();
  }

  /** Shows the line again: in its cells, which keep the focus, where only numbers changed; else built anew. */
  async again() {
    if (this.inspector?.refresh()) return this.look(this.place);
    const focus = focused(this.root);
    this.inspector = undefined;
    await this.look(this.fits(this.place) ? this.place : this.beginning());
    if (focus) refocus(this.root, focus);
  }

  /** The flow and the summary of all claims, with the current numbers. */
  refill() {
    if (this.drawn === planOf(this.trace)) this.flow?.refresh();
    else this.drawFlow();
    if (this.hints) return;
    const { lines, diagnosis } = this.trace.content;
    const claims = lines.flatMap((line) => line.claims);
    if (!this.tools?.edits.state.size) this.tell(diagnosis);
    else {
      this.tell(null);
      const wrong = claims.filter((each) => !each.agrees).length;
      const why = wrong ? " To learn why, save the file and run clearhead check with it." : "";
      const { said } = this.tools.edits;
      this.verdict.textContent = claims.length ? `${said ? "With your numbers" : "So"} ${wrong || "none"} of ${claims.length} claimed numbers ${wrong > 1 ? "differ" : "differs"}.${said ? why : ""}` : "";
    }
  }

  /**
   * Takes claims as a diagnosis compares them, in the precision in which they are right, without disturbing who types.
   * @param {Record<string, import("./content.js").Claimed[]>} claims
   */
  judge(claims) {
    this.trace.take(this.trace.content.lines.map((line) => ({ ...line, claims: claims[line.name] ?? line.claims })));
    this.flow?.refresh();
    if (this.lineBox.querySelector(".numbers input.edit")) return;
    void this.again();
  }

  /** @param {string} text a message that stays */
  notify(text) {
    this.notice.hidden = !text;
    this.notice.textContent = text;
  }

  /** Everything that does not depend on the cell. */
  async fill() {
    const { content } = this.trace;
    const inFile = content.lines.filter(({ absent }) => !absent);
    const count = inFile.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    if (count <= LARGE) await Promise.all(inFile.map(({ name }) => this.trace.load(name)));
    document.title = content.title;
    this.head.replaceChildren(this.header());
    this.drawFlow();
    if (count > LARGE && this.flow) void this.fillIn(this.trace, this.flow);
    if (!this.live) this.tell(content.diagnosis);
  }

  /** Draws the flow of the lines of now. */
  drawFlow() {
    const scrolled = this.flow?.element.scrollLeft ?? 0;
    this.drawn = planOf(this.trace);
    /** @param {string} line @param {number} [matrix] */
    const open = (line, matrix) => void this.open(line, matrix);
    this.flow = flowOf(this.trace, open);
    this.flowBox.replaceChildren(this.flow.element);
    this.flow.element.scrollTo({ left: scrolled, behavior: "instant" });
    this.flow.redraw();
    this.flow.wire();
  }

  /**
   * Unpacks a large trace line by line and draws each small picture as soon as its numbers are there.
   * @param {Trace} trace
   * @param {ReturnType<typeof flowOf>} flow
   */
  async fillIn(trace, flow) {
    for (const { name } of trace.content.lines) {
      await trace.load(name);
      if (flow !== this.flow) return;
      flow.draw(name);
    }
  }

  /** @param {string | null} diagnosis */
  tell(diagnosis) {
    const all = diagnosis ? markup(diagnosis) : null;
    const found = all?.querySelector(".remark");
    this.verdict.className = `verdict ${found?.className ?? ""}`;
    const isAll = all?.childElementCount === 2; // A heading and the verdict, which stands above already.
    this.verdict.replaceChildren(...(found ? [found.lastChild?.textContent?.trim() ?? "", ...(isAll ? [] : [" ", h("button", { type: "button", class: "link", onclick: () => this.diagnosis.scrollIntoView() }, "Why")])] : []));
    this.diagnosis.replaceChildren(...(diagnosis !== null && !isAll ? [reasons(diagnosis)] : []));
  }

  /** Says that a diagnosis is being computed, in place of the one for the numbers of before. */
  wait() {
    this.tell("");
    this.verdict.textContent = "Looking for the cause …";
    this.diagnosis.querySelector(".diagnosis")?.classList.add("waiting");
  }

  header() {
    const { content } = this.trace;
    return h(
      "header", { class: "top" },
      h("h1", null, h("bdi", null, content.title)),
      content.about.length ? h("details", { class: "about-box" }, h("summary", null, "About"), content.about.map((text) => h("p", { class: "about" }, text))) : null,
      this.themes(),
      this.verdict,
      content.deviations.length ? h("ul", { class: "deviations" }, content.deviations.map((each) =>
        h("li", { class: "remark warning" }, h("b", null, `Deviates by ${each.name}. `), each.does, " To fix it: ", each.remedy),
      )) : null,
    );
  }

  themes() {
    const now = document.documentElement.dataset["theme"] ?? "auto";
    const next = THEMES[(THEMES.indexOf(/** @type {any} */ (now)) + 1) % THEMES.length] ?? "auto";
    return h(
      "button",
      { type: "button", class: "theme", title: "Light, dark or as the system has it", onclick: () => this.theme(next) },
      h("span", { "aria-hidden": "true", class: `sun ${now}` }), h("span", { class: "theme-name" }, `Colours: ${now}`),
    );
  }

  /** @param {string} theme */
  theme(theme) {
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset["theme"];
    else root.dataset["theme"] = theme;
    this.root.querySelector(".theme")?.replaceWith(this.themes());
    const button = this.root.querySelector(".theme");
    if (button instanceof HTMLElement) button.focus();
    this.recolour();
  }

  recolour() {
    forgetPalette();
    this.flow?.redraw();
    this.inspector?.redraw();
  }

  /** Where to start: at the first claimed cell that differs, else at the weights, else at the result. */
  beginning() {
    const { lines } = this.trace.content;
    const wrong = lines.flatMap((line) => line.claims.filter((each) => !each.agrees).map((each) => ({ line: line.name, cell: each.cell })))[0];
    const kept = lines.filter((each) => !each.absent);
    const blank = this.hints && lines.find((each) => each.absent === "blank");
    const line = blank ?? kept.find((each) => each.shares) ?? kept.at(-1) ?? lines.at(-1);
    return wrong ?? { line: line?.name ?? "", cell: line ? fullCell(line, 0, startRow(line), 0) : [] };
  }

  /** @param {Place} place */
  fits({ line, cell }) {
    const shape = this.trace.lines.get(line)?.shape;
    return Boolean(shape && shape.length === cell.length && cell.every((index, axis) => index < (shape[axis] ?? 0)));
  }

  /** @param {Place} place */
  async look(place) {
    if (!this.trace.isReady(place.line)) this.lineBox.replaceChildren(h("p", { class: "hint" }, "Unpacking the numbers …"));
    await this.trace.ready(place.line);
    if (this.inspector?.line.name !== place.line || this.inspector.trace !== this.trace) {
      this.inspector = new Inspector(this.trace, place, {
        look: (to) => void this.look(to),
        point: (to) => this.show(to ?? this.place),
        follow: (to) => void this.follow(to),
        open: (line) => void this.open(line),
        hasHeads: (line) => this.flow instanceof Layers && this.flow.hasHeads(line),
        edit: this.live?.edit ?? this.tools?.editor(this.trace.line(place.line)) ?? null,
        say: (text) => this.notify(text),
      });
      this.lineBox.replaceChildren(this.inspector.element);
    }
    this.place = place;
    this.show(place);
    this.inspector.fit();
    this.walk();
    this.say(place);
  }

  /** @param {Place} place */
  show(place) {
    const explanation = explained(this.trace, place);
    this.inspector?.show(place, explanation);
    this.flow?.show(place, explanation?.reads ?? []);
  }

  /** @param {Place} place */
  say(place) {
    const text = explained(this.trace, place)?.rows.map(plain).join("; ");
    this.status.textContent = text || this.trace.cellName(place.line, place.cell);
  }

  /**
   * @param {string} name
   * @param {number} [matrix]
   */
  async open(name, matrix = 0) {
    const { line, cell } = this.place;
    const found = this.trace.line(name);
    if (name === line && matrix === inMatrix(found, cell).matrix) return;
    this.trail = [];
    const wrong = found.claims.find((each) => !each.agrees);
    const spot = name === line ? inMatrix(found, cell) : { row: startRow(found), column: 0 };
    await this.look({ line: name, cell: wrong?.cell ?? fullCell(found, matrix, spot.row, spot.column) });
  }

  /** @param {Place} place */
  async follow(place) {
    this.trail = [...this.trail, this.place];
    await this.look(place);
    this.inspector?.grid?.focus();
  }

  /** @param {number} step */
  async back(step) {
    const place = this.trail[step];
    this.trail = this.trail.slice(0, step);
    if (place) await this.look(place);
    this.inspector?.grid?.focus();
  }

  walk() {
    const steps = this.trail.map((place, step) =>
      h("li", null, h("button", { type: "button", class: "link", onclick: () => void this.back(step) }, this.trace.cellName(place.line, place.cell))),
    );
    const here = h("li", { "aria-current": "step" }, this.trace.cellName(this.place.line, this.place.cell));
    this.way.replaceChildren(h("ol", null, steps, steps.length ? here : null));
    set(this.way, { hidden: false });
    this.way.classList.toggle("empty", !steps.length);
  }
}

/**
 * What the drawing of a flow depends on: its lines, and what each is made from.
 * @param {Trace} trace
 */
function planOf(trace) {
  return trace.content.lines.map(({ name }) => `${name}: ${trace.inputs(name)}`).join();
}

/**
 * Reads the content of the file and shows it.
 * @param {Document} page
 */
export function start(page) {
  const root = page.getElementById("app");
  const content = /** @type {Content} */ (JSON.parse(page.getElementById("content")?.textContent ?? "{}"));
  const blocks = new Map(
    [...page.querySelectorAll("script[data-line]")].map((each) => [each.getAttribute("data-line") ?? "", each]),
  );
  page.documentElement.classList.add("scripted");
  if (root) void new App(root, content, (name) => blocks.get(name)?.textContent ?? "", null).start();
}
