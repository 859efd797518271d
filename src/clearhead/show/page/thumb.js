// A small shaded matrix on a canvas, with frames around highlighted cells.

import { layout } from "./cells.js";
import { colour, palette, spanOf } from "./colour.js";

/**
 * @typedef {import("./content.js").Numbers} Numbers
 * @typedef {import("./colour.js").Palette} Palette
 * @typedef {{row: number, column: number}} Spot
 * @typedef {{rows: number, columns: number, offset: number, numbers: Numbers | undefined, span: number, isSmall: boolean}} Matrix
 */

/** Matrices with more rows or columns than this are drawn as points, not as squares. */
const MAX_SQUARES = 24;

/**
 * The last pictures of large matrices, over which a frame can move.
 * @type {WeakMap<HTMLCanvasElement, {numbers: Numbers, key: string, sheet: OffscreenCanvas}>}
 */
const DRAWN = new WeakMap();

/**
 * The size of a thumbnail on the screen.
 * @param {number} rows
 * @param {number} columns
 * @param {number} unit the side of a square
 * @param {number} most the longest side
 */
export function thumbSize(rows, columns, unit, most) {
  const side = Math.min(unit, most / Math.max(rows, columns));
  return { width: Math.max(columns * side, 3), height: Math.max(rows * side, 3), side };
}

/**
 * A matrix of a line as it is drawn: its numbers, or the small picture that the page has in their place.
 * @param {import("./trace.js").Trace} trace
 * @param {import("./content.js").LineData} line
 * @param {number} matrix
 * @returns {Matrix}
 */
export function matrixOf(trace, line, matrix) {
  const numbers = trace.numbers(line.name);
  const picture = numbers ? null : trace.picture(line.name);
  const { rows, columns } = picture ?? layout(line);
  const span = picture ? 1 : spanOf(trace, line.name);
  return { rows, columns, offset: matrix * rows * columns, numbers: picture?.numbers ?? numbers, span, isSmall: picture !== null };
}

/**
 * Draws a matrix, and frames the highlighted rows, columns and cells.
 * @param {HTMLCanvasElement} canvas
 * @param {Matrix} matrix
 * @param {{width: number, height: number, side: number}} size
 * @param {Spot[]} lit
 */
export function drawThumb(canvas, matrix, size, lit) {
  const ratio = Math.max(globalThis.devicePixelRatio || 1, 1);
  const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const colours = palette();
  pen.clearRect(0, 0, width, height);
  pen.imageSmoothingEnabled = false;
  if (matrix.numbers) {
    if (Math.max(matrix.rows, matrix.columns) <= MAX_SQUARES) squares(pen, matrix, colours, width, height);
    else pen.drawImage(points(canvas, matrix, matrix.numbers, colours), 0, 0, width, height);
  } else {
    pen.strokeStyle = css(colours.masked);
    pen.strokeRect(0.5, 0.5, width - 1, height - 1);
  }
  frame(pen, matrix, lit, { width, height, ratio }, colours.lit);
}

/** @param {number[]} rgb */
function css(rgb) {
  return `rgb(${rgb.join(" ")})`;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Matrix} matrix
 * @param {Palette} colours
 * @param {number} width
 * @param {number} height
 */
function squares(pen, { rows, columns, offset, numbers, span }, colours, width, height) {
  const [w, h] = [width / columns, height / rows];
  const gap = Math.min(w, h) > 8 ? 1 : 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      pen.fillStyle = css(colour(numbers?.[offset + row * columns + column] ?? NaN, span, colours));
      const [x, y] = [Math.round(column * w), Math.round(row * h)];
      pen.fillRect(x, y, Math.round((column + 1) * w) - x - gap, Math.round((row + 1) * h) - y - gap);
    }
  }
}

/**
 * Many numbers as few points: each point shows the number on it that is furthest from zero.
 * @param {HTMLCanvasElement} canvas
 * @param {Matrix} matrix
 * @param {Numbers} numbers
 * @param {Palette} colours
 */
