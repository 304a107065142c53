/** The model on the operator’s page: the live version, its metrics, and the versions that are kept. */

import { h } from './elements.js';
import { METRICS, bytes, children, count, counted, figure, numberIn, shortVersion } from './figures.js';
import { badge, empty, facts, keptOf, note, sentence, sum, time, versionName } from './operator-parts.js';
import { intervals, table } from './plots.js';

const OURS = 'this model';
const NAMES = { mean: 'mean rating', biases: 'reader and book biases' };

/** Show the live version: since when, trained on what, and the gate’s verdict. */
export function liveModel({ model, manifests, modelStatus, counters }) {
  if (!model)
    return [empty('No model is live yet. It appears here when the first training run publishes one.')];
  const entry = manifests.get(model.version);
  const manifest = entry?.manifest;
  const data = manifest?.data;
  return [
    h('p', { class: 'headline' }, versionName(model.version), badge('good', 'live')),
    modelStatus?.loads === false
      ? h(
          'p',
          { class: 'trouble' },
          `The functions cannot load this model: ${modelStatus.problem ?? 'the reason is not known'}. `,
          modelStatus.using
            ? ['They still use ', versionName(modelStatus.using), '.']
            : 'Until then, lists show popular books.',
        )
      : null,
    facts([
      ['Published', time(model.publishedAt)],
      [
        'Trained on',
        data
          ? `${counted(data.entries, 'entry', 'entries')} of ${counted(data.users, 'reader')}, ${counted(data.items, 'book')}`
          : loading(entry),
      ],
      ['Data as of', time(model.snapshotAt)],
      ['Fence', count(model.fence ?? 0)],
      data?.setAside && children(data.setAside).length
        ? ['Rejected', counted(sum(children(data.setAside).map(([, number]) => number)), 'entry', 'entries')]
        : null,
      numberIn(counters?.listWrites) === null ? null : ['Lists written', count(counters.listWrites)],
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

function loading(entry) {
  return entry?.problem ? `not available: ${entry.problem}` : 'loading…';
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
 * Show a metric of the live model compared with other methods and with the kept versions.
 *
 * @param {object} view
 * @param {string} key of the metric
 */
export function metrics({ model, manifests }, key) {
  const metric = METRICS.find((one) => one.key === key);
  if (!model)
    return [empty('The metrics of the live model, compared with simpler methods and earlier versions, will appear here.')];
  const entry = manifests.get(model.version);
  if (!entry?.manifest) {
    return [empty(entry?.problem ? `The metrics cannot be shown: ${entry.problem}.` : 'Loading metrics…')];
  }
  const rows = figuresOf(entry.manifest);
  return [
    note(metric.about),
    h('div', { class: 'pair' }, comparedWithMethods(rows, metric), comparedWithVersions(model, manifests, metric)),
    allFigures(rows),
  ];
}

function figuresOf(manifest) {
  const { model = {}, baselines = {} } = manifest.metrics ?? {};
  return [[OURS, model], ...children(baselines)];
}

function comparedWithMethods(rows, metric) {
  const shown = rows
    .map(([name, row]) => ({ name, value: metric.of(row) }))
    .filter(({ value }) => value)
    .sort((a, b) => (b.value.mean - a.value.mean) * (metric.isLowerBetter ? -1 : 1))
    .map(({ name, value }) => ({ label: NAMES[name] ?? name, kind: name === OURS ? 'live' : 'other', ...value }));
  if (!shown.some(({ kind }) => kind === 'live'))
    return h('div', {}, empty(`The manifest has no ${metric.label} for the live model.`));
  const place = shown.findIndex(({ kind }) => kind === 'live') + 1;
  return intervals({
    title: `${metric.label} compared with other methods`,
    description: `The live model ranks ${place} of ${shown.length}, all evaluated on the same held-out entries.`,
    rows: shown,
    write: metric.write,
    writeTick: metric.writeTick,
  });
}

function comparedWithVersions(model, manifests, metric) {
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
    return h('div', {}, empty('Earlier versions will be compared with the live one here.'));
  return intervals({
    title: `${metric.label} of kept versions`,
    description: 'Newest first. Each was evaluated on the data of its time, so small differences mean little.',
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
  const caption = 'All metrics of the live model and of other methods, with 95% intervals';
  return h(
    'details',
    { 'data-key': 'all metrics' },
    h('summary', {}, 'All metrics'),
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
      table({ caption, head: ['Model', ...METRICS.map(({ label }) => label)], rows: cells }),
    ),
  );
}

/**
 * List the kept versions, each with a button to roll back to it.
 *
 * @param {object} view
 * @param {function(string): void} rollBack
 */
export function keptVersions({ model, manifests, rollingBack }, rollBack) {
  if (!model) return [empty('Versions that you can roll back to will be listed here.')];
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
        Number.isFinite(created) ? ['trained ', time(created)] : null,
        manifest?.data ? ` · ${counted(manifest.data.entries, 'entry', 'entries')}` : null,
        ndcg ? ` · NDCG@10 ${figure(ndcg.mean)}` : null,
        manifests.get(version)?.problem ? `metrics not available: ${manifests.get(version).problem}` : null,
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
