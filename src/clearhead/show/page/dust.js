// Rounding errors of what the page computes: dust, as in `clearhead.dust`, which is nothing else, such as
// 0.1 + 0.2 - 0.3; and numbers of which a shown digit may be wrong.

import { number } from "./number.js";
import { Trace } from "./trace.js";

/** @typedef {import("./content.js").Numbers} Numbers */

/** Only numbers smaller than this part of the trace's largest can be dust. */
const SMALL = 1e-12;

/** How often the lines are computed again with other roundings, and how many times their spread a number must exceed. */
const COPIES = 4;
const ERRORS = 4;

/** By how many units of its last bit a number is moved: unequal steps seldom cancel each other. */
const STEPS = [-2, -1, 1, 2];

/** Larger traces are left as they are: nobody reads each of their numbers. */
const MAX_CELLS = 100_000;

/**
 * Puts 0 in place of numbers that are no larger than their own rounding error: where the given numbers are moved by
 * a unit or two of their last bit, dust changes as much as it is large.
 * @param {Trace} trace a trace that has all its numbers
 * @param {Iterable<string>} names the lines that the page has computed
 */
export function removeDust(trace, names) {
  const made = [...names].filter((name) => trace.line(name).made);
  const count = made.reduce((sum, name) => sum + (trace.arrays.get(name)?.length ?? 0), 0);
  if (count > MAX_CELLS) return;
  const limit = SMALL * Math.max(largest(trace), 1);
  const dusty = made.filter((name) => trace.arrays.get(name)?.some((value) => value !== 0 && Math.abs(value) < limit));
  if (!dusty.length) return;
  for (const [name, far] of errorsOf(trace, dusty)) {
    trace.put(name, Float64Array.from(/** @type {Numbers} */ (trace.arrays.get(name)), (value, n) =>
      (Math.abs(value) < limit && Math.abs(value) <= (far[n] ?? 0) ? 0 : value)));
  }
}

/** Errors of more than this part of a trace's largest number are not looked for. */
const LOOSE = 2e-14;

/**
 * The cells of lines, by their places in the array, whose rounding error may change a digit that is shown: what the page
 * computes is in double precision.
 * @param {Trace} trace a trace that has all its numbers
 * @param {Iterable<string>} names the lines that the page has computed
 * @returns {Map<string, number[]>}
 */
export function unsureCells(trace, names) {
  const { decimals } = trace.content;
  const made = [...names].filter((name) => trace.line(name).made && trace.content.arrays[name]?.kind === "f8");
  const count = made.reduce((sum, name) => sum + (trace.arrays.get(name)?.length ?? 0), 0);
  if (decimals === null || count > MAX_CELLS) return new Map();
  const isUnsure = (/** @type {number} */ value, /** @type {number} */ error) =>
    value !== 0 && Number.isFinite(value) && number(value - error, decimals) !== number(value + error, decimals);
  const loose = LOOSE * Math.max(largest(trace), 1);
  const near = made.filter((name) => trace.arrays.get(name)?.some((value) => isUnsure(value, loose)));
  if (!near.length) return new Map();
  const found = [...errorsOf(trace, near)].map(([name, far]) => /** @type {[string, number[]]} */ (
    [name, [...far.keys()].filter((n) => isUnsure(trace.arrays.get(name)?.[n] ?? NaN, far[n] ?? 0))]));
  return new Map(found.filter(([, cells]) => cells.length));
}

/**
 * How far the numbers of lines may be off, by moving what is given by its last bits.
 * @param {Trace} trace
 * @param {string[]} names
 * @returns {Map<string, Float64Array>}
 */
function errorsOf(trace, names) {
  const needed = [...trace.lines.keys()].filter(above(trace, names));
  const spread = new Map(names.map((name) => [name, new Float64Array(trace.arrays.get(name)?.length ?? 0)]));
  for (let copy = 1; copy <= COPIES; copy += 1) {
    const again = moved(trace, needed, copy);
    for (const [name, far] of spread) widen(far, /** @type {Numbers} */ (trace.arrays.get(name)), /** @type {Numbers} */ (again.arrays.get(name)));
  }
  for (const far of spread.values()) far.forEach((each, n) => { far[n] = ERRORS * each; });
  return spread;
}

/**
 * The largest finite number of a trace, of those that are not whole by their nature.
 * @param {Trace} trace
 */
function largest({ arrays, content }) {
  let most = 0;
  for (const [name, numbers] of arrays) {
    if (content.arrays[name]?.kind !== "f8") continue;
    for (const value of numbers) if (Math.abs(value) > most && Number.isFinite(value)) most = Math.abs(value);
  }
  return most;
}

/**
 * Whether a line is one of these, or they are computed from it.
 * @param {Trace} trace
 * @param {string[]} names
 */
function above(trace, names) {
  const found = new Set(names);
  for (const name of [...trace.lines.keys()].reverse()) {
    if (found.has(name)) for (const each of trace.inputs(name)) found.add(each);
  }
  return (/** @type {string} */ name) => found.has(name);
}

/**
 * Lines computed again, with each given number a unit or two of its last bit larger or smaller.
 * @param {Trace} trace
 * @param {string[]} names
 * @param {number} seed
 */
function moved(trace, names, seed) {
  const again = new Trace(trace.content, trace.source);
  const step = steps(seed);
  for (const name of names) {
    const numbers = trace.arrays.get(name);
    if (trace.line(name).made) again.put(name, again.run(name));
    else if (numbers) again.arrays.set(name, trace.content.arrays[name]?.kind === "f8" ? numbers.map((value) => value * (1 + step() * Number.EPSILON)) : numbers);
  }
  return again;
}

/**
 * A function that draws steps: the same from the same seed (xorshift).
 * @param {number} seed
 */
function steps(seed) {
  let state = seed * 0x9e3779b1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return STEPS[(state >>> 16) % STEPS.length] ?? 0;
  };
}

/**
 * Notes how far numbers have moved, where this is further than before.
 * @param {Float64Array} far
 * @param {Numbers} before
 * @param {Numbers} after
 */
function widen(far, before, after) {
  for (let n = 0; n < far.length; n += 1) {
    const step = Math.abs((after[n] ?? NaN) - (before[n] ?? NaN));
    if (step > (far[n] ?? 0)) far[n] = step;
  }
}
