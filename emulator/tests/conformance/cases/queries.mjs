/** Which children a query has, in which order. Source: "Work with lists of data", "How query data is ordered", "Index your data". */

import {
  endAt, endBefore, equalTo, get, limitToFirst, limitToLast, onValue, orderByChild, orderByKey, orderByPriority, orderByValue,
  query, ref, set, setWithPriority, startAfter, startAt,
} from 'firebase/database';
import { cases, equal, rejected, thrown } from '../harness.mjs';
import { connect, keys, watch } from '../sdk.mjs';

/** Children by what stands at their child "x", in the documented order. */
const BY_TYPE = [
  ['2', { y: 1 }], ['10', { y: 1 }], ['none-a', { y: 1 }], ['none-b', 'a leaf'],
  ['no-a', { x: false }], ['no-b', { x: false }],
  ['yes-a', { x: true }], ['yes-b', { x: true }],
  ['3', { x: -1.5 }], ['zero', { x: 0 }], ['12', { x: 3 }], ['three-a', { x: 3 }], ['three-b', { x: 3 }], ['many', { x: 1000 }],
  ['empty', { x: '' }], ['text-10', { x: '10' }], ['text-9', { x: '9' }], ['upper', { x: 'B' }], ['lower', { x: 'a' }], ['lower-b', { x: 'ab' }],
  ['object-a', { x: { z: 9 } }], ['object-b', { x: { a: 1 } }],
];

/** Children by value, in the documented order; there are none without a value. */
const BY_VALUE = BY_TYPE.slice(4).map(([key, { x }]) => [key, x]);

/** Keys that read as whole numbers of 32 bits come first, as numbers; then the others as texts. */
const BY_KEY = ['-12', '-5', '0', '3', '9', '10', '2147483647', '-', '2147483648', '9a', 'A', 'B', '_', 'a', 'ab', 'é', '日'];

const SCORES = { none: 1, a: { s: 10 }, b: { s: 20 }, c: { s: 20 }, d: { s: 20 }, e: { s: 30 }, t: { s: 'text' } };

/** The rules of a place "list" with these indexes. */
const indexed = (...names) => ({ '.read': true, '.write': true, list: { '.indexOn': names } });

/** Check that `order` holds for each limit, from either side, and for a listener. */
async function ordered(db, order, ...constraints) {
  const list = (...more) => query(ref(db, 'list'), ...constraints, ...more);
  equal(keys(await get(list())), order, 'all');
  for (let n = 1; n <= order.length; n += 1) {
    equal(keys(await get(list(limitToFirst(n)))), order.slice(0, n), `the first ${n}`);
    equal(keys(await get(list(limitToLast(n)))), order.slice(-n), `the last ${n}`);
  }
  const log = watch(db, list(limitToFirst(3)), keys);
  await log.become([order.slice(0, 3)], 'a listener');
}

/** Check the keys that each query [constraints, keys] of the list has. */
async function found(db, order, expectations) {
  for (const [constraints, expected] of expectations) {
    const list = query(ref(db, 'list'), ...order, ...constraints);
    const what = constraints.map(({ type, ...rest }) => `${type} ${Object.values(rest).join(' ')}`).join(', ');
    equal(keys(await get(list)), expected, `get: ${what}`);
    const snapshot = await new Promise((resolve, reject) => onValue(list, resolve, reject, { onlyOnce: true }));
    equal(keys(snapshot), expected, `onValue: ${what}`);
  }
}

