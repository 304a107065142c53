/**
 * What the sections of the operator's page are put together from.
 */

import { h } from './elements.js';
import { ago, children, count, exact, numberIn } from './figures.js';

/** Make a time, relative to the present, with the exact one in its title. */
export function time(at) {
  if (typeof at !== 'number') return h('span', {}, '–');
  return h('time', { datetime: new Date(at).toISOString(), title: exact(at), 'data-at': at }, ago(at));
}

/** Bring all relative times on the page up to date. */
export function tick() {
  for (const element of document.querySelectorAll('time[data-at]')) {
    const text = ago(Number(element.dataset.at));
    if (element.textContent !== text) element.textContent = text;
  }
}

/**
 * Make a description list of facts.
 *
 * @param {Array<[string, *] | null>} pairs term and what it is; null leaves one out
 */
export function facts(pairs) {
  return h(
    'dl',
    { class: 'known' },
    pairs.filter(Boolean).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))),
  );
}

const SIGNS = { good: '✓', bad: '✕', warn: '!', busy: '↻', quiet: '–' };

/** Make a badge: a sign and a word, so that its colour says nothing by itself. */
export function badge(kind, text) {
  return h('span', { class: `badge ${kind}` }, h('span', { 'aria-hidden': 'true' }, SIGNS[kind]), text);
}

/** Make what stands where there is nothing yet. */
export function empty(...text) {
  return h('p', { class: 'empty' }, text);
}

/** Make a version: a name that may be broken anywhere. */
export function versionName(version) {
  return h('code', { class: 'version' }, version);
}

/** Make a note below a figure or a heading. */
export function note(...text) {
  return h('p', { class: 'note' }, text);
}

/** Write a stable code of the backend in words. */
export function words(name) {
  return String(name).replaceAll('_', ' ');
}

/** Write counts by kind, in words. */
export function listOfCounts(counts) {
  return children(counts)
    .map(([kind, number]) => `${words(kind)}: ${count(number)}`)
    .join(', ');
}

/** Begin a text with a capital. */
export function sentence(text) {
  const trimmed = String(text ?? '').trim();
  return trimmed && trimmed[0].toUpperCase() + trimmed.slice(1);
}

/** Add up what is a number. */
export function sum(numbers) {
  return numbers.reduce((total, number) => total + (numberIn(number) ?? 0), 0);
}

/** Return the versions that may be live again, the newest first; the live one is among them. */
export function keptOf(model) {
  if (!model) return [];
  return [...new Set([...children(model.kept).map(([version]) => version), model.version])].sort().reverse();
}
