// The page: the flow above, one line below it, and the way that was followed.

import { h, markup, set } from "./dom.js";
import { Edits, isEditable } from "./edits.js";
import { Flow } from "./flow.js";
import { Inspector } from "./inspector.js";
import { Layers, hasLayers } from "./layers.js";
import { plain } from "./text.js";
import { Tools } from "./tools.js";
import { fullCell, inMatrix, layout } from "./cells.js";
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

/** Traces of more numbers than this are unpacked bit by bit. */
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
  }

  async start() {
    this.root.replaceChildren(this.frame);
    await this.fill();
    if (!this.live && isEditable(this.trace)) this.edited();
    await this.look(this.beginning());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    document.documentElement.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && this.trail.length && !(event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement)) {
        event.preventDefault();
        void this.back(this.trail.length - 1);
      }
    });
  }

  /**
   * Other numbers, shown at the same place.
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

  /** Lets the numbers be edited in the page, from what its address says on. */
  edited() {
    const edits = new Edits(this.trace);
    const left = edits.open(location.hash.slice(1));
    this.tools = new Tools(edits, () => void this.followed(), (text) => this.notify(text));
    this.head.querySelector(".theme")?.before(this.tools.element);
    if (left) this.notify(`${left} of the changes in the address fit nothing here and were left out.`);
    if (edits.state.size) this.refill();
  }

  /** Shows all numbers anew, at the same place. */
  async followed() {
    const focus = focused(this.root);
    this.notify("");
    this.refill();
    this.inspector = undefined;
    await this.look(this.place);
    if (focus) refocus(this.root, focus);
  }

  /** The flow, and what is said of all claims, with the numbers of now. */
  refill() {
    this.flow?.refresh();
    const { lines, diagnosis } = this.trace.content;
    const claims = lines.flatMap((line) => line.claims);
    if (!this.tools?.edits.state.size) this.tell(diagnosis);
    else {
      this.tell(null);
      const wrong = claims.filter((each) => !each.agrees).length;
      const why = wrong ? " To learn why, save the file and run clearhead check with it." : "";
      this.verdict.textContent = claims.length ? `With your numbers ${wrong} of ${claims.length} claimed numbers differ.${why}` : "";
    }
  }

  /** @param {string} text what has to be said; nothing takes it back */
  notify(text) {
    this.notice.hidden = !text;
    this.notice.textContent = text;
  }

  /** What does not depend on the cell. */
  async fill() {
    const { content } = this.trace;
    const inFile = content.lines.filter(({ absent }) => !absent);
    const count = inFile.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    if (count <= LARGE) await Promise.all(inFile.map(({ name }) => this.trace.load(name)));
    document.title = content.title;
    this.head.replaceChildren(this.header());
    const scrolled = this.flow?.element.scrollLeft ?? 0;
    /** @param {string} line @param {number} [matrix] */
    const open = (line, matrix) => void this.open(line, matrix);
    this.flow = hasLayers(content.lines) ? new Layers(this.trace, open) : new Flow(this.trace, content.lines, open);
    this.flowBox.replaceChildren(this.flow.element);
    this.flow.element.scrollTo({ left: scrolled, behavior: "instant" });
    this.flow.redraw();
    this.flow.wire();
    if (count > LARGE) void this.fillIn(this.trace, this.flow);
    if (!this.live) this.tell(content.diagnosis);
  }

  /**
   * Unpacks a large trace bit by bit and draws each line in small as soon as it is there.
   * @param {Trace} trace
   * @param {Flow | Layers} flow
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
    const found = diagnosis ? markup(diagnosis).querySelector(".remark") : null;
    this.verdict.replaceChildren(...(found ? [found.textContent ?? "", " ", h("button", { type: "button", class: "link", onclick: () => this.diagnosis.scrollIntoView() }, "Why")] : []));
    this.diagnosis.replaceChildren(...(diagnosis !== null ? [h("aside", { class: "diagnosis", id: "why", "aria-label": "Diagnosis" }, markup(diagnosis))] : []));
  }

  /** Says that a diagnosis is on its way. */
  wait() {
    if (!this.diagnosis.firstChild) this.tell("");
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
        h("li", { class: "remark warning" }, h("b", null, `Deviates by ${each.name}. `), each.does, " To mend it: ", each.remedy),
      )) : null,
    );
  }

  themes() {
    const now = document.documentElement.dataset["theme"] ?? "auto";
    const next = THEMES[(THEMES.indexOf(/** @type {any} */ (now)) + 1) % THEMES.length] ?? "auto";
    return h(
      "button",
      { type: "button", class: "theme", title: "Light, dark or as the system has it", onclick: () => this.theme(next) },
      h("span", { "aria-hidden": "true", class: `sun ${now}` }), `Colours: ${now}`,
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
    this.flow?.redraw();
    this.inspector?.redraw();
  }

  /** Where to begin: at the first cell that somebody got otherwise, else at the weights, else at the result. */
  beginning() {
    const { lines } = this.trace.content;
    const wrong = lines.flatMap((line) => line.claims.filter((each) => !each.agrees).map((each) => ({ line: line.name, cell: each.cell })))[0];
    const kept = lines.filter((each) => !each.absent);
    const line = kept.find((each) => each.shares) ?? kept.at(-1) ?? lines.at(-1);
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
        edit: this.live?.edit ?? this.tools?.type ?? null,
        say: (text) => this.notify(text),
      });
      this.lineBox.replaceChildren(this.inspector.element);
    }
    this.place = place;
    this.show(place);
    this.walk();
    this.say(place);
  }

  /** @param {Place} place */
  show(place) {
    const explanation = this.trace.explains(place.line) ? this.trace.explain(place.line, place.cell) : null;
    this.inspector?.show(place, explanation);
    this.flow?.show(place, explanation?.reads ?? []);
  }

  /** @param {Place} place */
  say(place) {
    const told = this.trace.explains(place.line) ? this.trace.explain(place.line, place.cell).rows.map(plain).join("; ") : "";
    this.status.textContent = told || this.trace.cellName(place.line, place.cell);
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
 * The row to begin at: of weights the last query, which sees all keys, else the first row.
 * @param {import("./content.js").LineData} line
 */
function startRow(line) {
  return line.shares && line.axes.at(-2) === "query" ? layout(line).rows - 1 : 0;
}

/**
 * What has the focus, told so that it can be found again.
 * @param {HTMLElement} root
 */
function focused(root) {
  const active = document.activeElement;
  if (!active || !root.contains(active)) return null;
  return active.closest("[data-spot]") && active.closest(".numbers") ? "grid" : null;
}

/**
 * @param {HTMLElement} root
 * @param {string} focus
 */
function refocus(root, focus) {
  const cell = focus === "grid" ? root.querySelector(".numbers td.current") : null;
  if (cell instanceof HTMLElement) cell.focus();
}

/**
 * Reads what the file holds and shows it.
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
