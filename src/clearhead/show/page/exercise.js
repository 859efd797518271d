// A page with blanks, filled in by hand. What is right is computed from the given numbers, for one check at a time; it is
// never shown. Each answer is right, wrong, right with the reader's own earlier numbers, or too coarse to say.

import { flat } from "./cells.js";
import { isComputable, isPlace } from "./edits.js";
import { explain } from "./explain.js";
import { evaluate } from "./expr.js";
import { History, asText, fromText, keyOf, withChanges } from "./history.js";
import { Trace } from "./trace.js";
import { agrees, claimed, normal, read } from "./typed.js";

/**
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./content.js").Claimed} Claimed
 * @typedef {import("./content.js").Verdict} Verdict
 * @typedef {import("./content.js").Numbers} Numbers
 * @typedef {import("./grid.js").Entry} Entry
 * @typedef {import("./history.js").Change} Change
 */

/** No more decimals than this are asked for. */
const MAX_PLACES = 2;

/** Numbers that are this near a decimal are that decimal. */
const NEARLY = 1e-9;

/** The name of this page's file, which may be the number of a variant, to begin the name of another file with. */
function pageName() {
  const file = decodeURIComponent(location.pathname).split("/").pop() ?? "";
  const stem = file.replace(/\.html?$/i, "").replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-+|-+$/g, "");
  return stem ? `${stem}-` : "";
}

/**
 * Whether a page has blanks, and all that it takes to hold what is filled in.
 * @param {Trace} trace
 */
export function isExercise({ content }) {
  return content.lines.some(({ absent }) => absent === "blank") && isComputable(content);
}

export class Exercise {
  /** @param {Trace} trace a trace whose numbers are all unpacked */
  constructor(trace) {
    this.trace = trace;
    this.lines = trace.content.lines;
    this.blanks = this.lines.filter(({ absent }) => absent === "blank");
    this.history = new History();
    this.file = { name: `${pageName()}answers.toml`, about: "What you filled in, as a file to hand in", button: "Hand in" };
    this.key = `clearhead ${trace.content.key}`;
    this.isKept = true;
    this.isSaved = true;
  }

  get state() {
    return this.history.state;
  }

  /** What was filled in, in words. */
  get said() {
    const claims = this.blanks.flatMap(({ name }) => this.trace.line(name).claims);
    const right = claims.filter(({ verdict }) => verdict === "right" || verdict === "carried").length;
    const all = this.blanks.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    return `${claims.length} of ${all} filled in, ${right} right${this.isKept ? "" : "; this browser does not keep them"}`;
  }

  /** @param {LineData} line */
  takes({ absent }) {
    return absent === "blank";
  }

  /**
   * Takes what was filled in; says why it cannot, and then takes nothing.
   * @param {string} line
   * @param {Entry[]} entries
   * @returns {string | null}
   */
  type(line, entries) {
    const changes = entries.map(({ cell, written }) => ({ line, cell, written: normal(written) }));
    const reason = changes.map((each) => fault(each)).find((each) => each !== null);
    if (reason) return reason;
    this.history.push(withChanges(this.state, changes, isEmpty));
    this.follow();
    return null;
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

  /** Keeps what was filled in, in the browser. */
  keep() {
    try {
      localStorage.setItem(this.key, asText(this.state));
    } catch {
      this.isKept = false;
    }
  }

  /** Takes what the browser has kept. */
  open() {
    let text = "";
    try {
      text = localStorage.getItem(this.key) ?? "";
    } catch {
      this.isKept = false;
    }
    const fit = fromText(text).filter((each) => isPlace(this.trace, each) && this.takes(this.trace.line(each.line)) && !fault(each));
    this.history.begin(withChanges(new Map(), fit, isEmpty));
    this.follow();
  }

  /** Holds all answers anew. */
  follow() {
    const answers = this.answers();
    const check = answers.size ? new Check(this.trace, answers) : null;
    this.trace.take(this.lines.map((line) => {
      const own = answers.get(line.name);
      return own && check ? { ...line, claims: check.verdicts(line, own) } : line;
    }));
  }

  /** What was filled in, by line. */
  answers() {
    /** @type {Map<string, Claimed[]>} */
    const found = new Map();
    for (const { line, cell, written } of this.state.values()) {
      found.set(line, [...(found.get(line) ?? []), claimed(cell, written)]);
    }
    return found;
  }

  /** What was filled in, as claims that `clearhead grade` reads: what is open is "?". */
  text() {
    const claims = this.blanks.flatMap(({ name, shape }) => {
      const own = [...this.state.values()].filter(({ line }) => line === name);
      const written = new Map(own.map((each) => [keyOf(each), each.written]));
      /** @type {(cell: number[]) => string} */
      const rows = (cell) => cell.length === shape.length ? JSON.stringify(written.get(keyOf({ line: name, cell })) ?? "?")
        : `[${Array.from({ length: shape[cell.length] ?? 0 }, (_, n) => rows([...cell, n])).join(", ")}]`;
      return own.length ? [`\n[[claims]]\nline = ${JSON.stringify(name)}\nvalues = ${rows([])}\n`] : [];
    });
    const title = this.trace.content.title.replace(/\p{Cc}/gu, " ");
    return claims.length ? [`# ${title}\nformat = 1\n`, ...claims].join("") : null;
  }
}

/** @param {Change} change */
function fault({ written }) {
  return written === "" || read(written) !== undefined ? null : `A number such as 2.425, 1e-3 or 7/6 is expected here; got “${written}”.`;
}

/** @param {Change} change */
function isEmpty({ written }) {
  return written === "";
}

/** All lines twice: as they follow from the given numbers, and as they follow from what was filled in before each. */
export class Check {
  /**
   * @param {Trace} trace
   * @param {Map<string, Claimed[]>} answers
   */
  constructor(trace, answers) {
    this.answers = answers;
    this.right = copy(trace);
    this.own = copy(trace);
    /** @type {Map<string, Numbers>} each line from the reader's own earlier numbers, without those filled into it */
    this.expected = new Map();
    for (const { name, made, absent, shape } of trace.content.lines) {
      if (!made || absent !== "blank") continue;
      this.right.arrays.set(name, this.right.run(name));
      const expected = this.own.run(name);
      this.expected.set(name, expected);
      const filled = expected.slice();
      for (const { cell, written } of answers.get(name) ?? []) filled[flat(cell, shape)] = read(written) ?? NaN;
      this.own.arrays.set(name, filled);
    }
  }

