/** Connections that end and come back. Source: "Enabling offline capabilities", the typings of goOffline and OnDisconnect. */

import { get, goOffline, goOnline, onDisconnect, push, ref, remove, serverTimestamp, set, update } from 'firebase/database';
import { cases, equal, eventually, ok, pause, rejected, until } from '../harness.mjs';
import { connect, settle, watch, watchChildren } from '../sdk.mjs';

/** Two clients of the case; the second is connected. */
async function pair(test, options) {
  const [other, db] = [connect(test), connect(test, options)];
  await settle(db);
  return [other, db];
}

const connections = cases({
  '.info/connected follows the connection': async (test) => {
    const db = connect(test);
    const log = watch(db, ref(db, '.info/connected'));
    await eventually(() => log.events, [false, true]);
    goOffline(db);
    await eventually(() => log.events, [false, true, false]);
    goOnline(db);
    await eventually(() => log.events, [false, true, false, true]);
  },

  'writes made offline are seen at once and sent later': async (test) => {
    const [other, db] = await pair(test);
    await set(ref(other, 'box'), { a: 1, b: 1 });
    const [mine, theirs] = [watch(db, ref(db, 'box')), watch(other, ref(other, 'box'))];
    await mine.become([{ a: 1, b: 1 }]);
    await theirs.become([{ a: 1, b: 1 }]);
    goOffline(db);
    let sent = 0;
    const writes = [update(ref(db, 'box'), { a: 2 }), set(ref(db, 'box/c'), 3), remove(ref(db, 'box/b')), push(ref(db, 'list'), 'x')];
    writes.forEach((write) => write.then(() => (sent += 1)));
    equal(mine.events, [{ a: 1, b: 1 }, { a: 2, b: 1 }, { a: 2, b: 1, c: 3 }, { a: 2, c: 3 }]);
    await settle(other);
    equal([sent, theirs.events.length], [0, 1], 'writes answered and events elsewhere, while offline');
    goOnline(db);
    await Promise.all(writes);
    equal(await test.stored(''), { box: { a: 2, c: 3 }, list: { [writes[3].key]: 'x' } });
    await mine.become([{ a: 1, b: 1 }, { a: 2, b: 1 }, { a: 2, b: 1, c: 3 }, { a: 2, c: 3 }], 'no event more');
    equal(theirs.events.at(-1), { a: 2, c: 3 });
  },

  'writes made offline keep their order': async (test) => {
    const [other, db] = await pair(test);
    goOffline(db);
    const writes = Array.from({ length: 30 }, (_, n) => set(ref(db, 'count'), n));
    const log = watch(other, ref(other, 'count'));
    await log.become([null]);
    goOnline(db);
    await Promise.all(writes);
    await eventually(() => log.events.at(-1), 29);
    const [, ...numbers] = log.events;
    equal(numbers, [...numbers].sort((a, b) => a - b));
  },

  'a listener catches up with what came while it was away': async (test) => {
    const [other, db] = await pair(test);
    await set(ref(other, 'list'), { a: 1, b: 2, c: 3 });
    const [whole, children] = [watch(db, ref(db, 'list')), watchChildren(db, ref(db, 'list'))];
    await whole.become([{ a: 1, b: 2, c: 3 }]);
    children.forget();
    goOffline(db);
    await update(ref(other, 'list'), { a: null, b: 20, d: 4 });
    equal(whole.events.length, 1);
    goOnline(db);
    await whole.become([{ a: 1, b: 2, c: 3 }, { b: 20, c: 3, d: 4 }]);
    await children.become([['removed', 'a', 1], ['added', 'd', 4, 'c'], ['changed', 'b', 20, null]]);
  },

  'nothing is told after a while away in which nothing changed': async (test) => {
    const [other, db] = await pair(test);
    await set(ref(other, 'list'), { a: 1, b: { c: 0.1 } });
    const [whole, children] = [watch(db, ref(db, 'list')), watchChildren(db, ref(db, 'list'))];
    await whole.become([{ a: 1, b: { c: 0.1 } }]);
    goOffline(db);
    goOnline(db);
    await whole.become([{ a: 1, b: { c: 0.1 } }]);
    equal(children.events.length, 2);
    await set(ref(other, 'list/a'), 2);
    await whole.become([{ a: 1, b: { c: 0.1 } }, { a: 2, b: { c: 0.1 } }]);
  },

  'a place that was emptied meanwhile is told as empty': async (test) => {
    const [other, db] = await pair(test);
    await set(ref(other, 'list'), { a: 1 });
    const log = watch(db, ref(db, 'list'));
    await log.become([{ a: 1 }]);
    goOffline(db);
    await remove(ref(other, 'list'));
    goOnline(db);
    await log.become([{ a: 1 }, null]);
  },

  'a listener begun offline is told once online': async (test) => {
    const [other, db] = await pair(test);
    await set(ref(other, 'box'), 1);
    goOffline(db);
    const log = watch(db, ref(db, 'box'));
    const read = get(ref(db, 'elsewhere'));
    await settle(other);
    equal(log.events, []);
    goOnline(db);
    await log.become([1]);
    equal((await read).val(), null);
  },

  'one client offline does not concern another': async (test) => {
    const [other, db] = await pair(test);
    const log = watch(other, ref(other, 'box'));
    await log.become([null]);
    goOffline(db);
    await set(ref(other, 'box'), 1);
    await log.become([null, 1]);
  },

  'a connection that breaks comes back by itself': async (test) => {
    const gate = await test.gate();
    const [other, db] = await pair(test, { port: gate.port });
    const [connected, log] = [watch(db, ref(db, '.info/connected')), watch(db, ref(db, 'box'))];
    await log.become([null]);
    connected.forget();
    await gate.cut();
    await until(() => connected.events.includes(false), 'the loss of the connection');
    const written = set(ref(db, 'box'), { a: 1 });
    await set(ref(other, 'elsewhere'), 1);
    await written;
    equal(connected.events, [false, true]);
    await log.become([null, { a: 1 }]);
    await set(ref(other, 'box/b'), 2);
    await log.become([null, { a: 1 }, { a: 1, b: 2 }]);
  },

  'a write on its way when the connection breaks is sent again': async (test) => {
    const gate = await test.gate();
    const [, db] = await pair(test, { port: gate.port });
    const writes = Array.from({ length: 20 }, (_, n) => set(ref(db, `list/${n}`), 'x'.repeat(20_000)));
    await gate.cut();
    await Promise.all(writes);
    equal((await test.stored('list')).length, 20);
  },

  'onDisconnect: set, when the client goes offline': async (test) => {
    const [other, db] = await pair(test);
    const log = watch(other, ref(other, 'status'));
    await log.become([null]);
    await onDisconnect(ref(db, 'status')).set('gone');
    await set(ref(db, 'status'), 'here');
    await log.become([null, 'here']);
    goOffline(db);
    await log.become([null, 'here', 'gone']);
  },

  'onDisconnect: update, of the children and paths named': async (test) => {
    const [other, db] = await pair(test);
    await set(ref(db, 'box'), { a: 1, b: { c: 1, d: 1 } });
    await onDisconnect(ref(db, 'box')).update({ a: 2, 'b/c': 2, 'e/f': 3 });
    const log = watch(other, ref(other, 'box'));
    await log.become([{ a: 1, b: { c: 1, d: 1 } }]);
    goOffline(db);
    await log.become([{ a: 1, b: { c: 1, d: 1 } }, { a: 2, b: { c: 2, d: 1 }, e: { f: 3 } }]);
  },

  'onDisconnect: remove': async (test) => {
    const [other, db] = await pair(test);
    await set(ref(db, 'box'), { mine: 1, yours: 2 });
    await onDisconnect(ref(db, 'box/mine')).remove();
    const log = watch(other, ref(other, 'box'));
    await log.become([{ mine: 1, yours: 2 }]);
    goOffline(db);
    await log.become([{ mine: 1, yours: 2 }, { yours: 2 }]);
  },

  'onDisconnect: setWithPriority': async (test) => {
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'box')).setWithPriority({ a: 1 }, 'last');
    const log = watch(other, ref(other, 'box'), (snapshot) => snapshot.exportVal());
    await log.become([null]);
    goOffline(db);
    await log.become([null, { '.priority': 'last', a: 1 }]);
  },

  'onDisconnect: a time is that of the disconnect': async (test) => {
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'seen')).set(serverTimestamp());
    await set(ref(db, 'queued'), serverTimestamp());
    const log = watch(other, ref(other, 'seen'));
    await log.become([null]);
    await pause(60);
    goOffline(db);
    await until(() => log.events.length === 2, 'the time');
    const late = log.events[1] - (await test.stored('queued'));
    ok(late >= 50 && late < 5000, `${late} ms after it was queued`);
  },

  'onDisconnect: several places, in the order they were queued': async (test) => {
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'a')).set(1);
    await onDisconnect(ref(db, 'b/c')).set(2);
    await onDisconnect(ref(db, 'b')).update({ d: 3 });
    await onDisconnect(ref(db, 'e')).set({ f: 1 });
    await onDisconnect(ref(db, 'e/g')).set(2);
    goOffline(db);
    await eventually(() => test.stored(''), { a: 1, b: { c: 2, d: 3 }, e: { f: 1, g: 2 } });
    await settle(other);
  },

  'onDisconnect: a later one at the same place replaces the earlier': async (test) => {
    const [other, db] = await pair(test);
    const log = watch(other, ref(other, 'box'));
    await log.become([null]);
    await onDisconnect(ref(db, 'box')).set({ first: 1 });
    await onDisconnect(ref(db, 'box')).set({ second: 2 });
    goOffline(db);
    await log.become([null, { second: 2 }]);
  },

  'onDisconnect: cancel': async (test) => {
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'box')).set(1);
    await onDisconnect(ref(db, 'kept')).set(1);
    await onDisconnect(ref(db, 'box')).cancel();
    goOffline(db);
    await eventually(() => test.stored('kept'), 1);
    await settle(other);
    equal(await test.stored('box'), null);
  },

  'onDisconnect: cancel of a parent cancels what was queued below': async (test) => {
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'a/b/c')).set(1);
    await onDisconnect(ref(db, 'a/d')).set(1);
    await onDisconnect(ref(db, 'kept')).set(1);
    await onDisconnect(ref(db, 'a')).cancel();
    goOffline(db);
    await eventually(() => test.stored('kept'), 1);
    await settle(other);
    equal(await test.stored(''), { kept: 1 });
  },

  'onDisconnect: cancel of a child leaves its siblings': async (test) => {
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'box')).update({ a: 1, b: 1 });
    await onDisconnect(ref(db, 'whole')).set({ a: 1, b: 1 });
    await onDisconnect(ref(db, 'box/a')).cancel();
    await onDisconnect(ref(db, 'whole/a')).cancel();
    goOffline(db);
    await eventually(() => test.stored('box'), { b: 1 });
    await settle(other);
    equal(await test.stored('whole'), { b: 1 });
  },

  'onDisconnect: carried out once, not at the next disconnect': async (test) => {
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'status')).set('gone');
    goOffline(db);
    await eventually(() => test.stored('status'), 'gone');
    goOnline(db);
    await set(ref(db, 'status'), 'back');
    goOffline(db);
    await settle(other, other);
    equal(await test.stored('status'), 'back');
  },

  'onDisconnect: the client hears of it when it is back': async (test) => {
    const [, db] = await pair(test);
    await set(ref(db, 'status'), 'here');
    const log = watch(db, ref(db, 'status'));
    await log.become(['here']);
    await onDisconnect(ref(db, 'status')).set('gone');
    goOffline(db);
    await eventually(() => test.stored('status'), 'gone');
    goOnline(db);
    await log.become(['here', 'gone']);
  },

  'onDisconnect: asked for offline, queued once online': async (test) => {
    const [, db] = await pair(test);
    goOffline(db);
    const queued = onDisconnect(ref(db, 'status')).set('gone');
    goOnline(db);
    await queued;
    equal(await test.stored('status'), null);
    goOffline(db);
    await eventually(() => test.stored('status'), 'gone');
  },

  'onDisconnect: rejected by the rules when it is queued': async (test) => {
    await test.rules({ '.read': true, open: { '.write': true } });
    const [other, db] = await pair(test);
    const error = await rejected(onDisconnect(ref(db, 'closed')).set(1));
    equal(error.code, 'PERMISSION_DENIED');
    equal((await rejected(onDisconnect(ref(db, 'closed')).remove())).code, 'PERMISSION_DENIED', 'remove');
    equal((await rejected(onDisconnect(ref(db)).update({ 'open/a': 1, 'closed/a': 1 }))).code, 'PERMISSION_DENIED', 'update');
    await onDisconnect(ref(db, 'open/b')).set(1);
    goOffline(db);
    await eventually(() => test.stored(''), { open: { b: 1 } });
    await settle(other);
  },

  'onDisconnect: the rules are asked again at the disconnect': async (test) => {
    await test.rules({ '.read': true, box: { '.write': "root.child('open').val() === true" } });
    await test.store('open', true);
    const [other, db] = await pair(test);
    await onDisconnect(ref(db, 'box/a')).set(1);
    await test.store('open', false);
    goOffline(db);
    await settle(other, other);
    equal(await test.stored('box'), null);
  },

  'onDisconnect: when the connection breaks': async (test) => {
    const gate = await test.gate();
    const [other, db] = await pair(test, { port: gate.port });
    const log = watch(other, ref(other, 'status'));
    await log.become([null]);
    await onDisconnect(ref(db, 'status')).set('gone');
    await gate.shut();
    await log.become([null, 'gone']);
  },

  'onDisconnect: when the program is killed': async (test) => {
    const other = connect(test);
    const log = watch(other, ref(other, 'status'));
    await log.become([null]);
    const visitor = await test.world.visitor(test.namespace, 'status');
    await log.become([null, 'here']);
    await visitor.kill();
    await log.become([null, 'here', 'gone']);
  },

  'presence: a user with several devices, as documented': async (test) => {
    const other = connect(test);
    const log = watch(other, ref(other, 'users/joe'), (snapshot) => [snapshot.child('connections').size, snapshot.hasChild('lastOnline')]);
    await log.become([[0, false]]);
    const devices = [];
    for (const _ of ['phone', 'desk']) {
      const db = connect(test);
      const mine = push(ref(db, 'users/joe/connections'));
      await onDisconnect(mine).remove();
      await set(mine, true);
      await onDisconnect(ref(db, 'users/joe/lastOnline')).set(serverTimestamp());
      devices.push(db);
    }
    await log.become([[0, false], [1, false], [2, false]]);
    goOffline(devices[0]);
    await eventually(() => log.events.at(-1), [1, true]);
    goOffline(devices[1]);
    await eventually(() => log.events.at(-1), [0, true]);
  },
});

const rejections = cases(
  {
    'a program comes back by itself after connections were refused': async (test) => {
      const gate = await test.gate();
      const other = connect(test);
      const [status, answer] = [watch(other, ref(other, 'status')), watch(other, ref(other, 'status-answer'))];
      const visitor = await test.world.visitor(test.namespace, 'status', gate.port);
      test.defer(visitor.kill);
      await until(() => status.events.includes('here'), 'the visitor');
      await gate.shut();
      await until(() => status.events.includes('gone'), 'the loss of the visitor');
      await pause(3000); // long enough for some attempts to connect
      await gate.open();
      await set(ref(other, 'status-ask'), 'are you there?');
      for (let n = 0; n < 300 && answer.events.at(-1) !== 'are you there?'; n += 1) await pause(100);
      equal(answer.events.at(-1), 'are you there?', 'the answer of the visitor');
    },
  },
  { seconds: 50 },
);

export default [...connections, ...rejections];
