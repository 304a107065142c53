/** Retraining on the operator’s page: how it stands, what to do where it is stuck, and how runs went. */

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

/** Tell how retraining stands: "running", "silent", "parked", "failing" or "idle". */
export function stateOfRetraining({ lease, training }) {
  if (lease?.holder) return now() < (lease.expiresAt ?? 0) ? 'running' : 'silent';
  if (training?.parked && lease?.failures) return 'parked';
  return lease?.failures ? 'failing' : 'idle';
}

/** Say who trains, which step it is at, what waits, and what to do where it is stuck. */
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
      changes?.oldest ? ['Oldest of them', time(changes.oldest)] : null,
      lease?.holder ? ['Lease held by', h('code', {}, lease.holder)] : null,
      state === 'running' && isOfLease && run.startedAt ? ['Running for', minutesSince(run.startedAt)] : null,
      lease?.holder ? ['Must be heard of', time(lease.expiresAt)] : null,
      lease?.holder && lease.endsBy ? ['Time limit', time(lease.endsBy)] : null,
      ending ? ['Last run', [badge(...(ENDINGS[ending] ?? ['quiet', ending])), ' ', last ? time(last.at) : '']] : null,
      ['Failures in a row', isReleased(lease) ? '0, since they were released' : count(lease?.failures ?? 0)],
      children(training?.outcomes).length
        ? [
            'Runs so far',
            children(training.outcomes)
              .map(([outcome, number]) => `${count(number)} ${outcome}`)
              .join(', '),
          ]
        : null,
    ]),
  ];
}

/** Tell whether an operator has set the failures to 0: a run that failed leaves 1 at least. */
function isReleased(lease) {
  return FAILURES.includes(lease?.outcome) && !lease.failures;
}

function minutesSince(at) {
  const minutes = Math.floor((now() - at) / MINUTE_MS);
  return minutes < 1 ? 'less than a minute' : `${count(minutes)} min`;
}

function headline(state, lease) {
  if (state === 'running' && String(lease.holder).startsWith('rollback'))
    return [badge('busy', 'rolling back'), 'An earlier version is being made live.'];
  return {
    running: [badge('busy', 'running'), 'A training run is at work.'],
    silent: [badge('warn', 'silent'), 'A run has not been heard of in time.'],
    parked: [badge('bad', 'parked'), 'Retraining waits for you.'],
    failing: [badge('warn', 'failing'), 'The last run failed; the next starts by itself.'],
    idle: [badge('quiet', 'idle'), 'No run is live.'],
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
    return h('p', {}, 'The next check, or the reconciler, frees its lease and tries again. You need do nothing.');
  const failures = counted(lease.failures, 'run');
  return [
    h(
      'p',
      {},
      `${failures} in a row ended without a judgement, the last one `,
      lease.failedAt ? time(lease.failedAt) : '',
      '.',
    ),
    run?.reason ? h('p', {}, 'The last reason: ', h('q', {}, run.reason)) : null,
    state === 'parked'
      ? h(
          'p',
          {},
          'Nothing is lost: changes stay marked, lists follow shelves with the live model. Mend the cause, then release: the next check starts a run.',
        )
      : h(
          'p',
          {},
          'Each further attempt waits twice as long, at most an hour. Releasing lets the next one start at once.',
        ),
  ];
}

/** Return the runs that are known, the newest first; the last run's record counts where the history lacks it. */
export function runsOf(training) {
  const runs = children(training?.runs).map(([, run]) => run);
  const last = training?.run;
  if (last?.fence !== undefined && !runs.some(({ fence }) => fence === last.fence)) runs.push(last);
  return runs.sort((a, b) => (b.fence ?? 0) - (a.fence ?? 0));
}

/** List how runs ended, with the gate's reasons, and plot their figures. */
export function runs({ training }) {
  const known = runsOf(training);
  if (!known.length) return [empty('Each run’s outcome, and the gate’s reason, will appear here.')];
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
            'What each run’s model reached, beside popularity on the same held-out entries. A ring is a refused model.',
          points,
          names: ['model', 'popularity'],
          write: figure,
        })
      : null,
    h(
      'div',
      { class: 'long', tabindex: '0', role: 'region', 'aria-label': 'Runs, the newest first' },
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
  const reason = sentence(run.reason ?? (run.outcome === 'running' && run.step ? `at the step ${run.step}` : ''));
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
          theirs === null ? null : ` against ${figure(theirs)} of popularity`,
        ),
    run.version ? h('p', { class: 'note' }, 'made ', versionName(run.version)) : null,
    reason ? h('p', { class: 'reason' }, reason) : null,
  );
}
