/**
 * The numbers on the operator's page: computed from the database's nodes, and formatted.
 */

/** Upper bounds in ms of the latency buckets that the functions keep for each minute; the last bucket has none. */
export const BUCKETS = [25, 50, 100, 250, 500, 1000, 2500, 5000];

const MINUTE_MS = 60_000;

let offsetMs = 0;

/** Set the difference between the database's clock and this one. */
export function setClock(milliseconds) {
  offsetMs = milliseconds;
}

/** Return the database's time, in ms since 1970. */
export function now() {
  return Date.now() + offsetMs;
}

/**
 * Return a node's children as pairs of key and value.
 *
 * If keys are whole numbers, the database returns an array with holes.
 */
export function children(node) {
  if (node === null || typeof node !== 'object') return [];
  return Object.entries(node).filter(([, value]) => value !== null && value !== undefined);
}

/** Return a finite number, or null for any other value. */
export function numberIn(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/**
 * Return the minutes of the last hour, the oldest first.
 *
 * @param {object} traffic `/Recommender/status/traffic`
 * @param {number} at ms since 1970
 * @returns {Array<{minute: number, events: number, buckets: Array<number>}>} 60 minutes, the current one last
 */
export function lastHour(traffic, at) {
  const byMinute = new Map(children(traffic));
  const present = Math.floor(at / MINUTE_MS);
  return Array.from({ length: 60 }, (_, position) => {
    const minute = present - 59 + position;
    const node = byMinute.get(String(minute)) ?? {};
    return {
      minute,
      events: numberIn(node.events) ?? 0,
      buckets: [...BUCKETS.map((bound) => numberIn(node[`b${bound}`]) ?? 0), numberIn(node.more) ?? 0],
    };
  });
}

/** Add up the buckets of some minutes. */
export function sumOfBuckets(minutes) {
  return Array.from({ length: BUCKETS.length + 1 }, (_, bucket) =>
    minutes.reduce((sum, minute) => sum + minute.buckets[bucket], 0),
  );
}

/**
 * Estimate a quantile of latencies, assuming that they are spread evenly within each bucket.
 *
 * @param {Array<number>} buckets counts, one more than `BUCKETS`
 * @param {number} share 0.5 for the median
 * @returns {{ms: number, isAbove: boolean} | null} `isAbove`: only known to be more; null without events
 */
export function quantile(buckets, share) {
  const wanted = share * buckets.reduce((sum, count) => sum + count, 0);
  if (wanted === 0) return null;
  let before = 0;
  for (const [bucket, count] of buckets.entries()) {
    if (count > 0 && before + count >= wanted) {
      if (bucket === BUCKETS.length) break;
      const low = bucket ? BUCKETS[bucket - 1] : 0;
      return { ms: low + ((wanted - before) / count) * (BUCKETS[bucket] - low), isAbove: false };
    }
    before += count;
  }
  return { ms: BUCKETS.at(-1), isAbove: true };
}

/**
 * Return the 95% interval of a share.
 *
 * Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927), equation 1.
 *
 * @param {number} hits
 * @param {number} of the number of trials, at least 1
 */
export function wilson(hits, of) {
  const z = 1.959964;
  const share = hits / of;
  const centre = share + (z * z) / (2 * of);
  const spread = z * Math.sqrt((share * (1 - share) + (z * z) / (4 * of)) / of);
  const scale = 1 + (z * z) / of;
  return { low: Math.max(0, (centre - spread) / scale), high: Math.min(1, (centre + spread) / scale) };
}

/**
 * Return a hit rate with its interval, from the reconciler's counts.
 *
 * @param {object} count `{readers, hitReaders, low?, high?}`
 * @returns {{mean: number, low: number, high: number, readers: number, hitReaders: number} | null} null without readers
 */
export function hitRate(count) {
  const readers = numberIn(count?.readers) ?? 0;
  const hitReaders = numberIn(count?.hitReaders) ?? 0;
  if (!readers) return null;
  const own = wilson(hitReaders, readers);
  return {
    mean: hitReaders / readers,
    low: numberIn(count.low) ?? own.low,
    high: numberIn(count.high) ?? own.high,
    readers,
    hitReaders,
  };
}

/** The metrics of a model; one without an interval in the manifest has none here. */
export const METRICS = [
  {
    key: 'ndcg',
    label: 'NDCG@10',
    about: 'How high the list ranks the books that readers added later, from 0 to 1. Higher is better.',
    of: (row) => interval(row.ndcg),
    write: figure,
  },
  {
    key: 'recall',
    label: 'Recall@10',
    about: 'The share of the books that readers added later that are on the list of ten. Higher is better.',
    of: (row) => interval(row.recall),
    write: figure,
  },
  {
    key: 'hit_rate',
    label: 'HR@10',
    about: 'The share of readers whose list has at least one of the books that they added later. Higher is better.',
    of: (row) => interval(row.hit_rate),
    write: figure,
  },
  {
    key: 'coverage',
    label: 'Coverage',
    about: 'The share of the catalogue that is on at least one list. Higher is broader.',
    of: (row) => (numberIn(row.coverage) === null ? null : { mean: row.coverage }),
    write: (value) => percent(value),
    writeTick: (value) => percent(value),
  },
  {
    key: 'rmse',
    label: 'RMSE',
    about: 'How far predicted ratings are from actual ratings, in stars. Lower is better.',
    of: (row) =>
      numberIn(row.rmse) === null
        ? null
        : { mean: row.rmse, low: numberIn(row.rmse_low) ?? undefined, high: numberIn(row.rmse_high) ?? undefined },
    write: (value) => `${figure(value)} stars`,
    isLowerBetter: true,
  },
];

function interval(metric) {
  if (numberIn(metric?.mean) === null) return null;
  return { mean: metric.mean, low: numberIn(metric.low) ?? undefined, high: numberIn(metric.high) ?? undefined };
}

/** Format a whole number in the viewer's locale. */
export function count(value) {
  return new Intl.NumberFormat().format(Math.round(value));
}

/** Format a number with its noun: "1 reader", "2 readers". */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${Math.round(value) === 1 ? one : many}`;
}

/** Format a figure between 0 and about 5, with three decimals. */
export function figure(value) {
  return new Intl.NumberFormat(undefined, { minimumFractionDigits: 3, maximumFractionDigits: 3 }).format(value);
}

/** Format a share as a percentage. */
export function percent(value, digits = 1) {
  return new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: digits }).format(value);
}

/** Format a latency: in ms below a second, in seconds above. */
export function latency(ms) {
  if (ms < 1000) return `${count(ms)} ms`;
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 }).format(ms / 1000)} s`;
}

