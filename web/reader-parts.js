/** Parts of the reader's page: covers, stars, and lists whose elements are kept when they move. */

import { h } from './elements.js';
import { parts, stars as starsInWords } from './reader-words.js';

const TONES = 10;
const MOTIFS = 5;
const KEYS = { ArrowRight: 0.5, ArrowUp: 0.5, ArrowLeft: -0.5, ArrowDown: -0.5, PageUp: 1, PageDown: -1 };
const PAUSE_MS = 700;
/** The pause between two keys after which the rating counts. */

/**
 * Make a cover: the book's image, or a drawn one with its title if there is none, or until it has loaded.
 *
 * @param {{isbn: string, title: string, author: string, image?: string}} book
 * @returns {HTMLElement}
 */
export function cover({ isbn, title, author, image }) {
  const number = hash(`${author}${isbn}`);
  const drawn = h(
    'div',
    { class: `cover tone-${number % TONES} motif-${(number >>> 5) % MOTIFS}`, 'aria-hidden': 'true' },
    h('span', { class: 'cover-title' }, parts(title).title),
    h('span', { class: 'cover-author' }, author),
  );
  const address = safeImage(image);
  if (address) {
    const picture = h('img', { alt: '', loading: 'lazy', decoding: 'async', referrerpolicy: 'no-referrer' });
    picture.addEventListener('load', () => picture.classList.add('loaded'));
    picture.addEventListener('error', () => picture.remove());
    picture.setAttribute('src', address);
    drawn.append(picture);
  }
  return drawn;
}

/**
 * Return an image's URL if the page may show it: https, the same origin, or a data URL.
 *
 * @param {string | undefined} image
 * @returns {string | null}
 */
export function safeImage(image) {
  if (!image) return null;
  try {
    const url = new URL(image, location.origin);
    const isSafe = url.protocol === 'https:' || url.origin === location.origin || /^data:image\//i.test(image);
    return isSafe ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * Make a slider of stars for pointers and keys. A click counts at once; a choice by keys counts after a pause, on Enter,
 * or when the slider loses the focus.
 *
 * @param {string} label
 * @param {(rating: number) => void} chosen called with 0.5 to 5, or 0 for "not rated"
 * @returns {{element: HTMLElement, set: (rating: number) => void}}
 */
export function starSlider(label, chosen) {
  let settled = 0;
  let shown = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const element = h('div', {
    class: 'stars', role: 'slider', tabindex: '0', 'aria-label': label, 'aria-describedby': 'stars-help',
    'aria-valuemin': '0', 'aria-valuemax': '5',
  }); // prettier-ignore

  /** @param {number} rating */
  function show(rating) {
    shown = rating;
    element.style.setProperty('--rating', String(rating));
    element.setAttribute('aria-valuenow', String(rating));
    element.setAttribute('aria-valuetext', starsInWords(rating));
  }
  function settle() {
    clearTimeout(timer);
    if (shown === settled) return;
    settled = shown;
    chosen(shown);
  }
  /** @param {PointerEvent} event */
  function at(event) {
    const { left, width } = element.getBoundingClientRect();
    return Math.min(5, Math.max(0.5, Math.ceil(((event.clientX - left) / width) * 10) / 2));
  }
  element.addEventListener('pointermove', (event) => {
    if (event.pointerType === 'mouse' || event.buttons) element.style.setProperty('--rating', String(at(event)));
  });
  element.addEventListener('pointerleave', () => show(shown));
  element.addEventListener('click', (event) => {
    show(at(/** @type {PointerEvent} */ (event)));
    settle();
  });
  element.addEventListener('keydown', (event) => {
    const step = KEYS[/** @type {keyof typeof KEYS} */ (event.key)];
    const wanted = event.key === 'Home' ? 0 : event.key === 'End' ? 5 : step === undefined ? null : shown + step;
    if (event.key === 'Enter') settle();
    if (wanted === null) return;
    event.preventDefault();
    show(Math.min(5, Math.max(0, wanted)));
    clearTimeout(timer);
    timer = setTimeout(settle, PAUSE_MS);
  });
  element.addEventListener('blur', settle);
  show(0);
  return {
    element,
    set(rating) {
      // Do not overwrite a choice in progress with the answer to an earlier one.
      if (shown === settled) show(rating);
      settled = rating;
    },
  };
}

/**
 * @template T
 * @typedef {{element: HTMLElement, update: (value: T) => void}} Part
 */

/**
 * Keep a list's elements in step with its values: a key keeps its element, wherever it moves.
 *
 * @template T
 * @param {HTMLElement} container
 * @param {(value: T) => string} keyOf
 * @param {(value: T) => Part<T>} make
 * @returns {(values: T[]) => string[]} shows the values and returns the new keys
 */
export function keyedList(container, keyOf, make) {
  /** @type {Map<string, Part<T>>} */
  let present = new Map();
  return (values) => {
    const before = places(present);
    /** @type {Map<string, Part<T>>} */
    const next = new Map();
    const fresh = [];
    for (const value of values) {
      const key = keyOf(value);
      if (next.has(key)) continue;
      if (!present.has(key)) fresh.push(key);
      const part = present.get(key) ?? make(value);
      part.update(value);
      next.set(key, part);
    }
    for (const [key, { element }] of present) if (!next.has(key)) element.remove();
    let position = 0;
    for (const { element } of next.values()) {
      // Do not touch an element that is already in place: moving it would take the focus away.
      const there = container.children[position++] ?? null;
      if (there !== element) container.insertBefore(element, there);
    }
    if (present.size && container.checkVisibility()) glide(next, before);
    present = next;
    return fresh;
  };
}

/** @param {Map<string, Part<any>>} elements */
function places(elements) {
  return new Map([...elements].map(([key, { element }]) => [key, element.getBoundingClientRect()]));
}

/**
 * Let elements glide from their old places to the new ones, unless the reader prefers reduced motion.
 *
 * @param {Map<string, Part<any>>} elements
 * @param {Map<string, DOMRect>} before
 */
function glide(elements, before) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  for (const [key, { element }] of elements) {
    const [was, is] = [before.get(key), element.getBoundingClientRect()];
    const [x, y] = was ? [was.left - is.left, was.top - is.top] : [0, 12];
    if (!x && !y) continue;
    const start = { transform: `translate(${x}px, ${y}px)`, ...(was ? {} : { opacity: 0 }) };
    element.animate([start, { transform: 'none' }], { duration: 380, easing: 'cubic-bezier(.2,.7,.2,1)' });
  }
}

/** @param {string} text */
function hash(text) {
  let number = 2166136261;
  for (const letter of text) number = Math.imul(number ^ /** @type {number} */ (letter.codePointAt(0)), 16777619);
  return number >>> 0;
}
