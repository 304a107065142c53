/** firebase-admin for Node. Source: "Introduction to the Admin Database API", its typings of firebase-admin/database. */

import { deleteApp, initializeApp } from 'firebase-admin/app';
import { getDatabase, ServerValue } from 'firebase-admin/database';
import { cases, equal, eventually, ok, pause, rejected, thrown, until } from './harness.mjs';

const CLOSED = { '.read': false, '.write': false };
const OWNER = { getAccessToken: async () => ({ access_token: 'owner', expires_in: 3600 }) };
let apps = 0;

/** A database of the case's namespace; `auth` narrows it to a user (databaseAuthVariableOverride). */
function connect(test, auth) {
  apps += 1;
  const databaseURL = `https://${test.namespace}.firebaseio.com`;
  const options = { projectId: 'demo-conformance', credential: OWNER, databaseURL };
  const app = initializeApp({ ...options, ...(auth !== undefined && { databaseAuthVariableOverride: auth }) }, `admin-${apps}`);
  const db = getDatabase(app);
  test.defer(() => deleteApp(app));
  return db;
}

/** What the events of a query told, in their order. */
function watch(query, event = 'value', read = (snapshot, before) => (event === 'value' ? snapshot.val() : [snapshot.key, snapshot.val(), before])) {
  const log = [];
  query.on(event, (snapshot, before) => log.push(read(snapshot, before)), (error) => log.push(error.code));
  return log;
}

const keys = (snapshot) => {
  const found = [];
  snapshot.forEach((child) => void found.push(child.key));
  return found;
};

