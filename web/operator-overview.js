/** The operator’s page at a glance: how things stand, and what needs a person. */

import { h } from './elements.js';
import {
  children,
  count,
  counted,
  hitRate,
  lastHour,
  now,
  numberIn,
  percent,
  quantile,
  quantileText,
  sumOfBuckets,
} from './figures.js';
import { badge, time, versionName } from './operator-parts.js';
import { stateOfRetraining } from './operator-runs.js';

const SILENT_AFTER_MS = 900_000;

/** Say in a few tiles how things stand. */
export function tiles(view) {
  const { model, changes, fanout, reconcile, quality, traffic } = view;
  const hour = lastHour(traffic, now());
  const events = hour.reduce((total, minute) => total + minute.events, 0);
  const rate = hitRate(quality?.labels?.[model?.version]);
  const state = stateOfRetraining(view);
  const done = children(fanout?.done).length;
  return [
    tile(
      '#model',
      'Live model, published',
      model ? time(model.publishedAt) : 'none yet',
      model ? versionName(model.version) : 'a first run makes one',
    ),
    tile(
      '#training',
      'Retraining',
      state,
      changes ? `${changes.isMore ? 'over ' : ''}${counted(changes.count, 'change')} waiting` : '',
    ),
    tile(
      '#traffic',
      'Events, last hour',
      count(events),
      events ? `95% within ${quantileText(quantile(sumOfBuckets(hour), 0.95))}` : 'nobody has changed a shelf',
    ),
    tile(
      '#upkeep',
      'Lists of the live model',
      fanout?.shards ? percent(done / fanout.shards, 0) : '–',
      fanout?.shards ? `${count(done)} of ${counted(fanout.shards, 'shard')}` : 'no fan-out yet',
    ),
    tile(
      '#quality',
      'Online hit rate',
      rate ? percent(rate.mean) : '–',
      rate ? `of ${counted(rate.readers, 'reader')} who shelved a book` : 'nobody has shelved a book yet',
    ),
    tile(
      '#upkeep',
      'Reconciler',
      reconcile?.at ? time(reconcile.at) : '–',
      reconcile?.at ? `${counted(repairs(reconcile.repaired), 'repair')} in its last run` : 'has not run yet',
    ),
  ];
}

function tile(link, name, value, detail) {
  return h(
    'li',
    {},
    h(
      'a',
      { class: 'tile', href: link },
      h('span', { class: 'name' }, name),
      h('strong', {}, value),
      h('span', { class: 'detail' }, detail),
    ),
  );
}

function repairs(counts) {
  return children(counts).reduce((total, [, number]) => total + (numberIn(number) ?? 0), 0);
}

/** List what an operator should look at now, with what to do. */
export function attention(view) {
  const found = problems(view);
  if (!found.length) return [h('p', { class: 'calm' }, badge('good', 'all is well'), 'Nothing needs you now.')];
  return [
    h(
      'ul',
      { class: 'list' },
      found.map(({ kind, title, text }) =>
        h('li', { class: `problem ${kind}` }, h('div', { class: 'what' }, badge(kind, title)), h('p', {}, text)),
      ),
    ),
  ];
}

function problems(view) {
  const { model, modelStatus, fanout, reconcile, lease, training, isConnected } = view;
  const state = stateOfRetraining(view);
  const shards = fanout?.shards ?? 0;
  const isStuck = shards > children(fanout?.done).length && now() - (fanout?.at ?? 0) > SILENT_AFTER_MS;
  return [
    isConnected === false && {
      kind: 'warn',
      title: 'not connected',
      text: 'The page shows what it knew last, and goes on by itself.',
    },
    !model && {
      kind: 'warn',
      title: 'no model is live',
      text: 'Lists are of popular books. Start a training run below.',
    },
    modelStatus?.loads === false && {
      kind: 'bad',
      title: 'the live model is not usable',
      text: `${modelStatus.problem ?? 'The functions cannot load it'}. If the store is only away, wait; otherwise roll back to a kept version.`,
    },
    state === 'parked' && {
      kind: 'bad',
      title: 'retraining is parked',
      text: 'Runs failed too often in a row. Mend the cause, then release it below.',
    },
    state === 'failing' && {
      kind: 'warn',
      title: 'the last run failed',
      text: training?.run?.reason ?? 'The next one starts by itself.',
    },
    lease?.outcome === 'refused' && {
      kind: 'warn',
      title: 'the gate refused the last model',
      text: 'The live model stays; the next changes make the next model. The reason is in the history of runs.',
    },
    isStuck && {
      kind: 'warn',
      title: 'some lists are of an older model',
      text: 'Their shards are queued again by the reconciler. If it comes again for the same model, look at the fanout function’s errors.',
    },
    reconcile?.failed && {
      kind: 'warn',
      title: 'a step of the reconciler failed',
      text: `${reconcile.failed}. The next run tries it again.`,
    },
    reconcile?.at &&
      now() - reconcile.at > SILENT_AFTER_MS && {
        kind: 'warn',
        title: 'the reconciler is silent',
        text: 'It runs every five minutes. Look at its job in Cloud Scheduler, or run it below.',
      },
  ].filter(Boolean);
}
