/** Online quality on the operator’s page: hit rates, and the arms of experiments. */

import { h } from './elements.js';
import { children, count, counted, hitRate, numberIn, percent, shortVersion } from './figures.js';
import { badge, empty, facts, keptOf, note, time, versionName, words } from './operator-parts.js';
import { bars, columns, intervals } from './plots.js';

/** The label of lists that were computed before a model was live. */
const NO_MODEL = 'none';

const ADDED = 'readers who added a book';

/** How `intervals` shows hit rates. */
const AS_SHARES = { write: (value) => percent(value), writeTick: (value) => percent(value), fromZero: true };

/** Return a hit rate as a row of `intervals`. */
function inRow(rate, noun = 'reader') {
  return {
    note: `${count(rate.hitReaders)} of ${counted(rate.readers, noun)}`,
    text: `${percent(rate.mean)} · ${count(rate.hitReaders)} of ${count(rate.readers)}`,
    ...rate,
  };
}

function labelsOf(quality, isExperiment) {
  return children(quality?.labels).filter(([, node]) => Boolean(node.arms) === isExperiment);
}

/** Plot how many readers added a book from their list, by version, position and source. */
export function online({ quality, model }) {
  const all = labelsOf(quality, false)
    .map(([label, node]) => ({ label, node, rate: hitRate(node) }))
    .sort((a, b) => (a.label < b.label ? 1 : -1));
  const versions = all.filter(({ rate }) => rate);
  if (!versions.length) {
    return [
      empty(
        'Once readers with a list add books, and the reconciler has counted them, the hit rate of each version appears here.',
      ),
      ...(all.length ? taken(all) : []),
    ];
  }
  const sum = (name) => {
    const totals = new Map();
    for (const { node } of versions) {
      for (const [key, number] of children(node[name]))
        totals.set(key, (totals.get(key) ?? 0) + (numberIn(number) ?? 0));
    }
    return totals;
  };
  const [positions, sources] = [sum('positions'), sum('sources')];
  const ranked = [...sources].sort((a, b) => b[1] - a[1]).map(([label, value]) => ({ label: words(label), value }));
  return [
    intervals({
      title: 'Online hit rate by version',
      description: `Of ${ADDED} while they had a list from this version, the share who took one from the list.`,
      rows: versions.map(({ label, rate }) => ({
        label: label === NO_MODEL ? 'without a model' : shortVersion(label),
        kind: label === model?.version ? 'live' : 'other',
        ...inRow(rate),
      })),
      ...AS_SHARES,
      head: 'Version',
    }),
    note('Counted ', time(quality.at), ', with 95% Wilson intervals.'),
    ranked.length
      ? h(
          'div',
          { class: 'pair' },
          columns({
            title: 'Books by position',
            description: 'Books added from a list, by their position on it, for all versions.',
            bars: Array.from({ length: 10 }, (_, at) => ({
              label: `position ${at + 1}`,
              value: positions.get(String(at + 1)) ?? 0,
              tick: String(at + 1),
            })),
            head: ['Position', 'Books'],
            unit: 'books',
          }),
          bars({
            title: 'Books by source',
            description: 'Why the added books were on the list, for all versions.',
            bars: ranked,
            head: ['Source', 'Books'],
          }),
        )
      : note('Nobody has added a book from a list yet. Positions and sources will appear here.'),
    ...taken(all),
  ];
}

