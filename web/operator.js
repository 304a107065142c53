/**
 * The operator's page: access, the nodes that it follows, and the functions behind its buttons.
 *
 * Everything shown comes live from `/Recommender` and from the manifests in Cloud Storage. The rules let only users with
 * the claim `operator` read it; the page checks the claim before it reads anything.
 */

import { onValue, limitToFirst, limitToLast, orderByChild, orderByKey, query, ref } from 'firebase/database';
import { connectFunctionsEmulator, getFunctions, httpsCallable } from 'firebase/functions';
import { connectStorageEmulator, getBytes, getStorage, ref as storageRef } from 'firebase/storage';

import { connect, emulator, onConnection, onUser, signIn, signOut } from './client.js';
import { h, mount, show } from './elements.js';
import { METRICS, children, counted, now, percent, setClock, shortVersion } from './figures.js';
import { keptVersions, liveModel, metrics } from './operator-model.js';
import { attention, tiles } from './operator-overview.js';
import { listOfCounts, sentence, tick } from './operator-parts.js';
import { candidates, experiment, online, pastExperiments } from './operator-readers.js';
import { retraining, runs, stateOfRetraining } from './operator-runs.js';
import { fanout, reconciler, rejected, traffic } from './operator-upkeep.js';

const MOST_CHANGES = 1_000;
const MOST_PAUSED = 1_000;
const RECORDS = 6;
const MINUTES = 61;
const MOST_MANIFEST_BYTES = 1 << 20;
const TICK_MS = 10_000;
const PATIENCE_MS = 300_000;

const byId = (id) => document.getElementById(id);

/** What the page knows: each node by its name. */
let view = {};
let ends = [];
let metric = METRICS[0].key;
const client = connect(await configuration());
const storage = getStorage(client.app);
const functions = getFunctions(client.app, client.config.region);
const [storageAt, functionsAt] = [emulator(client.config, 'storage'), emulator(client.config, 'functions')];
if (storageAt) connectStorageEmulator(storage, storageAt.host, storageAt.port);
if (functionsAt) connectFunctionsEmulator(functions, functionsAt.host, functionsAt.port);

/** Manifests by version: they never change. */
const manifests = new Map();

async function configuration() {
  const answer = await fetch('/config.json');
  if (!answer.ok) {
    byId('loading').textContent = 'The page’s configuration, /config.json, is missing. The deployment writes it.';
    throw new Error('there is no /config.json');
  }
  return answer.json();
}

// -------------------------------------------------------------------------------------------------------------- access

onUser(client, (user) => enter(user, false));
byId('sign-in-form').addEventListener('submit', submitSignIn);
show(byId('emulator-hint'), Boolean(client.config.emulators));
byId('fill').addEventListener('click', () => {
  const { email, password } = byId('sign-in-form').elements;
  [email.value, password.value] = ['operator@example.com', 'operator-password'];
});
byId('sign-out').addEventListener('click', () => signOut(client));
byId('check-again').addEventListener('click', () => enter(client.auth.currentUser, true));

async function enter(user, isFresh) {
  leave();
  show(byId('loading'), false);
  show(byId('account'), Boolean(user));
  show(byId('sign-in'), !user);
  byId('who').textContent = user?.email ?? '';
  if (!user) {
    show(byId('refusal'), false);
    return;
  }
  const isOperator = await hasClaim(user, isFresh);
  if (client.auth.currentUser !== user) return;
  if (isOperator) open();
  else deny(isFresh);
}

/** Return whether the token has the claim operator; false if there is no token. */
async function hasClaim(user, isFresh) {
  try {
    return (await user.getIdTokenResult(isFresh)).claims.operator === true;
  } catch {
    return false;
  }
}

function deny(isFresh) {
  leave();
  byId('refused-who').textContent = client.auth.currentUser?.email ?? 'nobody';
  show(byId('refusal'), true);
  if (isFresh) say('This account does not have the claim yet.', 'bad');
}

function leave() {
  for (const end of ends) end();
  ends = [];
  view = {};
  manifests.clear();
  document.body.dataset.state = 'out';
  byId('dashboard').replaceChildren();
  if (byId('confirmation').open) byId('confirmation').close('cancel');
}

