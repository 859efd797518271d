// Edits of given numbers and of claims in the page: all lines are computed again by their formulas, offline.

import { flat, unflat } from "./cells.js";
import { removeDust, unsureCells } from "./dust.js";
import { readsOf } from "./expr.js";
import { History, asText, fromText, keyOf, withChanges } from "./history.js";
import { Trace } from "./trace.js";
import { agrees, claimed, given, normal, read } from "./typed.js";

/**
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./content.js").Numbers} Numbers
 * @typedef {import("./grid.js").Entry} Entry
 * @typedef {import("./history.js").Change} Change
 */

/** A trace that reads more numbers than this when it is computed cannot be edited in the page. */
const MAX_WORK = 20_000_000;

/**
 * Whether a page has everything that is needed to compute every line again.
 * @param {Trace} trace
 */
export function isEditable({ content }) {
  return content.lines.every(({ absent }) => !absent) && isComputable(content);
}

/**
 * Whether all lines can be computed from the given numbers of a page, in double precision and soon enough.
 * @param {import("./content.js").Content} content
 */
export function isComputable({ lines, arrays }) {
  let work = 0;
  for (const { name, made, shape, absent } of lines) {
    const isThere = absent === "blank" && made ? true : !absent && (arrays[name]?.kind ?? "f4") !== "f4";
    if (!isThere || (made && !made.sizes)) return false;
    if (made?.sizes) work += shape.reduce((a, b) => a * b, 1) * readsOf(made.body, made.sizes, () => 1);
  }
  return work <= MAX_WORK;
}

/** The most cells that are named of those in which a digit may be wrong. */
const MAX_NAMED = 3;

/** The milliseconds after which the address of the page says what was typed. */
const SOON = 50;

/** Where the name of the deviation that is tried is kept: a line that there is not. */
const VARIANT = { line: "", cell: /** @type {number[]} */ ([]) };

export class Edits {
  /** @param {Trace} trace a trace whose numbers are all unpacked */
  constructor(trace) {
    this.trace = trace;
    this.lines = trace.content.lines;
    /** The numbers of the file. */
    this.first = new Map(trace.arrays);
    this.history = new History();
    this.kept = 0;
    /** The lines as they are computed now, and the names of those that differ from the file's. */
    this.computed = { lines: this.lines, changed: /** @type {Set<string>} */ (new Set()) };
    addEventListener("pagehide", () => this.kept && this.address());
    this.file = { name: "problem.toml", about: "The problem with your numbers, as a file", button: "Save" };
  }

  get state() {
    return this.history.state;
  }

  /** Whether there is a file to keep. */
  get isSaved() {
    return Boolean(this.trace.content.problem);
  }

  /** What was typed, in words. */
  get said() {
    const size = this.state.size - Number(this.variant !== null);
    return size ? `${size} ${size === 1 ? "number" : "numbers"} typed` : "";
  }

  /** @param {LineData} line any line of the file takes what is typed: a given number, or a claim */
  takes({ name }) {
    return this.lines.some((each) => each.name === name);
  }

  /** Puts what was typed into the address of the page, once all is drawn: it takes the browser some milliseconds. */
  keep() {
    if (location.protocol === "about:") return; // A frame of a notebook has no address of its own.
    clearTimeout(this.kept);
    this.kept = window.setTimeout(() => this.address(), SOON);
  }