/** Plot how much of what was shown was taken: for clients that say which lists they have shown. */
function taken(versions) {
  const shown = versions
    .filter(({ node }) => node.shown)
    .map(({ label, node }) => ({
      label: label === NO_MODEL ? 'without a model' : shortVersion(label),
      node: node.shown,
      rate: hitRate({ ...node.shown, hitReaders: node.shown.takers }),
    }));
  if (!shown.length) return [note('No client has said yet that it has shown a list.')];
  const sum = (part) => {
    const totals = new Map();
    for (const { node } of shown)
      for (const [key, number] of children(part(node)))
        totals.set(key, (totals.get(key) ?? 0) + (numberIn(number) ?? 0));
    return totals;
  };
  const rates = (name) => {
    const of = sum((node) => node[name]);
    const hits = sum((node) => node.taken?.[name]);
    return [...of].map(([key, readers]) => ({ key, ...hitRate({ readers, hitReaders: hits.get(key) ?? 0 }) }));
  };
  const lists = shown.reduce((total, { node }) => total + (numberIn(node.lists) ?? 0), 0);
  return [
    intervals({
      title: 'Taken from shown lists',
      description: `Of the readers who were shown a list of this version, the share who took a book from it.`,
      rows: shown.map(({ label, rate }) => ({ label, kind: 'other', ...inRow(rate) })),
      ...AS_SHARES,
      head: 'Version',
    }),
    intervals({
      title: 'Taken by position',
      description: `Of the books at each position of ${counted(lists, 'shown list')}, the share that was taken.`,
      rows: rates('positions').map((rate) => ({ label: rate.key, kind: 'other', ...inRow(rate, 'book') })),
      ...AS_SHARES,
      head: 'Position',
    }),
    intervals({
      title: 'Taken by source',
      description: `Of the books of each source on these lists, the share that was taken.`,
      rows: rates('sources').map((rate) => ({ label: words(rate.key), kind: 'other', ...inRow(rate, 'book') })),
      ...AS_SHARES,
      head: 'Source',
    }),
  ];
}

/** Compare the two arms of the running experiment. */
export function experiment({ model, quality }) {
  const running = model?.experiment;
  if (!running)
    return [
      note(
        'No experiment is running. Choose a kept version: a share of the readers gets its lists, and this section compares both arms.',
      ),
    ];
  const node = quality?.labels?.[running.id];
  return [
    h(
      'p',
      { class: 'headline' },
      badge('busy', 'running'),
      `${percent(1 - running.share, 0)} of readers get lists from A, ${percent(running.share, 0)} from B.`,
    ),
    facts([
      ['A, the live model', versionName(model.version)],
      ['B', versionName(running.version)],
      ['Started', time(running.startedAt)],
      ['Experiment', h('code', {}, running.id)],
    ]),
    model.publishedAt > running.startedAt
      ? note('Another model went live after the start: arm A has had more than one version.')
      : null,
    arms(node, 'Hit rate of the two arms') ??
      empty(
        'Hit rates appear here once readers of both arms have added books and the reconciler has counted them.',
      ),
  ];
}

/** List earlier experiments with their results. */
export function pastExperiments({ model, quality }) {
  const past = labelsOf(quality, true).filter(([id]) => id !== model?.experiment?.id);
  if (!past.length) return [];
  return [
    h(
      'details',
      { 'data-key': 'past experiments' },
      h('summary', {}, `${counted(past.length, 'earlier experiment')}`),
      past.map(([id, node]) =>
        h(
          'div',
          {},
          h('p', { class: 'note' }, h('code', {}, id)),
          arms(node, `Hit rate in ${id}`) ?? empty('Nobody added a book during this experiment.'),
        ),
      ),
    ),
  ];
}

function arms(node, title) {
  const [a, b] = ['a', 'b'].map((name) => ({
    name,
    version: node?.arms?.[name]?.version,
    rate: hitRate(node?.arms?.[name]),
  }));
  const rows = [a, b].filter(({ rate }) => rate);
  if (!rows.length) return null;
  return [
    intervals({
      title,
      description: `Of ${ADDED}, the share who took one from their list.`,
      rows: rows.map(({ name, version, rate }) => ({
        label: `${name.toUpperCase()} · ${version ? shortVersion(version) : 'unknown version'}`,
        kind: name === 'a' ? 'live' : 'b',
        ...inRow(rate),
      })),
      ...AS_SHARES,
      head: 'Arm',
    }),
    h('p', { class: 'conclusion' }, conclusion(a.rate, b.rate)),
  ];
}

/** Return a sentence that says whether two hit rates differ. */
export function conclusion(a, b) {
  if (!a || !b) return `Only arm ${a ? 'A' : 'B'} has readers who added a book: there is nothing to compare yet.`;
  const counts = `A: ${count(a.hitReaders)} of ${counted(a.readers, 'reader')}, B: ${count(b.hitReaders)} of ${counted(b.readers, 'reader')}.`;
  if (a.low <= b.high && b.low <= a.high) return `${counts} The intervals overlap: no significant difference.`;
  return `${counts} The intervals do not overlap: ${b.mean > a.mean ? 'B' : 'A'} is better.`;
}

/** Return the versions that an experiment can use as arm B. */
export function candidates(model) {
  return keptOf(model).filter((version) => version !== model.version);
}