async function submitSignIn(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const problem = byId('sign-in-problem');
  problem.textContent = '';
  try {
    await busy(form.querySelector('button'), () =>
      signIn(client, form.elements.email.value, form.elements.password.value),
    );
    form.reset();
  } catch (error) {
    problem.textContent =
      error.code === 'auth/network-request-failed'
        ? 'Cannot reach the sign-in service. Try again in a moment.'
        : 'The e-mail address or password is wrong.';
  }
}

// ------------------------------------------------------------------------------------------------------------ listening

/** The nodes that the page follows, by their names in `view`. */
const NODES = {
  model: 'model',
  lease: 'lease',
  training: 'status/training',
  modelStatus: 'status/model',
  fanout: 'status/fanout',
  reconcile: 'status/reconcile',
  leftOut: 'status/leftOut',
  dismissals: 'status/dismissals',
  areEventsFull: 'status/events/isFull',
  rejected: 'status/rejected',
  counters: 'status/counters',
  quality: 'status/quality',
};

function open() {
  show(byId('refusal'), false);
  document.body.dataset.state = 'in';
  byId('dashboard').replaceChildren(byId('dashboard-template').content.cloneNode(true));
  view = { manifests };
  prepareControls();
  const node = (path) => ref(client.database, `Recommender/${path}`);
  for (const [name, path] of Object.entries(NODES)) follow(node(path), (snapshot) => (view[name] = snapshot.val()));
  const changes = query(node('changes'), orderByChild('at'), limitToFirst(MOST_CHANGES + 1));
  follow(changes, (snapshot) => (view.changes = changesIn(snapshot)));
  follow(
    query(node('rejected'), orderByChild('at'), limitToLast(RECORDS)),
    (snapshot) => (view.records = recordsIn(snapshot)),
  );
  follow(
    query(node('paused'), orderByKey(), limitToFirst(MOST_PAUSED)),
    (snapshot) => (view.paused = snapshot.val()),
  );
  follow(
    query(node('status/traffic'), orderByKey(), limitToLast(MINUTES)),
    (snapshot) => (view.traffic = snapshot.val()),
  );
  ends.push(
    onConnection(client, onConnected),
    onValue(ref(client.database, '.info/serverTimeOffset'), (offset) => setClock(offset.val() ?? 0)),
  );
  const timer = setInterval(render, TICK_MS);
  ends.push(() => clearInterval(timer));
}

function follow(place, take) {
  const end = onValue(
    place,
    (snapshot) => {
      take(snapshot);
      fetchManifests();
      renderSoon();
    },
    () => deny(false),
  );
  ends.push(end);
}

let wasConnected = false;

function onConnected(isConnected) {
  wasConnected ||= isConnected;
  view.isConnected = isConnected || !wasConnected;
  renderSoon();
}

function changesIn(snapshot) {
  const times = [];
  snapshot.forEach((child) => {
    times.push(child.val()?.at);
  });
  const isMore = times.length > MOST_CHANGES;
  return { count: isMore ? MOST_CHANGES : times.length, isMore, oldest: times[0] };
}

/** Return what the page shows of the records: that of a forged entry also holds the entry. */
function recordsIn(snapshot) {
  const records = [];
  snapshot.forEach((child) => {
    const { reason, message, at } = child.val() ?? {};
    records.unshift([child.key, { reason, message, at }]);
  });
  return records;
}

function fetchManifests() {
  const versions = new Map([
    ...children(view.model?.kept),
    ...(view.model ? [[view.model.version, view.model.manifestSha256]] : []),
  ]);
  for (const [version, sha256] of versions) {
    if (manifests.has(version)) continue;
    manifests.set(version, {});
    const present = view;
    readManifest(version, sha256)
      .then((manifest) => ({ manifest }))
      .catch((error) => ({ problem: problemOf(error) }))
      .then((entry) => {
        if (view !== present) return;
        manifests.set(version, entry);
        renderSoon();
      });
  }
}

async function readManifest(version, sha256) {
  const content = await getBytes(storageRef(storage, `models/${version}/manifest.json`), MOST_MANIFEST_BYTES);
  const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', content))];
  if (digest.map((byte) => byte.toString(16).padStart(2, '0')).join('') !== sha256) {
    throw new Error('the manifest does not match the pointer’s SHA-256');
  }
  return JSON.parse(new TextDecoder().decode(content));
}

