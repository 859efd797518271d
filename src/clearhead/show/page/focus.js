// The focus, over a drawing that replaces what has it.

/**
 * The focused element, as a text by which it can be found again.
 * @param {HTMLElement} root
 * @param {boolean} [leave] whether it loses the focus: what has it while it is replaced lays out the page once more
 */
export function focused(root, leave = false) {
  const active = document.activeElement;
  if (!(active instanceof HTMLElement) || !root.contains(active)) return null;
  if (!active.closest("[data-spot]") || !active.closest(".numbers")) return null;
  if (leave) active.blur();
  return "grid";
}

/**
 * @param {HTMLElement} root
 * @param {string} focus
 */
export function refocus(root, focus) {
  const cell = focus === "grid" ? root.querySelector(".numbers td.current") : null;
  if (cell instanceof HTMLElement) cell.focus({ preventScroll: true });
}
