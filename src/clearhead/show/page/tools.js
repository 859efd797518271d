// The tools of a page that is typed into: undo, redo, back to the beginning, and the file to keep.

import { h } from "./dom.js";

/** @typedef {import("./edits.js").Edits | import("./exercise.js").Exercise} Edits */

const UNSAVED = "This cannot be saved: a changed array does not stand in the problem's file.";

/** The milliseconds after a change until it is said which digits may be wrong: the numbers come first. */
const SOON = 100;

export class Tools {
  /**
   * @param {Edits} edits
   * @param {() => void} follow called after a change
   * @param {(text: string) => void} say
   */
  constructor(edits, follow, say) {
    this.edits = edits;
    this.follow = follow;
    this.say = say;
    this.doubting = 0;
    this.undo = button("Undo", "Undo (Ctrl+Z)", () => this.go(-1));
    this.redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => this.go(1));
    this.reset = button("Reset", "All as it is in the file", () => this.restart());
    this.save = button(edits.file.button, edits.file.about, () => this.download());
    this.count = h("span", { class: "which", role: "status" });
    this.about = h("div", { class: "remark warning variant", role: "status", hidden: true });
    this.variants = "variant" in edits ? this.choices(edits) : null;
    this.element = h("div", { class: "tools edits", role: "group", "aria-label": "Changes" }, this.variants, this.count, this.undo, this.redo, this.reset,
      edits.isSaved ? this.save : null);
    document.documentElement.addEventListener("keydown", (event) => this.key(event));
    this.mark();
  }

  /**
   * What takes the numbers that are typed into a line; null where it takes none.
   * @param {import("./content.js").LineData} line
   */
  editor(line) {
    return this.edits.takes(line) ? this.type : null;
  }

  /** @type {(line: string, entries: import("./grid.js").Entry[]) => string | null} */
  type = (line, entries) => {
    const reason = this.edits.type(line, entries);
    if (!reason) this.changed();
    return reason;
  };

  /**
   * The deviations to try, where the page has some.
   * @param {import("./edits.js").Edits} edits
   */
  choices(edits) {
    const variants = edits.trace.content.variants ?? [];
    if (!variants.length) return null;
    const select = h("select", {
      "aria-label": "Deviation to try",
      onchange: () => {
        edits.vary(select.value);
        this.changed();
      },
    }, h("option", { value: "" }, "Try a deviation …"), variants.map(({ name }) => h("option", { value: name }, spoken(name))));
    return select;
  }

  /** Says which deviation is tried. */
  announce() {
    const variant = "variant" in this.edits ? this.edits.variant : null;
    if (this.variants) this.variants.value = variant?.name ?? "";
    this.about.hidden = !variant;
    this.about.replaceChildren(...(variant ? [h("b", null, `${variant.name}: `), variant.does, variant.remedy ? h("details", null, h("summary", null, "To fix it"), variant.remedy) : null].flatMap((each) => each ?? []) : []));
  }

  /** @param {number} step */
  go(step) {
    this.edits.go(step);
    this.changed();
  }

  restart() {
    this.edits.reset();
    this.changed();
  }

  changed() {
    this.edits.keep();
    if (this.edits.trace.content.embedded) this.tell();
    this.follow();
    this.mark();
    clearTimeout(this.doubting);
    this.doubting = window.setTimeout(() => this.doubt(), SOON);
  }

  /** Shows which digits may be wrong, when nobody is typing. */
  doubt() {
    if (document.querySelector(".numbers input.edit")) this.doubting = window.setTimeout(() => this.doubt(), SOON);
    else if ("doubt" in this.edits && this.edits.doubt()) this.follow();
  }

  /** Tells the page around this one, such as a notebook, of the problem as it is now. */
  tell() {
    const text = this.edits.text();
    if (text === null) this.say(UNSAVED);
    else window.parent.postMessage({ clearhead: text }, "*");
  }

  mark() {
    const { state, history: { at, all } } = this.edits;
    this.undo.disabled = at === 0;
    this.redo.disabled = at === all.length - 1;
    this.reset.disabled = !state.size;
    this.count.textContent = this.edits.said;
    this.announce();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (isTyping || !(event.ctrlKey || event.metaKey)) return;
    const step = { z: event.shiftKey ? 1 : -1, y: 1 }[event.key.toLowerCase()];
    if (!step) return;
    event.preventDefault();
    this.go(step);
  }

  download() {
    const text = this.edits.text();
    if (text === null) {
      this.say(UNSAVED);
      return;
    }
    const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "application/toml" })), download: this.edits.file.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}

/**
 * The name of a deviation in words: "projection copied (of query, uses key)".
 * @param {string} name
 */
function spoken(name) {
  return name.split(" with ").map((each) => {
    const [id = "", parameters] = each.split(":");
    return id.replaceAll("-", " ") + (parameters ? ` (${parameters.replaceAll("=", " ").replaceAll(",", ", ")})` : "");
  }).join(" with ");
}

/**
 * @param {string} text
 * @param {string} title
 * @param {() => void} onclick
 */
export function button(text, title, onclick) {
  return h("button", { type: "button", class: "button", title, onclick }, text);
}