export default cases({
  'orderByChild: the order of types': async (test) => {
    await test.rules(indexed('x'));
    await test.store('list', Object.fromEntries(BY_TYPE));
    await ordered(connect(test), BY_TYPE.map(([key]) => key), orderByChild('x'));
  },

  'orderByValue: the order of types': async (test) => {
    await test.rules(indexed('.value'));
    await test.store('list', Object.fromEntries(BY_VALUE));
    await ordered(connect(test), BY_VALUE.map(([key]) => key), orderByValue());
  },

  'orderByKey: whole numbers first': async (test) => {
    await test.store('list', Object.fromEntries(BY_KEY.map((key) => [key, true])));
    await ordered(connect(test), BY_KEY, orderByKey());
  },

  'orderByPriority: the order of priorities': async (test) => {
    const db = connect(test);
    const order = { 7: null, none: null, low: -1, mid: 2, 'mid-b': 2, high: 30, text: 'a', 'text-b': 'b' };
    for (const [key, priority] of Object.entries(order)) await setWithPriority(ref(db, `list/${key}`), true, priority);
    await ordered(connect(test), Object.keys(order), orderByPriority());
  },

  'keys of all scripts stand in one order on both sides': async (test) => {
    const names = ['z', 'é', 'ж', '日', '\uFF5E', '😀', '🎉', '\uE000'];
    await test.store('list', Object.fromEntries(names.map((key) => [key, true])));
    const whole = keys(await get(ref(connect(test), 'list')));
    await ordered(connect(test), whole, orderByKey());
  },

  'texts of all scripts stand in one order on both sides': async (test) => {
    const names = ['z', 'é', 'ж', '日', '\uFF5E', '😀', '🎉', '\uE000', 'Z', ''];
    await test.rules(indexed('.value'));
    await test.store('list', Object.fromEntries(names.map((name, n) => [`k${n}`, name])));
    const db = connect(test);
    await watch(db, ref(db, 'list')).become([Object.fromEntries(names.map((name, n) => [`k${n}`, name]))]);
    const whole = keys(await get(query(ref(db, 'list'), orderByValue())));
    await ordered(connect(test), whole, orderByValue());
  },

  'ranges by child': async (test) => {
    await test.rules(indexed('s'));
    await test.store('list', SCORES);
    await found(connect(test), [orderByChild('s')], [
      [[startAt(20)], ['b', 'c', 'd', 'e', 't']],
      [[startAt(15)], ['b', 'c', 'd', 'e', 't']],
      [[startAt(20, 'c')], ['c', 'd', 'e', 't']],
      [[startAfter(20)], ['e', 't']],
      [[startAfter(20, 'c')], ['d', 'e', 't']],
      [[endAt(20)], ['none', 'a', 'b', 'c', 'd']],
      [[endAt(20, 'c')], ['none', 'a', 'b', 'c']],
      [[endBefore(20)], ['none', 'a']],
      [[endBefore(20, 'c')], ['none', 'a', 'b']],
      [[equalTo(20)], ['b', 'c', 'd']],
      [[equalTo(20, 'c')], ['c']],
      [[equalTo(20, 'e')], []],
      [[equalTo(21)], []],
      [[equalTo(null)], ['none']],
      [[equalTo('text')], ['t']],
      [[startAt(10), endAt(20)], ['a', 'b', 'c', 'd']],
      [[startAfter(10), endBefore(30)], ['b', 'c', 'd']],
      [[startAt(20, 'c'), endAt(30)], ['c', 'd', 'e']],
      [[startAt('a')], ['t']],
      [[startAt(false), endAt(15)], ['a']],
    ]);
  },

  'ranges by child, with limits': async (test) => {
    await test.rules(indexed('s'));
    await test.store('list', SCORES);
    await found(connect(test), [orderByChild('s')], [
      [[startAt(20), limitToFirst(2)], ['b', 'c']],
      [[startAt(20, 'c'), limitToFirst(2)], ['c', 'd']],
      [[startAfter(20, 'c'), limitToFirst(1)], ['d']],
      [[endAt(20), limitToLast(2)], ['c', 'd']],
      [[endBefore(20, 'd'), limitToLast(2)], ['b', 'c']],
      [[equalTo(20), limitToFirst(1)], ['b']],
      [[equalTo(20), limitToLast(1)], ['d']],
      [[startAt(10), endAt(20), limitToLast(3)], ['b', 'c', 'd']],
      [[startAt(10), endAt(20), limitToFirst(9)], ['a', 'b', 'c', 'd']],
      [[startAt(99), endAt(100), limitToFirst(1)], []],
    ]);
  },

  'ranges by key': async (test) => {
    await test.store('list', { 2: 1, 10: 1, a: 1, b: 1, ba: 1, c: 1 });
    await found(connect(test), [orderByKey()], [
      [[startAt('b')], ['b', 'ba', 'c']],
      [[startAt('10')], ['10', 'a', 'b', 'ba', 'c']],
      [[startAt('3')], ['10', 'a', 'b', 'ba', 'c']],
      [[startAfter('b')], ['ba', 'c']],
      [[startAfter('2')], ['10', 'a', 'b', 'ba', 'c']],
      [[endAt('b')], ['2', '10', 'a', 'b']],
      [[endBefore('b')], ['2', '10', 'a']],
      [[endBefore('10')], ['2']],
      [[equalTo('ba')], ['ba']],
      [[equalTo('10')], ['10']],
      [[equalTo('none')], []],
      [[startAt('b'), endAt('b\uf8ff')], ['b', 'ba']],
      [[startAt('a'), limitToFirst(2)], ['a', 'b']],
      [[startAfter('a'), limitToFirst(2)], ['b', 'ba']],
      [[endBefore('c'), limitToLast(2)], ['b', 'ba']],
    ]);
  },

  'ranges by value': async (test) => {
    await test.rules(indexed('.value'));
    await test.store('list', { a: 5, b: 5, c: 10, d: 'x', e: true, f: 'y' });
    await found(connect(test), [orderByValue()], [
      [[startAt(5)], ['a', 'b', 'c', 'd', 'f']],
      [[startAt(5, 'b')], ['b', 'c', 'd', 'f']],
      [[startAfter(5)], ['c', 'd', 'f']],
      [[endAt(5)], ['e', 'a', 'b']],
      [[endAt(true)], ['e']],
      [[endBefore(5, 'b')], ['e', 'a']],
      [[equalTo(5)], ['a', 'b']],
      [[equalTo(5, 'b')], ['b']],
      [[equalTo('x')], ['d']],
      [[startAt('x'), limitToLast(1)], ['f']],
    ]);
  },

  'ranges by priority': async (test) => {
    const db = connect(test);
    const order = { none: null, a: 1, b: 2, c: 2, d: 3, e: 'x' };
    for (const [key, priority] of Object.entries(order)) await setWithPriority(ref(db, `list/${key}`), true, priority);
    await found(connect(test), [orderByPriority()], [
      [[startAt(2)], ['b', 'c', 'd', 'e']],
      [[startAt(2, 'c')], ['c', 'd', 'e']],
      [[startAfter(2)], ['d', 'e']],
      [[endAt(2)], ['none', 'a', 'b', 'c']],
      [[endBefore(2)], ['none', 'a']],
      [[equalTo(2)], ['b', 'c']],
      [[equalTo(2, 'c')], ['c']],
      [[equalTo('x')], ['e']],
      [[startAt(1), endAt(3), limitToLast(2)], ['c', 'd']],
    ]);
  },

  'limits without an order are by key': async (test) => {
    await test.store('list', { b: 1, a: 2, 10: 3, 9: 4 });
    await found(connect(test), [], [
      [[limitToFirst(2)], ['9', '10']],
      [[limitToLast(3)], ['10', 'a', 'b']],
    ]);
  },

  'orderByChild with a deep path': async (test) => {
    await test.rules(indexed('metrics/views/all'));
    const views = (all) => ({ metrics: { views: { all } } });
    await test.store('list', { a: views(30), b: views(10), c: { metrics: 5 }, d: views(20) });
    const db = connect(test);
    await ordered(db, ['c', 'b', 'd', 'a'], orderByChild('metrics/views/all'));
    await found(db, [orderByChild('metrics/views/all')], [
      [[startAt(20)], ['d', 'a']],
      [[equalTo(10)], ['b']],
    ]);
  },

  'a query of a place without data, or with a leaf, has no children': async (test) => {
    await test.store('leaf', 5);
    const db = connect(test);
    equal((await get(query(ref(db, 'none'), limitToFirst(2)))).val(), null);
    await watch(db, query(ref(db, 'empty'), orderByKey(), startAt('a'))).become([null]);
  },

  'the values of a query are those of its children alone': async (test) => {
    await test.rules(indexed('s'));
    await test.store('list', SCORES);
    const db = connect(test);
    const list = query(ref(db, 'list'), orderByChild('s'), startAt(20), limitToFirst(2));
    equal((await get(list)).val(), { b: { s: 20 }, c: { s: 20 } });
    await watch(db, list).become([{ b: { s: 20 }, c: { s: 20 } }]);
  },

  'without an index: a listener gets its children all the same': async (test) => {
    await test.store('list', SCORES);
    const [writer, db] = [connect(test), connect(test)];
    const log = watch(db, query(ref(db, 'list'), orderByChild('s'), startAt(20), limitToLast(3)), keys);
    await log.become([['d', 'e', 't']]);
    await set(ref(writer, 'list/f/s'), 25);
    await log.become([['d', 'e', 't'], ['f', 'e', 't']]);
    await set(ref(writer, 'list/a/s'), 1000);
    await log.become([['d', 'e', 't'], ['f', 'e', 't'], ['e', 'a', 't']]);
    await set(ref(writer, 'list/none'), 2);
    await log.become([['d', 'e', 't'], ['f', 'e', 't'], ['e', 'a', 't']]);
  },

  'without an index: get is rejected, and names the index to add': async (test) => {
    await test.store('list', SCORES);
    const db = connect(test);
    const byChild = await rejected(get(query(ref(db, 'list'), orderByChild('s'), startAt(20))));
    equal(byChild.message, 'Index not defined, add ".indexOn": "s", for path "/list", to the rules');
    const byValue = await rejected(get(query(ref(db, 'list'), orderByValue(), limitToFirst(1))));
    equal(byValue.message, 'Index not defined, add ".indexOn": ".value", for path "/list", to the rules');
  },

  'without an index: keys and priorities need none': async (test) => {
    await test.rules({ '.read': true, '.write': true });
    await test.store('list', { a: { '.value': 1, '.priority': 2 }, b: { '.value': 2, '.priority': 1 } });
    const db = connect(test);
    equal(keys(await get(query(ref(db, 'list'), orderByKey(), limitToFirst(1)))), ['a']);
    equal(keys(await get(query(ref(db, 'list'), orderByPriority(), limitToFirst(1)))), ['b']);
  },

  'invalid queries are rejected by the client': async (test) => {
    const list = ref(connect(test), 'list');
    thrown(() => query(list, orderByChild('a'), orderByKey()), 'two orders');
    thrown(() => query(list, limitToFirst(0)), 'no child at all');
    thrown(() => query(list, limitToFirst(1), limitToLast(1)), 'two limits');
    thrown(() => query(list, orderByKey(), startAt(1)), 'a key that is no text');
    thrown(() => query(list, orderByChild('$key')), 'an order by $key');
    thrown(() => query(list, orderByChild('a'), startAt(1), startAfter(2)), 'two starts');
  },
});
