// Canvases in the screen's resolution and the page's colours, scales, and their labels.

/**
 * @typedef {{paper: string, card: string, cell: string, ink: string, soft: string, line: string, above: string, below: string, lit: string, font: string}} Inks
 */

/**
 * A cleared canvas of this size in CSS pixels, and its context.
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
 * A mixture of two colours.
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
 * The position of a number between two others, from 0 to 1.
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
 * Marks one button of a group as pressed.
 * @template {string} T
 * @param {HTMLElement} group
 * @param {T} chosen
 */
export function press(group, chosen) {
  for (const button of group.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset["name"] === chosen));
  }
}

/**
 * The mean and the largest of some numbers.
 * @param {Float32Array} numbers
 * @param {number} first
 * @param {number} last
 */
export function spread(numbers, first, last) {
  let [sum, most] = [0, 0];
  for (let n = Math.max(first, 0); n < last; n += 1) {
    const value = numbers[n] ?? 0;
    sum += value;
    if (value > most) most = value;
  }
  return { mean: last > first ? sum / (last - first) : 0, most };
}

/**
 * @param {number} low
 * @param {number} high
 */
export function powers(low, high) {
  const found = [];
  for (let power = Math.round(Math.log10(low)); power <= Math.log10(high) + 0.01; power += 1) found.push(10 ** power);
  return found;
}

/**
 * Round numbers between two.
 * @param {number} begin
 * @param {number} end
 */
export function ticks(begin, end) {
  const rough = (end - begin) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, (rough / power > 5 ? 10 : rough / power > 2 ? 5 : 2) * power);
  const found = [];
  for (let at = Math.ceil(begin / step) * step; at < end; at += step) found.push(at);
  return found;
}

/** @param {string} token */
export function short(token) {
  const bare = token.trim() || "␣";
  return bare.length > 11 ? `${bare.slice(0, 10)}…` : bare;
}