function problemOf(error) {
  if (error.code === 'storage/object-not-found') return 'the manifest is not in the bucket';
  if (String(error.code).startsWith('storage/')) return 'the manifest cannot be read at the moment';
  return error.message;
}

// --------------------------------------------------------------------------------------------------------------- showing

let isRenderingSoon = false;

function renderSoon() {
  if (isRenderingSoon) return;
  isRenderingSoon = true;
  queueMicrotask(() => {
    isRenderingSoon = false;
    render();
  });
}

const PARTS = {
  attention: [
    ['model', 'modelStatus', 'fanout', 'reconcile', 'lease', 'training', 'areEventsFull', 'isConnected'],
    attention,
  ],
  tiles: [['model', 'changes', 'fanout', 'reconcile', 'quality', 'traffic', 'lease', 'training'], tiles],
  live: [['model', 'modelStatus', 'counters', 'manifests'], liveModel],
  metrics: [['model', 'manifests', 'metric'], (known) => metrics(known, metric)],
  versions: [['model', 'manifests', 'rollingBack'], (known) => keptVersions(known, rollBack)],
  retraining: [['lease', 'training', 'changes', 'silence'], retraining],
  runs: [['training'], runs],
  online: [['quality', 'model'], online],
  experiment: [['model', 'quality'], experiment],
  past: [['model', 'quality'], pastExperiments],
  traffic: [['traffic'], traffic],
  fanout: [['fanout', 'model'], fanout],
  reconciler: [['reconcile', 'leftOut', 'paused', 'dismissals'], reconciler],
  rejected: [['rejected', 'records'], rejected],
};

/** Update the page. Parts whose data has not changed are left alone. */
function render() {
  const dashboard = byId('dashboard');
  if (!dashboard.firstChild || !('model' in view)) return;
  const minute = Math.floor(now() / 60_000);
  for (const part of dashboard.querySelectorAll('[data-part]')) {
    const [names, make] = PARTS[part.dataset.part];
    const data = names.map(
      (name) => ({ manifests: [...manifests], metric, silence: stateOfRetraining(view) })[name] ?? view[name],
    );
    const isTimed = ['attention', 'tiles', 'traffic', 'retraining'].includes(part.dataset.part);
    mount(part, isTimed ? [minute, ...data] : data, () => make(view));
  }
  updateControls();
  tick();
}

// ---------------------------------------------------------------------------------------------------------------- acting

function prepareControls() {
  byId('metric').append(
    ...METRICS.map(({ key, label }) =>
      h(
        'label',
        {},
        h('input', { type: 'radio', name: 'metric', value: key, checked: key === metric, onchange: () => choose(key) }),
        h('span', {}, label),
      ),
    ),
  );
  byId('retrain').addEventListener('click', retrain);
  byId('release').addEventListener('click', release);
  byId('reconcile').addEventListener('click', reconcile);
  byId('start-experiment').addEventListener('submit', startExperiment);
  byId('end-experiment').addEventListener('click', endExperiment);
}

function choose(key) {
  metric = key;
  render();
}

function updateControls() {
  const versions = candidates(view.model);
  const isRunning = Boolean(view.model?.experiment);
  show(byId('start-experiment'), !isRunning && versions.length > 0);
  show(byId('no-candidate'), !isRunning && versions.length === 0);
  show(byId('end-experiment').parentElement, isRunning);
  const select = byId('start-experiment').elements.version;
  const chosen = select.value;
  mount(select, versions, () =>
    versions.map((version) => h('option', { value: version, title: version }, shortVersion(version))),
  );
  if (versions.includes(chosen)) select.value = chosen;
  enable(byId('release'), Boolean(view.lease?.failures));
}

function retrain(event) {
  return call(event.currentTarget, 'operator_retrain', {}, 'Starting a training run…', ({ outcome }) =>
    outcome === 'started'
      ? 'Training run started. Its progress and outcome appear here.'
      : 'Another run is in progress. Wait until it ends.',
  );
}

function reconcile(event) {
  return call(
    event.currentTarget,
    'operator_reconcile',
    {},
    'Reconciling lists with shelves…',
    ({ repaired }) => `Reconciled. Repaired: ${listOfCounts(repaired) || 'nothing'}.`,
  );
}

