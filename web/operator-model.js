/** The model on the operator’s page: what is live, how good it is, and which versions are kept. */

import { h } from './elements.js';
import { METRICS, bytes, children, count, counted, figure, numberIn, shortVersion } from './figures.js';
import { badge, empty, facts, keptOf, note, sentence, sum, time, versionName } from './operator-parts.js';
import { intervals, table } from './plots.js';

const OURS = 'this model';
const NAMES = { mean: 'mean rating', biases: 'reader and book biases' };

/** Say what is live, since when, on what it was trained, and what the gate said. */
export function liveModel({ model, manifests, modelStatus, counters }) {
  if (!model)
    return [empty('No model is live yet. The first training run publishes one, and it appears here by itself.')];
  const found = manifests.get(model.version);
  const manifest = found?.manifest;
  const data = manifest?.data;
  return [
    h('p', { class: 'headline' }, versionName(model.version), badge('good', 'live')),
    modelStatus?.loads === false
      ? h(
          'p',
          { class: 'trouble' },
          `The functions cannot load it: ${modelStatus.problem ?? 'no reason is known'}. `,
          modelStatus.using
            ? ['They go on with ', versionName(modelStatus.using), '.']
            : 'Lists are of popular books meanwhile.',
        )
      : null,
    facts([
      ['Published', time(model.publishedAt)],
      [
        'Trained on',
        data
          ? `${counted(data.entries, 'entry', 'entries')} of ${counted(data.users, 'reader')}, ${counted(data.items, 'book')}`
          : loading(found),
      ],
      ['Entries read', time(model.snapshotAt)],
      ['Fence', count(model.fence ?? 0)],
      data?.setAside && children(data.setAside).length
        ? ['Set aside', counted(sum(children(data.setAside).map(([, number]) => number)), 'entry', 'entries')]
        : null,
      numberIn(counters?.listWrites) === null ? null : ['Lists written so far', count(counters.listWrites)],
    ]),
    manifest?.gate
      ? h(
          'div',
          { class: 'verdict' },
          manifest.gate.passed ? badge('good', 'gate passed') : badge('bad', 'gate refused'),
          h('p', {}, sentence(manifest.gate.reason)),
        )
      : null,
    manifest ? files(manifest) : null,
  ];
}

function loading(found) {
  return found?.problem ? `not known: ${found.problem}` : 'being read…';
}

function files(manifest) {
  const rows = children(manifest.files).map(([name, { size, sha256 }]) => [
    h('code', {}, name),
    bytes(size),
    h('code', { title: sha256 }, `${String(sha256).slice(0, 12)}…`),
  ]);
  const total = sum(children(manifest.files).map(([, { size }]) => size));
  return h(
    'details',
    { 'data-key': 'files' },
    h('summary', {}, `${counted(rows.length, 'file')}, ${bytes(total)}`),
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Files of the live model' },
      table({ caption: 'Files of the live model', head: ['File', 'Size', 'SHA-256'], rows }),
    ),
  );
}

/**
 * Show one metric of the live model beside other methods, and beside the versions that are kept.
 *
 * @param {object} view
 * @param {string} key of the metric
 */
export function metrics({ model, manifests }, key) {
  const metric = METRICS.find((one) => one.key === key);
  if (!model)
    return [empty('The figures of the live model, beside simpler methods and earlier versions, will appear here.')];
  const found = manifests.get(model.version);
  if (!found?.manifest) {
    return [empty(found?.problem ? `The figures cannot be shown: ${found.problem}.` : 'The figures are being read…')];
  }
  const rows = figuresOf(found.manifest);
  return [
    note(metric.about),
    h('div', { class: 'pair' }, besideMethods(rows, metric), besideVersions(model, manifests, metric)),
    allFigures(rows),
  ];
}

function figuresOf(manifest) {
  const { model = {}, baselines = {} } = manifest.metrics ?? {};
  return [[OURS, model], ...children(baselines)];
}

