/** Placeholders that the server fills. Source: "Read and write data" (atomic increments), "Enabling offline capabilities". */

import { get, goOffline, goOnline, increment, onValue, ref, serverTimestamp, set, update } from 'firebase/database';
import { cases, equal, ok, until } from '../harness.mjs';
import { connect, Log, settle, watch } from '../sdk.mjs';

const isNow = (value) => ok(typeof value === 'number' && Math.abs(value - Date.now()) < 60_000, `${value} is not about now`);

export default cases({
  'serverTimestamp becomes the time of the server': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { at: serverTimestamp(), by: 'ada' });
    const { at, by } = (await get(ref(reader, 'box'))).val();
    isNow(at);
    equal(by, 'ada');
  },

  'serverTimestamp is guessed at once and corrected later': async (test) => {
    const db = connect(test);
    const log = watch(db, ref(db, 'at'));
    await log.become([null]);
    const done = set(ref(db, 'at'), serverTimestamp());
    equal(log.events.length, 2, 'number of events before the server answers');
    isNow(log.events[1]);
    await done;
    await settle(db);
    equal(log.events.at(-1), await test.stored('at'), 'what is known in the end');
    ok(log.events.length <= 3, `${log.events.length} events`);
  },

  'all times of one update are the same': async (test) => {
    const db = connect(test);
    await update(ref(db), { 'a/at': serverTimestamp(), 'b/at': serverTimestamp(), c: { d: { at: serverTimestamp() } } });
    const { a, b, c } = await test.stored('');
    isNow(a.at);
    equal([b.at, c.d.at], [a.at, a.at]);
  },

  'times never go back': async (test) => {
    const db = connect(test);
    const log = watch(connect(test), ref(db, 'at'));
    for (let n = 0; n < 20; n += 1) await set(ref(db, `times/${n}`), serverTimestamp());
    const times = await test.stored('times');
    equal(times, [...times].sort((a, b) => a - b));
    log.stop();
  },

  'increment adds to what is stored, whatever the client knows': async (test) => {
    const [one, other] = [connect(test), connect(test)];
    await set(ref(one, 'count'), 10);
    await set(ref(other, 'count'), increment(5));
    await set(ref(one, 'count'), increment(-2.5));
    equal(await test.stored('count'), 12.5);
  },

  'increment of what is no number sets it': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { text: 'ten', nested: { a: 1 } });
    await update(ref(db, 'box'), { text: increment(1), nested: increment(2), missing: increment(3) });
    equal(await test.stored('box'), { text: 1, nested: 2, missing: 3 });
  },

  'increments of many clients at once all count': async (test) => {
    const clients = Array.from({ length: 5 }, () => connect(test));
    const log = watch(clients[0], ref(clients[0], 'count'));
    await log.become([null]);
    await Promise.all(clients.flatMap((db) => Array.from({ length: 10 }, () => set(ref(db, 'count'), increment(1)))));
    equal(await test.stored('count'), 50);
    await settle(clients[0]);
    equal(log.events.at(-1), 50);
  },

  'increment is applied locally at once': async (test) => {
    const db = connect(test);
    await set(ref(db, 'count'), 5);
    const log = watch(db, ref(db, 'count'));
    await log.become([5]);
    const done = set(ref(db, 'count'), increment(2));
    equal(log.events, [5, 7], 'before the server answers');
    await done;
    await log.become([5, 7]);
  },

  'an increment made offline adds to what came meanwhile': async (test) => {
    const [writer, db] = [connect(test), connect(test)];
    await set(ref(writer, 'count'), 1);
    const log = watch(db, ref(db, 'count'));
    await log.become([1]);
    goOffline(db);
    const done = set(ref(db, 'count'), increment(1));
    await set(ref(writer, 'count'), 100);
    goOnline(db);
    await done;
    await settle(db);
    equal(log.events.at(-1), 101);
    equal(await test.stored('count'), 101);
  },

  'increments in an update of several paths': async (test) => {
    const db = connect(test);
    await set(ref(db, 'posts'), { a: { stars: 1 }, b: { stars: 7 } });
    await update(ref(db, 'posts'), { 'a/stars': increment(1), 'b/stars': increment(-1), 'a/by/ada': true });
    equal(await test.stored('posts'), { a: { stars: 2, by: { ada: true } }, b: { stars: 6 } });
  },

  'rules see what a placeholder becomes': async (test) => {
    await test.rules({
      '.read': true,
      at: { '.write': true, '.validate': 'newData.val() === now' },
      count: { '.write': true, '.validate': 'newData.val() <= 2' },
    });
    const db = connect(test);
    await set(ref(db, 'at'), serverTimestamp());
    await set(ref(db, 'count'), increment(2));
    const error = await set(ref(db, 'count'), increment(1)).then(() => null, (problem) => problem);
    equal(error?.code, 'PERMISSION_DENIED');
    equal(await test.stored('count'), 2);
  },

  '.info/serverTimeOffset is the difference of the clocks': async (test) => {
    const db = connect(test);
    const log = new Log(db);
    onValue(ref(db, '.info/connected'), (snapshot) => snapshot.val() && log.add('connected'));
    await until(() => log.events.length > 0, 'the connection');
    const offset = watch(db, ref(db, '.info/serverTimeOffset'));
    await until(() => typeof offset.events.at(-1) === 'number', () => `offset ${offset.events}`);
    ok(Math.abs(offset.events.at(-1)) < 10_000, `offset of ${offset.events.at(-1)} ms`);
  },
});
