/** Retraining on the operator’s page: its state, what to do if it is stuck, and the history of runs. */

import { h } from './elements.js';
import { children, count, counted, figure, now, numberIn } from './figures.js';
import { badge, empty, facts, sentence, time, versionName } from './operator-parts.js';
import { lines } from './plots.js';

const STEPS = ['reading', 'judging', 'fitting', 'exporting', 'uploading'];
const ENDINGS = {
  published: ['good', 'published'],
  refused: ['warn', 'refused by the gate'],
  failed: ['bad', 'failed'],
  died: ['bad', 'died'],
  'timed out': ['bad', 'timed out'],
  running: ['busy', 'running'],
};
const FAILURES = ['failed', 'died', 'timed out'];
const MINUTE_MS = 60_000;

/** Return the state of retraining: "running", "silent", "parked", "failing" or "idle". */
export function stateOfRetraining({ lease, training }) {
  if (lease?.holder) return now() < (lease.expiresAt ?? 0) ? 'running' : 'silent';
  if (training?.parked && lease?.failures) return 'parked';
  return lease?.failures ? 'failing' : 'idle';
}

/** Show the current run and its step, the changes that wait, and what to do if retraining is stuck. */
export function retraining(view) {
  const { lease, training, changes } = view;
  const state = stateOfRetraining(view);
  const run = training?.run;
  const isOfLease = run && run.fence === lease?.fence;
  const last = runsOf(training).find(({ outcome }) => outcome !== 'running');
  const ending = last?.outcome ?? lease?.outcome;
  return [
    h('p', { class: 'headline' }, ...headline(state, lease)),
    state === 'running' ? steps(isOfLease ? run : null) : null,
    state === 'parked' || state === 'failing' || state === 'silent'
      ? h('div', { class: 'trouble' }, advice(state, lease, run))
      : null,
    facts([
      ['Changes waiting', waiting(changes)],
      changes?.oldest ? ['Oldest change', time(changes.oldest)] : null,
      lease?.holder ? ['Lease held by', h('code', {}, lease.holder)] : null,
      state === 'running' && isOfLease && run.startedAt ? ['Running for', minutesSince(run.startedAt)] : null,
      lease?.holder ? ['Lease expires', time(lease.expiresAt)] : null,
      lease?.holder && lease.endsBy ? ['Time limit', time(lease.endsBy)] : null,
      ending ? ['Last run', [badge(...(ENDINGS[ending] ?? ['quiet', ending])), ' ', last ? time(last.at) : '']] : null,
      ['Failures in a row', isReleased(lease) ? '0 (released)' : count(lease?.failures ?? 0)],
      children(training?.outcomes).length
        ? [
            'All runs',
            children(training.outcomes)
              .map(([outcome, number]) => `${count(number)} ${outcome}`)
              .join(', '),
          ]
        : null,
    ]),
  ];
}

/** Return whether an operator has reset the failures: a failed run leaves at least 1. */
function isReleased(lease) {
  return FAILURES.includes(lease?.outcome) && !lease.failures;
}

function minutesSince(at) {
  const minutes = Math.floor((now() - at) / MINUTE_MS);
  return minutes < 1 ? 'less than a minute' : `${count(minutes)} min`;
}

function headline(state, lease) {
  if (state === 'running' && String(lease.holder).startsWith('rollback'))
    return [badge('busy', 'rolling back'), 'Rolling back to an earlier version.'];
  return {
    running: [badge('busy', 'running'), 'A training run is in progress.'],
    silent: [badge('warn', 'silent'), 'A run has stopped responding.'],
    parked: [badge('bad', 'parked'), 'Retraining has stopped and waits for an operator.'],
    failing: [badge('warn', 'failing'), 'The last run failed; the next one starts automatically.'],
    idle: [badge('quiet', 'idle'), 'No run is in progress.'],
  }[state];
}

