// What stands beside a number in its cell: what is claimed of it, how an answer is judged, and whether a deviation changed it.

import { flat } from "./cells.js";
import { h } from "./dom.js";
import { typeset } from "./number.js";

/**
 * @typedef {import("./content.js").Claimed} Claimed
 * @typedef {import("./trace.js").Trace} Trace
 */

/** @param {Claimed} claimed */
export function claim({ written, agrees }) {
  const said = agrees ? `as claimed, ${written}` : `claimed ${written}, which differs`;
  return h(
    "span", { class: agrees ? "claim agrees" : "claim differs" },
    h("span", { "aria-hidden": "true" }, agrees ? "✓" : `✗ ${typeset(written)}`),
    h("span", { class: "unseen" }, `, ${said}`),
  );
}

/**
 * Whether a cell is another than without the deviation that is tried.
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} cell
 */
export function isMoved({ past, lines, arrays }, name, cell) {
  const shape = lines.get(name)?.shape;
  if (!past || !shape || past.lines.get(name)?.shape.join() !== shape.join()) return false;
  const at = flat(cell, shape);
  const [before, now] = [past.arrays.get(name)?.[at] ?? NaN, arrays.get(name)?.[at] ?? NaN];
  return Math.abs(before - now) > 1e-12 * Math.max(Math.abs(before), Math.abs(now), 1) || Number.isNaN(before) !== Number.isNaN(now)
    || Number.isFinite(before) !== Number.isFinite(now);
}

/** What an answer is: how it is marked, and what is said of it. */
const VERDICTS = {
  right: ["✓", "", "right"],
  carried: ["✓", "carried on", "right with your own earlier numbers"],
  wrong: ["✗", "", "wrong"],
  coarse: ["…", "more digits", "give more decimals, or a fraction"],
};

/** @param {Claimed} answer */
export function verdict({ verdict: found = "coarse" }) {
  const [sign, more, said] = VERDICTS[found];
  return h("span", { class: `claim answer ${found}` }, h("span", { "aria-hidden": "true" }, `${sign} ${more}`.trim()), h("span", { class: "unseen" }, `, ${said}`));
}
