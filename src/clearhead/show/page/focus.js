// The focus, over a drawing that replaces what has it.

/**
 * The focused element, as a text by which it can be found again.
 * @param {HTMLElement} root
 */
export function focused(root) {
  const active = document.activeElement;
  if (!(active instanceof HTMLElement) || !root.contains(active)) return null;
  if (!active.closest("[data-spot]") || !active.closest(".numbers")) return null;
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
