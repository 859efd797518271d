// Numbers as people type them, and when a claim agrees with a computed number, by the rules of `clearhead.claim`.

/**
 * @typedef {import("./content.js").Claimed} Claimed
 */

const DECIMAL = /^[+-]?(?:\d+\.?(\d*)|\.(\d+))(?:e([+-]?\d{1,4}))?$/i;
const FRACTION = /^([+-]?\d{1,15})\/(\d{1,15})$/;
/** @type {Record<string, number>} */
const WORDS = { nan: NaN, inf: Infinity, "+inf": Infinity, "-inf": -Infinity };
/** @type {Record<string, number>} */
const BOOLEANS = { yes: 1, true: 1, 1: 1, no: 0, false: 0, 0: 0 };

/** The relative tolerance of a claim that was written as a fraction. */
const EXACT = 1e-12;

/** The slack of a claim at the edge of its tolerance. */
const ROUNDING = 1e-9;

/**
 * Typed text as Python would write it: a hyphen for each kind of minus, a point for a decimal comma.
 * @param {string} text
 */
export function normal(text) {
  return text.trim().replaceAll("−", "-").replace("∞", "inf").replace(/^([+-]?\d+),(\d+)$/, "$1.$2");
}

/**
 * The number in a text; undefined where there is none.
 * @param {string} text
 * @returns {number | undefined}
 */
export function read(text) {
  const fraction = FRACTION.exec(text);
  if (fraction) return Number(fraction[2]) ? Number(fraction[1]) / Number(fraction[2]) : undefined;
  return DECIMAL.test(text) ? Number(text) : WORDS[text.toLowerCase()];
}

/**
 * A finite number, or yes or no, for a given array; else the reason why it is refused.
 * @param {string} text
 * @param {string} kind
 * @returns {number | string}
 */
export function given(text, kind) {
  if (kind === "u1") return BOOLEANS[text.toLowerCase()] ?? `yes or no (1 or 0) is expected here; got “${text}”.`;
  const value = read(text);
  if (kind === "w8") return value !== undefined && Number.isSafeInteger(value) ? value : `A whole number, from 0, is expected here; got “${text}”.`;
  return value !== undefined && Number.isFinite(value) ? value : `A number such as 2, -0.5 or 7/6 is expected here; got “${text}”.`;
}

/**
 * Why a text cannot be read as a number of a given array of this kind, or as a claim (null); null where it can.
 * @param {string} text
 * @param {string | null} kind
 */
export function fault(text, kind) {
  if (kind === "u1" || kind === "w8") {
    const value = given(text, kind);
    return typeof value === "string" ? value : null;
  }
  if ((kind === null && text === "") || read(text) !== undefined) return null;
  return `A number such as 2.425, 1e-3 or 7/6 is expected here; got “${text}”.`;
}

/**
 * A claim of one cell as it was typed; its tolerance is half a unit of its last digit.
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
