// The functions of formulas, on plain numbers.

/** @type {Record<string, (...numbers: number[]) => number>} */
export const FLOAT = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "//": (a, b) => Math.floor(a / b),
  "%": (a, b) => a - b * Math.floor(a / b),
  "^": (a, b) => a ** b,
  "<": (a, b) => Number(a < b),
  "<=": (a, b) => Number(a <= b),
  "==": (a, b) => Number(a === b),
  and: (a, b) => a && b,
  neg: (a) => -a,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  max: (a, b) => (b > a ? b : a),
  pi: () => Math.PI,
  round: (a, decimals) => (Math.sign(a) * Math.floor(Math.abs(a) * 10 ** decimals + 0.5)) / 10 ** decimals,
  round_even: (a, decimals) => toEven(a * 10 ** decimals) / 10 ** decimals,
  truncate: (a, decimals) => (Math.sign(a) * Math.floor(Math.abs(a) * 10 ** decimals + NEARLY)) / 10 ** decimals,
  share: (a, b) => (b === 0 ? 0 : a / b),
};

/** How far below the next number counts as equal to it, in units of the last decimal. */
const NEARLY = 1e-9;

/**
 * The nearest whole number; a tie goes to the even one.
 * @param {number} x
 */
function toEven(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * The error function: a series of positive terms near 0, a continued fraction beyond.
 * @param {number} x
 */
function erf(x) {
  const size = Math.abs(x);
  if (Number.isNaN(x) || size > 6) return Number.isNaN(x) ? x : Math.sign(x);
  if (size < 2.5) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) sum += term *= (2 * x * x) / (2 * n + 1);
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let rest = size;
  for (let n = 60; n > 0; n -= 1) rest = size + n / 2 / rest;
  return Math.sign(x) * (1 - Math.exp(-x * x) / (rest * Math.sqrt(Math.PI)));
}

/**
 * The sum, mean or max of values, added in order; the mean of equal values is that value.
 * @param {string} kind
 * @param {number[]} values
 */
export function reduce(kind, values) {
  if (kind === "max") return values.reduce((a, b) => (b > a ? b : a));
  if (kind === "mean" && values.every((value) => value === values[0])) return values[0] ?? NaN;
  const whole = values.reduce((a, b) => a + b, 0);
  return kind === "mean" ? whole / values.length : whole;
}
