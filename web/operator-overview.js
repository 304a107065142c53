/** The overview on the operator’s page: key figures, and what needs attention. */

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

/** Show the key figures as tiles. */
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
      model ? versionName(model.version) : 'the first run publishes one',
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
      events ? `95% within ${quantileText(quantile(sumOfBuckets(hour), 0.95))}` : 'no shelf has changed',
    ),
    tile(
      '#upkeep',
      'Lists from the live model',
      fanout?.shards ? percent(done / fanout.shards, 0) : '–',
      fanout?.shards ? `${count(done)} of ${counted(fanout.shards, 'shard')}` : 'no fan-out yet',
    ),
    tile(
      '#quality',
      'Online hit rate',
      rate ? percent(rate.mean) : '–',
      rate ? `of ${counted(rate.readers, 'reader')} who added a book` : 'nobody has added a book yet',
    ),
    tile(
      '#upkeep',
      'Reconciler',
      reconcile?.at ? time(reconcile.at) : '–',
      reconcile?.at ? `${counted(repairs(reconcile.repaired), 'repair')} in the last run` : 'has not run yet',
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

/** List what needs attention, with what to do. */
export function attention(view) {
  const current = problems(view);
  if (!current.length)
    return [h('p', { class: 'calm' }, badge('good', 'all is well'), 'Nothing needs your attention.')];
  return [
    h(
      'ul',
      { class: 'list' },
      current.map(({ kind, title, text }) =>
        h('li', { class: `problem ${kind}` }, h('div', { class: 'what' }, badge(kind, title)), h('p', {}, text)),
      ),
    ),
  ];
}

function problems(view) {
  const { model, modelStatus, fanout, reconcile, lease, training, areEventsFull, isConnected } = view;
  const state = stateOfRetraining(view);
  const shards = fanout?.shards ?? 0;
  const isStuck = shards > children(fanout?.done).length && now() - (fanout?.at ?? 0) > SILENT_AFTER_MS;
  return [
    isConnected === false && {
      kind: 'warn',
      title: 'not connected',
      text: 'The page shows the last known values, and reconnects automatically.',
    },
    !model && {
      kind: 'warn',
      title: 'no model is live',
      text: 'Lists show popular books. Start a training run below.',
    },
    modelStatus?.loads === false && {
      kind: 'bad',
      title: 'the live model cannot be loaded',
      text: `${modelStatus.problem ?? 'The functions cannot load it'}. If Cloud Storage is down, wait; otherwise roll back to a kept version.`,
    },
    state === 'parked' && {
      kind: 'bad',
      title: 'retraining is parked',
      text: 'Too many runs in a row failed. Fix the cause, then release retraining below.',
    },
    state === 'failing' && {
      kind: 'warn',
      title: 'the last run failed',
      text: training?.run?.reason ?? 'The next one starts automatically.',
    },
    lease?.outcome === 'refused' && {
      kind: 'warn',
      title: 'the gate refused the last model',
      text: 'The live model stays. New changes start the next run. The history of runs has the reason.',
    },
    isStuck && {
      kind: 'warn',
      title: 'some lists are from an older model',
      text: 'The reconciler queues their shards again. If this keeps happening with the same model, check the errors of the function fanout.',
    },
    areEventsFull === true && {
      kind: 'warn',
      title: 'no more events of lists are collected',
      text: 'Too many wait for their export. Run python -m trainer events, and find out why it does not run every day. Lists are not affected.',
    },
    reconcile?.failed && {
      kind: 'warn',
      title: 'a step of the reconciler failed',
      text: `${reconcile.failed}. The next run tries again.`,
    },
    reconcile?.at &&
      now() - reconcile.at > SILENT_AFTER_MS && {
        kind: 'warn',
        title: 'the reconciler is silent',
        text: 'It should run every five minutes. Check its job in Cloud Scheduler, or run it below.',
      },
  ].filter(Boolean);
}
