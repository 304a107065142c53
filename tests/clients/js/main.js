/** Runs the guide's JavaScript: a line of JSON with one call in, a line with its result out. */

import { createInterface } from 'node:readline';
import { initializeApp } from 'firebase/app';
import { connectDatabaseEmulator, getDatabase, goOffline } from 'firebase/database';
import { connectStorageEmulator, getStorage } from 'firebase/storage';
import * as arm from './arm.js';
import * as contract from './contract.js';
import * as dismissals from './dismissals.js';
import { watchList } from './list.js';
import * as model from './model.js';
import { OnDevice } from './onDevice.js';
import { changeProfile } from './profile.js';
import * as shelf from './shelf.js';
import { listShown } from './shown.js';
import { similarTo } from './similar.js';
import { edition, topTen } from './topTen.js';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const hear = async () => JSON.parse((await lines.next()).value);

/** A browser's cache: Node has none. */
class MemoryCache {
  #kept = new Map();

  async match(url) {
    return this.#kept.get(url)?.clone();
  }

  async put(url, response) {
    this.#kept.set(url, response);
  }

  async delete(url) {
    return this.#kept.delete(url);
  }
}

const cache = new MemoryCache();
globalThis.caches = { open: async () => cache };

let db;
let storage;
let files;
let told;
let stopWatching;

/** The runtime at the other end. */
async function run(signature, inputs) {
  const plain = Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, Array.from(values)]));
  say({ file: files.path, signature, inputs: plain });
  const kinds = { indices: Int32Array, because: Int32Array };
  const found = Object.entries(await hear());
  return Object.fromEntries(found.map(([name, values]) => [name, (kinds[name] ?? Float32Array).from(values.flat())]));
}

const calls = {
  parse: ({ name, value }) => contract[`parse${name}`](value) ?? null,
  parseAll: ({ name, values }) => values.map((value) => contract[`parse${name}`](value) ?? null),
  connect({ host, namespace, uid, storageHost }) {
    const app = initializeApp({
      projectId: 'demo-guide',
      databaseURL: `https://${namespace}.firebaseio.com`,
      storageBucket: 'demo-guide.appspot.com',
    }, namespace);
    db = getDatabase(app);
    connectDatabaseEmulator(db, ...host.split(':'), { mockUserToken: { sub: uid } });
    storage = getStorage(app);
    storage.maxOperationRetryTime = 2000;
    if (storageHost) connectStorageEmulator(storage, ...storageHost.split(':'), { mockUserToken: { sub: uid } });
    return null;
  },
  disconnect() {
    goOffline(db);
    return null;
  },
  watch({ uid }) {
    told = [];
    stopWatching = watchList(db, uid, (list) => told.push(list ?? null), (error) => told.push(error.code));
    return null;
  },
  async told({ count }) {
    while (told.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    return told;
  },
  stop() {
    stopWatching();
    return null;
  },
  add: ({ uid, book, stars }) => shelf.add(db, uid, book, stars),
  rate: async ({ keys, stars }) => (await shelf.rate(db, keys, stars)) ?? null,
  remove: async ({ keys }) => (await shelf.remove(db, keys)) ?? null,
  read: ({ uid }) => shelf.read(db, uid),
  dismiss: async ({ uid, isbn }) => (await dismissals.dismiss(db, uid, isbn)) ?? null,
  undo: async ({ uid, isbn }) => (await dismissals.undo(db, uid, isbn)) ?? null,
  readDismissed: ({ uid }) => dismissals.readDismissed(db, uid),
  listShown: ({ uid, listId }) => listShown(db, uid, listId),
  changeProfile: async ({ uid, fields }) => (await changeProfile(db, uid, fields)) ?? null,
  async refresh() {
    try {
      const found = await model.refresh(db, storage);
      return { version: found.version, sizes: Object.fromEntries(Object.entries(found.files).map(([n, b]) => [n, b.length])) };
    } catch (error) {
      return { failed: error.message };
    }
  },
  current: async () => (await model.current())?.version ?? null,
  async load({ path }) {
    files = { ...(await model.current()).files, path };
    return null;
  },
  candidates: ({ shelf: stars }) => new OnDevice(files, run).candidates(new Map(Object.entries(stars))),
  predictedRatings: ({ shelf: stars, of }) => new OnDevice(files, run).predictedRatings(new Map(Object.entries(stars)), of),
  similarOnDevice: ({ isbn }) => new OnDevice(files, run).similarTo(isbn),
  similarTo: ({ isbn, without }) => similarTo(db, isbn, new Set(without)),
  async topTen({ shelf: stars, catalogue }) {
    const books = new Map(catalogue.map((book) => [book.isbn, book]));
    const device = new OnDevice(files, run);
    const found = await device.candidates(new Map(Object.entries(stars)));
    return topTen(Object.keys(stars), found, device.popular, (isbn) => books.get(isbn)).map(({ isbn }) => isbn);
  },
  editions: ({ books }) => books.map(([title, author]) => edition({ title, author })?.split('\n') ?? null),
  isInB: ({ id, share, uid }) => arm.isInB({ id, share }, uid),
  modelFor: ({ pointer, uid }) => arm.modelFor(contract.parsePointer(pointer), uid),
};

for (;;) {
  const { value: line, done } = await lines.next();
  if (done) break;
  const { call, ...fields } = JSON.parse(line);
  try {
    say({ result: await calls[call](fields) });
  } catch (error) {
    say({ error: error.stack });
  }
}
process.exit(0);
