/** What rules allow whom, and what clients are told. Source: "Realtime Database Security Rules", the SDK's typings. */

import { Component } from '@firebase/component';
import { child, get, limitToFirst, onValue, orderByChild, equalTo, orderByKey, query, ref, remove, set, update } from 'firebase/database';
import { cases, equal, ok, rejected, until } from '../harness.mjs';
import { connect, keys, settle, watch, watchChildren } from '../sdk.mjs';

const DENIED = 'PERMISSION_DENIED';

/** A token as the Auth emulator makes it: signed by nobody. */
function token(claims) {
  const part = (value) => btoa(JSON.stringify(value)).replaceAll('=', '').replaceAll('+', '-').replaceAll('/', '_');
  const iat = Math.floor(Date.now() / 1000);
  const payload = { iat, exp: iat + 3600, user_id: claims.sub, firebase: { sign_in_provider: 'custom' }, ...claims };
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(payload)}.`;
}

/** In the place of Firebase Auth: users sign in and out while the client is connected. */
class Auth {
  #token = null;
  #fresh = null;
  #listeners = [];

  /** Take part in an app, as firebase/auth does. */
  join = (app) => app.container.addComponent(new Component('auth-internal', () => this, 'PRIVATE'));

  async getToken(isForced = false) {
    if (isForced && this.#fresh) this.#token = this.#fresh;
    return this.#token && { accessToken: this.#token };
  }

  /** Have a token that is no good, and a good one for who insists. */
  keep(bad, claims) {
    this.#token = bad;
    this.#fresh = token(claims);
  }

  addAuthTokenListener(listener) {
    this.#listeners.push(listener);
  }

  removeAuthTokenListener() {}

  signIn(claims) {
    this.#token = claims && token(claims);
    this.#listeners.forEach((listener) => listener(this.#token));
  }

  signOut() {
    this.signIn(null);
  }
}

export default cases({
  'a listener that may not read is cancelled with PERMISSION_DENIED': async (test) => {
    await test.rules({ open: { '.read': true } });
    await test.store('closed/box', 1);
    const db = connect(test);
    const log = watch(db, ref(db, 'closed/box'));
    await until(() => log.error, 'the cancel callback');
    equal([log.error.code, log.error.message], [DENIED, "permission_denied at /closed/box: Client doesn't have permission to access the desired data."]);
    equal(log.events, []);
    const children = watchChildren(db, ref(db, 'closed'));
    await until(() => children.error, 'the cancel callback of child events');
    equal(children.error.code, DENIED);
  },

  'get of what may not be read is rejected': async (test) => {
    await test.rules({ open: { '.read': true } });
    const db = connect(test);
    equal((await rejected(get(ref(db, 'closed')))).message, 'Permission denied');
    equal((await get(ref(db, 'open'))).val(), null);
  },

  'a denied write is rejected with PERMISSION_DENIED and taken back': async (test) => {
    await test.rules({ '.read': true });
    await test.store('box', { a: 1 });
    const db = connect(test);
    const log = watch(db, ref(db, 'box'));
    await log.become([{ a: 1 }]);
    const error = await rejected(set(ref(db, 'box/a'), 2));
    equal([error.code, error.message], [DENIED, 'PERMISSION_DENIED: Permission denied']);
    await log.become([{ a: 1 }, { a: 2 }, { a: 1 }]);
    equal((await rejected(update(ref(db, 'box'), { b: 3 }))).code, DENIED, 'update');
    equal((await rejected(remove(ref(db, 'box')))).code, DENIED, 'remove');
    await log.become([{ a: 1 }, { a: 2 }, { a: 1 }, { a: 1, b: 3 }, { a: 1 }, null, { a: 1 }]);
    equal(await test.stored('box'), { a: 1 });
  },

  'an update that is denied at one place writes nothing': async (test) => {
    await test.rules({ '.read': true, open: { '.write': true } });
    const db = connect(test);
    equal((await rejected(update(ref(db), { 'open/a': 1, 'closed/a': 1 }))).code, DENIED);
    equal(await test.stored(''), null);
    await update(ref(db), { 'open/a': 1, 'open/b': 2 });
    equal(await test.stored(''), { open: { a: 1, b: 2 } });
  },

  '.validate rejects what is malformed, and lets deletion pass': async (test) => {
    await test.rules({
      '.read': true,
      '.write': true,
      users: { $id: { '.validate': "newData.hasChildren(['name', 'age'])", age: { '.validate': 'newData.isNumber() && newData.val() >= 0' }, $other: { '.validate': "$other === 'name'" } } },
    });
    const db = connect(test);
    await set(ref(db, 'users/ada'), { name: 'Ada', age: 36 });
    for (const bad of [{ name: 'Ada' }, { name: 'Ada', age: -1 }, { name: 'Ada', age: '36' }, { name: 'Ada', age: 36, more: 1 }]) {
      equal((await rejected(set(ref(db, 'users/bob'), bad))).code, DENIED, JSON.stringify(bad));
    }
    await remove(ref(db, 'users/ada'));
    equal(await test.stored('users'), null);
  },

  'a place below a denied one may be open': async (test) => {
    await test.rules({ box: { open: { '.read': true } } });
    await test.store('box', { open: 1, closed: 2 });
    const db = connect(test);
    const [open, whole] = [watch(db, ref(db, 'box/open')), watch(db, ref(db, 'box'))];
    await open.become([1]);
    await until(() => whole.error, 'the cancel callback');
    await test.store('box/open', 2);
    await open.become([1, 2]);
    equal([whole.events, open.error], [[], null]);
  },

  'a listener is cancelled when the data no longer allows it': async (test) => {
    await test.rules({ box: { '.read': "data.child('public').val() === true" }, other: { '.read': true } });
    await test.store('box', { public: true, a: 1 });
    const db = connect(test);
    const [log, other] = [watch(db, ref(db, 'box')), watch(db, ref(db, 'other'))];
    await log.become([{ public: true, a: 1 }]);
    await other.become([null]);
    await test.store('box/public', false);
    await until(() => log.error, 'the cancel callback');
    equal(log.error.code, DENIED);
    await test.store('box/a', 2);
    await test.store('other', 3);
    await other.become([null, 3]);
    ok(!JSON.stringify(log.events).includes('2'), `told after it was cancelled: ${JSON.stringify(log.events)}`);
  },

  'a listener is cancelled when other data no longer allows it': async (test) => {
    await test.rules({ box: { '.read': "root.child('members/ada').exists()" } });
    await test.store('members/ada', true);
    const db = connect(test);
    const log = watch(db, ref(db, 'box'));
    await log.become([null]);
    await test.store('members', null);
    await until(() => log.error, 'the cancel callback');
    equal([log.error.code, log.events], [DENIED, [null]]);
  },

  'a listener is cancelled when new rules no longer allow it': async (test) => {
    await test.rules({ '.read': true });
    const db = connect(test);
    const [log, other] = [watch(db, ref(db, 'box')), watch(db, ref(db, 'open'))];
    await log.become([null]);
    await other.become([null]);
    await test.rules({ open: { '.read': true } });
    await until(() => log.error, 'the cancel callback');
    equal(log.error.code, DENIED);
    await test.store('open', 1);
    await other.become([null, 1]);
  },

  'a listener may be added again once it is allowed': async (test) => {
    await test.rules({ '.read': false });
    const db = connect(test);
    const first = watch(db, ref(db, 'box'));
    await until(() => first.error, 'the cancel callback');
    await test.rules({ '.read': true });
    const second = watch(db, ref(db, 'box'));
    await second.become([null]);
    await test.store('box', 1);
    await second.become([null, 1]);
    equal(first.events, []);
  },

  'a mocked user is known to the rules': async (test) => {
    await test.rules({ users: { $uid: { '.read': 'auth.uid === $uid', '.write': 'auth != null && auth.uid === $uid' } } });
    const [ada, nobody] = [connect(test, { user: { sub: 'ada' } }), connect(test)];
    await set(ref(ada, 'users/ada'), 'mine');
    equal((await get(ref(ada, 'users/ada'))).val(), 'mine');
    equal((await rejected(set(ref(ada, 'users/bob'), 1))).code, DENIED, 'of another user');
    equal((await rejected(set(ref(nobody, 'users/ada'), 1))).code, DENIED, 'by nobody');
    await rejected(get(ref(nobody, 'users/ada')));
  },

  'claims of a mocked user are known to the rules': async (test) => {
    await test.rules({
      admin: { '.write': 'auth.token.admin === true' },
      team: { $team: { '.write': 'auth.token.teams[$team] === true' } },
      mail: { '.write': "auth.token.email.endsWith('@example.com') && auth.token.email_verified === true" },
      provider: { '.write': "auth.token.firebase.sign_in_provider === 'google.com'" },
    });
    const user = { sub: 'ada', admin: true, email: 'ada@example.com', email_verified: true, teams: { red: true }, firebase: { sign_in_provider: 'google.com', identities: {} } };
    const [ada, bob] = [connect(test, { user }), connect(test, { user: { user_id: 'bob', email: 'bob@example.com' } })];
    for (const place of ['admin', 'team/red', 'mail', 'provider']) {
      await set(ref(ada, place), 1);
      equal((await rejected(set(ref(bob, place), 1))).code, DENIED, place);
    }
    equal((await rejected(set(ref(ada, 'team/blue'), 1))).code, DENIED, 'another team');
  },

  'a mocked user given as a token': async (test) => {
    await test.rules({ '.read': "auth.uid === 'ada' && auth.token.level === 3" });
    const db = connect(test, { user: token({ sub: 'ada', level: 3 }) });
    await watch(db, ref(db, 'box')).become([null]);
  },

  'a mocked user is still known after a break': async (test) => {
    const gate = await test.gate();
    await test.rules({ '.read': 'auth != null', '.write': 'auth != null' });
    const db = connect(test, { user: { sub: 'ada' }, port: gate.port });
    const log = watch(db, ref(db, 'box'));
    await log.become([null]);
    await gate.cut();
    await set(ref(db, 'box'), 1);
    await log.become([null, 1]);
    equal(log.error, null);
  },

  'signing in allows what was denied': async (test) => {
    await test.rules({ '.read': 'auth != null', '.write': "auth.uid === 'ada'" });
    const auth = new Auth();
    const db = connect(test, { prepare: auth.join });
    const denied = watch(db, ref(db, 'box'));
    await until(() => denied.error, 'the cancel callback');
    auth.signIn({ sub: 'ada' });
    await set(ref(db, 'box'), 1);
    await watch(db, ref(db, 'box')).become([1]);
    auth.signIn({ sub: 'bob' });
    equal((await rejected(set(ref(db, 'box'), 2))).code, DENIED, 'a write of another user');
  },

  'a first token that has expired is replaced': async (test) => {
    await test.rules({ '.read': 'auth != null', '.write': "auth.uid === 'ada'" });
    const auth = new Auth();
    const now = Math.floor(Date.now() / 1000);
    auth.keep(token({ sub: 'ada', iat: now - 3660, exp: now - 60 }), { sub: 'ada' });
    const db = connect(test, { prepare: auth.join });
    await set(ref(db, 'box'), 1);
    await watch(db, ref(db, 'box')).become([1]);
  },

  'a first token that cannot be read is replaced': async (test) => {
    await test.rules({ '.read': 'auth != null', '.write': "auth.uid === 'ada'" });
    const auth = new Auth();
    auth.keep('not.a.token', { sub: 'ada' });
    const db = connect(test, { prepare: auth.join });
    await set(ref(db, 'box'), 1);
    await watch(db, ref(db, 'box')).become([1]);
  },

  'signing out cancels listeners that need a user': async (test) => {
    await test.rules({ box: { '.read': 'auth != null' }, open: { '.read': true } });
    const auth = new Auth();
    auth.signIn({ sub: 'ada' });
    const db = connect(test, { prepare: auth.join });
    const [log, open] = [watch(db, ref(db, 'box')), watch(db, ref(db, 'open'))];
    await log.become([null]);
    await open.become([null]);
    auth.signOut();
    await until(() => log.error, 'the cancel callback');
    equal(log.error.code, DENIED);
    await test.store('open', 1);
    await open.become([null, 1]);
  },

  'signing in as another user cancels what that one may not read': async (test) => {
    await test.rules({ users: { $uid: { '.read': 'auth.uid === $uid' } } });
    const auth = new Auth();
    auth.signIn({ sub: 'ada' });
    const db = connect(test, { prepare: auth.join });
    const log = watch(db, ref(db, 'users/ada'));
    await log.become([null]);
    auth.signIn({ sub: 'bob' });
    await until(() => log.error, 'the cancel callback');
    equal(log.error.code, DENIED);
    await watch(db, ref(db, 'users/bob')).become([null]);
  },

  'a new token of the same user disturbs nothing': async (test) => {
    await test.rules({ '.read': 'auth != null', '.write': 'auth != null' });
    const auth = new Auth();
    auth.signIn({ sub: 'ada' });
    const db = connect(test, { prepare: auth.join });
    const log = watch(db, ref(db, 'box'));
    await log.become([null]);
    auth.signIn({ sub: 'ada', fresh: true });
    await set(ref(db, 'box'), 1);
    await log.become([null, 1]);
    equal(log.error, null);
  },

  'rules on queries: only what the query asks for': async (test) => {
    await test.rules({
      list: { '.read': "auth.uid !== null && query.orderByChild === 'owner' && query.equalTo === auth.uid", '.indexOn': 'owner' },
      log: { '.read': 'query.orderByKey && query.limitToFirst <= 10' },
    });
    await test.store('list', { a: { owner: 'ada' }, b: { owner: 'bob' } });
    const db = connect(test, { user: { sub: 'ada' } });
    equal(keys(await get(query(ref(db, 'list'), orderByChild('owner'), equalTo('ada')))), ['a']);
    await watch(db, query(ref(db, 'list'), orderByChild('owner'), equalTo('ada')), keys).become([['a']]);
    const [others, whole] = [watch(db, query(ref(db, 'list'), orderByChild('owner'), equalTo('bob'))), watch(db, ref(db, 'list'))];
    await until(() => others.error && whole.error, 'both cancel callbacks');
    await watch(db, query(ref(db, 'log'), orderByKey(), limitToFirst(10))).become([null]);
    const long = watch(db, query(ref(db, 'log'), orderByKey(), limitToFirst(11)));
    await until(() => long.error, 'the cancel callback of a query of too many');
  },

  'a denied query leaves an allowed one at the same place alone': async (test) => {
    await test.rules({ list: { '.read': 'query.orderByKey && query.limitToFirst <= 2' } });
    await test.store('list', { a: 1, b: 2, c: 3 });
    const db = connect(test);
    const allowed = watch(db, query(ref(db, 'list'), orderByKey(), limitToFirst(2)), keys);
    const denied = watch(db, query(ref(db, 'list'), orderByKey(), limitToFirst(3)), keys);
    await until(() => denied.error, 'the cancel callback');
    await allowed.become([['a', 'b']]);
    await test.store('list/aa', 1);
    await allowed.become([['a', 'b'], ['a', 'aa']]);
    equal(denied.events, []);
  },

  'a place may be written by those who may not read it': async (test) => {
    await test.rules({ inbox: { '.write': true } });
    const db = connect(test);
    await set(child(ref(db, 'inbox'), 'a'), 'hello');
    await settle(db);
    equal(await test.stored('inbox'), { a: 'hello' });
    const seen = [];
    onValue(ref(db, 'inbox'), (snapshot) => seen.push(snapshot.val()), (error) => seen.push(error.code));
    await until(() => seen.length > 0, 'an answer');
    equal(seen, [DENIED]);
  },
});