function besideMethods(rows, metric) {
  const shown = rows
    .map(([name, row]) => ({ name, value: metric.of(row) }))
    .filter(({ value }) => value)
    .sort((a, b) => (b.value.mean - a.value.mean) * (metric.isLowerBetter ? -1 : 1))
    .map(({ name, value }) => ({ label: NAMES[name] ?? name, kind: name === OURS ? 'live' : 'other', ...value }));
  if (!shown.some(({ kind }) => kind === 'live'))
    return h('div', {}, empty(`The manifest has no ${metric.label} of the live model.`));
  const place = shown.findIndex(({ kind }) => kind === 'live') + 1;
  return intervals({
    title: `${metric.label} beside other methods`,
    description: `The live model is number ${place} of ${shown.length}, all judged on the same held-out entries.`,
    rows: shown,
    write: metric.write,
    writeTick: metric.writeTick,
  });
}

function besideVersions(model, manifests, metric) {
  const shown = keptOf(model)
    .map((version) => ({ version, value: metric.of(manifests.get(version)?.manifest?.metrics?.model ?? {}) }))
    .filter(({ value }) => value)
    .map(({ version, value }) => ({
      label: shortVersion(version),
      kind: version === model.version ? 'live' : version === model.experiment?.version ? 'b' : 'other',
      note: version === model.version ? 'live' : '',
      ...value,
    }));
  if (shown.length < 2)
    return h('div', {}, empty('Earlier versions will stand here beside the live one, once there are some.'));
  return intervals({
    title: `${metric.label} of kept versions`,
    description: 'The newest first. Each was judged on the entries of its own time, so small differences say little.',
    rows: shown,
    write: metric.write,
    writeTick: metric.writeTick,
    head: 'Version',
  });
}

function allFigures(rows) {
  const cells = rows.map(([name, row]) => [
    NAMES[name] ?? name,
    ...METRICS.map((metric) => {
      const value = metric.of(row);
      if (!value) return '–';
      return value.low === undefined
        ? metric.write(value.mean)
        : `${metric.write(value.mean)} (${figure(value.low)}–${figure(value.high)})`;
    }),
  ]);
  const caption = 'All figures of the live model and of other methods, with 95% intervals';
  return h(
    'details',
    { 'data-key': 'all figures' },
    h('summary', {}, 'All figures'),
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
      table({ caption, head: ['Model', ...METRICS.map(({ label }) => label)], rows: cells }),
    ),
  );
}

/**
 * List the kept versions, each with a button to make it live again.
 *
 * @param {object} view
 * @param {function(string): void} rollBack
 */
export function keptVersions({ model, manifests, rollingBack }, rollBack) {
  if (!model) return [empty('Versions that can be made live again will be listed here.')];
  const items = keptOf(model).map((version) => {
    const manifest = manifests.get(version)?.manifest;
    const ndcg = METRICS[0].of(manifest?.metrics?.model ?? {});
    const created = Date.parse(manifest?.createdAt ?? '');
    const isLive = version === model.version;
    return h(
      'li',
      {},
      h(
        'div',
        { class: 'what' },
        versionName(version),
        isLive ? badge('good', 'live') : null,
        version === model.experiment?.version ? badge('busy', 'arm B') : null,
      ),
      h(
        'p',
        { class: 'note' },
        Number.isFinite(created) ? ['made ', time(created)] : null,
        manifest?.data ? ` · ${counted(manifest.data.entries, 'entry', 'entries')}` : null,
        ndcg ? ` · NDCG@10 ${figure(ndcg.mean)}` : null,
        manifests.get(version)?.problem ? `figures not known: ${manifests.get(version).problem}` : null,
      ),
      isLive
        ? null
        : h(
            'button',
            {
              type: 'button',
              class: 'secondary small',
              'data-key': `roll back to ${version}`,
              'data-version': version,
              'aria-disabled': rollingBack ? 'true' : null,
              'aria-busy': version === rollingBack,
              onclick: () => rollBack(version),
            },
            version === rollingBack ? 'Rolling back…' : 'Roll back',
            h('span', { class: 'visually-hidden' }, ` to ${version}`),
          ),
    );
  });
  return [
    h('ul', { class: 'list versions' }, items),
    items.length < 2 ? note('There is no earlier version to roll back to yet.') : null,
  ];
}
