// Short constructors of elements. Text stays text: nothing that comes from a trace is read as markup.

/**
 * @typedef {string | number | Node | null | undefined | false} Child
 * @typedef {Record<string, unknown>} Properties
 */

/**
 * An element. Properties are attributes; those that start with "on" are listeners, "style" sets custom properties.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Properties | null} [properties]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  set(element, properties ?? {});
  element.append(...nodes(children.flat()));
  return element;
}

/**
 * An element of a drawing.
 * @param {string} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(tag, properties, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, properties ?? {});
  element.append(...nodes(children));
  return element;
}

/**
 * @param {Element} element
 * @param {Properties} properties
 */
export function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "style") {
      const style = /** @type {HTMLElement} */ (element).style;
      for (const [key, each] of Object.entries(/** @type {object} */ (value))) style.setProperty(key, String(each));
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      const text = value === true ? "" : String(value);
      // To write what stands there already is not free: the browser asks anew whether a focused element can have the focus.
      if (element.getAttribute(name) !== text) element.setAttribute(name, text);
    }
  }
}

/**
 * @param {Child[]} children
 * @returns {(string | Node)[]}
 */
function nodes(children) {
  return children.flatMap((child) =>
    child === null || child === undefined || child === false ? [] : [typeof child === "number" ? String(child) : child],
  );
}

/**
 * Markup from the printers in Python, which escape everything that comes from outside.
 * @param {string} html
 * @returns {DocumentFragment}
 */
export function markup(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/**
 * A label that may be written in any direction.
 * @param {string} text
 * @returns {HTMLElement}
 */
export function label(text) {
  return h("bdi", { title: text.length > 12 ? text : null }, text);
}
