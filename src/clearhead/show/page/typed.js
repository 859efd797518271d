// Numbers as people type them, and when one that was claimed agrees with what was computed, as `clearhead.claim` has it.

/**
 * @typedef {import("./content.js").Claimed} Claimed
 */

const DECIMAL = /^[+-]?(?:\d+\.?(\d*)|\.(\d+))(?:e([+-]?\d{1,4}))?$/i;
const FRACTION = /^([+-]?\d{1,15})\/(\d{1,15})$/;
/** @type {Record<string, number>} */
const WORDS = { nan: NaN, inf: Infinity, "+inf": Infinity, "-inf": -Infinity };
/** @type {Record<string, number>} */
const BOOLEANS = { yes: 1, true: 1, 1: 1, no: 0, false: 0, 0: 0 };

/** How far, relative to the number, a claim may be off that was written as a fraction. */
const EXACT = 1e-12;

/** What a claim at the very edge of its tolerance is forgiven. */
const ROUNDING = 1e-9;

/**
 * What was typed as Python would write it: a minus for what looks like one, a point for a decimal comma.
 * @param {string} text
 */
export function normal(text) {
  return text.trim().replaceAll("−", "-").replace("∞", "inf").replace(/^([+-]?\d+),(\d+)$/, "$1.$2");
}

/**
 * The number that a text says; undefined where it says none.
 * @param {string} text
 * @returns {number | undefined}
 */
export function read(text) {
  const fraction = FRACTION.exec(text);
  if (fraction) return Number(fraction[2]) ? Number(fraction[1]) / Number(fraction[2]) : undefined;
  return DECIMAL.test(text) ? Number(text) : WORDS[text.toLowerCase()];
}

/**
 * A finite number, or yes and no, for a given array; else why not.
 * @param {string} text
 * @param {string} kind
 * @returns {number | string}
 */
export function given(text, kind) {
  if (kind === "u1") return BOOLEANS[text.toLowerCase()] ?? `yes or no (1 or 0) is expected here; got “${text}”.`;
  const value = read(text);
  return value !== undefined && Number.isFinite(value) ? value : `A number such as 2, -0.5 or 7/6 is expected here; got “${text}”.`;
}

/**
 * A claim of one cell as it was typed; half a unit of its last digit is how far it may be off.
 * @param {number[]} cell
 * @param {string} written
 * @returns {Claimed}
 */
export function claimed(cell, written) {
  const [, after = "", alone = "", exponent = "0"] = DECIMAL.exec(written) ?? [];
  const isDecimal = DECIMAL.test(written);
  const decimals = Math.max((after || alone).length - Number(exponent), 0);
  return { cell, written, tolerance: isDecimal ? 0.5 * 10 ** -decimals : 0, exact: FRACTION.test(written), agrees: false };
}

/**
 * Whether a claim agrees with a number.
 * @param {Claimed} claim
 * @param {number} value
 */
export function agrees({ written, tolerance, exact }, value) {
  const said = read(written) ?? NaN;
  if (said === value || (Number.isNaN(said) && Number.isNaN(value))) return true;
  const size = Math.max(Number.isFinite(value) ? Math.abs(value) : 0, 1);
  const allowed = exact ? Math.max(tolerance, EXACT * size) : Math.max(tolerance * (1 + ROUNDING), 4 * Number.EPSILON * size);
  return Math.abs(said - value) <= allowed;
}
