/** Elements: found by their id, and made. */

/**
 * @param {string} id
 * @returns {any} the element, whatever its kind
 */
export const $ = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] of the element; "aria-..." and "role" are attributes
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(aria-|role$|for$)/.test(name)) element.setAttribute(name, String(value));
    else Object.assign(element, { [name]: value });
  }
  element.append(...children);
  return element;
}

/**
 * @param {string} id
 * @param {string} [otherwise] what stands there in place of ""
 * @returns {(text: string) => void} what writes into an element
 */
export const write = (id, otherwise = "") => (text) => {
  $(id).textContent = text || otherwise;
};

/** Say something to those who do not see the page. */
export const speak = write("spoken");

/**
 * Let an element have these children, in this order. What stands in its place already is not moved:
 * it would lose the keyboard's focus.
 * @param {HTMLElement} parent
 * @param {HTMLElement[]} children
 */
export function arrange(parent, children) {
  for (const child of [...parent.children]) if (!children.includes(/** @type {any} */ (child))) child.remove();
  children.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
}
