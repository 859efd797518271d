// What kind of mistake a number seems to be: in words, and never with a number.

import { flat } from "./cells.js";
import { compiled, valuesOf } from "./expr.js";
import { fixed } from "./number.js";
import { Trace } from "./trace.js";
import { agrees, read } from "./typed.js";

/**
 * @typedef {import("./content.js").Claimed} Claimed
 * @typedef {import("./content.js").LineData} LineData
 * @typedef {import("./exercise.js").Check} Check
 *
 * @typedef {object} Pair an answer that is wrong
 * @property {number[]} cell
 * @property {string} written
 * @property {number} got
 * @property {number} expected
 * @property {number} tolerance
 * @property {string} as what is expected, written with as many decimals
 */

/** How far, relative to their size, two numbers may be apart that count as one. */
const CLOSE = 1e-6;

/** Fewer answers than this tell no deviation. */
const LEAST = 3;

/** A number off by no more units of its last digit than this may be a matter of rounding. */
const UNITS = 3;

/**
 * What kind of mistake the wrong answers of a line seem to be.
 * @param {Check} check
 * @param {LineData} line with its answers
 */
export function kindOf(check, line) {
  const numbers = check.expected.get(line.name);
  const pairs = line.claims.filter((each) => each.verdict === "wrong").map((each) => pair(each, numbers?.[flat(each.cell, line.shape)] ?? NaN));
  const deviation = deviationOf(check, line);
  if (deviation) return `It looks like this: ${deviation.does}`;
  const found = KINDS.find(({ fits }) => fits(pairs, check, line));
  return found?.says ?? `No common slip explains it. ${line.name} is: ${line.made?.summary ?? ""}`;
}

/**
 * The deviation of the page that gives all that was filled into a line, from the reader's own earlier numbers.
 * @param {Check} check
 * @param {LineData} line
 */
function deviationOf({ own }, { name, shape, claims }) {
  return own.content.variants?.find((variant) => {
    const other = variant.lines.find((each) => each.name === name);
    if (!other || other.shape.join() !== shape.join() || claims.length < LEAST) return false;
    const numbers = computed(own, variant, name);
    return claims.every((each) => agrees(each, numbers[flat(each.cell, shape)] ?? NaN));
  });
}

/**
 * A line as a deviation computes it from the numbers before it.
 * @param {Trace} own
 * @param {import("./content.js").Variant} variant
 * @param {string} name
 */
function computed(own, variant, name) {
  const trace = new Trace(own.content, own.source);
  const other = new Map(variant.lines.map((line) => [line.name, line]));
  trace.arrays = new Map(own.arrays);
  trace.take(variant.order.flatMap((each) => other.get(each) ?? own.lines.get(each) ?? []));
  for (const each of variant.order.slice(0, variant.order.indexOf(name) + 1)) {
    if (each === name || !trace.arrays.has(each)) trace.put(each, trace.run(each));
  }
  return trace.arrays.get(name) ?? new Float64Array();
}

/** @type {{says: string, fits: (pairs: Pair[], check: Check, line: LineData) => boolean}[]} */
const KINDS = [
  { says: "It looks like a sign: the sizes are right.", fits: every((each) => each.got !== 0 && isNear(each, -each.expected)) },
  { says: "It looks like the decimal point: the digits are right.", fits: every(isShifted) },
  { says: "It looks like rounding, here or in a step before: the numbers are nearly right.", fits: every(isRounded) },
  { says: "It looks as if rows and columns were exchanged.", fits: isTurned },
  { says: "It looks like the number of another cell of this line: check which row and which column it is made of.", fits: (pairs, check, line) => pairs.every((each) => isElsewhere(each, check, line)) },
  { says: "It looks like a slip of the pen: digits that stand in another order, or one that differs.", fits: every(isMiswritten) },
  { says: "It looks as if a term of the sum were left out, or counted twice.", fits: (pairs, check, line) => pairs.every((each) => isTermOff(each, check, line)) },
  { says: "All are off by the same factor: something that multiplies or divides this line is missing, or is there twice.", fits: (pairs) => areAlike(pairs.map(({ got, expected }) => got / expected)) },
  { says: "All are off by the same amount: something that is added to this line is missing, or is there twice.", fits: (pairs) => areAlike(pairs.map(({ got, expected }) => got - expected)) },
];

/**
 * @param {(pair: Pair) => boolean} fits
 * @returns {(pairs: Pair[]) => boolean}
 */
function every(fits) {
  return (pairs) => pairs.every(fits);
}

/**
 * @param {Claimed} claimed
 * @param {number} expected
 * @returns {Pair}
 */
function pair({ cell, written, tolerance }, expected) {
  const decimals = tolerance > 0 ? Math.max(0, Math.round(-Math.log10(2 * tolerance))) : 0;
  return { cell, written, got: read(written) ?? NaN, expected, tolerance, as: Number.isFinite(expected) ? fixed(expected, decimals) : String(expected) };
}

/**
 * @param {Pair} pair
 * @param {number} value
 */
function isNear({ got, tolerance }, value) {
  return Math.abs(got - value) <= tolerance * (1 + CLOSE) + CLOSE * Math.abs(value);
}

/** @param {Pair} pair */
function isShifted(pair) {
  return pair.expected !== 0 && [0.001, 0.01, 0.1, 10, 100, 1000].some((shift) => Math.abs(pair.got / pair.expected / shift - 1) < 0.02);
}

/** @param {Pair} pair */
function isRounded({ got, expected, tolerance }) {
  return tolerance > 0 && tolerance < 0.1 && Math.abs(got - expected) <= UNITS * 2 * tolerance;
}

/** @param {Pair} pair */
function isMiswritten({ written, as }) {
  const [got, expected] = [written.replace(/^[+-]/, ""), as.replace(/^[+-]/, "")];
  if (got.length !== expected.length || got.length < 3) return false;
  const differ = [...got].filter((letter, n) => letter !== expected[n]).length;
  return differ === 1 || [...got].sort().join() === [...expected].sort().join();
}

/**
 * @param {Pair[]} pairs
 * @param {Check} check
 * @param {LineData} line
 */
function isTurned(pairs, check, { name, shape }) {
  const [rows, columns] = [shape.at(-2), shape.at(-1)];
  const numbers = check.expected.get(name);
  return shape.length > 1 && rows === columns && pairs.every((each) => {
    const turned = [...each.cell.slice(0, -2), each.cell.at(-1) ?? 0, each.cell.at(-2) ?? 0];
    return isNear(each, numbers?.[flat(turned, shape)] ?? NaN);
  });
}

/**
 * @param {Pair} pair
 * @param {Check} check
 * @param {LineData} line
 */
function isElsewhere(pair, check, { name }) {
  return pair.tolerance < 0.1 && pair.got !== 0 && [...(check.expected.get(name) ?? [])].some((value) => isNear(pair, value));
}

/**
 * @param {Pair} pair
 * @param {Check} check
 * @param {LineData} line
 */
function isTermOff(pair, check, { name, made }) {
  if (made?.body[0] !== "Reduce" || made.body[1] !== "sum") return false;
  const terms = valuesOf(made.body[2], check.own.scope(name, made, pair.cell), compiled(made.body[3]));
  return terms.some((term) => term !== 0 && (isNear(pair, pair.expected - term) || isNear(pair, pair.expected + term)));
}

/** @param {number[]} values several that are one number, which is neither 0 nor 1 */
function areAlike(values) {
  const [first] = values;
  return values.length > 1 && first !== undefined && Number.isFinite(first) && values.every((value) => Math.abs(value - first) <= 0.02 * Math.abs(first));
}