function waiting(changes) {
  if (!changes) return '–';
  return changes.isMore
    ? `more than ${counted(changes.count, 'entry', 'entries')}`
    : counted(changes.count, 'entry', 'entries');
}

function steps(run) {
  const names = run?.step === 'lists' ? [...STEPS, 'lists'] : STEPS;
  const present = names.indexOf(run?.step);
  return h(
    'ol',
    { class: 'steps', 'aria-label': 'Steps of the run' },
    names.map((name, position) =>
      h(
        'li',
        {
          class: position < present ? 'done' : position === present ? 'present' : null,
          'aria-current': position === present ? 'step' : null,
        },
        name,
        position < present ? h('span', { class: 'visually-hidden' }, ', done') : null,
      ),
    ),
  );
}

function advice(state, lease, run) {
  if (state === 'silent')
    return h('p', {}, 'The next check, or the reconciler, frees its lease and tries again. You need not do anything.');
  const failures = counted(lease.failures, 'run');
  return [
    h(
      'p',
      {},
      `${failures} in a row failed, the last one `,
      lease.failedAt ? time(lease.failedAt) : '',
      '.',
    ),
    run?.reason ? h('p', {}, 'Last reason: ', h('q', {}, run.reason)) : null,
    state === 'parked'
      ? h(
          'p',
          {},
          'Nothing is lost: changes stay marked, and lists follow shelves with the live model. Fix the cause, then release: the next check starts a run.',
        )
      : h(
          'p',
          {},
          'The wait doubles with each attempt, up to an hour. Release to let the next one start at once.',
        ),
  ];
}

/** Return the known runs, newest first; the last run is added if the history lacks it. */
export function runsOf(training) {
  const runs = children(training?.runs).map(([, run]) => run);
  const last = training?.run;
  if (last?.fence !== undefined && !runs.some(({ fence }) => fence === last.fence)) runs.push(last);
  return runs.sort((a, b) => (b.fence ?? 0) - (a.fence ?? 0));
}

/** List the outcomes of runs with the gate's reasons, and plot their metrics. */
export function runs({ training }) {
  const known = runsOf(training);
  if (!known.length) return [empty('The outcome of each run, with the gate’s reason, will appear here.')];
  const points = known
    .filter((run) => meanOf(run.ndcg) !== null)
    .reverse()
    .map((run) => ({
      label: `run ${run.fence}`,
      ours: meanOf(run.ndcg),
      theirs: meanOf(run.popularity) ?? undefined,
      isRefused: run.outcome === 'refused',
    }));
  return [
    points.length > 1
      ? lines({
          title: 'NDCG@10 by run',
          description:
            'Each run’s model, compared with popularity on the same held-out entries. A ring marks a refused model.',
          points,
          names: ['model', 'popularity'],
          write: figure,
        })
      : null,
    h(
      'div',
      { class: 'long', tabindex: '0', role: 'region', 'aria-label': 'Runs, newest first' },
      h('ul', { class: 'list runs' }, known.map(runItem)),
    ),
  ];
}

function meanOf(value) {
  return numberIn(value) ?? numberIn(value?.mean);
}

function runItem(run) {
  const [kind, word] = ENDINGS[run.outcome] ?? ['quiet', String(run.outcome)];
  const [ours, theirs] = [meanOf(run.ndcg), meanOf(run.popularity)];
  const reason = sentence(run.reason ?? (run.outcome === 'running' && run.step ? `in the step ${run.step}` : ''));
  return h(
    'li',
    { 'data-run': run.fence },
    h('div', { class: 'what' }, badge(kind, word), h('code', {}, run.runId ?? `run ${run.fence}`), time(run.at)),
    ours === null
      ? null
      : h(
          'p',
          { class: 'figures' },
          `NDCG@10 ${figure(ours)}`,
          theirs === null ? null : `, popularity ${figure(theirs)}`,
        ),
    run.version ? h('p', { class: 'note' }, 'version ', versionName(run.version)) : null,
    reason ? h('p', { class: 'reason' }, reason) : null,
  );
}
