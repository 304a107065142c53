/** Several clients write at random: in the end the database, every listener and a plain object hold the same. */

import { get, limitToFirst, limitToLast, orderByChild, orderByKey, query, ref, remove, set, startAt, update } from 'firebase/database';
import { cases, equal, eventually } from '../harness.mjs';
import { connect, settle, watch } from '../sdk.mjs';

const CLIENTS = 4;
const ROUNDS = 120;
const KEYS = [...'abcdefgh'];

/** Numbers from 0 to 1 that a seed decides. Source: the minimal standard generator of Park and Miller (1988). */
function chance(seed) {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

const by = (value) => (left, right) => (value(left) < value(right) ? -1 : value(left) > value(right) ? 1 : left[0] < right[0] ? -1 : 1);

/** Queries, and what each selects of [key, child] pairs by a naive sort. */
const QUERIES = [
  [(list) => query(list, orderByChild('n'), limitToFirst(3)), (rows) => rows.sort(by((row) => row[1].n)).slice(0, 3)],
  [(list) => query(list, orderByKey(), limitToLast(2)), (rows) => rows.sort(by((row) => row[0])).slice(-2)],
  [(list) => query(list, orderByChild('n'), startAt(4)), (rows) => rows.filter((row) => row[1].n >= 4)],
  [
    (list) => query(list, orderByChild('n'), startAt(2), limitToLast(3)),
    (rows) => rows.filter((row) => row[1].n >= 2).sort(by((row) => row[1].n)).slice(-3),
  ],
];

/**
 * A world with `CLIENTS` clients that listen to the whole list, or each to the queries: where a client does both, the SDK
 * answers the queries from the whole list by itself.
 */
async function listening(test) {
  await test.rules({ '.read': true, '.write': true, list: { '.indexOn': 'n' } });
  const clients = Array.from({ length: CLIENTS }, () => connect(test));
  const whole = clients.slice(0, 2).map((db) => watch(db, ref(db, 'list')));
  const parts = clients.slice(2).map((db) => QUERIES.map(([make]) => watch(db, make(ref(db, 'list')))));
  return [clients, { whole, parts }];
}

/** One write that `random` decides: done to the plain `model`, and returned as a call to make with a client. */
function step(random, model) {
  const pick = (items) => items[Math.floor(random() * items.length)];
  const child = () => ({ n: Math.floor(random() * 8), text: pick(['', 'é', '\u{1f600}', 'x'.repeat(40)]) });
  const [key, other, kind] = [pick(KEYS), pick(KEYS), pick(['set', 'set', 'field', 'update', 'remove'])];
  if (kind === 'remove') {
    delete model[key];
    return (db) => remove(ref(db, `list/${key}`));
  }
  if (kind === 'field' && model[key]) {
    const n = (model[key].n = Math.floor(random() * 8));
    return (db) => set(ref(db, `list/${key}/n`), n);
  }
  const value = child();
  model[key] = { ...value };
  if (kind !== 'update' || other === key) return (db) => set(ref(db, `list/${key}`), value);
  delete model[other];
  return (db) => update(ref(db, 'list'), { [key]: value, [other]: null });
}

const last = (log) => log.events.at(-1);

async function agree(told, model) {
  const expected = Object.keys(model).length ? model : null;
  for (const log of told.whole) await eventually(() => last(log), expected, 'the whole list');
  for (const logs of told.parts) {
    for (const [number, [, select]] of QUERIES.entries()) {
      const rows = select(Object.entries(model));
      await eventually(() => last(logs[number]), rows.length ? Object.fromEntries(rows) : null, `query ${number}`);
    }
  }
}

export default cases({
  'one write after the other, by any client': async (test) => {
    const [clients, told] = await listening(test);
    const [random, model] = [chance(1), {}];
    for (let round = 0; round < ROUNDS; round += 1) {
      await step(random, model)(clients[Math.floor(random() * CLIENTS)]);
      if (round % 10 === 0) await agree(told, model);
    }
    await agree(told, model);
    equal((await get(ref(clients[0], 'list'))).val(), Object.keys(model).length ? model : null, 'the database');
  },

  'all clients at once': async (test) => {
    const [clients, told] = await listening(test);
    const random = chance(2);
    const writes = clients.flatMap((db) => Array.from({ length: ROUNDS }, () => step(random, {})(db)));
    await Promise.all(writes);
    await settle(...clients);
    const stored = (await get(ref(connect(test), 'list'))).val() ?? {};
    await agree(told, stored);
  },
});
