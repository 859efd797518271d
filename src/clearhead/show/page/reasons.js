// The diagnosis below the flow: formulas that a cause changes have what differs marked, and details are folded.

import { mark } from "./beside.js";
import { h, markup } from "./dom.js";

/**
 * The diagnosis, as a section of the page.
 * @param {string} diagnosis
 */
export function reasons(diagnosis) {
  const section = h("aside", { class: "diagnosis", id: "why", "aria-label": "Diagnosis" }, markup(diagnosis));
  for (const more of section.querySelectorAll("h3.more")) fold(more);
  const runs = runsOf([...section.children]);
  runs.forEach((now, at) => {
    const was = runs[at - 1];
    const between = was?.at(-1)?.nextElementSibling;
    if (!was || was.length !== now.length || between?.nextElementSibling !== now[0]) return;
    was.forEach((each, n) => mark(each, /** @type {Element} */ (now[n])));
  });
  return section;
}

/**
 * The formulas that stand directly one after the other, together.
 * @param {Element[]} elements
 */
function runsOf(elements) {
  /** @type {Element[][]} */
  const runs = [];
  for (const each of elements.filter((one) => one.classList.contains("formula"))) {
    const last = runs.at(-1);
    if (last && last.at(-1)?.nextElementSibling === each) last.push(each);
    else runs.push([each]);
  }
  return runs;
}

/**
 * Folds what follows a heading, up to the next one.
 * @param {Element} heading
 */
function fold(heading) {
  const box = h("details", { class: "details" }, h("summary", null));
  heading.before(box);
  let next = heading.nextElementSibling;
  while (next && next.tagName !== heading.tagName) {
    box.append(next);
    next = box.nextElementSibling?.nextElementSibling ?? null;
  }
  box.querySelector("summary")?.append(heading);
}
