// The live page: a problem whose numbers, deviations and claims can be changed. Everything else follows. The page holds
// the problem, as the text of its file; the server answers each change with the next one and keeps nothing.

import { App } from "./app.js";
import { h, label } from "./dom.js";
import { button } from "./tools.js";
import { fault, normal } from "./typed.js";

/**
 * @typedef {import("./content.js").Content} Content
 * @typedef {import("./grid.js").Entry} Entry
 * @typedef {Content & {arrays: Record<string, import("./content.js").ArrayKind & {data: string}>}} Whole
 * @typedef {{problem: string, content: Whole}} Worked
 * @typedef {{theme: string, deviations: {name: string, does: string}[]}[]} Choices
 * @typedef {{change?: {line: string, entries: Entry[]}, deviations?: string[], problem?: string}} What
 * @typedef {{problem: string, bundled: string[], endings: string[]}} Beginning
 */

/** How long a diagnosis may take before the page says that it is running. */
const PATIENCE = 400;

/** Under this name the browser keeps the problem as it is now, with that which the server was started with. */
const KEPT = "clearhead serve";

export class Live {
  /** @param {Beginning} beginning */
  constructor(beginning) {
    /** @type {App | undefined} */
    this.app = undefined;
    this.beginning = beginning.problem;
    const { problem, pending } = kept(beginning.problem);
    this.problem = problem;
    /** Changes that the server has not answered yet. @type {What[]} */
    this.pending = pending;
    /** The problem after each change, and which of these is shown. */
    this.past = [this.problem];
    this.at = 0;
    this.undo = button("Undo", "Undo (Ctrl+Z)", () => void this.go(-1));
    this.redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => void this.go(1));
    this.reset = button("Reset", "The problem that the server was started with", () => void this.change({ problem: this.beginning }));
    /** @type {Promise<void>} */
    this.queue = Promise.resolve();
    this.alert = h("p", { class: "remark warning alert", role: "alert", hidden: true });
    this.choices = h("div", { class: "choices" });
    this.filter = h("input", { type: "search", placeholder: "Find a deviation", "aria-label": "Find a deviation", oninput: () => this.sift() });
    this.count = h("span", { class: "which" });
    this.hinting = h("input", { type: "checkbox", onchange: () => this.app && this.diagnose(this.app.trace.content) });
    this.panel = h(
      "section", { class: "live", "aria-label": "The problem" },
      h("div", { class: "tools" }, this.problems(beginning.bundled), this.upload(), this.downloads(beginning.endings), this.undo, this.redo, this.reset, h("label", { title: "Say where to look and what kind of mistake it is, without a number" }, this.hinting, " Only hints")),
      h("details", { class: "deviate" }, h("summary", null, "Deviations ", this.count), this.filter, this.choices),
      this.alert,
    );
  }

  /** @param {HTMLElement} root */
  async start(root) {
    const worked = await this.first();
    const app = (this.app = new App(root, worked.content, sourceOf(worked.content), {
      panel: this.panel,
      edit: (line, entries) => this.edit(line, entries),
    }));
    this.problem = worked.problem;
    this.past = [this.problem];
    document.documentElement.addEventListener("keydown", (event) => this.key(event));
    const unanswered = this.pending.splice(0);
    this.mark();
    await app.start();
    await this.offer();
    this.diagnose(worked.content);
    for (const what of unanswered) void this.change(what);
  }

  /**
   * The page of the problem that was kept, or of the one to begin with where that cannot be used any more.
   * @returns {Promise<Worked>}
   */
  async first() {
    try {
      return await this.ask("/work", { problem: this.problem });
    } catch (error) {
      if (this.problem === this.beginning || error instanceof TypeError) throw error;
      return this.ask("/work", { problem: this.beginning });
    }
  }

  /**
   * Takes numbers that were typed into a line; returns why one cannot be read.
   * @param {string} line
   * @param {Entry[]} entries
   * @returns {string | null}
   */
  edit(line, entries) {
    const { content } = /** @type {App} */ (this.app).trace;
    const isGiven = content.lines.some(({ name, made }) => name === line && !made);
    const kind = isGiven ? (content.arrays[line]?.kind ?? "f8") : null;
    const read = entries.map(({ cell, written }) => ({ cell, written: normal(written) }));
    const reason = read.map(({ written }) => fault(written, kind)).find((each) => each !== null) ?? null;
    if (!reason) {
      void this.change({ change: { line, entries: read } });
      if (isGiven) this.app?.inspector?.grid?.wait(read);
    }
    return reason;
  }

  /** @param {number} step back (-1) or on (1) through what the problem was */
  async go(step) {
    const to = this.at + step;
    const problem = this.past[to];
    if (problem === undefined) return;
    await this.change({ problem }, to);
  }

  /** Notes the problem as it is now, and keeps it in the browser. */
  note() {
    if (this.problem === this.past[this.at]) return;
    this.past = [...this.past.slice(0, this.at + 1), this.problem];
    this.at += 1;
  }

  /** What can be undone and redone; and the browser keeps the problem. */
  mark() {
    this.undo.disabled = this.at === 0;
    this.redo.disabled = this.at === this.past.length - 1;
    this.reset.disabled = this.problem === this.beginning;
    keep(this.beginning, this.problem, this.pending);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (isTyping || !(event.ctrlKey || event.metaKey)) return;
    const step = { z: event.shiftKey ? 1 : -1, y: 1 }[event.key.toLowerCase()];
    if (!step) return;
    event.preventDefault();
    void this.go(step);
  }

  /**
   * @param {string} path
   * @param {object} what
   * @param {AbortSignal} [signal]
   */
  async ask(path, what, signal) {
    const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(what) };
    const response = await fetch(path, signal ? { ...request, signal } : request);
    if (!response.ok) throw new Error(await response.text());
    return path.startsWith("/export") ? response.blob() : response.json();
  }

  /**
   * Changes the problem; changes are made one after the other.
   * @param {What} what
   * @param {number} [to] which of the past problems it is
   */
  change(what, to) {
    this.pending.push(what);
    this.mark();
    this.queue = this.queue.then(async () => {
      try {
        /** @type {Worked} */
        const worked = await this.ask("/work", { problem: this.problem, ...what });
        this.problem = worked.problem;
        this.pending.shift();
        if (to === undefined) this.note();
        else this.at = to;
        this.mark();
        await this.app?.update(worked.content, sourceOf(worked.content));
        this.alert.hidden = true;
        if (what.problem) await this.offer();
        else this.tick(worked.content);
        this.diagnose(worked.content);
      } catch (error) {
        this.pending = this.pending.filter((each) => each !== what);
        this.mark();
        this.complain(error);
        this.restore();
        if (this.app) this.tick(this.app.trace.content);
      }
    });
    return this.queue;
  }

  /** Shows the numbers as they are, in place of what the server refused. */
  restore() {
    const grid = this.app?.inspector?.grid;
    const isIn = grid?.table.contains(document.activeElement);
    grid?.draw();
    grid?.mark();
    if (isIn) grid?.focus();
  }

  /** @param {unknown} error */
  complain(error) {
    this.alert.hidden = false;
    this.alert.textContent = error instanceof TypeError ? "The server does not answer. Is it still running?" : error instanceof Error ? error.message : String(error);
  }

  /**
   * Requests a diagnosis of the claims; an earlier request is cancelled.
   * @param {Content} content
   */
  diagnose(content) {
    this.asking?.abort();
    if (!content.lines.some((line) => line.claims.length)) {
      this.app?.tell(null);
      return;
    }
    const asking = new AbortController();
    this.asking = asking;
    const waiting = setTimeout(() => this.app?.wait(), PATIENCE);
    this.ask("/diagnosis", { problem: this.problem, hints: this.hinting.checked }, asking.signal)
      .then(({ diagnosis, claims }) => {
        if (this.asking !== asking) return;
        if (Object.keys(claims).length) this.app?.judge(claims);
        if (diagnosis === "") this.app?.tell(null);
        else this.app?.tell(diagnosis ?? "<p>No cause was found in the time there is.</p>");
      })
      .catch((error) => {
        if (!asking.signal.aborted) this.complain(error);
      })
      .finally(() => clearTimeout(waiting));
  }

  /** @param {string[]} bundled */
  problems(bundled) {
    const select = h("select", { onchange: () => select.value && this.change({ problem: select.value }) }, h("option", { value: "" }, "Choose …"), bundled.map((name) => h("option", null, name)));
    return h("label", null, "Problem ", select);
  }

  upload() {
    const input = h("input", {
      type: "file", accept: ".toml", class: "unseen",
      onchange: async () => {
        const file = input.files?.[0];
        if (file) await this.change({ problem: await file.text() });
        input.value = "";
      },
    });
    return h("label", { class: "button" }, input, "Open a file");
  }

  /** @param {string[]} endings */
  downloads(endings) {
    const select = h("select", { "aria-label": "Kind of file" }, endings.map((each) => h("option", null, each)));
    const button = h("button", { type: "button", class: "button", onclick: () => this.download(select.value) }, "Download");
    return h("span", { class: "download" }, h("label", null, "As ", select), button);
  }

  /** @param {string} ending */
  async download(ending) {
    try {
      const blob = await this.ask(`/export/${ending.slice(1)}`, { problem: this.problem });
      const link = h("a", { href: URL.createObjectURL(blob), download: `problem${ending}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      this.complain(error);
    }
  }

  /** Offers the deviations that apply to the problem. */
  async offer() {
    /** @type {Choices} */
    const choices = await this.ask("/deviations", { problem: this.problem });
    this.choices.replaceChildren(...choices.map(({ theme, deviations }) =>
      h("fieldset", null, h("legend", null, theme), deviations.map(({ name, does }) =>
        h("label", { class: "choice", "data-words": `${name} ${does}`.toLowerCase() },
          h("input", { type: "checkbox", value: name, onchange: () => this.change({ deviations: this.chosen() }) }),
          h("span", null, h("b", null, name), h("br", null), does)),
      )),
    ));
    if (this.app) this.tick(this.app.trace.content);
    this.sift();
  }

  boxes() {
    return [...this.choices.querySelectorAll("input")];
  }

  /** The chosen deviations: those that the problem has in their order, then new ones. */
  chosen() {
    const ticked = new Set(this.boxes().filter((box) => box.checked).map((box) => box.value));
    const offered = new Set(this.boxes().map((box) => box.value));
    const had = (this.app?.trace.content.deviations ?? []).map((each) => each.name);
    return [...had.filter((name) => ticked.has(name) || !offered.has(name)), ...[...ticked].filter((name) => !had.includes(name))];
  }

  /** @param {Content} content */
  tick(content) {
    const names = new Set(content.deviations.map((each) => each.name));
    for (const box of this.boxes()) box.checked = names.has(box.value);
    this.count.textContent = names.size ? `${names.size} in force` : "none in force";
  }

  sift() {
    const words = this.filter.value.toLowerCase().split(/\s+/);
    for (const choice of this.choices.querySelectorAll("label")) {
      choice.hidden = !words.every((word) => (choice.getAttribute("data-words") ?? "").includes(word));
    }
    for (const set of this.choices.querySelectorAll("fieldset")) set.hidden = !set.querySelector("label:not([hidden])");
  }
}

/**
 * The problem that the browser has kept since the server was started with this one, else this one; and the changes that
 * the server had not answered when the page was left.
 * @param {string} beginning
 * @returns {{problem: string, pending: What[]}}
 */
function kept(beginning) {
  const none = { problem: beginning, pending: [] };
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    if (found.beginning !== beginning || typeof found.problem !== "string") return none;
    return { problem: found.problem, pending: Array.isArray(found.pending) ? found.pending : [] };
  } catch {
    return none; // The browser keeps nothing, or something else.
  }
}

/**
 * @param {string} beginning
 * @param {string} problem
 * @param {What[]} pending
 */
function keep(beginning, problem, pending) {
  try {
    if (problem === beginning && !pending.length) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, JSON.stringify({ beginning, problem, pending }));
  } catch {
    // The browser keeps nothing: the page works without.
  }
}

/** @param {Whole} content */
function sourceOf(content) {
  return (/** @type {string} */ name) => content.arrays[name]?.data ?? "";
}

const root = document.getElementById("app");
const beginning = document.getElementById("live");
if (root && beginning) {
  const live = new Live(JSON.parse(beginning.textContent ?? "{}"));
  live.start(root).catch((error) => root.append(label(String(error))));
}
