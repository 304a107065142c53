/** Listeners: who is told what, how often, in which order. Source: "Read and write data", "Work with lists of data". */

import { child, get, off, onChildAdded, onValue, ref, remove, set, update } from 'firebase/database';
import { cases, equal, eventually, show, until } from '../harness.mjs';
import { connect, Log, settle, watch, watchChildren } from '../sdk.mjs';

export default cases({
  'onValue tells the value there is, then each change': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { a: 1 });
    const log = watch(reader, ref(reader, 'box'));
    await log.become([{ a: 1 }]);
    await set(ref(writer, 'box/b'), 2);
    await remove(ref(writer, 'box/a'));
    await remove(ref(writer, 'box'));
    await log.become([{ a: 1 }, { a: 1, b: 2 }, { b: 2 }, null]);
  },

  'a writer hears of its own write once, and at once': async (test) => {
    const db = connect(test);
    const log = watch(db, ref(db, 'box'));
    await log.become([null]);
    const written = set(ref(db, 'box'), { a: 1 });
    equal(log.events, [null, { a: 1 }], 'before the server answers');
    await written;
    await update(ref(db, 'box'), { a: 2, b: 3 });
    await log.become([null, { a: 1 }, { a: 2, b: 3 }]);
  },

  'a write that changes nothing tells nothing': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { a: 1, b: { c: 2 } });
    const [mine, theirs] = [watch(writer, ref(writer, 'box')), watch(reader, ref(reader, 'box'))];
    const children = watchChildren(reader, ref(reader, 'box'));
    await mine.become([{ a: 1, b: { c: 2 } }]);
    await theirs.become([{ a: 1, b: { c: 2 } }]);
    children.forget();
    await set(ref(writer, 'box'), { a: 1, b: { c: 2 } });
    await update(ref(writer, 'box'), { 'b/c': 2 });
    await mine.become([{ a: 1, b: { c: 2 } }]);
    await theirs.become([{ a: 1, b: { c: 2 } }]);
    equal(children.events, []);
  },

  'an update of several paths is one value event': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer), { left: { a: 1, b: 1 }, right: { a: 1 } });
    const whole = watch(reader, ref(reader));
    const left = watch(reader, ref(reader, 'left'));
    const mine = watch(writer, ref(writer));
    await whole.become([{ left: { a: 1, b: 1 }, right: { a: 1 } }]);
    await mine.become([{ left: { a: 1, b: 1 }, right: { a: 1 } }]);
    await update(ref(writer), { 'left/a': 2, 'left/b': 2, 'right/a': 2, 'right/deep/x': 3 });
    const after = { left: { a: 2, b: 2 }, right: { a: 2, deep: { x: 3 } } };
    await whole.become([{ left: { a: 1, b: 1 }, right: { a: 1 } }, after]);
    await left.become([{ a: 1, b: 1 }, { a: 2, b: 2 }]);
    await mine.become([{ left: { a: 1, b: 1 }, right: { a: 1 } }, after]);
  },

  'an update of several paths is one value event for a listener at one of two places': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const [left, right] = [watch(reader, ref(reader, 'left')), watch(reader, ref(reader, 'right'))];
    await left.become([null]);
    await right.become([null]);
    await update(ref(writer), { 'left/a': 1, 'left/b': 2, 'right/a': 3, 'elsewhere/a': 4 });
    await left.become([null, { a: 1, b: 2 }]);
    await right.become([null, { a: 3 }]);
  },

  'child_added comes for each child in order, with the key before it': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'list'), { b: 2, a: 1, 10: 'ten', 9: 'nine' });
    const log = watchChildren(reader, ref(reader, 'list'));
    const first = [['added', '9', 'nine', null], ['added', '10', 'ten', '9'], ['added', 'a', 1, '10'], ['added', 'b', 2, 'a']];
    await log.become(first);
    await set(ref(writer, 'list/aa'), 3);
    await log.become([...first, ['added', 'aa', 3, 'a']]);
  },

  'child_changed is one event for a change anywhere below': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'list'), { a: { x: { y: 1 }, z: 1 }, b: 2 });
    const log = watchChildren(reader, ref(reader, 'list'));
    await log.become([['added', 'a', { x: { y: 1 }, z: 1 }, null], ['added', 'b', 2, 'a']]);
    log.forget();
    await set(ref(writer, 'list/a/x/y'), 2);
    await update(ref(writer, 'list'), { 'a/x/y': 3, 'a/z': 4, b: 5 });
    await log.become([
      ['changed', 'a', { x: { y: 2 }, z: 1 }, null],
      ['changed', 'a', { x: { y: 3 }, z: 4 }, null],
      ['changed', 'b', 5, 'a'],
    ]);
  },

  'child_removed has what was there': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'list'), { a: { x: 1 }, b: { y: 2 }, c: 3 });
    const log = watchChildren(reader, ref(reader, 'list'));
    await until(() => log.events.length === 3, 'three children');
    log.forget();
    await remove(ref(writer, 'list/a/x'));
    await set(ref(writer, 'list/c'), null);
    await remove(ref(writer, 'list'));
    await log.become([['removed', 'a', { x: 1 }], ['removed', 'c', 3], ['removed', 'b', { y: 2 }]]);
  },

  'a set above is told as what it changed in the list': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'list'), { a: 1, b: 2, c: 3 });
    const log = watchChildren(reader, ref(reader, 'list'));
    await until(() => log.events.length === 3, 'three children');
    log.forget();
    await set(ref(writer), { list: { b: 2, c: 4, d: 5 } });
    await log.become([['removed', 'a', 1], ['added', 'd', 5, 'c'], ['changed', 'c', 4, 'b']]);
  },

  'the value event comes after the child events of the same change': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'list'), { a: 1 });
    const log = new Log(reader);
    onValue(ref(reader, 'list'), (snapshot) => log.add(['value', snapshot.val()]));
    onChildAdded(ref(reader, 'list'), (snapshot) => log.add(['added', snapshot.key]));
    await until(() => log.events.length === 2, 'first events');
    log.forget();
    await update(ref(writer, 'list'), { b: 2, c: 3 });
    await log.become([['added', 'b'], ['added', 'c'], ['value', { a: 1, b: 2, c: 3 }]]);
  },

  'off and the returned function end what they name': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const place = ref(reader, 'box');
    const told = [];
    const [one, other] = [() => told.push('one'), () => told.push('other')];
    onValue(place, one);
    onValue(place, other);
    const added = watchChildren(reader, place);
    await until(() => told.length === 2, 'first events');
    told.length = 0;
    off(place, 'value', one);
    await set(ref(writer, 'box/a'), 1);
    await eventually(() => told, ['other']);
    off(place, 'value');
    await set(ref(writer, 'box/b'), 1);
    await added.become([['added', 'a', 1, null], ['added', 'b', 1, 'a']]);
    added.stop();
    onValue(place, one);
    await until(() => told.length === 2, 'a listener added again');
    off(place);
    await set(ref(writer, 'box/c'), 1);
    await settle(writer, reader);
    equal(told, ['other', 'one']);
    equal(added.events.length, 2);
  },

  'a listener that was ended and added again sees what came between': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const first = watch(reader, ref(reader, 'box'));
    await first.become([null]);
    first.stop();
    await set(ref(writer, 'box'), { a: 1 });
    await watch(reader, ref(reader, 'box')).become([{ a: 1 }]);
    equal(first.events, [null]);
  },

  'a second listener at one place is told at once what the first knows': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { a: { b: 1 } });
    await watch(reader, ref(reader, 'box')).become([{ a: { b: 1 } }]);
    const [same, below] = [watch(reader, ref(reader, 'box')), watch(reader, ref(reader, 'box/a'))];
    await same.become([{ a: { b: 1 } }]);
    await below.become([{ b: 1 }]);
  },

  'listeners at several depths are each told once': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'a'), { b: { c: 1 }, other: 1 });
    const logs = ['a/b/c', 'a/b', 'a', 'a/none'].map((path) => watch(reader, ref(reader, path)));
    const [low, mid, top, none] = logs;
    await low.become([1]);
    await mid.become([{ c: 1 }]);
    await top.become([{ b: { c: 1 }, other: 1 }]);
    await set(ref(writer, 'a/b/c'), 2);
    await low.become([1, 2]);
    await mid.become([{ c: 1 }, { c: 2 }]);
    await top.become([{ b: { c: 1 }, other: 1 }, { b: { c: 2 }, other: 1 }]);
    await none.become([null]);
  },

  'the listener below lives on when the one above is ended': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'a'), { b: { c: 1 }, other: 1 });
    const [top, low] = [watch(reader, ref(reader, 'a')), watch(reader, ref(reader, 'a/b'))];
    await low.become([{ c: 1 }]);
    top.stop();
    await set(ref(writer, 'a/b/c'), 2);
    await set(ref(writer, 'a/other'), 2);
    await low.become([{ c: 1 }, { c: 2 }]);
    equal(top.events, [{ b: { c: 1 }, other: 1 }]);
  },

  'the listener above lives on when the one below is ended': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const [low, top] = [watch(reader, ref(reader, 'a/b')), watch(reader, ref(reader, 'a'))];
    await top.become([null]);
    low.stop();
    await set(ref(writer, 'a/b/c'), 2);
    await top.become([null, { b: { c: 2 } }]);
    equal(low.events, [null]);
  },

  'a write above is told below, and a write below is told above': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watch(reader, ref(reader, 'a/b'));
    await log.become([null]);
    await set(ref(writer), { a: { b: { c: 1 }, d: 1 } });
    await set(ref(writer, 'a/b/c/deep'), 2);
    await set(ref(writer, 'a'), 'leaf');
    await set(ref(writer, 'a/b'), 3);
    await remove(ref(writer));
    await log.become([null, { c: 1 }, { c: { deep: 2 } }, null, 3, null]);
  },

  'a write to a sibling does not reach a listener': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watch(reader, ref(reader, 'a/b'));
    await log.become([null]);
    await set(ref(writer, 'a/bb'), 1);
    await update(ref(writer), { 'a/c': 1, b: 1 });
    await log.become([null]);
  },

  'many listeners in one app': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const names = Array.from({ length: 300 }, (_, n) => `room-${n}`);
    await set(ref(writer, 'rooms'), Object.fromEntries(names.map((name) => [name, { name }])));
    const logs = names.map((name) => watch(reader, ref(reader, `rooms/${name}`)));
    await logs.at(-1).become([{ name: names.at(-1) }]);
    await update(ref(writer, 'rooms'), Object.fromEntries(names.map((name) => [`${name}/open`, true])));
    await logs.at(-1).become([{ name: names.at(-1) }, { name: names.at(-1), open: true }]);
    logs.forEach((log, n) => equal(log.events, [{ name: names[n] }, { name: names[n], open: true }], names[n]));
  },

  'many clients hear of one write': async (test) => {
    const writer = connect(test);
    const logs = Array.from({ length: 12 }, () => connect(test)).map((db) => watch(db, ref(db, 'news')));
    for (const log of logs) await log.become([null]);
    await set(ref(writer, 'news'), 'hello');
    for (const log of logs) await log.become([null, 'hello']);
  },

  'two writers end with the same state': async (test) => {
    const [one, other] = [connect(test), connect(test)];
    const [left, right] = [watch(one, ref(one, 'box')), watch(other, ref(other, 'box'))];
    await left.become([null]);
    await right.become([null]);
    const writes = [];
    for (let n = 0; n < 25; n += 1) {
      writes.push(set(ref(one, 'box'), { by: 'one', n }), set(ref(other, 'box'), { by: 'other', n }));
      writes.push(update(ref(one, 'box'), { [`k${n % 3}`]: n }), set(child(ref(other, 'box'), `k${n % 4}`), -n));
    }
    await Promise.all(writes);
    await settle(one, other);
    const there = await test.stored('box');
    equal(left.events.at(-1), there, 'what the first client knows');
    equal(right.events.at(-1), there, 'what the second client knows');
    equal((await get(ref(one, 'box'))).val(), there);
    const doubled = left.events.findIndex((event, n) => n > 0 && show(event) === show(left.events[n - 1]));
    equal(doubled, -1, 'place of an event that repeats the one before');
  },

  'a write over REST is told to listeners': async (test) => {
    const db = connect(test);
    const log = watch(db, ref(db, 'box'));
    await log.become([null]);
    await test.store('box/a', 1);
    await log.become([null, { a: 1 }]);
  },

  'namespaces are apart': async (test) => {
    const db = connect(test);
    const log = watch(db, ref(db, 'box'));
    await log.become([null]);
    const { status } = await test.world.rest('PUT', `${test.namespace}-other`, 'box', 1);
    equal(status, 200);
    await log.become([null]);
  },
});
