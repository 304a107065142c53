/** The running system on the operator’s page: traffic, fan-out, the reconciler, and rejected entries. */

import { h } from './elements.js';
import {
  BUCKETS,
  children,
  count,
  counted,
  hourAndMinute,
  lastHour,
  latency,
  now,
  numberIn,
  quantile,
  quantileText,
  sumOfBuckets,
} from './figures.js';
import { badge, empty, facts, listOfCounts, note, time, versionName, words } from './operator-parts.js';
import { bars, columns } from './plots.js';

const MINUTE_MS = 60_000;

/** Plot events and latencies of the last hour. */
export function traffic({ traffic: node }) {
  const hour = lastHour(node, now());
  const events = hour.reduce((total, minute) => total + minute.events, 0);
  if (!events)
    return [
      empty('No events in the last hour. An event is counted here when a reader adds, rates or removes a book.'),
    ];
  const buckets = sumOfBuckets(hour);
  const names = [...BUCKETS.map((bound) => `to ${latency(bound)}`), `over ${latency(BUCKETS.at(-1))}`];
  const busiest = hour.reduce((most, minute) => (minute.events > most.events ? minute : most));
  return [
    h(
      'div',
      { class: 'stats' },
      facts([
        ['Events in the last hour', count(events)],
        ['Median latency (p50)', quantileText(quantile(buckets, 0.5))],
        ['95% within (p95)', quantileText(quantile(buckets, 0.95))],
      ]),
    ),
    h(
      'div',
      { class: 'pair' },
      columns({
        title: 'Events per minute',
        description: `The busiest minute of the last hour had ${counted(busiest.events, 'event')}. The last minute is not complete yet.`,
        bars: hour.map(({ minute, events: value }, position) => ({
          label: hourAndMinute(minute * MINUTE_MS),
          value,
          tick: position % 15 === 0 || position === 59 ? hourAndMinute(minute * MINUTE_MS) : '',
          isPartial: position === 59,
        })),
        head: ['Minute', 'Events'],
        unit: 'events',
      }),
      columns({
        title: 'Time from write to list',
        description: 'Events of the last hour by latency; milliseconds unless marked s.',
        bars: buckets.map((value, bucket) => ({ label: names[bucket], value, tick: shortBound(bucket) })),
        head: ['Latency', 'Events'],
        unit: 'events',
      }),
    ),
    note('Latencies are estimated from these counts, assuming that events are spread evenly within each bar.'),
  ];
}

function shortBound(bucket) {
  if (bucket === BUCKETS.length) return `>${BUCKETS.at(-1) / 1000} s`;
  const bound = BUCKETS[bucket];
  return bound < 1000 ? String(bound) : `${bound / 1000} s`;
}

/** Show the progress of the fan-out to the live model. */
export function fanout({ fanout: node, model }) {
  if (!node?.shards) return [empty('When a model goes live, the progress of updating all readers’ lists is shown here.')];
  const done = children(node.done).length;
  const isOfLive = model && String(node.publication ?? '').startsWith(`${model.version}@`);
  return [
    h(
      'label',
      { class: 'progress' },
      h(
        'span',
        {},
        `${count(done)} of ${counted(node.shards, 'shard')} of readers have lists from `,
        versionName(String(node.publication ?? '').split('@')[0]),
      ),
      h('progress', { max: node.shards, value: Math.min(done, node.shards) }),
    ),
    facts([
      ['Started', time(node.at)],
      ['Attempt', count((node.attempt ?? 0) + 1)],
      [
        'State',
        done >= node.shards
          ? badge('good', 'all lists are up to date')
          : isOfLive
            ? badge('busy', 'in progress')
            : badge('quiet', 'replaced by a later model'),
      ],
    ]),
  ];
}

function untilLater(nodes) {
  const ends = children(nodes)
    .map(([, node]) => numberIn(node?.until))
    .filter((until) => until > now());
  return ends.length ? [count(ends.length), ', the last until ', time(Math.max(...ends))] : 'none';
}

/** Show when the reconciler last ran, and what it repaired. */
export function reconciler({ reconcile, leftOut, paused, dismissals }) {
  if (!reconcile?.at)
    return [empty('The reconciler’s last run, and what it repaired, will appear here.')];
  return [
    facts([
      ['Last run', time(reconcile.at)],
      ['Repaired in the last run', listOfCounts(reconcile.repaired) || 'nothing'],
      ['Repaired in all', listOfCounts(reconcile.total) || 'nothing'],
      ['Last complete sweep', reconcile.sweptAt ? time(reconcile.sweptAt) : 'none yet'],
      ['Complete sweeps', count(reconcile.sweeps ?? 0)],
      ['Readers paused, since they write too fast', untilLater(paused)],
      ['Readers left out, since their lists made functions die', untilLater(leftOut)],
      dismissals?.at
        ? ['Books dismissed', `${count(dismissals.books)}, by ${counted(dismissals.readers, 'reader')}`]
        : null,
      reconcile.failed ? ['Failed steps', reconcile.failed] : null,
    ]),
  ];
}

/** Plot rejected entries by reason, and list the newest. */
export function rejected({ rejected: counts, records }) {
  const ranked = children(counts)
    .map(([reason, number]) => ({ label: words(reason), value: numberIn(number) ?? 0 }))
    .sort((a, b) => b.value - a.value);
  if (!ranked.length && !records?.length)
    return [
      empty(
        'No entries are rejected. An entry that cannot be used is listed here with the reason; all others are used.',
      ),
    ];
  return [
    ranked.length
      ? bars({
          title: 'Rejected entries by reason',
          description: 'As of the reconciler’s last complete sweep.',
          bars: ranked,
          head: ['Reason', 'Entries'],
        })
      : note('Counts by reason follow with the reconciler’s next complete sweep.'),
    records?.length
      ? [
          h('h3', {}, 'Newest'),
          h(
            'ul',
            { class: 'list' },
            records.map(([key, record]) =>
              h(
                'li',
                {},
                h('div', { class: 'what' }, badge('warn', words(record.reason)), h('code', {}, key), time(record.at)),
                h('p', {}, record.message),
              ),
            ),
          ),
        ]
      : null,
  ];
}