  /**
   * The answers of a line with what each is.
   * @param {LineData} line
   * @param {Claimed[]} own
   */
  verdicts(line, own) {
    const places = placesOf(this.right.numbers(line.name) ?? new Float64Array());
    return own.map((each) => {
      const verdict = this.verdict(line, each, places);
      return { ...each, verdict, agrees: verdict !== "wrong" };
    });
  }

  /**
   * A number with fewer decimals than are asked for is never called wrong: ranges could be tried out otherwise.
   * @param {LineData} line
   * @param {Claimed} answer
   * @param {number} places how many decimals are asked for
   * @returns {Verdict}
   */
  verdict({ name, shape }, answer, places) {
    const at = flat(answer.cell, shape);
    const right = this.right.numbers(name)?.[at] ?? NaN;
    const expected = this.expected.get(name)?.[at] ?? NaN;
    if (isSame(answer, right)) return "right";
    if (isCoarse(answer, places)) return isSame(answer, expected) ? "carried" : "coarse";
    if (agrees(answer, right)) return "right";
    const room = { ...answer, exact: false, tolerance: answer.tolerance + this.slack(name, answer.cell) };
    if (!agrees(room, expected)) return "wrong";
    return agrees(room, right) || agrees({ ...room, written: String(expected) }, right) ? "right" : "carried";
  }

  /**
   * How far a cell may be off because the answers that it is made of were rounded.
   * @param {string} name
   * @param {number[]} cell
   */
  slack(name, cell) {
    const { own } = this;
    const { made } = own.line(name);
    if (!made) return 0;
    const value = () => evaluate(made.body, own.scope(name, made, cell));
    const before = value();
    let slack = 0;
    for (const place of explain(own, name, cell, Infinity).reads) {
      const answer = this.answers.get(place.line)?.find((each) => each.cell.join() === place.cell.join());
      const numbers = own.arrays.get(place.line);
      if (!answer?.tolerance || !numbers) continue;
      const at = flat(place.cell, own.line(place.line).shape);
      const held = numbers[at] ?? NaN;
      numbers[at] = held + answer.tolerance;
      const moved = Math.abs(value() - before);
      numbers[at] = held;
      if (Number.isFinite(moved)) slack += moved;
    }
    return slack;
  }
}

/**
 * The same lines, with room for numbers of its own.
 * @param {Trace} trace
 */
function copy(trace) {
  const other = new Trace(trace.content, trace.source);
  other.arrays = new Map(trace.arrays);
  return other;
}

/**
 * How many decimals are asked for: as few as all numbers of the line have, and no more than two.
 * @param {Numbers} numbers
 */
function placesOf(numbers) {
  const values = [...numbers].filter(Number.isFinite);
  for (let places = 0; places < MAX_PLACES; places += 1) {
    const unit = 10 ** places;
    if (values.every((value) => Math.abs(value * unit - Math.round(value * unit)) <= NEARLY * Math.max(unit, Math.abs(value * unit)))) return places;
  }
  return MAX_PLACES;
}

/**
 * Whether a number is the very same, up to the last bits.
 * @param {Claimed} answer
 * @param {number} value
 */
function isSame(answer, value) {
  return agrees({ ...answer, tolerance: 0, exact: true }, value);
}

/**
 * @param {Claimed} answer
 * @param {number} places
 */
function isCoarse({ tolerance }, places) {
  return tolerance > 0.5000001 * 10 ** -places;
}
