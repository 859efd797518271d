// How much room there is for a matrix: one with many rows ends where the window does, and scrolls within.

/** Matrices of fewer rows are never cut: they are near enough to the end of the window. */
const FEW = 6;

/** The least height of a matrix that scrolls: its head and some rows; and what is left free below it. */
const LEAST = 110;
const FREE = 14;

/** In windows no wider than this all scrolls together. */
const NARROW = 900;

/**
 * Lets a matrix with many rows end with the window, so that its chosen row and the arithmetic are in view together.
 * @param {HTMLElement} scroller
 * @param {number} rows
 */
export function fit(scroller, rows) {
  if (rows < FEW) return;
  scroller.style.maxHeight = "";
  const { top, height } = scroller.getBoundingClientRect();
  const room = innerHeight - (top + scrollY) - FREE;
  const isCut = innerWidth > NARROW && height > room;
  scroller.classList.toggle("fitted", isCut);
  if (isCut) scroller.style.maxHeight = `${Math.max(room, LEAST)}px`;
}

/**
 * Scrolls inside a matrix, and nothing else, until a cell of it is seen.
 * @param {HTMLElement} scroller
 */
export function reveal(scroller) {
  const cell = scroller.querySelector("td.current");
  if (!cell || !scroller.classList.contains("fitted")) return;
  const [own, all] = [cell.getBoundingClientRect(), scroller.getBoundingClientRect()];
  const head = scroller.querySelector("thead")?.getBoundingClientRect().height ?? 0;
  if (own.top < all.top + head) scroller.scrollTop -= all.top + head - own.top + 2;
  else if (own.bottom > all.bottom - 2) scroller.scrollTop += own.bottom - all.bottom + 4;
}
