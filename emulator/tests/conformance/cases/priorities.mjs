/** Priorities. Source: the SDK's typings of setPriority, setWithPriority, DataSnapshot.priority, exportVal. */

import { get, increment, onValue, orderByPriority, query, ref, serverTimestamp, set, setPriority, setWithPriority, startAt, update } from 'firebase/database';
import { cases, equal, ok, rejected } from '../harness.mjs';
import { connect, keys, Log, settle, watch, watchChildren } from '../sdk.mjs';

/** Listen for the value with its priorities. */
const watchExport = (db, place) => watch(db, place, (snapshot) => snapshot.exportVal());

export default cases({
  'setWithPriority, and both come back': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await setWithPriority(ref(writer, 'box'), { a: 1 }, 7);
    await setWithPriority(ref(writer, 'leaf'), 'text', 'high');
    const [box, leaf] = [await get(ref(reader, 'box')), await get(ref(reader, 'leaf'))];
    equal([box.priority, box.val(), box.exportVal()], [7, { a: 1 }, { '.priority': 7, a: 1 }]);
    equal([leaf.priority, leaf.val(), leaf.exportVal()], ['high', 'text', { '.priority': 'high', '.value': 'text' }]);
  },

  'a snapshot without a priority has null': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { a: 1 });
    const snapshot = await get(ref(db, 'box'));
    equal([snapshot.priority, snapshot.exportVal()], [null, { a: 1 }]);
  },

  'setPriority keeps the data and is told as a change': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { a: 1 });
    const log = watchExport(reader, ref(reader, 'box'));
    await log.become([{ a: 1 }]);
    await setPriority(ref(writer, 'box'), 3);
    await setPriority(ref(writer, 'box'), null);
    await log.become([{ a: 1 }, { '.priority': 3, a: 1 }, { a: 1 }]);
  },

  'a set takes the priority away; one of a child does not': async (test) => {
    const db = connect(test);
    await setWithPriority(ref(db, 'box'), { a: 1 }, 3);
    await set(ref(db, 'box/a'), 2);
    await update(ref(db, 'box'), { b: 3 });
    equal((await get(ref(connect(test), 'box'))).exportVal(), { '.priority': 3, a: 2, b: 3 });
    await set(ref(db, 'box'), { a: 1 });
    equal((await get(ref(connect(test), 'box'))).exportVal(), { a: 1 });
  },

  'priorities within a value that is set': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const value = { '.priority': 1, a: { '.value': 'x', '.priority': 2 }, b: { '.priority': 'p', c: true } };
    await set(ref(writer, 'box'), value);
    equal((await get(ref(reader, 'box'))).exportVal(), value);
    const log = watchExport(reader, ref(reader, 'box'));
    await log.become([value]);
    equal((await get(ref(reader, 'box'))).val(), { a: 'x', b: { c: true } });
  },

  'data that goes takes its priority along': async (test) => {
    const db = connect(test);
    await setWithPriority(ref(db, 'box'), 1, 3);
    await set(ref(db, 'box'), null);
    await set(ref(db, 'box/a'), 1);
    equal((await get(ref(connect(test), 'box'))).exportVal(), { a: 1 });
  },

  'children stand by priority: none, numbers, texts; then by key': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const priorities = { z: null, 10: null, 9: null, e: 'b', d: 'a', c: 10, b2: 2, b1: 2, a: -1.5, f: 'B' };
    for (const [key, priority] of Object.entries(priorities)) {
      await setWithPriority(ref(writer, `list/${key}`), true, priority);
    }
    const order = ['9', '10', 'z', 'a', 'b1', 'b2', 'c', 'f', 'd', 'e'];
    equal(keys(await get(ref(reader, 'list'))), order);
    equal(keys(await get(query(ref(reader, 'list'), orderByPriority(), startAt(null)))), order);
    equal(keys(await get(query(ref(reader, 'list'), orderByPriority(), startAt(2, 'b2')))), order.slice(5));
  },

  'child_moved and child_changed when a priority moves a child': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    for (const [n, key] of ['a', 'b', 'c'].entries()) await setWithPriority(ref(writer, `list/${key}`), key, n + 1);
    const log = watchChildren(reader, ref(reader, 'list'));
    await log.become([['added', 'a', 'a', null], ['added', 'b', 'b', 'a'], ['added', 'c', 'c', 'b']]);
    log.forget();
    await setPriority(ref(writer, 'list/a'), 2.5);
    await log.become([['moved', 'a', 'a', 'b'], ['changed', 'a', 'a', 'b']]);
    log.forget();
    await setPriority(ref(writer, 'list/c'), 0);
    await log.become([['moved', 'c', 'c', null], ['changed', 'c', 'c', null]]);
  },

  'a time of the server as priority': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await setWithPriority(ref(writer, 'box'), 'x', serverTimestamp());
    const { priority } = await get(ref(reader, 'box'));
    ok(typeof priority === 'number' && Math.abs(priority - Date.now()) < 60_000, `priority ${priority}`);
  },

  'setPriority of a place without data fails': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watchExport(reader, ref(reader, 'box'));
    await log.become([null]);
    await rejected(setPriority(ref(writer, 'box'), 3));
    await log.become([null]);
    equal((await get(ref(reader, 'box'))).exists(), false);
  },

  'a priority before the values of an update': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watchExport(reader, ref(reader, 'box'));
    await log.become([null]);
    await update(ref(writer, 'box'), { '.priority': 3, a: 1 });
    await log.become([null, { '.priority': 3, a: 1 }]);
    equal((await get(ref(connect(test), 'box'))).exportVal(), { '.priority': 3, a: 1 });
  },

  'increments of a value and of its priority': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await setWithPriority(ref(writer, 'n'), 5, 1);
    const log = watchExport(reader, ref(reader, 'n'));
    await log.become([{ '.value': 5, '.priority': 1 }]);
    await setWithPriority(ref(writer, 'n'), increment(1), increment(1.5));
    await setWithPriority(ref(writer, 'n'), increment(1), 2);
    await log.become([{ '.value': 5, '.priority': 1 }, { '.value': 6, '.priority': 2.5 }, { '.value': 7, '.priority': 2 }]);
  },

  'a query tells changes of priority': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    for (const [n, key] of ['a', 'b', 'c'].entries()) await setWithPriority(ref(writer, `list/${key}`), key, n + 1);
    const log = new Log(reader);
    onValue(query(ref(reader, 'list'), orderByPriority(), startAt(2)), (snapshot) => log.add(keys(snapshot)));
    await log.become([['b', 'c']]);
    await setPriority(ref(writer, 'list/a'), 9);
    await settle(writer);
    await setPriority(ref(writer, 'list/b'), 0);
    await log.become([['b', 'c'], ['b', 'c', 'a'], ['c', 'a']]);
  },
});
