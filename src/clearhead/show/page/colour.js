// Shading: blue above zero, orange below, darker with distance from zero; weights from 0 to 1.

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {{base: number[], above: number[], below: number[], masked: number[], unknown: number[], lit: string}} Palette
 */

/** The opacity of the darkest shade: numbers stay readable on it. */
const DEEPEST = 0.62;

/** @type {WeakMap<object, number>} */
const SPANS = new WeakMap();

/**
 * The largest distance from zero in a line; 1 for weights. Numbers that are computed cell by cell are not shaded.
 * @param {Trace} trace
 * @param {string} name
 */
export function spanOf(trace, name) {
  const numbers = trace.numbers(name);
  const { shares } = trace.line(name);
  if (!numbers) return Infinity;
  if (shares) return 1;
  let span = SPANS.get(numbers);
  if (span === undefined) {
    span = 0;
    for (const value of numbers) if (Math.abs(value) > span && Number.isFinite(value)) span = Math.abs(value);
    SPANS.set(numbers, span);
  }
  return span || 1;
}

/**
 * The strength of a number's shade, from 0 to 1.
 * @param {number} value
 * @param {number} span
 */
export function depth(value, span) {
  return Number.isFinite(value) ? Math.min(Math.abs(value) / span, 1) * DEEPEST : 0;
}

/**
 * The CSS class of a number, by its sign.
 * @param {number} value
 */
export function tone(value) {
  if (Number.isNaN(value)) return "unknown";
  if (!Number.isFinite(value)) return "masked";
  return value < 0 ? "below" : "above";
}

/** The colours, until there are others: to ask the style sheet for them lays out the page. @type {Palette | null} */
let known = null;

/**
 * The page's colours as numbers, for canvases.
 * @returns {Palette}
 */
export function palette() {
  return (known ??= paletteOf());
}

/** To be called when the page gets other colours. */
export function forgetPalette() {
  known = null;
}

/** @returns {Palette} */
function paletteOf() {
  const style = getComputedStyle(document.documentElement);
  /** @param {string} name */
  const colour = (name) => {
    const hex = style.getPropertyValue(name).trim().replace("#", "");
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) || 0);
  };
  return {
    base: colour("--cell"),
    above: colour("--above"),
    below: colour("--below"),
    masked: colour("--masked"),
    unknown: colour("--wrong"),
    lit: style.getPropertyValue("--lit").trim() || "#000",
  };
}

/**
 * The colour of a number.
 * @param {number} value
 * @param {number} span
 * @param {Palette} colours
 * @returns {number[]}
 */
export function colour(value, span, colours) {
  const kind = tone(value);
  const ink = colours[kind];
  if (kind === "masked" || kind === "unknown") return ink;
  const part = depth(value, span) / DEEPEST;
  return colours.base.map((each, n) => Math.round(each + ((ink[n] ?? 0) - each) * part));
}