function points(canvas, { rows, columns, offset, span }, numbers, colours) {
  const [high, wide] = [Math.min(rows, canvas.height), Math.min(columns, canvas.width)];
  const key = [offset, high, wide, span, ...colours.base, ...colours.above].join();
  const drawn = DRAWN.get(canvas);
  if (drawn?.key === key && drawn.numbers === numbers) return drawn.sheet;
  const image = new ImageData(wide, high);
  const pixels = new Uint32Array(image.data.buffer);
  let inks = INKS.get(colours);
  if (!inks) INKS.set(colours, (inks = shades(colours)));
  const across = Array.from({ length: wide }, (_, x) => ends(x, columns, wide));
  for (let y = 0; y < high; y += 1) {
    const down = ends(y, rows, high);
    for (let x = 0; x < wide; x += 1) {
      pixels[y * wide + x] = inks(furthest(numbers, offset, columns, down, /** @type {[number, number]} */ (across[x])), span);
    }
  }
  const isSame = drawn?.sheet.width === wide && drawn.sheet.height === high;
  const sheet = isSame ? drawn.sheet : new OffscreenCanvas(wide, high);
  sheet.getContext("2d")?.putImageData(image, 0, 0);
  DRAWN.set(canvas, { numbers, key, sheet });
  return sheet;
}

/**
 * The shades of colours, as long as these are in use.
 * @type {WeakMap<Palette, (value: number, span: number) => number>}
 */
const INKS = new WeakMap();

/** How many shades there are between no colour and the full one: more than the eye distinguishes. */
const SHADES = 256;

/**
 * The colours of numbers as the pixels of a picture, for many of them: each of the shades is made once.
 * @param {Palette} colours
 * @returns {(value: number, span: number) => number}
 */
function shades(colours) {
  const made = Array.from({ length: 2 * SHADES + 1 }, (_, n) => pixel(colour(n - SHADES, SHADES, colours)));
  const [masked, unknown] = [pixel(colours.masked), pixel(colours.unknown)];
  return (value, span) => {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? unknown : masked;
    const part = Math.max(Math.min(value / span, 1), -1);
    return made[SHADES + Math.round(part * SHADES)] ?? unknown;
  };
}

/** @param {number[]} rgb */
function pixel([red = 0, green = 0, blue = 0]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * @param {number} at
 * @param {number} many
 * @param {number} few
 * @returns {[number, number]}
 */
function ends(at, many, few) {
  const first = Math.floor((at * many) / few);
  return [first, Math.max(Math.floor(((at + 1) * many) / few), first + 1)];
}

/**
 * @param {Numbers} numbers
 * @param {number} offset
 * @param {number} columns
 * @param {[number, number]} rows
 * @param {[number, number]} across
 */
function furthest(numbers, offset, columns, [top, bottom], [left, right]) {
  let found = numbers[offset + top * columns + left] ?? NaN;
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      const value = numbers[offset + row * columns + column] ?? NaN;
      if (!Number.isFinite(found) || Math.abs(value) > Math.abs(found)) found = value;
    }
  }
  return found;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Matrix} matrix
 * @param {Spot[]} lit
 * @param {{width: number, height: number, ratio: number}} size
 * @param {string} ink
 */
function frame(pen, { rows, columns, isSmall }, lit, { width, height, ratio }, ink) {
  if (!lit.length || isSmall) return;
  const [top, bottom] = [Math.min(...lit.map((s) => s.row)), Math.max(...lit.map((s) => s.row)) + 1];
  const [left, right] = [Math.min(...lit.map((s) => s.column)), Math.max(...lit.map((s) => s.column)) + 1];
  const line = 2 * ratio;
  pen.lineWidth = line;
  pen.strokeStyle = ink;
  const [x, y] = [(left * width) / columns, (top * height) / rows];
  const [w, h] = [((right - left) * width) / columns, ((bottom - top) * height) / rows];
  pen.strokeRect(x + line / 2, y + line / 2, Math.max(w - line, line), Math.max(h - line, line));
}
