/** Values: what is written is what is read. Source: "Read and write data", "Structure data", the SDK's typings. */

import { child, get, onValue, push, ref, remove, set, update } from 'firebase/database';
import { cases, equal, eventually, ok, rejected, show, thrown, until } from '../harness.mjs';
import { connect, keys, watch } from '../sdk.mjs';

const NUMBERS = [0, 1, -1, 0.1, -2.5, 1e-7, 1.5e300, 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, 1234567890.123];
const UNICODE = {
  'ключ': 'значение',
  '日本': '語',
  '😀': '🎉 and 👩‍👩‍👧',
  'e\u0301': 'é',
  ' a key with blanks ': '"quoted" \\ back\tslash\nnew line \u2028',
  '%25 & ? = +': '%20',
  "it's": '</script>',
};

export default cases({
  'set, then get by another client': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const book = { title: 'Emma', year: 1815, read: true, parts: { first: { pages: 200 } } };
    await set(ref(writer, 'books/emma'), book);
    const snapshot = await get(ref(reader, 'books/emma'));
    equal(snapshot.val(), book);
    equal([snapshot.key, snapshot.exists(), snapshot.size], ['emma', true, 4]);
    equal(await test.stored('books/emma'), book, 'over REST');
  },

  'get of a place without data does not exist': async (test) => {
    const snapshot = await get(ref(connect(test), 'nobody/here'));
    equal([snapshot.exists(), snapshot.val(), snapshot.size, snapshot.hasChildren()], [false, null, 0, false]);
  },

  'numbers keep their value': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'numbers'), NUMBERS);
    equal((await get(ref(reader, 'numbers'))).val(), NUMBERS);
    equal(await test.stored('numbers'), NUMBERS, 'over REST');
  },

  'booleans, empty texts and zero are data': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { no: false, yes: true, text: '', zero: 0 });
    equal((await get(ref(reader, 'box'))).val(), { no: false, yes: true, text: '', zero: 0 });
    ok((await get(ref(reader, 'box/text'))).exists(), 'an empty text does not exist');
  },

  'keys and values in any script': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watch(reader, ref(reader, 'words'));
    await log.become([null]);
    await set(ref(writer, 'words'), UNICODE);
    await log.become([null, UNICODE]);
    for (const [key, value] of Object.entries(UNICODE)) {
      equal((await get(child(ref(writer, 'words'), key))).val(), value, key);
      await set(child(ref(writer, 'singly'), key), value);
    }
    equal(await test.stored('words'), UNICODE, 'over REST');
    equal(await test.stored('singly'), UNICODE, 'written singly');
  },

  'update changes the children named and leaves the others': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { a: 1, b: { x: 1, y: 2 }, c: 3 });
    await update(ref(db, 'box'), { a: 10, 'b/x': 20, c: null, d: { e: 5 } });
    equal((await get(ref(db, 'box'))).val(), { a: 10, b: { x: 20, y: 2 }, d: { e: 5 } });
  },

  'update replaces a child named, with all that it holds': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { b: { x: 1, y: 2 } });
    await update(ref(db, 'box'), { b: { z: 3 } });
    equal(await test.stored('box'), { b: { z: 3 } });
  },

  'set replaces everything below': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { a: { b: 1 }, c: 2 });
    await set(ref(db, 'box/a'), 'leaf');
    equal(await test.stored('box'), { a: 'leaf', c: 2 });
    await set(ref(db, 'box/a/deep'), true);
    equal(await test.stored('box'), { a: { deep: true }, c: 2 }, 'a child in the place of a leaf');
  },

  'remove, set of null and update of null delete, and empty parents go': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { a: { only: 1 }, b: { only: 1 }, c: { only: 1 }, d: 1 });
    await remove(ref(db, 'box/a/only'));
    await set(ref(db, 'box/b/only'), null);
    await update(ref(db, 'box'), { 'c/only': null });
    equal(await test.stored('box'), { d: 1 });
    await remove(ref(db, 'box/d'));
    equal((await get(ref(db))).exists(), false, 'the root exists');
  },

  'empty objects and arrays are no data': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { empty: {}, list: [], nested: { deeper: {} }, full: 1 });
    equal((await get(ref(reader, 'box'))).val(), { full: 1 });
    await set(ref(writer, 'box'), {});
    equal((await get(ref(reader, 'box'))).exists(), false);
  },

  'arrays are stored by index, and come back as arrays where most of them is there': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const back = async (value) => {
      await set(ref(writer, 'list'), value);
      return (await get(ref(reader, 'list'))).val();
    };
    equal(await back(['a', 'b', 'c']), ['a', 'b', 'c']);
    equal(await back({ 0: 'a', 1: 'b', 2: 'c' }), ['a', 'b', 'c'], 'keys like those of an array');
    equal(await back(['a', null, 'c', 'd']), ['a', null, 'c', 'd'], 'a hole');
    equal(await back({ 0: 'a', 9: 'b' }), { 0: 'a', 9: 'b' }, 'mostly holes');
    equal(await back([[1, 2], { x: [3] }]), [[1, 2], { x: [3] }], 'nested');
    await remove(ref(writer, 'list/0'));
    equal((await get(ref(reader, 'list/1/x/0'))).val(), 3, 'by index');
  },

  'places down to 32 levels; deeper ones are rejected': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const deep = Array.from({ length: 32 }, (_, level) => `l${level}`).join('/');
    await set(ref(writer, deep), 'deep');
    equal((await get(ref(reader, deep))).val(), 'deep');
    const nested = (levels) => (levels === 0 ? 1 : { x: nested(levels - 1) });
    await set(ref(writer, 'nested'), nested(31));
    equal((await get(ref(reader, 'nested'))).val(), nested(31));
    thrown(() => set(ref(writer, 'nested'), nested(32)), 'set of 33 levels');
    thrown(() => set(ref(writer, `${deep}/more`), 1), 'set at 33 levels');
  },

  'data that the database cannot hold is rejected, and nothing written': async (test) => {
    const db = connect(test);
    const box = ref(db, 'box');
    for (const value of [undefined, NaN, Infinity, () => 1, { a: undefined }, { a: { b: NaN } }]) {
      thrown(() => set(box, value), `set of ${show(value)}`);
    }
    for (const key of ['a.b', 'a#b', 'a$b', 'a[b', 'a]b', 'a/b', '', 'a\u0007b']) {
      thrown(() => set(box, { [key]: 1 }), `the key ${show(key)}`);
    }
    for (const path of ['a.b', 'a#b', 'a$b', 'a[b']) thrown(() => ref(db, path), `the path ${path}`);
    thrown(() => set(box, 'x'.repeat(10 * 1024 * 1024 + 1)), 'a text of more than 10 MB');
    thrown(() => set(box, { ['k'.repeat(769)]: 1 }), 'a key of 769 bytes');
    thrown(() => update(box, { a: 1, 'a/b': 2 }), 'an update of a place and one below it');
    thrown(() => update(ref(db), { '.info/x': 1 }), 'a write below .info');
    equal(await test.stored(''), null);
  },

  'long texts and large objects go both ways': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    // Nothing beyond the basic plane: the SDK cuts what it sends into frames without regard for surrogate pairs.
    const text = 'Wörter 日本 '.repeat(12_000);
    const list = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`item-${n}`, { n, name: `Nummer ${n} ☃` }]));
    const log = watch(reader, ref(reader, 'large'), (snapshot) => snapshot.size);
    await log.become([0]);
    await set(ref(writer, 'large'), { text, list });
    await log.become([0, 2]);
    equal((await get(ref(reader, 'large/text'))).val(), text);
    equal((await get(ref(connect(test), 'large'))).val(), { text, list });
  },

  'a long text of astral characters arrives': async (test) => {
    for (const shift of ['', 'x']) {
      const text = shift + '😀'.repeat(40_000);
      await test.store('text', text);
      ok((await get(ref(connect(test), 'text'))).val() === text, 'the text is damaged');
    }
  },

  'texts of every length around the size of a frame': async (test) => {
    const [writer, reader, other] = [connect(test), connect(test), connect(test)];
    const lengths = Array.from({ length: 130 }, (_, n) => 16_384 - 110 + n);
    for (const filler of ['x', 'ä']) {
      const log = watch(reader, ref(reader, `sizes-${filler}`), (snapshot) => snapshot.size);
      await Promise.all(lengths.map((length) => set(ref(writer, `sizes-${filler}/n${length}`), filler.repeat(length))));
      await eventually(() => log.events.at(-1), lengths.length, `texts of ${filler}`);
      const there = (await get(ref(reader, `sizes-${filler}`))).val();
      for (const length of lengths) ok(there[`n${length}`] === filler.repeat(length), `${length} times ${filler} is damaged`);
      for (const length of lengths) {
        const alone = await get(ref(other, `sizes-${filler}/n${length}`));
        ok(alone.val() === filler.repeat(length), `${length} times ${filler}, read alone, is damaged`);
      }
      log.stop();
    }
  },

  'push makes keys in the order of the pushes': async (test) => {
    const db = connect(test);
    const places = Array.from({ length: 40 }, (_, n) => push(ref(db, 'list'), n));
    await Promise.all(places);
    const made = places.map((place) => place.key);
    ok(made.every((key) => /^[-_0-9A-Za-z]{20}$/.test(key)), `keys: ${show(made)}`);
    equal(new Set(made).size, 40, 'different keys');
    const snapshot = await get(ref(connect(test), 'list'));
    equal(keys(snapshot), made);
    equal(Object.values(snapshot.val()).sort((a, b) => a - b), places.map((_, n) => n));
  },

  'push without a value writes nothing': async (test) => {
    const db = connect(test);
    const place = push(ref(db, 'list'));
    equal((await get(ref(db, 'list'))).exists(), false);
    await set(place, 'now');
    equal(await test.stored('list'), { [place.key]: 'now' });
  },

  'a snapshot answers for what is below it': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { b: { x: 1 }, a: 'leaf', 10: true, 9: false });
    const snapshot = await get(ref(db, 'box'));
    equal(keys(snapshot), ['9', '10', 'a', 'b']);
    equal([snapshot.hasChild('b/x'), snapshot.hasChild('b/y'), snapshot.child('b/x').val()], [true, false, 1]);
    equal([snapshot.child('a').hasChildren(), snapshot.child('none').exists()], [false, false]);
    equal(snapshot.toJSON(), { b: { x: 1 }, a: 'leaf', 10: true, 9: false });
    const seen = [];
    ok(snapshot.forEach((each) => seen.push(each.key) === 2), 'forEach was not cancelled');
    equal(seen, ['9', '10']);
  },

  'onlyOnce tells once': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), 1);
    const seen = [];
    await new Promise((resolve) => onValue(ref(db, 'box'), (snapshot) => resolve(seen.push(snapshot.val())), { onlyOnce: true }));
    await set(ref(db, 'box'), 2);
    equal((await get(ref(db, 'box'))).val(), 2);
    equal(seen, [1]);
  },

  'the whole database can be written and read': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watch(reader, ref(reader));
    await log.become([null]);
    await set(ref(writer), { a: { b: 1 } });
    await update(ref(writer), { 'a/b': 2, c: 3 });
    await log.become([null, { a: { b: 1 } }, { a: { b: 2 }, c: 3 }]);
    equal((await get(ref(reader))).key, null);
  },

  'many writes without waiting keep their order': async (test) => {
    const [writer, reader] = [connect(test), connect(test)];
    const log = watch(reader, ref(reader, 'count'));
    await log.become([null]);
    await Promise.all(Array.from({ length: 100 }, (_, n) => set(ref(writer, 'count'), n + 1)));
    equal(await test.stored('count'), 100);
    await until(() => log.events.at(-1) === 100, () => `the last event is ${log.events.at(-1)}`);
    const [, ...numbers] = log.events;
    equal(numbers, [...numbers].sort((a, b) => a - b), 'events in the order of the writes');
    equal((await get(ref(reader, 'count'))).val(), 100); // which a listener's own copy answers
  },

  'a rejected key leaves the client usable': async (test) => {
    const db = connect(test);
    await rejected((async () => set(ref(db, 'box'), { 'a.b': 1 }))());
    await set(ref(db, 'box'), 1);
    equal(await test.stored('box'), 1);
  },
});