function release(event) {
  return call(
    event.currentTarget,
    'operator_release',
    {},
    'Releasing…',
    ({ failures }) => `Released after ${counted(failures, 'failed run')}. The next check starts a run.`,
  );
}

async function rollBack(version) {
  if (view.rollingBack) return;
  const isSure = await confirm(`Roll back to ${shortVersion(version)}?`, 'Roll back', [
    h('p', {}, 'Version ', h('code', {}, version), ' becomes the live model again.'),
    h(
      'ul',
      {},
      h('li', {}, 'All readers’ lists are computed again with it, and phones download it.'),
      h(
        'li',
        {},
        'Nothing is lost: ',
        h('code', {}, view.model?.version ?? ''),
        ' is kept, and you can return to it in the same way.',
      ),
      h('li', {}, 'The next training run replaces it if its model passes the gate.'),
      view.model?.experiment?.version === version
        ? h('li', {}, 'The running experiment ends, because this version is its arm B.')
        : null,
    ),
  ]);
  if (!isSure) return;
  view.rollingBack = version;
  render();
  await call(
    null,
    'operator_rollback',
    { version },
    `Rolling back to ${version}…`,
    () => `Version ${version} is live again. Lists are being updated.`,
  );
  delete view.rollingBack;
  render();
}

async function startExperiment(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const [version, share] = [form.elements.version.value, Number(form.elements.share.value) / 100];
  await call(
    form.querySelector('button'),
    'operator_experiment',
    { action: 'start', version, share },
    'Starting the experiment…',
    () => `Experiment started: ${percent(share, 0)} of readers get lists from ${version}.`,
  );
}

async function endExperiment(event) {
  const button = event.currentTarget;
  const isSure = await confirm('End the experiment?', 'End experiment', [
    h('p', {}, 'All readers get lists from the live model again. The results stay under earlier experiments.'),
  ]);
  if (isSure)
    await call(
      button,
      'operator_experiment',
      { action: 'end' },
      'Ending the experiment…',
      () => 'The experiment has ended. All readers get lists from the live model again.',
    );
}

/** Call a function of the backend. Its button, if any, is disabled meanwhile, and the notice shows the result. */
async function call(button, name, data, progress, done) {
  if (button?.getAttribute('aria-disabled') === 'true') return;
  say(progress, 'busy');
  try {
    const { data: result } = await busy(button, () => httpsCallable(functions, name, { timeout: PATIENCE_MS })(data));
    say(done(result), 'good');
  } catch (error) {
    say(explain(error), 'bad');
  }
}

function explain({ code, message }) {
  const reasons = {
    'functions/permission-denied': 'Your account may not do this: it does not have the claim “operator”.',
    'functions/unauthenticated': 'Your session has ended. Sign in again.',
    'functions/internal': 'The function failed or cannot be reached. Its log says why. It is safe to try again.',
    'functions/deadline-exceeded':
      'The function took too long to answer. Check the state on this page before you try again.',
  };
  return reasons[code] ?? sentence(message);
}

async function busy(button, work) {
  if (!button) return work();
  enable(button, false);
  button.setAttribute('aria-busy', 'true');
  try {
    return await work();
  } finally {
    button.removeAttribute('aria-busy');
    enable(button, true);
    if (byId('dashboard').firstChild) render();
  }
}

/** Enable or disable a button; a disabled one keeps the focus. */
function enable(button, isEnabled) {
  if (button.hasAttribute('aria-busy')) return;
  if (isEnabled) button.removeAttribute('aria-disabled');
  else button.setAttribute('aria-disabled', 'true');
}

function say(text, kind) {
  const notice = byId('notice');
  notice.className = kind;
  notice.replaceChildren(
    h('p', {}, text),
    h('button', { type: 'button', class: 'quiet', onclick: () => notice.replaceChildren() }, 'Dismiss'),
  );
}

/** Ask for confirmation in a dialog; resolve to the answer. Escape and Cancel mean no. */
function confirm(title, verb, content) {
  const dialog = byId('confirmation');
  byId('confirmation-title').textContent = title;
  byId('confirmation-text').replaceChildren(...content);
  byId('confirmation-confirm').textContent = verb;
  dialog.returnValue = 'cancel';
  dialog.showModal();
  byId('confirmation-cancel').focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'confirm'), { once: true });
  });
}
