/** Says that a list was shown, once its first books have been visible for a moment. */

import { listShown } from './client.js';

/** So long, and so much of the list, has to be visible. */
const LOOK_MS = 1000;
const SHARE = 0.2;

/**
 * Watch the element that shows the list.
 *
 * @param {import('./client.js').Client} client
 * @param {HTMLElement} element
 * @returns {(listId: string | null) => void} to be called whenever a list is rendered; null if there is none
 */
export function setUpShown(client, element) {
  let isVisible = false;
  /** @type {string | null} */
  let present = null;
  /** @type {string | null} */
  let said = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  function look() {
    clearTimeout(timer);
    if (!isVisible || document.visibilityState !== 'visible' || !present || present === said) return;
    const listId = present;
    timer = setTimeout(() => {
      said = listId;
      listShown(client, listId).catch(() => {
        if (said === listId) said = null; // not connected: the next look says it
      });
    }, LOOK_MS);
  }

  // A list that is taller than the window can never be visible as a whole.
  const thresholds = [0, SHARE / 2, SHARE];
  new IntersectionObserver(([entry]) => {
    const height = Math.min(entry.boundingClientRect.height, innerHeight);
    isVisible = entry.isIntersecting && entry.intersectionRect.height >= SHARE * height;
    look();
  }, { threshold: thresholds }).observe(element); // prettier-ignore
  document.addEventListener('visibilitychange', look);
  return (listId) => {
    if (listId === present) return;
    present = listId;
    look();
  };
}
