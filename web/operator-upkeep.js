/** The running system on the operator’s page: traffic, lists, the reconciler, and entries set aside. */

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
      empty('No event in the last hour. As soon as a reader shelves, rates or removes a book, it is counted here.'),
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
        description: `The busiest minute of the last hour had ${counted(busiest.events, 'event')}. The last bar is not over yet.`,
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
        title: 'Time from a write to its list',
        description: 'How many events of the last hour took at most so long: in milliseconds, where no unit stands.',
        bars: buckets.map((value, bucket) => ({ label: names[bucket], value, tick: shortBound(bucket) })),
        head: ['Latency', 'Events'],
        unit: 'events',
      }),
    ),
    note('Latency is estimated from these counts: within a bar, events are taken as spread evenly.'),
  ];
}

function shortBound(bucket) {
  if (bucket === BUCKETS.length) return `>${BUCKETS.at(-1) / 1000} s`;
  const bound = BUCKETS[bucket];
  return bound < 1000 ? String(bound) : `${bound / 1000} s`;
}

/** Say how far the lists are on their way to the live model. */
export function fanout({ fanout: node, model }) {
  if (!node?.shards) return [empty('When a model goes live, the way of all readers’ lists to it is shown here.')];
  const done = children(node.done).length;
  const isOfLive = model && String(node.publication ?? '').startsWith(`${model.version}@`);
  return [
    h(
      'label',
      { class: 'progress' },
      h(
        'span',
        {},
        `${count(done)} of ${counted(node.shards, 'shard')} of readers have lists of `,
        versionName(String(node.publication ?? '').split('@')[0]),
      ),
      h('progress', { max: node.shards, value: Math.min(done, node.shards) }),
    ),
    facts([
      ['Begun', time(node.at)],
      ['Attempt', count((node.attempt ?? 0) + 1)],
      [
        'State',
        done >= node.shards
          ? badge('good', 'all lists are up to date')
          : isOfLive
            ? badge('busy', 'under way')
            : badge('quiet', 'replaced by a later model'),
      ],
    ]),
  ];
}

/** Say when the reconciler was last heard of, and what it repaired. */
export function reconciler({ reconcile }) {
  if (!reconcile?.at)
    return [empty('The reconciler’s sign of life, and what it repaired, will appear here after its first run.')];
  return [
    facts([
      ['Last sign of life', time(reconcile.at)],
      ['Repaired by the last run', listOfCounts(reconcile.repaired) || 'nothing'],
      ['Repaired so far', listOfCounts(reconcile.total) || 'nothing'],
      ['Last whole sweep', reconcile.sweptAt ? time(reconcile.sweptAt) : 'none yet'],
      ['Whole sweeps', count(reconcile.sweeps ?? 0)],
      reconcile.failed ? ['Steps that failed', reconcile.failed] : null,
    ]),
  ];
}

/** Plot bad entries by reason, and list the newest. */
export function rejected({ rejected: counts, records }) {
  const ranked = children(counts)
    .map(([reason, number]) => ({ label: words(reason), value: numberIn(number) ?? 0 }))
    .sort((a, b) => b.value - a.value);
  if (!ranked.length && !records?.length)
    return [
      empty(
        'Nothing is set aside. An entry that cannot be used would be listed here with its reason; all others go on.',
      ),
    ];
  return [
    ranked.length
      ? bars({
          title: 'Set aside, by reason',
          description: 'As of the reconciler’s last whole sweep.',
          bars: ranked,
          head: ['Reason', 'Entries'],
        })
      : note('Counts by reason follow with the reconciler’s next whole sweep.'),
    records?.length
      ? [
          h('h3', {}, 'The newest'),
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
