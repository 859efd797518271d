// Changes of the given numbers, and claims, typed into the page: all lines follow, computed by their formulas, offline.

import { flat } from "./cells.js";
import { readsOf } from "./expr.js";
import { agrees, claimed, given, normal, read } from "./typed.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./content.js").Numbers} Numbers
 * @typedef {import("./grid.js").Entry} Entry
 * @typedef {{line: string, cell: number[], written: string}} Change
 * @typedef {ReadonlyMap<string, Change>} State what was typed, by line and cell
 */

/** A trace that takes more numbers than this to compute is not edited in the page. */
const MAX_WORK = 20_000_000;

/** Of an address no more changes than this are read. */
const MAX_CHANGES = 2_000;

/**
 * Whether a page has all that it takes to compute every line again.
 * @param {Trace} trace
 */
export function isEditable({ content }) {
  let work = 0;
  for (const { name, made, shape, absent } of content.lines) {
    if (absent || (content.arrays[name]?.kind ?? "f4") === "f4" || (made && !made.sizes)) return false;
    if (made?.sizes) work += shape.reduce((a, b) => a * b, 1) * readsOf(made.body, made.sizes, () => 1);
  }
  return work <= MAX_WORK;
}

export class Edits {
  /** @param {Trace} trace a trace whose numbers are all unpacked */
  constructor(trace) {
    this.trace = trace;
    this.lines = trace.content.lines;
    /** The numbers as the file has them. */
    this.first = new Map(trace.arrays);
    /** @type {State[]} */
    this.history = [new Map()];
    this.at = 0;
  }

  get state() {
    return /** @type {State} */ (this.history[this.at]);
  }

  /** Whether a given number is another than in the file. */
  get isChanged() {
    return [...this.state.values()].some(({ line }) => !this.trace.line(line).made);
  }

  /**
   * Takes what was typed; says why it cannot, and then takes nothing.
   * @param {string} line
   * @param {Entry[]} entries
   * @returns {string | null}
   */
  type(line, entries) {
    const state = new Map(this.state);
    for (const { cell, written } of entries) {
      const change = { line, cell, written: normal(written) };
      const reason = this.fault(change);
      if (reason) return reason;
      const key = keyOf(change);
      state.delete(key);
      if (!this.isAsBefore(change)) state.set(key, change);
    }
    this.history = [...this.history.slice(0, this.at + 1), state];
    this.at += 1;
    this.follow();
    return null;
  }

  /**
   * Why something cannot be typed into a cell.
   * @param {Change} change
   */
  fault({ line, cell, written }) {
    const { made, claims } = this.trace.line(line);
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
    const { made, shape } = this.trace.line(line);
    return made ? written === "" : given(written, this.trace.content.arrays[line]?.kind ?? "f8") === Number(this.first.get(line)?.[flat(cell, shape)]);
  }

  /** @param {number} step back (-1) or on (1) */
  go(step) {
    this.at = Math.min(Math.max(this.at + step, 0), this.history.length - 1);
    this.follow();
  }

  reset() {
    if (!this.state.size) return;
    this.history = [...this.history.slice(0, this.at + 1), new Map()];
    this.at += 1;
    this.follow();
  }

  /** Computes what follows from what was typed. */
  follow() {
    const { trace } = this;
    trace.arrays = new Map(this.first);
    const changed = new Set();
    for (const { line, cell, written } of this.state.values()) {
      const { made, shape } = trace.line(line);
      if (made) continue;
      const numbers = changed.has(line) ? trace.arrays.get(line) : trace.arrays.get(line)?.slice();
      if (!numbers) continue;
      numbers[flat(cell, shape)] = Number(given(written, trace.content.arrays[line]?.kind ?? "f8"));
      trace.arrays.set(line, numbers);
      changed.add(line);
    }
    for (const { name, made } of this.lines) {
      if (!made || !trace.inputs(name).some((each) => changed.has(each))) continue;
      trace.arrays.set(name, trace.run(name));
      changed.add(name);
    }
    trace.before = changed.size ? this.first : null;
    trace.take(this.lines.map((line) => this.held(line, changed.has(line.name))));
  }

  /**
   * A line with the claims that stand now, each held against the numbers of now.
   * @param {LineData} line
   * @param {boolean} isOther whether its numbers are others than in the file
   * @returns {LineData}
   */
  held(line, isOther) {
    const typed = [...this.state.values()].filter((each) => line.made && each.line === line.name).map(({ cell, written }) => claimed(cell, written));
    if (!isOther && !typed.length) return line;
    const claims = [...line.claims, ...typed].map((each) => ({ ...each, agrees: agrees(each, this.trace.value(line.name, each.cell)) }));
    return { ...line, claims, notes: isOther ? [] : line.notes };
  }

  /** What was typed, as the last part of an address. */
  address() {
    return [...this.state.values()].map(({ line, cell, written }) => `${line}[${cell}]=${written}`).map(encodeURIComponent).join(";");
  }

  /**
   * Takes what an address says; what does not fit is left out, and counted.
   * @param {string} address
   */
  open(address) {
    let left = 0;
    for (const part of address.split(";").filter(Boolean).slice(0, MAX_CHANGES)) {
      const [, line = "", cell = "", written = ""] = /^([^[\]=]{1,200})\[([\d,]{0,60})\]=(.{0,100})$/.exec(decoded(part)) ?? [];
      const place = { line, cell: cell.split(",").filter(Boolean).map(Number) };
      const shape = this.trace.lines.get(line)?.shape;
      const fits = shape?.length === place.cell.length && place.cell.every((index, axis) => index < (shape[axis] ?? 0));
      const change = { ...place, written: normal(written) };
      if (!fits || this.fault(change)) left += 1;
      else if (!this.isAsBefore(change)) this.history = [new Map([...this.state, [keyOf(change), change]])];
    }
    if (this.state.size) this.follow();
    return left;
  }

  /** The file of the problem with what was typed in it; null where an array does not stand in it. */
  file() {
    let text = /** @type {string} */ (this.trace.content.problem);
    const { first } = this.trace.content;
    for (const name of new Set([...this.state.values()].filter(({ line }) => !this.trace.line(line).made).map(({ line }) => line))) {
      const entry = new RegExp(`^("?)${name.replaceAll(".", "\\.")}\\1 = (?:\\[\\n[^]*?^\\]|.*)$`, "m");
      if (!entry.test(text)) return null;
      text = text.replace(entry, (_, quote) => `${quote}${name}${quote} = ${this.rows(name, this.trace.line(name).shape, 0)}`);
    }
    const claims = [...this.state.values()].filter(({ line }) => this.trace.line(line).made).map(({ line, cell, written }) =>
      `\n[[claims]]\nline = "${line}"\ncell = [${cell.map((index) => index + first).join(", ")}]\nvalues = "${written}"\n`);
    return [text, ...claims].join("");
  }

  /**
   * The numbers of an array as TOML has them.
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

/** @param {{line: string, cell: number[]}} place */
function keyOf({ line, cell }) {
  return `${line}[${cell}]`;
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

/** @param {number} value */
function toml(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0.0" : String(value).replace(/^(-?\d+)e/, "$1.0e");
}