/** Format what `quantile` returns. */
export function quantileText(estimate) {
  if (!estimate) return '–';
  return estimate.isAbove ? `over ${latency(estimate.ms)}` : `about ${latency(estimate.ms)}`;
}

/** Format a number of bytes. */
export function bytes(value) {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), 3);
  const digits = power ? 1 : 0;
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: digits }).format(value / 1000 ** power)} ${units[power]}`;
}

/** Format a time relative to now, in the page's language. */
export function ago(at) {
  const seconds = Math.round((at - now()) / 1000);
  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  const size = Math.abs(seconds);
  if (size < 10) return 'just now';
  if (size < 60) return words.format(seconds, 'second');
  if (size < 3600) return words.format(Math.trunc(seconds / 60), 'minute');
  if (size < 86_400) return words.format(Math.trunc(seconds / 3600), 'hour');
  return words.format(Math.trunc(seconds / 86_400), 'day');
}

/** Format a full date and time, in the viewer's locale and time zone. */
export function exact(at) {
  return new Date(at).toLocaleString(undefined, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
  });
}

/** Format hours and minutes, in the viewer's locale. */
export function hourAndMinute(at) {
  return new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}

/**
 * Format a version short enough for a plot: its fence and when it was trained.
 *
 * @param {string} version such as `20260401T120000Z-7`
 */
export function shortVersion(version) {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\d+)$/.exec(version);
  if (!parts) return version;
  const [, year, month, day, hour, minute, second, fence] = parts;
  const at = Date.UTC(year, month - 1, day, hour, minute, second);
  const words = new Date(at).toLocaleString(undefined, {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
  return `#${fence}, ${words}`;
}
