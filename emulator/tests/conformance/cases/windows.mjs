/** Queries that stay open while data changes. Source: "Work with lists of data", the typings of limitToFirst and limitToLast. */

import {
  endAt, equalTo, goOffline, goOnline, limitToFirst, limitToLast, orderByChild, orderByKey, orderByValue, query, ref, remove, set, startAt, update,
} from 'firebase/database';
import { cases, equal } from '../harness.mjs';
import { connect, keys, watch, watchChildren } from '../sdk.mjs';

/** A writer and a reader of a list {a: 1, b: 2, …} with an index on its values. */
async function numbers(test, letters) {
  await test.rules({ '.read': true, '.write': true, list: { '.indexOn': ['.value', 'of', 'n'] } });
  await test.store('list', Object.fromEntries([...letters].map((letter, n) => [letter, n + 1])));
  const [writer, reader] = [connect(test), connect(test)];
  return [writer, reader, (key) => ref(writer, `list/${key}`), ref(reader, 'list')];
}

/** Do each step and see that it, and nothing else, is told. */
async function steps(log, list) {
  for (const [step, events] of list) {
    log.forget();
    await step();
    await log.become(events, String(step));
  }
}

export default cases({
  'limitToLast: what enters pushes out what was first': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abc');
    const log = watchChildren(reader, query(list, orderByValue(), limitToLast(2)));
    await log.become([['added', 'b', 2, null], ['added', 'c', 3, 'b']]);
    await steps(log, [
      [() => set(at('d'), 4), [['removed', 'b', 2], ['added', 'd', 4, 'c']]],
      [() => remove(at('d')), [['removed', 'd', 4], ['added', 'b', 2, null]]],
      [() => set(at('b'), 5), [['moved', 'b', 5, 'c'], ['changed', 'b', 5, 'c']]],
      [() => set(at('c'), 0), [['removed', 'c', 3], ['added', 'a', 1, null]]],
      [() => set(at('c'), 0.5), []],
      [() => remove(at('c')), []],
      [() => remove(at('a')), [['removed', 'a', 1]]],
      [() => set(at('z'), 9), [['added', 'z', 9, 'b']]],
    ]);
  },

  'limitToFirst: what enters pushes out what was last': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abcd');
    const log = watchChildren(reader, query(list, orderByValue(), limitToFirst(2)));
    await log.become([['added', 'a', 1, null], ['added', 'b', 2, 'a']]);
    await steps(log, [
      [() => set(at('e'), 1.5), [['removed', 'b', 2], ['added', 'e', 1.5, 'a']]],
      [() => remove(at('a')), [['removed', 'a', 1], ['added', 'b', 2, 'e']]],
      [() => set(at('e'), 10), [['removed', 'e', 1.5], ['added', 'c', 3, 'b']]],
      [() => set(at('c'), 1), [['moved', 'c', 1, null], ['changed', 'c', 1, null]]],
      [() => set(at('d'), 40), []],
    ]);
  },

  'a window by key': async (test) => {
    const [, reader, at, list] = await numbers(test, 'bdf');
    const log = watchChildren(reader, query(list, orderByKey(), limitToFirst(2)));
    await log.become([['added', 'b', 1, null], ['added', 'd', 2, 'b']]);
    await steps(log, [
      [() => set(at('c'), 7), [['removed', 'd', 2], ['added', 'c', 7, 'b']]],
      [() => set(at('c'), 8), [['changed', 'c', 8, 'b']]],
      [() => set(at('9'), 9), [['removed', 'c', 8], ['added', '9', 9, null]]],
      [() => remove(at('9')), [['removed', '9', 9], ['added', 'c', 8, 'b']]],
      [() => set(at('e'), 1), []],
    ]);
  },

  'the value of a window is told once for each change of it': async (test) => {
    const [writer, reader, at, list] = await numbers(test, 'abc');
    const log = watch(reader, query(list, orderByValue(), limitToLast(2)), keys);
    await log.become([['b', 'c']]);
    await set(at('a'), 0);
    await log.become([['b', 'c']], 'a change outside');
    await update(ref(writer, 'list'), { d: 4, e: 5, f: 6 });
    await log.become([['b', 'c'], ['e', 'f']]);
  },

  'a whole list that is replaced': async (test) => {
    const [writer, reader, , list] = await numbers(test, 'abc');
    const log = watchChildren(reader, query(list, orderByValue(), limitToLast(2)));
    await log.become([['added', 'b', 2, null], ['added', 'c', 3, 'b']]);
    await steps(log, [
      [() => set(ref(writer, 'list'), { c: 3, x: 7, y: 8 }), [['removed', 'b', 2], ['removed', 'c', 3], ['added', 'x', 7, null], ['added', 'y', 8, 'x']]],
      [() => remove(ref(writer, 'list')), [['removed', 'x', 7], ['removed', 'y', 8]]],
      [() => set(ref(writer), { list: { only: 1 } }), [['added', 'only', 1, null]]],
    ]);
  },

  'equalTo: children come and go as their value does': async (test) => {
    const [writer, reader, at, list] = await numbers(test, '');
    await set(ref(writer, 'list'), { a: { of: 'ada' }, b: { of: 'bob' }, c: { of: 'ada', n: 1 } });
    const log = watchChildren(reader, query(list, orderByChild('of'), equalTo('ada')));
    await log.become([['added', 'a', { of: 'ada' }, null], ['added', 'c', { of: 'ada', n: 1 }, 'a']]);
    await steps(log, [
      [() => set(at('b/of'), 'ada'), [['added', 'b', { of: 'ada' }, 'a']]],
      [() => set(at('a/of'), 'carl'), [['removed', 'a', { of: 'ada' }]]],
      [() => set(at('c/n'), 2), [['changed', 'c', { of: 'ada', n: 2 }, 'b']]],
      [() => remove(at('c/of')), [['removed', 'c', { of: 'ada', n: 2 }]]],
      [() => set(at('a/n'), 2), []],
    ]);
  },

  'a range: children come and go as their value does': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abcde');
    const log = watchChildren(reader, query(list, orderByValue(), startAt(2), endAt(4)));
    await log.become([['added', 'b', 2, null], ['added', 'c', 3, 'b'], ['added', 'd', 4, 'c']]);
    await steps(log, [
      [() => set(at('a'), 3.5), [['added', 'a', 3.5, 'c']]],
      [() => set(at('c'), 9), [['removed', 'c', 3]]],
      [() => set(at('b'), 3.7), [['moved', 'b', 3.7, 'a'], ['changed', 'b', 3.7, 'a']]],
      [() => set(at('e'), 'text'), []],
    ]);
  },

  'a range with a limit fills up again': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abcdef');
    const log = watchChildren(reader, query(list, orderByValue(), startAt(2), limitToFirst(3)));
    await log.become([['added', 'b', 2, null], ['added', 'c', 3, 'b'], ['added', 'd', 4, 'c']]);
    await steps(log, [
      [() => remove(at('c')), [['removed', 'c', 3], ['added', 'e', 5, 'd']]],
      [() => set(at('b'), 1), [['removed', 'b', 2], ['added', 'f', 6, 'e']]],
      [() => set(at('a'), 2), [['removed', 'f', 6], ['added', 'a', 2, null]]],
    ]);
  },

  'a list longer than its window, filled from empty by one writer': async (test) => {
    const [writer, reader, at, list] = await numbers(test, '');
    const [theirs, mine] = [
      watch(reader, query(list, orderByKey(), limitToLast(3)), keys),
      watch(writer, query(ref(writer, 'list'), orderByKey(), limitToLast(3)), keys),
    ];
    await theirs.become([[]]);
    await mine.become([[]]);
    for (const key of ['a', 'b', 'c', 'd', 'e']) await set(at(key), key);
    const expected = [[], ['a'], ['a', 'b'], ['a', 'b', 'c'], ['b', 'c', 'd'], ['c', 'd', 'e']];
    await theirs.become(expected);
    await mine.become(expected);
  },

  'a writer with a window of its own, of which it first knows only that': async (test) => {
    const [writer, , at] = await numbers(test, 'abcd');
    const log = watchChildren(writer, query(ref(writer, 'list'), orderByValue(), limitToFirst(2)));
    await log.become([['added', 'a', 1, null], ['added', 'b', 2, 'a']]);
    await steps(log, [
      [() => remove(at('a')), [['removed', 'a', 1], ['added', 'c', 3, 'b']]],
      [() => set(at('b'), 99), [['moved', 'b', 99, 'c'], ['changed', 'b', 99, 'c'], ['removed', 'b', 99], ['added', 'd', 4, 'c']]],
      [() => set(at('new'), 0), [['removed', 'd', 4], ['added', 'new', 0, null]]],
    ]);
  },

  'several queries on one place, and a listener on all of it': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abcd');
    const first = watch(reader, query(list, orderByValue(), limitToFirst(2)), keys);
    const last = watch(reader, query(list, orderByValue(), limitToLast(2)), keys);
    const from = watch(reader, query(list, orderByKey(), startAt('b')), keys);
    await first.become([['a', 'b']]);
    await last.become([['c', 'd']]);
    await from.become([['b', 'c', 'd']]);
    const all = watch(reader, list, keys);
    await all.become([['a', 'b', 'c', 'd']]);
    await set(at('e'), 5);
    await first.become([['a', 'b']]);
    await last.become([['c', 'd'], ['d', 'e']]);
    await from.become([['b', 'c', 'd'], ['b', 'c', 'd', 'e']]);
    await all.become([['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd', 'e']]);
    all.stop();
    await remove(at('a'));
    await first.become([['a', 'b'], ['b', 'c']]);
    await last.become([['c', 'd'], ['d', 'e']]);
    equal(all.events.length, 2);
    first.stop();
    last.stop();
    await set(at('f'), 6);
    await from.become([['b', 'c', 'd'], ['b', 'c', 'd', 'e'], ['b', 'c', 'd', 'e', 'f']]);
    equal([first.events.length, last.events.length], [2, 2]);
  },

  'a query next to a listener on all, begun after it and outliving it': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abc');
    const all = watch(reader, list, keys);
    await all.become([['a', 'b', 'c']]);
    const last = watchChildren(reader, query(list, orderByValue(), limitToLast(1)));
    await last.become([['added', 'c', 3, null]]);
    all.stop();
    await steps(last, [
      [() => set(at('d'), 4), [['removed', 'c', 3], ['added', 'd', 4, null]]],
      [() => remove(at('d')), [['removed', 'd', 4], ['added', 'c', 3, null]]],
    ]);
  },

  'the same query twice, one of them ended': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abc');
    const last = () => query(list, orderByValue(), limitToLast(1));
    const [one, other] = [watch(reader, last(), keys), watch(reader, last(), keys)];
    await one.become([['c']]);
    await other.become([['c']]);
    one.stop();
    await set(at('d'), 4);
    await other.become([['c'], ['d']]);
    equal(one.events, [['c']]);
  },

  'a listener on one child next to a window without it': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abc');
    const last = watch(reader, query(list, orderByValue(), limitToLast(1)), keys);
    const child = watch(reader, ref(reader, 'list/a'));
    await last.become([['c']]);
    await child.become([1]);
    await set(at('a'), 1.5);
    await child.become([1, 1.5]);
    await last.become([['c']]);
    await set(at('a'), 9);
    await last.become([['c'], ['a']]);
    await child.become([1, 1.5, 9]);
  },

  'a change deep inside a child in the window': async (test) => {
    const [writer, reader, at, list] = await numbers(test, '');
    await set(ref(writer, 'list'), { a: { n: 1, deep: { x: 1 } }, b: { n: 2 }, c: { n: 3 } });
    const log = watchChildren(reader, query(list, orderByChild('n'), limitToFirst(2)));
    await log.become([['added', 'a', { n: 1, deep: { x: 1 } }, null], ['added', 'b', { n: 2 }, 'a']]);
    await steps(log, [
      [() => set(at('a/deep/x'), 2), [['changed', 'a', { n: 1, deep: { x: 2 } }, null]]],
      [() => set(at('c/deep/x'), 2), []],
      [() => update(ref(writer, 'list'), { 'a/n': 9, 'c/n': 0 }), [['removed', 'a', { n: 1, deep: { x: 2 } }], ['added', 'c', { n: 0, deep: { x: 2 } }, null]]],
      [() => remove(at('b/n')), [['removed', 'b', { n: 2 }], ['added', 'a', { n: 9, deep: { x: 2 } }, 'c']]],
    ]);
  },

  'a window catches up after a while offline': async (test) => {
    const [, reader, at, list] = await numbers(test, 'abc');
    const log = watchChildren(reader, query(list, orderByValue(), limitToLast(2)));
    await log.become([['added', 'b', 2, null], ['added', 'c', 3, 'b']]);
    log.forget();
    goOffline(reader);
    await set(at('d'), 4);
    await set(at('c'), 3.5);
    goOnline(reader);
    await log.become([['removed', 'b', 2], ['added', 'd', 4, 'c'], ['moved', 'c', 3.5, null], ['changed', 'c', 3.5, null]]);
  },
});
