// Canvases: as sharp as the screen, in the page's colours.

/**
 * @typedef {{paper: string, card: string, cell: string, ink: string, soft: string, line: string, above: string, below: string, lit: string, font: string}} Inks
 */

/**
 * A canvas of this size in CSS pixels, cleared, and what draws on it.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
export function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("the browser draws no canvases");
  pen.scale(ratio, ratio);
  pen.clearRect(0, 0, width, height);
  return pen;
}

/**
 * The page's colours.
 * @param {Element} element
 * @returns {Inks}
 */
export function inks(element) {
  const style = getComputedStyle(element);
  /** @param {string} name */
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: of("paper"), card: of("card"), cell: of("cell"), ink: of("ink"), soft: of("soft"), line: of("line"),
    above: of("above"), below: of("below"), lit: of("lit"), font: of("sans"),
  };
}

/**
 * A colour between two.
 * @param {string} from
 * @param {string} to
 * @param {number} part
 */
export function between(from, to, part) {
  const [a, b] = [channels(from), channels(to)];
  return `rgb(${a.map((each, n) => Math.round(each + ((b[n] ?? 0) - each) * part)).join(" ")})`;
}

/** @param {string} hex */
function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) || 0);
}

/**
 * Where a number lies between two, from 0 to 1.
 * @param {number} value
 * @param {number} low
 * @param {number} high
 * @param {boolean} log
 */
export function position(value, low, high, log) {
  const bend = log ? (/** @type {number} */ x) => Math.log(x) : (/** @type {number} */ x) => x;
  const part = (bend(value) - bend(low)) / (bend(high) - bend(low));
  return Number.isFinite(part) ? Math.min(Math.max(part, 0), 1) : 0;
}

/**
 * Buttons of which one is pressed.
 * @template {string} T
 * @param {HTMLElement} group
 * @param {T} chosen
 */
export function press(group, chosen) {
  for (const button of group.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset["name"] === chosen));
  }
}
