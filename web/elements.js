/**
 * Makes elements from data. Text from the database becomes a text node or an attribute, never markup.
 */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Make an HTML element.
 *
 * @param {string} tag its name
 * @param {object} properties attributes by name; `on…` is a listener; null, undefined and false are left out
 * @param {...*} children elements, texts, numbers or arrays of them; null and false are left out
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Make an SVG element; arguments as for `h`. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

const shown = new WeakMap();

/**
 * Replace the content of a container if its data has changed. Open details stay open, and the focus stays where it is.
 *
 * An element that has to be recognised afterwards has a `data-key`. If the focused one is gone, the section's heading
 * gets the focus.
 *
 * @param {Element} container
 * @param {*} data what the nodes are made from; JSON
 * @param {function(): Array<Node>} make
 */
export function mount(container, data, make) {
  const signature = JSON.stringify(data);
  if (shown.get(container) === signature) return;
  shown.set(container, signature);
  const opened = new Set(
    [...container.querySelectorAll('details[open][data-key]')].map((details) => details.dataset.key),
  );
  const focused = container.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  container.replaceChildren(...[make()].flat(Infinity).filter(Boolean));
  let isFound = focused === null;
  for (const element of container.querySelectorAll('[data-key]')) {
    if (element instanceof HTMLDetailsElement && opened.has(element.dataset.key)) element.open = true;
    if (element.dataset.key === focused) {
      (element.querySelector(':scope > summary') ?? element).focus();
      isFound = true;
    }
  }
  if (!isFound) container.closest('section')?.querySelector('h2[tabindex]')?.focus();
}

function keyOf(element) {
  return element.closest('[data-key]')?.dataset.key ?? null;
}

/** Hide or show an element. */
export function show(element, isShown) {
  element.hidden = !isShown;
}
