/** Transactions. Source: "Save data as transactions", the SDK's typings of runTransaction. */

import { get, goOffline, goOnline, ref, runTransaction, set, setWithPriority } from 'firebase/database';
import { cases, equal, ok, rejected } from '../harness.mjs';
import { connect, settle, watch } from '../sdk.mjs';

const add = (amount) => (value) => (value ?? 0) + amount;

export default cases({
  'a transaction on a place without data': async (test) => {
    const db = connect(test);
    const { committed, snapshot } = await runTransaction(ref(db, 'count'), add(1));
    equal([committed, snapshot.val()], [true, 1]);
    equal(await test.stored('count'), 1);
  },

  'a transaction sees what is stored': async (test) => {
    const [writer, db] = [connect(test), connect(test)];
    await set(ref(writer, 'post'), { stars: { ada: true }, count: 1 });
    const { committed, snapshot } = await runTransaction(ref(db, 'post'), (post) => {
      if (post) {
        post.count += 1;
        post.stars.bob = true;
      }
      return post;
    });
    equal([committed, snapshot.val()], [true, { stars: { ada: true, bob: true }, count: 2 }]);
    equal(await test.stored('post'), { stars: { ada: true, bob: true }, count: 2 });
  },

  'several clients count without losing any': async (test) => {
    const clients = Array.from({ length: 5 }, () => connect(test));
    await Promise.all(
      clients.map(async (db) => {
        for (let n = 0; n < 5; n += 1) ok((await runTransaction(ref(db, 'count'), add(1))).committed, 'not committed');
      }),
    );
    equal(await test.stored('count'), 25);
  },

  'one client counts at once many times': async (test) => {
    const db = connect(test);
    const log = watch(db, ref(db, 'count'));
    await log.become([null]);
    await Promise.all(Array.from({ length: 20 }, () => runTransaction(ref(db, 'count'), add(1))));
    equal(await test.stored('count'), 20);
    equal(log.events, [null, ...Array.from({ length: 20 }, (_, n) => n + 1)]);
  },

  'transactions at a place and below it, by two clients': async (test) => {
    const [one, other] = [connect(test), connect(test)];
    await set(ref(one, 'box'), { count: 0, sum: 0 });
    const whole = (box) => box && { ...box, count: box.count + 1, sum: box.sum + 1 };
    const work = [];
    for (let n = 0; n < 6; n += 1) {
      work.push(runTransaction(ref(one, 'box'), whole), runTransaction(ref(other, 'box/count'), (count) => (count ?? 0) + 10));
    }
    await Promise.all(work);
    equal(await test.stored('box'), { count: 66, sum: 6 });
  },

  'returning nothing aborts': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), 'as it was');
    await watch(db, ref(db, 'box')).become(['as it was']);
    const { committed, snapshot } = await runTransaction(ref(db, 'box'), () => undefined);
    equal([committed, snapshot.val()], [false, 'as it was']);
    equal(await test.stored('box'), 'as it was');
  },

  'returning null removes': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), { a: 1 });
    const { committed, snapshot } = await runTransaction(ref(db, 'box'), () => null);
    equal([committed, snapshot.exists()], [true, false]);
    equal(await test.stored('box'), null);
  },

  'a function that throws ends the transaction': async (test) => {
    const db = connect(test);
    await set(ref(db, 'box'), 1);
    const error = await rejected((async () => runTransaction(ref(db, 'box'), () => {
      throw new Error('my own');
    }))());
    equal(error.message, 'my own');
    equal(await test.stored('box'), 1);
  },

  'applied locally: listeners see it before the server answers': async (test) => {
    const db = connect(test);
    const log = watch(db, ref(db, 'count'));
    await log.become([null]);
    const done = runTransaction(ref(db, 'count'), add(5));
    equal(log.events, [null, 5]);
    await done;
    await log.become([null, 5]);
  },

  'not applied locally: listeners see it when it is done': async (test) => {
    const db = connect(test);
    await set(ref(db, 'count'), 1);
    const log = watch(db, ref(db, 'count'));
    await log.become([1]);
    const done = runTransaction(ref(db, 'count'), add(5), { applyLocally: false });
    equal(log.events, [1], 'before the server answers');
    await done;
    await log.become([1, 6]);
  },

  'not applied locally, on a place that was never read': async (test) => {
    const [writer, db] = [connect(test), connect(test)];
    await set(ref(writer, 'count'), 10);
    const { snapshot } = await runTransaction(ref(db, 'count'), add(5), { applyLocally: false });
    equal(snapshot.val(), 15);
    equal(await test.stored('count'), 15);
  },

  'a guess that was wrong is taken back': async (test) => {
    const [writer, db] = [connect(test), connect(test)];
    await set(ref(writer, 'count'), 10);
    const guesses = [];
    const { snapshot } = await runTransaction(ref(db, 'count'), (value) => {
      guesses.push(value);
      return (value ?? 0) + 1;
    });
    equal(snapshot.val(), 11);
    equal(guesses.at(-1), 10);
    ok(guesses.length <= 2, `the function ran ${guesses.length} times`);
  },

  'every kind of value is compared rightly: no second try is needed': async (test) => {
    const [writer, db] = [connect(test), connect(test)];
    const values = {
      numbers: [0, 1, -1, 0.1, -2.5, 1e21, 1.5e300, 2 ** 40, 2 ** 52 + 1, 5e-7, 3],
      texts: ['', 'plain', '"quoted" \\ and : colon', 'Wörter', '日本 😀', '\u0000\n'],
      booleans: [true, false],
      keys: { 'ключ': 1, '😀': 2, '～': 3, 10: 4, 9: 5, '-1': 6, a: 7, B: 8, 'a b': 9, '007': 10 },
      withPriority: { '.value': 'leaf', '.priority': 1.5 },
      inOrder: { '.priority': 'p', z: { '.value': 1, '.priority': 1 }, a: { '.value': 2, '.priority': 2 }, m: 3 },
      deep: { a: { b: { c: { d: { e: 'f' } } } } },
    };
    for (const [name, value] of Object.entries(values)) {
      await setWithPriority(ref(writer, `box/${name}/it`), value, value['.priority'] ?? 5);
      let runs = 0;
      const { committed } = await runTransaction(ref(db, `box/${name}`), (current) => {
        runs += 1;
        return current && { ...current, more: 1 };
      });
      ok(committed, `${name} was not committed`);
      ok(runs <= 2, `${name}: the function ran ${runs} times`);
      equal((await test.stored(`box/${name}/more`)), 1, name);
    }
  },

  'a transaction keeps the priority of its place': async (test) => {
    const db = connect(test);
    await setWithPriority(ref(db, 'box'), 1, 'high');
    await runTransaction(ref(db, 'box'), add(1));
    equal((await get(ref(connect(test), 'box'))).exportVal(), { '.value': 2, '.priority': 'high' });
  },

  'a transaction rejected by the rules is taken back': async (test) => {
    await test.store('count', 1);
    await test.rules({ '.read': true, '.write': false });
    const db = connect(test);
    const log = watch(db, ref(db, 'count'));
    await log.become([1]);
    const error = await rejected(runTransaction(ref(db, 'count'), add(1)));
    ok(/permission_denied/i.test(error.message), error.message);
    await log.become([1, 2, 1]);
    equal(await test.stored('count'), 1);
  },

  'a transaction needs to read': async (test) => {
    await test.rules({ '.read': false, '.write': true });
    await test.store('count', 1);
    const error = await rejected(runTransaction(ref(connect(test), 'count'), add(1)));
    ok(error instanceof Error, `${error}`);
    equal(await test.stored('count'), 1);
  },

  'a set cancels the transactions that wait': async (test) => {
    const db = connect(test);
    await watch(db, ref(db, 'box')).become([null]);
    const onItsWay = runTransaction(ref(db, 'box'), add(1)).catch(() => {});
    const waiting = rejected(runTransaction(ref(db, 'box'), add(1)), 'the transaction');
    await set(ref(db, 'box'), 'set');
    equal((await waiting).message, 'set');
    await onItsWay;
    equal(await test.stored('box'), 'set');
  },

  'a transaction begun offline is done once online': async (test) => {
    const [writer, db] = [connect(test), connect(test)];
    const log = watch(db, ref(db, 'count'));
    await log.become([null]);
    goOffline(db);
    const done = runTransaction(ref(db, 'count'), add(1));
    await set(ref(writer, 'count'), 10);
    goOnline(db);
    equal((await done).snapshot.val(), 11);
    await settle(db);
    equal(log.events.at(-1), 11);
  },

  'another write while a transaction is on its way is not lost': async (test) => {
    const [writer, db] = [connect(test), connect(test)];
    await set(ref(writer, 'box'), { count: 0 });
    await watch(db, ref(db, 'box')).become([{ count: 0 }]);
    const done = runTransaction(ref(db, 'box'), (box) => box && { ...box, count: box.count + 1 });
    await set(ref(writer, 'box/other'), true);
    await done;
    equal(await test.stored('box'), { count: 1, other: true });
  },
});
