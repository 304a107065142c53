/**
 * Building blocks for the sections of the operator's page.
 */

import { h } from './elements.js';
import { ago, children, count, exact, numberIn } from './figures.js';

/** Make a relative time with the exact one as its tooltip. */
export function time(at) {
  if (typeof at !== 'number') return h('span', {}, '–');
  return h('time', { datetime: new Date(at).toISOString(), title: exact(at), 'data-at': at }, ago(at));
}

/** Update all relative times on the page. */
export function tick() {
  for (const element of document.querySelectorAll('time[data-at]')) {
    const text = ago(Number(element.dataset.at));
    if (element.textContent !== text) element.textContent = text;
  }
}

/**
 * Make a description list of facts.
 *
 * @param {Array<[string, *] | null>} pairs terms and values; null is left out
 */
export function facts(pairs) {
  return h(
    'dl',
    { class: 'known' },
    pairs.filter(Boolean).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))),
  );
}

const SIGNS = { good: '✓', bad: '✕', warn: '!', busy: '↻', quiet: '–' };

/** Make a badge: a sign and a word, so that nothing depends on its colour. */
export function badge(kind, text) {
  return h('span', { class: `badge ${kind}` }, h('span', { 'aria-hidden': 'true' }, SIGNS[kind]), text);
}

/** Make the placeholder of an empty section. */
export function empty(...text) {
  return h('p', { class: 'empty' }, text);
}

/** Make a version name, which may wrap anywhere. */
export function versionName(version) {
  return h('code', { class: 'version' }, version);
}

/** Make a note below a figure or a heading. */
export function note(...text) {
  return h('p', { class: 'note' }, text);
}

/** Format a code of the backend as words. */
export function words(name) {
  return String(name).replaceAll('_', ' ');
}

/** Format counts by kind as words. */
export function listOfCounts(counts) {
  return children(counts)
    .map(([kind, number]) => `${words(kind)}: ${count(number)}`)
    .join(', ');
}

/** Capitalize a text. */
export function sentence(text) {
  const trimmed = String(text ?? '').trim();
  return trimmed && trimmed[0].toUpperCase() + trimmed.slice(1);
}

/** Add up the values that are numbers. */
export function sum(numbers) {
  return numbers.reduce((total, number) => total + (numberIn(number) ?? 0), 0);
}

/** Return the kept versions including the live one, newest first. */
export function keptOf(model) {
  if (!model) return [];
  return [...new Set([...children(model.kept).map(([version]) => version), model.version])].sort().reverse();
}
