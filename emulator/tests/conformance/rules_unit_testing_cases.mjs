/** @firebase/rules-unit-testing, as its documentation has it: "Build unit tests" and the library's typings. */

import { assertFails, assertSucceeds, initializeTestEnvironment } from '@firebase/rules-unit-testing';
import { cases, equal, ok, rejected, thrown, until } from './harness.mjs';

const RULES = {
  open: { '.read': true, '.write': true },
  users: { $uid: { '.read': 'auth.uid === $uid', '.write': 'auth.uid === $uid', age: { '.validate': 'newData.isNumber()' } } },
  staff: { '.read': 'auth.token.staff === true', '.write': "auth.token.staff === true && auth.token.level >= 2" },
  turns: { '.read': "data.child('open').val() === true" },
};

/** A test environment in the case's namespace. */
async function environment(test, rules = RULES) {
  const database = { host: '127.0.0.1', port: test.world.port, ...(rules && { rules: JSON.stringify({ rules }) }) };
  const env = await initializeTestEnvironment({ projectId: test.namespace, database });
  test.defer(() => env.cleanup());
  return env;
}

/** The reference of a path for a user, or for nobody. */
const as = (context) => (path) => context.database().ref(path);

export default cases({
  'a user reads and writes what is theirs': async (test) => {
    const env = await environment(test);
    const [ada, bob] = [as(env.authenticatedContext('ada')), as(env.authenticatedContext('bob'))];
    await assertSucceeds(ada('users/ada').set({ age: 36 }));
    await assertFails(bob('users/ada').set({ age: 1 }));
    await assertFails(bob('users/ada').get());
    const snapshot = await assertSucceeds(ada('users/ada').get());
    equal(snapshot.val(), { age: 36 });
  },

  'nobody reads and writes what is open': async (test) => {
    const env = await environment(test);
    const nobody = as(env.unauthenticatedContext());
    await assertSucceeds(nobody('open').set('hello'));
    equal((await assertSucceeds(nobody('open').once('value'))).val(), 'hello');
    await assertFails(nobody('users/ada').get());
    await assertFails(nobody('users/ada').once('value'));
    await assertFails(nobody('closed').set(1));
  },

  'claims of a token': async (test) => {
    const env = await environment(test);
    const user = (claims) => as(env.authenticatedContext('ada', claims));
    await assertSucceeds(user({ staff: true, level: 2 })('staff/a').set(1));
    await assertFails(user({ staff: true, level: 1 })('staff/a').set(1));
    await assertSucceeds(user({ staff: true })('staff').get());
    await assertFails(user({ staff: 'true' })('staff').get());
    await assertFails(user()('staff').get());
  },

  'the uid of a context is also in its token': async (test) => {
    const env = await environment(test, { box: { '.read': "auth.token.sub === 'ada' && auth.token.user_id === auth.uid" } });
    await assertSucceeds(as(env.authenticatedContext('ada'))('box').get());
    await assertFails(as(env.authenticatedContext('bob'))('box').get());
  },

  'validation': async (test) => {
    const env = await environment(test);
    const ada = as(env.authenticatedContext('ada'));
    await assertFails(ada('users/ada/age').set('old'));
    await assertFails(ada('users/ada').update({ name: 'Ada', age: 'old' }));
    await assertSucceeds(ada('users/ada').update({ name: 'Ada', age: 36 }));
    await assertSucceeds(ada('users/ada/age').remove());
  },

  'an update of several places is all or nothing': async (test) => {
    const env = await environment(test);
    const ada = as(env.authenticatedContext('ada'));
    await assertFails(ada('/').update({ 'users/ada/a': 1, 'users/bob/a': 1 }));
    await assertSucceeds(ada('/').update({ 'users/ada/a': 1, 'open/a': 1 }));
    equal(await test.stored(''), { users: { ada: { a: 1 } }, open: { a: 1 } });
  },

  'without rules: everything is written and read': async (test) => {
    const env = await environment(test);
    let seen;
    await env.withSecurityRulesDisabled(async (context) => {
      await context.database().ref('closed').set({ a: 1 });
      await context.database().ref('users/ada/age').set('not even valid');
      seen = (await context.database().ref('/').get()).val();
    });
    equal(seen, { closed: { a: 1 }, users: { ada: { age: 'not even valid' } } });
    await assertFails(as(env.unauthenticatedContext())('closed').get());
  },

  'clearDatabase': async (test) => {
    const env = await environment(test);
    await env.withSecurityRulesDisabled((context) => context.database().ref('closed').set({ a: 1 }));
    const log = [];
    as(env.unauthenticatedContext())('open').on('value', (snapshot) => log.push(snapshot.val()));
    await as(env.unauthenticatedContext())('open').set(1);
    await env.clearDatabase();
    equal(await test.stored(''), null);
    await until(() => log.at(-1) === null && log.includes(1), () => `a listener was told ${JSON.stringify(log)}`);
    await assertFails(as(env.unauthenticatedContext())('closed').get());
  },

  'a listener that is denied is cancelled': async (test) => {
    const env = await environment(test);
    const error = await new Promise((resolve, reject) => {
      as(env.unauthenticatedContext())('users/ada').on('value', () => reject(new Error('it was told a value')), resolve);
    });
    ok(/permission_denied/i.test(error.message), error.message);
    await assertFails(Promise.reject(error));
  },

  'a listener is cancelled when data closes the place': async (test) => {
    const env = await environment(test);
    const open = (value) => env.withSecurityRulesDisabled((context) => context.database().ref('turns/open').set(value));
    await open(true);
    const told = [];
    const cancelled = new Promise((resolve) => {
      as(env.authenticatedContext('ada'))('turns').on('value', (snapshot) => told.push(snapshot.val()), resolve);
    });
    await until(() => told.length === 1, 'the first value');
    await open(false);
    ok(/permission_denied/i.test((await cancelled).message), 'not cancelled');
  },

  'a transaction': async (test) => {
    const env = await environment(test);
    const ada = as(env.authenticatedContext('ada'));
    const { committed, snapshot } = await assertSucceeds(ada('users/ada/age').transaction((age) => (age ?? 35) + 1));
    equal([committed, snapshot.val()], [true, 36]);
    await assertFails(ada('users/bob/age').transaction((age) => (age ?? 0) + 1));
  },

  'onDisconnect': async (test) => {
    const env = await environment(test);
    const ada = as(env.authenticatedContext('ada'));
    await assertSucceeds(ada('users/ada/seen').onDisconnect().set(true));
    await assertFails(ada('users/bob/seen').onDisconnect().set(true));
    await env.cleanup();
    await until(async () => (await test.stored('users')) !== null, 'the write at the disconnect');
    equal(await test.stored('users'), { ada: { seen: true } });
  },

  'a query with an index, and one without': async (test) => {
    const env = await environment(test, { list: { '.read': true, '.indexOn': 'n' } });
    await env.withSecurityRulesDisabled((context) => context.database().ref('list').set({ a: { n: 1, m: 2 }, b: { n: 2, m: 1 } }));
    const list = as(env.unauthenticatedContext())('list');
    equal((await assertSucceeds(list.orderByChild('n').startAt(2).get())).val(), { b: { n: 2, m: 1 } });
    const error = await rejected(list.orderByChild('m').startAt(2).get());
    ok(error.message.includes('Index not defined'), error.message);
  },

  'contexts are apart from each other': async (test) => {
    const env = await environment(test);
    const contexts = ['ada', 'bob', 'ada'].map((uid) => as(env.authenticatedContext(uid)));
    await Promise.all(contexts.map((context, n) => assertSucceeds(context(`users/${['ada', 'bob', 'ada'][n]}/n${n}`).set(n))));
    equal(await test.stored('users'), { ada: { n0: 0, n2: 2 }, bob: { n1: 1 } });
  },

  'two environments have rules and data of their own': async (test) => {
    const env = await environment(test);
    const other = await initializeTestEnvironment({
      projectId: `${test.namespace}-other`,
      database: { host: '127.0.0.1', port: test.world.port, rules: '{"rules": {".read": false, ".write": false}} // closed' },
    });
    test.defer(() => other.cleanup());
    await assertSucceeds(as(env.unauthenticatedContext())('open').set(1));
    await assertFails(as(other.unauthenticatedContext())('open').set(1));
    await other.withSecurityRulesDisabled(async (context) => equal((await context.database().ref('open').get()).val(), null));
  },

  'the coverage of the rules, without credentials': async (test) => {
    const env = await environment(test, { box: { '.read': "auth.uid === 'ada' && data.val() == 1" } });
    const { host, port } = env.emulators.database;
    const coverage = (kind) => fetch(`http://${host}:${port}/.inspect/coverage${kind}?ns=${test.namespace}`);
    await assertFails(as(env.unauthenticatedContext())('box').get());
    await assertFails(as(env.authenticatedContext('ada'))('box').get());
    const { rules, report } = await (await coverage('.json')).json();
    const expression = report.box['.read'];
    equal(expression.text, "auth.uid === 'ada' && data.val() == 1");
    const [[row, start], [last, end]] = ['location-start', 'location-end'].map((name) => expression[name].split(':'));
    equal([row, rules.split('\n')[row].slice(start, Number(end) + 1)], [last, expression.text]);
    equal(expression.values, [{ value: false, count: 2 }]);
    equal(expression.children.map((child) => [child.text, child.values.reduce((sum, { count }) => sum + count, 0)]), [
      ["auth.uid === 'ada'", 2],
      ['data.val() == 1', 1],
    ]);
    const page = await coverage('');
    ok(page.headers.get('content-type').startsWith('text/html'), page.headers.get('content-type'));
    ok((await page.text()).includes('data.val() == 1'), 'the page does not show the rules');
  },

  'bad rules are rejected': async (test) => {
    const bad = (rules) => initializeTestEnvironment({ projectId: test.namespace, database: { host: '127.0.0.1', port: test.world.port, rules } });
    await rejected(bad('{"rules": {".read": "auth.uid ==="}}'), 'an expression that ends early');
    await rejected(bad('{"rules": {".reed": true}}'), 'an unknown rule');
    await rejected(bad('not rules'), 'no JSON');
  },

  'a context that was cleaned up is of no use': async (test) => {
    const env = await environment(test);
    const context = env.authenticatedContext('ada');
    await env.cleanup();
    thrown(() => context.database(), 'a context of an environment that was cleaned up');
  },
});