export default cases({
  'set, once, update, remove': async (test) => {
    const db = connect(test);
    await db.ref('users/ada').set({ name: 'Ada', born: 1815 });
    equal((await connect(test).ref('users/ada').once('value')).val(), { name: 'Ada', born: 1815 });
    await db.ref('users').update({ 'ada/born': null, 'bob/name': 'Bob' });
    equal(await test.stored('users'), { ada: { name: 'Ada' }, bob: { name: 'Bob' } });
    await db.ref('users/ada').remove();
    equal((await db.ref('users').get()).val(), { bob: { name: 'Bob' } });
  },

  'an admin is above the rules': async (test) => {
    await test.rules({ ...CLOSED, box: { '.validate': false } });
    const db = connect(test);
    await db.ref('box').set(1);
    equal((await db.ref('box').once('value')).val(), 1);
  },

  'push in order': async (test) => {
    const db = connect(test);
    const places = [1, 2, 3].map((n) => db.ref('list').push(n));
    await Promise.all(places);
    equal(keys(await db.ref('list').get()), places.map(({ key }) => key));
  },

  'value events': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watch(reader.ref('box'));
    await eventually(() => log, [null]);
    await writer.ref().update({ 'box/a': 1, 'box/b': 2 });
    await writer.ref('box/a').remove();
    await eventually(() => log, [null, { a: 1, b: 2 }, { b: 2 }]);
  },

  'child events with the key before': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await writer.ref('list').set({ a: 1, c: 3 });
    const list = reader.ref('list').orderByValue();
    const logs = Object.fromEntries(['added', 'changed', 'moved', 'removed'].map((kind) => [kind, watch(list, `child_${kind}`)]));
    await eventually(() => logs.added, [['a', 1, null], ['c', 3, 'a']]);
    await writer.ref('list/b').set(2);
    await writer.ref('list/a').set(2.5);
    await writer.ref('list/c').remove();
    await eventually(() => logs.removed.map(([key, value]) => [key, value]), [['c', 3]]);
    equal([logs.added.at(-1), logs.changed, logs.moved], [['b', 2, 'a'], [['a', 2.5, 'b']], [['a', 2.5, 'b']]]);
  },

  'off ends a listener': async (test) => {
    const db = connect(test);
    const log = watch(db.ref('box'));
    await eventually(() => log, [null]);
    db.ref('box').off();
    await connect(test).ref('box').set(1);
    await pause(50);
    equal(log, [null]);
  },

  'a transaction of several admins': async (test) => {
    const clients = [connect(test), connect(test), connect(test)];
    const add = (db) => db.ref('count').transaction((count) => (count ?? 0) + 1);
    const results = await Promise.all([...clients, ...clients, ...clients].map(add));
    ok(results.every(({ committed }) => committed), 'one was not committed');
    equal(await test.stored('count'), 9);
  },

  'a transaction that is aborted': async (test) => {
    const db = connect(test);
    await db.ref('box').set('kept');
    const { committed, snapshot } = await db.ref('box').transaction((value) => (value === null ? null : undefined));
    equal([committed, snapshot.val()], [false, 'kept']);
  },

  'a transaction calls back when it is complete': async (test) => {
    const db = connect(test);
    const [error, committed, snapshot] = await new Promise((resolve) => {
      db.ref('box').transaction(() => 5, (...outcome) => resolve(outcome), false);
    });
    equal([error, committed, snapshot.val()], [null, true, 5]);
  },

  'server values': async (test) => {
    const db = connect(test);
    await db.ref('box').set({ at: ServerValue.TIMESTAMP, count: ServerValue.increment(2) });
    await db.ref('box/count').set(ServerValue.increment(-0.5));
    const { at, count } = await test.stored('box');
    equal(count, 1.5);
    ok(Math.abs(at - Date.now()) < 60_000, `${at} is not about now`);
  },

  'queries': async (test) => {
    await test.rules({ ...CLOSED, list: { '.indexOn': ['n', '.value'] } });
    const db = connect(test);
    await db.ref('list').set({ a: { n: 3 }, b: { n: 1 }, c: { n: 2 }, d: { n: 2 } });
    const list = db.ref('list').orderByChild('n');
    const found = async (query) => keys(await query.once('value'));
    equal(await found(list), ['b', 'c', 'd', 'a']);
    equal(await found(list.limitToFirst(2)), ['b', 'c']);
    equal(await found(list.limitToLast(2)), ['d', 'a']);
    equal(await found(list.startAt(2)), ['c', 'd', 'a']);
    equal(await found(list.startAfter(2)), ['a']);
    equal(await found(list.endAt(2)), ['b', 'c', 'd']);
    equal(await found(list.endBefore(2)), ['b']);
    equal(await found(list.equalTo(2)), ['c', 'd']);
    equal(await found(list.equalTo(2, 'd')), ['d']);
    equal(await found(db.ref('list').orderByKey().startAt('b').endAt('c')), ['b', 'c']);
    equal(keys(await list.limitToLast(1).get()), ['a']);
  },

  'a window that moves': async (test) => {
    await test.rules({ list: { '.indexOn': '.value' } });
    const [writer, reader] = [connect(test), connect(test)];
    await writer.ref('list').set({ a: 1, b: 2, c: 3 });
    const log = watch(reader.ref('list').orderByValue().limitToLast(2), 'value', keys);
    await eventually(() => log, [['b', 'c']]);
    await writer.ref('list/d').set(4);
    await writer.ref('list/c').remove();
    await eventually(() => log.at(-1), ['b', 'd']);
  },

  'a query without an index': async (test) => {
    await test.store('list', { a: { n: 2 }, b: { n: 1 } });
    const list = connect(test).ref('list').orderByChild('n').limitToFirst(1);
    equal(keys(await list.once('value')), ['b'], 'once, as filtered by the client');
    const error = await rejected(connect(test).ref('list').orderByChild('n').limitToFirst(1).get());
    ok(error.message.includes('Index not defined, add ".indexOn": "n", for path "/list", to the rules'), error.message);
  },

  'priorities': async (test) => {
    const db = connect(test);
    await db.ref('list/a').setWithPriority(1, 2);
    await db.ref('list/b').setWithPriority(2, 1);
    const snapshot = await connect(test).ref('list').once('value');
    equal([keys(snapshot), snapshot.child('a').getPriority()], [['b', 'a'], 2]);
    await db.ref('list/a').setPriority(0);
    equal((await connect(test).ref('list').once('value')).exportVal(), { a: { '.value': 1, '.priority': 0 }, b: { '.value': 2, '.priority': 1 } });
  },

  'onDisconnect and going offline': async (test) => {
    const db = connect(test);
    await db.ref('status').onDisconnect().set('gone');
    await db.ref('status').set('here');
    db.goOffline();
    await eventually(() => test.stored('status'), 'gone');
    db.goOnline();
    equal((await db.ref('status').once('value')).val(), 'gone');
  },

  '.info': async (test) => {
    const db = connect(test);
    const connected = watch(db.ref('.info/connected'));
    await until(() => connected.at(-1) === true, 'the connection');
    const offset = (await db.ref('.info/serverTimeOffset').once('value')).val();
    ok(Math.abs(offset) < 10_000, `offset of ${offset} ms`);
  },

  'databaseAuthVariableOverride with a user': async (test) => {
    await test.rules({ users: { $uid: { '.read': 'auth.uid === $uid', '.write': 'auth.uid === $uid' } }, staff: { '.read': 'auth.role === "staff"' } });
    const db = connect(test, { uid: 'ada', role: 'staff' });
    await db.ref('users/ada').set(1);
    equal((await db.ref('users/ada').get()).val(), 1);
    equal((await db.ref('staff').once('value')).val(), null);
    equal((await rejected(db.ref('users/bob').set(1))).code, 'PERMISSION_DENIED');
    equal((await rejected(db.ref('users/bob').once('value'))).code, 'PERMISSION_DENIED');
  },

  'databaseAuthVariableOverride with null: nobody': async (test) => {
    await test.rules({ open: { '.read': 'auth === null', '.write': 'auth === null' }, users: { '.read': 'auth !== null' } });
    const db = connect(test, null);
    await db.ref('open').set(1);
    equal((await db.ref('open').once('value')).val(), 1);
    equal((await rejected(db.ref('users').once('value'))).code, 'PERMISSION_DENIED');
    equal((await rejected(db.ref('closed').set(1))).code, 'PERMISSION_DENIED');
  },

  'a listener of a user is cancelled when the data closes the place': async (test) => {
    await test.rules({ box: { '.read': "data.child('open').val() === true" } });
    await test.store('box/open', true);
    const log = watch(connect(test, { uid: 'ada' }).ref('box'));
    const admin = watch(connect(test).ref('box'));
    await eventually(() => log, [{ open: true }]);
    await test.store('box/open', false);
    await until(() => log.includes('PERMISSION_DENIED'), () => `cancelled; told: ${JSON.stringify(log)}`);
    await eventually(() => admin, [{ open: true }, { open: false }], 'what an admin is told');
  },

  'setRules with an object, getRulesJSON': async (test) => {
    const db = connect(test);
    const rules = { rules: { '.read': false, list: { '.indexOn': ['n'], '.write': 'auth != null' } } };
    await db.setRules(rules);
    equal(await db.getRulesJSON(), rules);
    equal((await rejected(connect(test, null).ref('list').once('value'))).code, 'PERMISSION_DENIED', 'the rules that were set');
  },

  'setRules with a text, getRules: comments are kept': async (test) => {
    const db = connect(test);
    const text = '{\n  // who may read\n  "rules": {\n    ".read": true, /* all */ ".write": false\n  }\n}\n';
    await db.setRules(text);
    equal(await db.getRules(), text);
    equal(await db.getRulesJSON(), { rules: { '.read': true, '.write': false } });
    await db.setRules(Buffer.from('{"rules": {".read": false}}'));
    equal(JSON.parse(await db.getRules()), { rules: { '.read': false } });
  },

  'setRules rejects bad rules, and keeps the old ones': async (test) => {
    const db = connect(test);
    await db.setRules({ rules: { '.read': true } });
    for (const bad of ['{"rules": {".read": "auth.uid ==="}}', '{"rules": {".read": "nothing.here"}}', '{"rulez": {}}', 'not JSON']) {
      const error = await rejected(db.setRules(bad), bad);
      ok(error.message.startsWith('Error while accessing security rules'), error.message);
    }
    await rejected(db.setRules(''), 'rules that are empty');
    equal(await db.getRulesJSON(), { rules: { '.read': true } });
  },

  'large values': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const value = { text: 'ä'.repeat(300_000), list: Array.from({ length: 2000 }, (_, n) => ({ n, name: `Nummer ${n}` })) };
    await writer.ref('large').set(value);
    equal((await reader.ref('large').once('value')).val(), value);
  },

  'values that cannot be stored are rejected at once': async (test) => {
    const db = connect(test);
    thrown(() => db.ref('box').set(undefined), 'undefined');
    thrown(() => db.ref('box').set({ 'a.b': 1 }), 'a key with a dot');
    thrown(() => db.ref('a.b'), 'a path with a dot');
    equal(await test.stored(''), null);
  },

  'parent, root and child': async (test) => {
    const db = connect(test);
    await db.ref('a/b/c').set(1);
    const place = db.ref('a/b');
    equal([place.key, place.parent.key, place.root.key, place.child('c').key], ['b', 'a', null, 'c']);
    equal((await place.parent.child('b/c').once('value')).val(), 1);
  },

  'an app that is deleted hears no more': async (test) => {
    const app = initializeApp({ credential: OWNER, databaseURL: `https://${test.namespace}.firebaseio.com` }, `gone-${test.namespace}`);
    const log = watch(getDatabase(app).ref('box'));
    await eventually(() => log, [null]);
    await deleteApp(app);
    await test.store('box', 1);
    await pause(50);
    equal(log, [null]);
  },

  'once for a child event': async (test) => {
    const db = connect(test);
    const added = db.ref('list').once('child_added');
    await connect(test).ref('list').push('first');
    equal((await added).val(), 'first');
  },
});
