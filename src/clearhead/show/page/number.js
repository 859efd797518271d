// Numbers as Python's `clearhead.expr.number` and `clearhead.show.cells` write them, to the character.

/** Numbers from here on are written with an exponent. */
const LARGE = 1e7;
const NOISE = 1e-14;
const SHARE = 1e-3;
/** A number this far from a tie, in units of the last decimal, is none, as long as it has fewer units than these. */
const NEAR_TIE = 1e-3;
const MOST_UNITS = 1e9;
/** No number is rounded to more digits than this in all: a float64 has no more that are its own. */
const MOST_DIGITS = 15;

/**
 * A number for reading: rounded, without trailing zeros where it is exact, and never 0 for a number that is not 0.
 * @param {number} value
 * @param {number | null} decimals null for all digits
 * @returns {string}
 */
export function number(value, decimals) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return "0";
  const digits = decimals === null ? repr(value) : fixed(value, decimals);
  if (!digits.includes("e") && Number(digits) !== 0 && Math.abs(value) < LARGE) return isClose(Number(digits), value) ? trim(digits) : digits;
  const precise = decimals === null ? repr(value) : exponential(value, Math.max(decimals - 2, 1));
  const [mantissa, exponent] = precise.split("e");
  if (exponent === undefined) return trim(precise);
  return `${isClose(Number(precise), value) ? trim(mantissa ?? "") : mantissa}e${Number(exponent)}`;
}

/** @param {string} digits */
function trim(digits) {
  return digits.includes(".") ? digits.replace(/0+$/, "").replace(/\.$/, "") : digits;
}

/**
 * The fewest digits that read back as the number, with an exponent where Python has one.
 * @param {number} value
 */
function repr(value) {
  const [mantissa, exponent] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 16) return `${mantissa}e${power}`;
  const plain = Math.abs(value) < 1e-6 ? value.toFixed(Math.min(100, 20 - power)) : String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

/**
 * Rounded to decimal places, to 15 digits at most, as Python's `clearhead.expr.text.fixed`: ties, and what noise moved
 * off one, away from zero.
 * @param {number} value
 * @param {number} decimals
 */
export function fixed(value, decimals) {
  if (Math.abs(value) >= 1) decimals = Math.max(Math.min(decimals, MOST_DIGITS - 1 - Math.floor(Math.log10(Math.abs(value)))), 0);
  const off = NOISE * Math.abs(value) < SHARE * Number(`1e-${decimals}`) ? value * (1 + NOISE) : value;
  return plain(off, decimals);
}

/**
 * Python's `f"{value:.nf}"`: the nearest; a tie goes to the even one.
 * @param {number} value
 * @param {number} decimals
 */
function plain(value, decimals) {
  if (Math.abs(value) >= 1e21) return repr(value);
  const written = Math.abs(value).toFixed(decimals);
  const units = Math.abs(value) * 10 ** decimals;
  const isNearTie = !(units < MOST_UNITS) || Math.abs((units % 1) - 0.5) < NEAR_TIE;
  if (!isNearTie) return value < 0 ? `-${written}` : written;
  const all = Math.abs(value).toFixed(Math.min(100, decimals + 60));
  const even = isTie(all.slice(all.indexOf(".") + 1 + decimals)) ? evened(written, all, decimals) : written;
  return value < 0 ? `-${even}` : even;
}

/**
 * @param {number} value
 * @param {number} places
 */
function exponential(value, places) {
  const off = NOISE < SHARE * Number(`1e-${places}`) ? value * (1 + NOISE) : value;
  const all = off.toExponential(Math.min(100, places + 60));
  const [mantissa, power] = /** @type {[string, string]} */ (all.split("e"));
  const point = mantissa.indexOf(".");
  if (!isTie(mantissa.slice(point + 1 + places))) return off.toExponential(places);
  const cut = mantissa.slice(0, point + 1 + places);
  return Number(cut.at(-1)) % 2 === 0 ? `${cut}e${power}` : off.toExponential(places);
}

/** @param {string} rest the digits that are left out */
function isTie(rest) {
  return /^50*$/.test(rest);
}

/**
 * @param {string} up
 * @param {string} all
 * @param {number} decimals
 */
function evened(up, all, decimals) {
  const down = all.slice(0, all.indexOf(".") + (decimals ? 1 + decimals : 0));
  return Number(down.at(-1)) % 2 === 0 ? down : up;
}

/**
 * How the numbers of a matrix are written: all with the same decimals, fewer than requested only where no number
 * has more.
 * @param {number[]} values
 * @param {number | null} decimals
 * @param {string} kind
 * @returns {(value: number) => string}
 */
export function digits(values, decimals, kind) {
  if (kind === "u1") return (value) => (value ? "yes" : "no");
  const exact = kind === "f4" ? short : (/** @type {number} */ value) => value;
  if (decimals === null) return (value) => number(exact(value), null);
  const places = placesOf(values.map(exact), decimals);
  return (value) => write(value, places, decimals);
}

/**
 * The number with the fewest digits that read back as the same float32.
 * @param {number} value
 */
function short(value) {
  if (!Number.isFinite(value)) return value;
  for (let precision = 6; precision < 9; precision += 1) {
    const shorter = Number(value.toPrecision(precision));
    if (Math.fround(shorter) === value) return shorter;
  }
  return Number(value.toPrecision(9));
}

/**
 * @param {number[]} numbers
 * @param {number} decimals
 */
function placesOf(numbers, decimals) {
  const plain = numbers.filter((n) => Number.isFinite(n) && Math.abs(n) < LARGE);
  for (let places = 0; places < decimals; places += 1) {
    if (plain.every((n) => isClose(Number(fixed(n, places)), n))) return places;
  }
  return decimals;
}

/**
 * @param {number} a
 * @param {number} b
 */
function isClose(a, b) {
  return a === b || Math.abs(a - b) <= NOISE * Math.max(Math.abs(a), Math.abs(b));
}

/**
 * @param {number} value
 * @param {number} places
 * @param {number} decimals
 */
function write(value, places, decimals) {
  if (!(Math.abs(value) < LARGE)) return number(value, decimals);
  const written = fixed(value === 0 ? 0 : value, places);
  return value !== 0 && Number(written) === 0 ? number(value, decimals) : written;
}

/**
 * A number in typography: a minus as long as a plus, the sign of infinity.
 * @param {string} written
 */
export function typeset(written) {
  return written.replace("inf", "∞").replaceAll("-", "−");
}