  address() {
    clearTimeout(this.kept);
    this.kept = 0;
    const address = asText(this.state);
    history.replaceState(null, "", address ? `#${address}` : location.href.replace(/#.*/, ""));
  }

  /** Whether a given number differs from that in the file. */
  get isChanged() {
    return [...this.state.values()].some(({ line }) => line && !this.base(line).made);
  }

  /**
   * Applies edits; returns why they are refused, and then applies none.
   * @param {string} line
   * @param {Entry[]} entries
   * @returns {string | null}
   */
  type(line, entries) {
    const changes = entries.map(({ cell, written }) => ({ line, cell, written: normal(written) }));
    return this.change(changes);
  }

  /**
   * Computes the lines in another way, or as the file has them.
   * @param {string} name the variant; "" for none
   */
  vary(name) {
    this.change([{ ...VARIANT, written: name }]);
  }

  /** The other way in which lines are computed now. */
  get variant() {
    const name = this.state.get(keyOf(VARIANT))?.written;
    return this.trace.content.variants?.find((each) => each.name === name) ?? null;
  }

  /**
   * @param {Change[]} changes
   * @returns {string | null}
   */
  change(changes) {
    const reason = changes.map((each) => this.fault(each)).find((each) => each !== null);
    if (reason) return reason;
    this.history.push(withChanges(this.state, changes, (each) => this.isAsBefore(each)));
    this.follow();
    return null;
  }

  /**
   * Why something cannot be typed into a cell.
   * @param {Change} change
   */
  fault({ line, cell, written }) {
    if (!line) return !written || this.trace.content.variants?.some((each) => each.name === written) ? null : `This page knows no deviation ${written}.`;
    const { made, claims } = this.base(line);
    if (!made) {
      const value = given(written, this.trace.content.arrays[line]?.kind ?? "f8");
      return typeof value === "string" ? value : null;
    }
    const old = claims.find((each) => each.cell.join() === cell.join());
    if (old && !this.state.has(keyOf({ line, cell }))) return `The file claims ${old.written} here.`;
    return written === "" || read(written) !== undefined ? null : `A number such as 2.425, 1e-3 or 7/6 is expected here; got “${written}”.`;
  }

  /** @param {Change} change */
  isAsBefore({ line, cell, written }) {
    if (!line) return written === "";
    const { made, shape } = this.base(line);
    return made ? written === "" : given(written, this.trace.content.arrays[line]?.kind ?? "f8") === Number(this.first.get(line)?.[flat(cell, shape)]);
  }

  /** @param {number} step back (-1) or on (1) */
  go(step) {
    this.history.go(step);
    this.follow();
  }

  reset() {
    if (!this.state.size) return;
    this.history.push(new Map());
    this.follow();
  }

  /** Computes all lines again, with the edits and with the deviation that is tried. */
  follow() {
    const { trace, variant } = this;
    trace.arrays = new Map(this.first);
    trace.past = null;
    trace.take(this.lines);
    const changed = this.given();
    this.compute(this.lines, changed);
    removeDust(trace, changed);
    trace.before = changed.size && !variant ? this.first : null;
    let lines = this.lines;
    if (variant) {
      trace.past = pastOf(trace);
      const other = new Map(variant.lines.map((line) => [line.name, line]));
      const before = new Map(this.lines.map((line) => [line.name, line]));
      lines = variant.order.map((name) => varied(other.get(name), before.get(name)));
      trace.take(lines);
      for (const { name } of variant.lines) changed.add(name);
      const rewritten = new Set(variant.lines.map(({ name }) => name));
      this.compute(lines, rewritten, changed);
      removeDust(trace, rewritten);
    }
    this.computed = { lines, changed };
    trace.take(lines.map((line) => this.held(line, changed.has(line.name))));
  }

  /**
   * Notes of which computed numbers a shown digit may be wrong: it takes as long as all else, and can follow later.
   * @returns {boolean} whether there are any
   */
  doubt() {
    const { lines, changed } = this.computed;
    const unsure = unsureCells(this.trace, changed);
    if (unsure.size) this.trace.take(lines.map((line) => this.held(line, changed.has(line.name), unsure.get(line.name))));
    return unsure.size > 0;
  }

  /** Puts the given numbers that were typed in place; says whose they are. */
  given() {
    const { trace } = this;
    /** @type {Set<string>} */
    const changed = new Set();
    for (const { line, cell, written } of this.state.values()) {
      if (!line || this.base(line).made) continue;
      const numbers = changed.has(line) ? trace.arrays.get(line) : trace.arrays.get(line)?.slice();
      if (!numbers) continue;
      numbers[flat(cell, this.base(line).shape)] = Number(given(written, trace.content.arrays[line]?.kind ?? "f8"));
      trace.arrays.set(line, numbers);
      changed.add(line);
    }
    return changed;
  }

  /**
   * Computes lines that are other than they were, and those made of them.
   * @param {LineData[]} lines
   * @param {Set<string>} other
   * @param {Set<string>} all where their names are noted too
   */
  compute(lines, other, all = other) {
    for (const { name, made } of lines) {
      if (!made || !(other.has(name) || this.trace.inputs(name).some((each) => other.has(each)))) continue;
      this.trace.put(name, this.trace.run(name));
      other.add(name);
      all.add(name);
    }
  }

  /** @param {string} name */
  base(name) {
    return /** @type {LineData} */ (this.lines.find((line) => line.name === name));
  }

  /**
   * A line with the current claims, each compared with the current numbers.
   * @param {LineData} line
   * @param {boolean} isOther whether its numbers differ from those in the file
   * @param {number[]} [unsure] its cells of which a shown digit may be wrong
   * @returns {LineData}
   */
  held(line, isOther, unsure = []) {
    const typed = [...this.state.values()].filter((each) => line.made && each.line === line.name).map(({ cell, written }) => claimed(cell, written));
    if (!isOther && !typed.length) return line;
    const claims = [...line.claims, ...typed].map((each) => ({ ...each, agrees: agrees(each, this.trace.value(line.name, each.cell)) }));
    return { ...line, claims, notes: isOther ? this.doubts(line, unsure) : line.notes };
  }

  /**
   * A note on the cells of which a shown digit may be wrong; none where all are right.
   * @param {LineData} line
   * @param {number[]} unsure
   */
  doubts({ shape }, unsure) {
    if (!unsure.length) return [];
    const { first } = this.trace.content;
    const named = unsure.slice(0, MAX_NAMED).map((n) => `[${unflat(n, shape).map((index) => index + first).join(",")}]`);
    const rest = unsure.length > MAX_NAMED ? ` and ${unsure.length - MAX_NAMED} more` : "";
    return [`The last digit shown of ${named.join(", ")}${rest} may be wrong by one: this page computes in double precision. The saved problem, shown by clearhead, has it right.`];
  }

  /**
   * Applies the edits of an address; those that do not fit are left out, and counted.
   * @param {string} address
   */
  open(address) {
    const said = fromText(address).map((each) => ({ ...each, written: normal(each.written) }));
    const fit = said.filter((each) => (isPlace(this.trace, each) || keyOf(each) === keyOf(VARIANT)) && !this.fault(each));
    this.history.begin(withChanges(this.state, fit, (each) => this.isAsBefore(each)));
    if (this.state.size) {
      this.follow();
      this.doubt();
    }
    return said.length - fit.length;
  }

  /** The file of the problem with the edits in it; null where it does not contain an array. */
  text() {
    let text = /** @type {string} */ (this.trace.content.problem);
    const { first } = this.trace.content;
    const typed = [...this.state.values()].filter(({ line }) => line);
    if (this.variant) text = deviating(text, this.variant.applied);
    for (const name of new Set(typed.filter(({ line }) => !this.base(line).made).map(({ line }) => line))) {
      const entry = new RegExp(`^("?)${name.replaceAll(".", "\\.")}\\1 = (?:\\[\\n[^]*?^\\]|.*)$`, "m");
      if (!entry.test(text)) return null;
      text = text.replace(entry, (_, quote) => `${quote}${name}${quote} = ${this.rows(name, this.base(name).shape, 0)}`);
    }
    const claims = typed.filter(({ line }) => this.base(line).made).map(({ line, cell, written }) =>
      `\n[[claims]]\nline = "${line}"\ncell = [${cell.map((index) => index + first).join(", ")}]\nvalues = "${written}"\n`);
    return [text, ...claims].join("");
  }

  /**
   * The numbers of an array in TOML.
   * @param {string} name
   * @param {number[]} shape
   * @param {number} start
   * @returns {string}
   */
  rows(name, shape, start) {
    const [count, ...rest] = shape;
    const value = this.trace.arrays.get(name)?.[start] ?? NaN;
    if (count === undefined) return this.trace.content.arrays[name]?.kind === "u1" ? String(Boolean(value)) : toml(value);
    const size = rest.reduce((a, b) => a * b, 1);
    return `[${Array.from({ length: count }, (_, n) => this.rows(name, rest, start + n * size)).join(", ")}]`;
  }
}

/**
 * Whether a trace has such a cell.
 * @param {Trace} trace
 * @param {import("./trace.js").Place} place
 */
export function isPlace({ lines }, { line, cell }) {
  const shape = lines.get(line)?.shape;
  return shape?.length === cell.length && cell.every((index, axis) => index < (shape[axis] ?? 0));
}

/**
 * A line as a deviation has it, with what was claimed of it before.
 * @param {LineData | undefined} other
 * @param {LineData | undefined} before
 * @returns {LineData}
 */
function varied(other, before) {
  if (!other || !before) return /** @type {LineData} */ (other ?? before);
  return { ...other, claims: other.shape.join() === before.shape.join() ? before.claims : [] };
}

/**
 * A trace as it is now, with the lines and numbers to itself.
 * @param {Trace} trace
 */
function pastOf(trace) {
  const past = new Trace(trace.content, trace.source);
  past.arrays = new Map(trace.arrays);
  return past;
}

/**
 * The file of a problem with these deviations in it, and no others.
 * @param {string} text
 * @param {string[]} applied
 */
function deviating(text, applied) {
  const without = text.replace(/^deviations = .*\n/m, "");
  return applied.length ? without.replace(/^(format = .*\n)/, (first) => `${first}deviations = ${JSON.stringify(applied)}\n`) : without;
}

/** @param {number} value */
function toml(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0.0" : String(value).replace(/^(-?\d+)e/, "$1.0e");
}
