/** What clients make of a server that ends and comes back. Source: the typings of goOffline and onValue. */

import { ref, set, update } from 'firebase/database';
import { cases, equal, ok, pause, until } from '../harness.mjs';
import { connect, watch, watchChildren } from '../sdk.mjs';

/** Restart the server; `prepare` is done before the gate lets the client back in. */
async function restart(test, gate, prepare = () => {}) {
  await gate.shut();
  await test.world.restart();
  await prepare();
  await gate.open();
}

export default cases(
  {
    'a listener comes back by itself and tells the new state': async (test) => {
      const gate = await test.gate();
      const db = connect(test, { port: gate.port });
      await set(ref(db, 'box'), { a: 1, b: 2 });
      const [log, children] = [watch(db, ref(db, 'box')), watchChildren(db, ref(db, 'box'))];
      const connected = watch(db, ref(db, '.info/connected'));
      await log.become([{ a: 1, b: 2 }]);
      children.forget();
      await restart(test, gate, () => test.store('box', { b: 3, c: 4 }));
      await reconnected(connected);
      await log.become([{ a: 1, b: 2 }, { b: 3, c: 4 }]);
      await children.become([['removed', 'a', 1], ['added', 'c', 4, 'b'], ['changed', 'b', 3, null]]);
      await test.store('box/c', 5);
      await log.become([{ a: 1, b: 2 }, { b: 3, c: 4 }, { b: 3, c: 5 }]);
    },

    'a listener is told nothing where the state is the same': async (test) => {
      const gate = await test.gate();
      const db = connect(test, { port: gate.port });
      const tree = { a: { x: 0.5, y: 'text' }, b: [1, 2, 3] };
      await set(ref(db, 'box'), tree);
      const [log, connected] = [watch(db, ref(db, 'box')), watch(db, ref(db, '.info/connected'))];
      await log.become([tree]);
      await restart(test, gate, () => test.store('box', tree));
      await reconnected(connected);
      await log.become([tree]);
      await update(ref(db, 'box'), { c: 1 });
      await log.become([tree, { ...tree, c: 1 }]);
    },

    'a listener is told of a state that was lost': async (test) => {
      const gate = await test.gate();
      const db = connect(test, { port: gate.port });
      await set(ref(db, 'box'), { a: 1 });
      const [log, connected] = [watch(db, ref(db, 'box')), watch(db, ref(db, '.info/connected'))];
      await log.become([{ a: 1 }]);
      await restart(test, gate);
      await reconnected(connected);
      await log.become([{ a: 1 }, null]);
    },

    'a write made while the server was down is carried out': async (test) => {
      const db = connect(test);
      const [log, connected] = [watch(db, ref(db, 'box')), watch(db, ref(db, '.info/connected'))];
      await log.become([null]);
      const down = test.world.restart();
      await until(() => connected.events.at(-1) === false, 'the loss of the connection');
      const written = set(ref(db, 'box'), { a: 1 });
      await down;
      await written;
      equal(await test.stored('box'), { a: 1 });
      await log.become([null, { a: 1 }]);
    },
  },
  { seconds: 90 },
);

/** Wait for a connection lost and found again; clients wait longer after each attempt that fails. */
async function reconnected(connected) {
  const deadline = Date.now() + 60_000;
  const isBack = () => connected.events.at(-1) === true && connected.events.lastIndexOf(false) > connected.events.indexOf(true);
  while (!isBack() && Date.now() < deadline) await pause(20);
  ok(isBack(), `.info/connected: ${connected.events}`);
}
