/** Clients of the firebase SDK, and what they were told. */

import { deleteApp, initializeApp } from 'firebase/app';
import {
  connectDatabaseEmulator,
  getDatabase,
  goOffline,
  onChildAdded,
  onChildChanged,
  onChildMoved,
  onChildRemoved,
  onDisconnect,
  onValue,
  ref,
} from 'firebase/database';
import { equal, eventually, pause } from './harness.mjs';

let apps = 0;

/**
 * A new client of the case's namespace.
 * @param user claims of a mocked user (`sub` is the id), or none.
 * @param port the server's, or a gate's.
 * @param prepare called with the app before anything connects.
 */
export function connect(test, { user, port = test.world.port, prepare = () => {} } = {}) {
  apps += 1;
  const databaseURL = `https://${test.namespace}.firebaseio.com`;
  const app = initializeApp({ projectId: 'demo-conformance', databaseURL }, `client-${apps}`);
  prepare(app);
  const db = getDatabase(app);
  connectDatabaseEmulator(db, '127.0.0.1', port, user && { mockUserToken: user });
  test.defer(() => {
    goOffline(db);
    return deleteApp(app);
  });
  return db;
}

/** Wait until the server has answered these clients once more, and whatever it had to tell them came in. */
export async function settle(...clients) {
  for (const db of clients) await onDisconnect(ref(db, 'settled')).cancel().catch(() => {});
  await pause(25);
}

/** What a listener was told, in order. */
export class Log {
  events = [];
  error = null;

  constructor(db) {
    this.db = db;
    this.add = (event) => this.events.push(event);
    this.cancel = (error) => (this.error = error);
  }

  /** Wait until exactly this was told, and see that no more follows. */
  async become(expected, what = 'events') {
    await eventually(() => this.events, expected, what);
    await settle(this.db);
    equal(this.events, expected, `${what}, a moment later`);
  }

  forget() {
    this.events.length = 0;
  }
}

/** Listen for the value; the log holds what `read` makes of each snapshot. */
export function watch(db, query, read = (snapshot) => snapshot.val()) {
  const log = new Log(db);
  log.stop = onValue(query, (snapshot) => log.add(read(snapshot)), log.cancel);
  return log;
}

/** Listen for all child events; the log holds [kind, key, value, key before]. */
export function watchChildren(db, query) {
  const log = new Log(db);
  const told = (kind) => (child, before) => log.add([kind, child.key, child.val(), ...(before === undefined ? [] : [before])]);
  const stops = [
    onChildAdded(query, told('added'), log.cancel),
    onChildChanged(query, told('changed')),
    onChildMoved(query, told('moved')),
    onChildRemoved(query, (child) => log.add(['removed', child.key, child.val()])),
  ];
  log.stop = () => stops.forEach((stop) => stop());
  return log;
}

/** The keys of a snapshot's children, in their order. */
export function keys(snapshot) {
  const found = [];
  snapshot.forEach((child) => void found.push(child.key));
  return found;
}
