// Before and after a deviation, side by side: two formulas with what differs marked, two matrices with what moved marked.

import { h, markup } from "./dom.js";
import { Grid } from "./grid.js";
import { isMoved } from "./marks.js";
import { fullCell, layout } from "./cells.js";

/**
 * @typedef {import("./trace.js").Trace} Trace
 * @typedef {import("./content.js").LineData} LineData
 */

/** Of formulas that differ in more than this part of their signs none is marked. */
const MOST = 0.7;

/**
 * The line as it was before the deviation that is tried, where there was one of its shape.
 * @param {Trace} trace
 * @param {LineData} line
 */
export function before({ past }, line) {
  const old = past?.lines.get(line.name);
  return past && old && old.shape.join() === line.shape.join() ? { past, old } : null;
}

/**
 * A matrix of a line beside itself before; alone where nothing of it moved.
 * @param {Trace} trace
 * @param {LineData} line
 * @param {number} matrix
 * @param {Grid} grid
 */
export function besideBefore(trace, line, matrix, grid) {
  const found = before(trace, line);
  const { rows, columns } = layout(line);
  const moved = found && Array.from({ length: rows * columns }, (_, at) => fullCell(line, matrix, Math.floor(at / columns), at % columns))
    .some((cell) => isMoved(trace, line.name, cell));
  if (!found || !moved) return grid.element;
  const old = new Grid(found.past, line.name, matrix, `${line.name} before`, {});
  return h("div", { class: "pair" },
    h("figure", { class: "earlier" }, h("figcaption", null, "before"), old.element),
    h("figure", null, h("figcaption", null, "now"), grid.element));
}

/**
 * The formula of a line; beside the one before where a deviation changed it.
 * @param {Trace} trace
 * @param {LineData} line
 */
export function formulas(trace, line) {
  if (!line.made) return null;
  const now = formula(line.made.formula, "Formula");
  const old = before(trace, line)?.old.made?.formula;
  if (!old || old === line.made.formula) return now;
  const was = formula(old, "Formula before");
  mark(was, now);
  return h("div", { class: "pair formulas" },
    h("div", { class: "earlier" }, h("span", { class: "which" }, "before"), was),
    h("div", null, h("span", { class: "which" }, "now"), now));
}

/**
 * @param {string} mathml
 * @param {string} name
 */
function formula(mathml, name) {
  return h("div", { class: "formula", tabindex: 0, role: "group", "aria-label": name }, markup(mathml));
}

/**
 * Marks the signs of two formulas that have no partner in the other, or another one in the same place.
 * @param {Element} was
 * @param {Element} now
 */
export function mark(was, now) {
  const [old, other] = [was, now].map((each) => [...each.querySelectorAll("mi, mn, mo, mtext")]);
  if (!old || !other) return;
  const [a, b] = [old, other].map((all) => all.map((each) => each.textContent ?? ""));
  const [gone, come] = different(a ?? [], b ?? []);
  if (come.length > MOST * other.length) return;
  for (const n of gone) old[n]?.classList.add("differs");
  for (const n of come) other[n]?.classList.add("differs");
}

/**
 * The places in which two texts differ: one by one, unless fewer are left after what both have in common is paired.
 * @param {string[]} a
 * @param {string[]} b
 * @returns {[number[], number[]]}
 */
function different(a, b) {
  const [gone, come] = unpaired(a, b);
  const places = a.flatMap((each, n) => (each === b[n] ? [] : [n]));
  return a.length === b.length && places.length <= gone.length ? [places, places] : [gone, come];
}

/**
 * The places in two texts that are in no longest common part of both.
 * @param {string[]} a
 * @param {string[]} b
 * @returns {[number[], number[]]}
 */
function unpaired(a, b) {
  const width = b.length + 1;
  const long = new Uint16Array((a.length + 1) * width);
  for (let n = a.length - 1; n >= 0; n -= 1) {
    for (let m = b.length - 1; m >= 0; m -= 1) {
      long[n * width + m] = a[n] === b[m] ? (long[(n + 1) * width + m + 1] ?? 0) + 1 : Math.max(long[(n + 1) * width + m] ?? 0, long[n * width + m + 1] ?? 0);
    }
  }
  /** @type {[number[], number[]]} */
  const found = [[], []];
  let [n, m] = [0, 0];
  while (n < a.length || m < b.length) {
    if (n < a.length && m < b.length && a[n] === b[m]) [n, m] = [n + 1, m + 1];
    else if (m >= b.length || (n < a.length && (long[(n + 1) * width + m] ?? 0) >= (long[n * width + m + 1] ?? 0))) found[0].push(n++);
    else found[1].push(m++);
  }
  return found;
}
