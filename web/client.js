/**
 * The reference client: everything that an app does with this backend, as small functions without a user interface.
 *
 * Copy what you need. It depends only on Firebase's SDK; `docs/contract.md` describes the nodes and `docs/access.md` what
 * the rules allow. Functions whose names begin with "on" are live: they call back at once and on every change, and
 * return a function that unsubscribes.
 *
 * @typedef {{apiKey: string, authDomain: string, databaseURL: string, projectId: string, storageBucket: string,
 *   region: string, emulators?: {auth: string, database: string, storage: string, functions: string}}} Config
 * @typedef {{app: import('firebase/app').FirebaseApp, auth: import('firebase/auth').Auth,
 *   database: import('firebase/database').Database, config: Config}} Client
 * @typedef {import('firebase/auth').User} User
 * @typedef {{isbn: string, title: string, author: string, image?: string, genre?: string, description?: string,
 *   pages?: string, publishedYear?: string, rating?: string}} Book  a book of the catalogue; all fields are texts
 * @typedef {{key: string, bookId: string, isbn: string, rating: number}} Entry  a book on the shelf; a rating of 0
 *   means that it is not rated
 * @typedef {{isbn: string, title: string, author: string, image?: string, score: number, predictedRating?: number,
 *   source: 'personal' | 'popular' | 'newest' | 'exploration', because?: string[]}} Item
 * @typedef {{listId: string, generatedAt: number, modelVersion: string, source: 'personal' | 'mixed' | 'popular',
 *   basedOn: {entries: number, digest: string}, items: Item[]}} List
 * @typedef {{entryKey: string, bookId: string, isbn: string, title: string, author: string, rating: number}} Addition
 *   a book to be put on the shelf, with the keys under which it will be
 * @typedef {{at: string, account: object, profile: object, list: unknown, moreLists: unknown, dismissed: unknown,
 *   dismissals: unknown, shown: unknown, seen: unknown, entries: object, copies: object, denied: string[],
 *   elsewhere: {where: string, what: string}[], ask: string}} OwnCopy
 * @typedef {{isbn: string, title: string, author: string, image?: string, predictedRating?: number,
 *   source: 'personal' | 'popular' | 'newest'}} ShortItem
 * @typedef {{listId: string, next: ShortItem[][], genres: {genre: string, items?: ShortItem[]}[]}} MoreLists
 * @typedef {() => void} Unsubscribe
 */

import { initializeApp } from 'firebase/app';
import {
  browserLocalPersistence,
  connectAuthEmulator,
  createUserWithEmailAndPassword,
  indexedDBLocalPersistence,
  initializeAuth,
  onAuthStateChanged,
  signInWithEmailAndPassword,
  signOut as endSession,
} from 'firebase/auth';
import {
  child,
  connectDatabaseEmulator,
  endAt,
  equalTo,
  forceWebSockets,
  get,
  getDatabase,
  increment,
  limitToFirst,
  limitToLast,
  onValue,
  orderByChild,
  push,
  query,
  ref,
  serverTimestamp,
  set,
  startAfter,
  startAt,
  update,
} from 'firebase/database';

/** Sorts after every character in a title: texts that begin with a prefix sort between it and the prefix plus this. */
const LAST = '\uf8ff';

/** Of a reader's entries, so many count: the newest. The same number as in the functions. */
export const MAX_SHELF = 2000;

// ---------------------------------------------------------------------------------------------------------- connecting

/**
 * Connect to the project that the configuration names, or to its emulators.
 *
 * @param {Config} config what `/config.json` holds
 * @returns {Client}
 */
export function connect(config) {
  const app = initializeApp(config);
  // Without sign-in by pop-up, which would load scripts from other origins.
  const auth = initializeAuth(app, { persistence: [indexedDBLocalPersistence, browserLocalPersistence] });
  // The fallback, long polling, also loads scripts from other origins, which the pages' policy blocks.
  forceWebSockets();
  const database = getDatabase(app);
  const authAt = emulator(config, 'auth');
  const databaseAt = emulator(config, 'database');
  if (authAt) connectAuthEmulator(auth, `http://${authAt.host}:${authAt.port}`, { disableWarnings: true });
  if (databaseAt) connectDatabaseEmulator(database, databaseAt.host, databaseAt.port);
  return { app, auth, database, config };
}

/**
 * Return the address of a service's emulator, or null if the real service is used.
 *
 * @param {Config} config
 * @param {'auth' | 'database' | 'storage' | 'functions'} service
 */
export function emulator(config, service) {
  const address = config.emulators?.[service];
  if (!address) return null;
  const [host, port] = address.split(':');
  return { host, port: Number(port) };
}

/**
 * Report whether the database is connected, now and on every change. While it is not, writes wait in the page's memory;
 * they are sent, in order, after reconnecting.
 *
 * @param {Client} client
 * @param {(connected: boolean) => void} callback
 * @returns {Unsubscribe}
 */
export function onConnection({ database }, callback) {
  return onValue(ref(database, '.info/connected'), (snapshot) => callback(snapshot.val() === true));
}

/**
 * Report how many milliseconds the database's clock is ahead of this machine's, now and whenever the estimate improves.
 *
 * @param {Client} client
 * @param {(ms: number) => void} callback
 * @returns {Unsubscribe}
 */
export function onClockOffset({ database }, callback) {
  return onValue(ref(database, '.info/serverTimeOffset'), (snapshot) => callback(snapshot.val() ?? 0));
}

// -------------------------------------------------------------------------------------------------------------- people

/**
 * Report who is signed in, now and on every change; null if nobody is. The browser stays signed in.
 *
 * @param {Client} client
 * @param {(user: User | null) => void} callback
 * @returns {Unsubscribe}
 */
export function onUser({ auth }, callback) {
  return onAuthStateChanged(auth, callback);
}

/**
 * @param {Client} client
 * @param {string} email
 * @param {string} password
 * @returns {Promise<User>}
 * @throws an error with the code `auth/invalid-credential` if e-mail address or password is wrong
 */
export async function signIn({ auth }, email, password) {
  return (await signInWithEmailAndPassword(auth, email, password)).user;
}

/**
 * Create an account and write its profile.
 *
 * @param {Client} client
 * @param {{email: string, password: string, firstname: string, lastname: string}} person
 * @returns {Promise<User>}
 */
export async function signUp(client, { email, password, firstname, lastname }) {
  const { user } = await createUserWithEmailAndPassword(client.auth, email, password);
  await writeProfile(client, { firstname, lastname, mobile: '', image: '' });
  return user;
}

/**
 * Write some fields of the user's profile. Field by field: setting the whole profile would delete the list in it.
 *
 * @param {Client} client
 * @param {{firstname?: string, lastname?: string, mobile?: string, image?: string}} fields
 */
export async function writeProfile(client, fields) {
  const uid = uidOf(client);
  await update(ref(client.database, `Users/${uid}`), { id: uid, ...fields });
}

/** @param {Client} client */
export async function signOut({ auth }) {
  await endSession(auth);
}

// ----------------------------------------------------------------------------------------------------------- catalogue

/**
 * Return the books whose title, author or ISBN begins with a text, up to `limit` of each. The database's
 * comparison is case-sensitive, so the text is also tried capitalized and after an article: "crooked" finds "The Crooked
 * Key".
 *
 * @param {Client} client
 * @param {string} text
 * @param {number} [limit]
 * @returns {Promise<Book[]>}
 */
export async function searchCatalogue({ database }, text, limit = 24) {
  const typed = text.trim().replace(/\s+/g, ' ');
  if (!typed) return [];
  const searches = /^[\d-]{3,}$/.test(typed)
    ? [typed, `0${typed}`].map((start) => beginningWith(database, 'isbn', start, limit))
    : [
        ...spellings(typed).map((start) => beginningWith(database, 'title', start, limit)),
        ...[...new Set([typed, capitals(typed, /^$/)])].map((start) => beginningWith(database, 'author', start, limit)),
      ];
  return unique((await Promise.all(searches)).flat());
}

/**
 * Return the catalogue's genres, with one small query each: it follows the index on `genre` from one to the next. A genre
 * of which no node is a book is left out.
 *
 * @param {Pick<Client, 'database'>} client
 * @param {number} [limit]
 * @returns {Promise<string[]>}
 */
export async function genres({ database }, limit = 16) {
  /** @type {string[]} */
  const names = [];
  let last = '';
  for (let step = 0; names.length < limit && step < MOST_TRIES * limit; step += 1) {
    const next = query(ref(database, 'archive'), orderByChild('genre'), startAfter(last), limitToFirst(1));
    const snapshot = await get(next);
    /** @type {unknown} */
    let genre;
    snapshot.forEach((child) => {
      genre = child.child('genre').val();
    });
    if (typeof genre !== 'string') break;
    last = genre;
    const books = booksOf(snapshot).length ? 1 : (await booksOfGenre({ database }, genre, 1)).length;
    if (books) names.push(genre);
  }
  return names;
}

/**
 * Return books of a genre.
 *
 * @param {Pick<Client, 'database'>} client
 * @param {string} genre
 * @param {number} [limit]
 * @returns {Promise<Book[]>}
 */
export async function booksOfGenre({ database }, genre, limit = 24) {
  return firstBooks(database, limit, orderByChild('genre'), equalTo(genre));
}

/**
 * Return a book of the catalogue by its exact ISBN, or null.
 *
 * @param {Client} client
 * @param {string} isbn
 * @returns {Promise<Book | null>}
 */
export async function findBook({ database }, isbn) {
  return (await firstBooks(database, 1, orderByChild('isbn'), equalTo(isbn)))[0] ?? null;
}

/**
 * Return the books that are most similar to one, the best first: what its readers also have. None if the backend knows
 * of none, which is so for a book that was added since the last model was trained.
 *
 * @param {Pick<Client, 'database'>} client
 * @param {string} isbn
 * @param {Iterable<string>} [without] ISBNs to leave out: what is on the shelf, and what the reader has dismissed
 * @returns {Promise<Book[]>}
 */
export async function similarTo({ database }, isbn, without = []) {
  const known = new Set(without);
  const node = (await get(ref(database, `Similar_Books/${bookKey(isbn)}`))).val();
  const isbns = Object.values(node ?? {}).filter((other) => typeof other === 'string' && !known.has(other));
  const books = await Promise.all(
    isbns.map((other) => firstBooks(database, 1, orderByChild('isbn'), equalTo(other))),
  );
  return books.flat();
}

/**
 * Return the books whose title or author begins with a text, as the catalogue writes it.
 *
 * @param {Pick<Client, 'database'>} client
 * @param {'title' | 'author'} field
 * @param {string} text
 * @param {number} limit
 * @returns {Promise<Book[]>}
 */
export async function booksBeginning({ database }, field, text, limit) {
  return text ? beginningWith(database, field, text, limit) : [];
}

// --------------------------------------------------------------------------------------------------------------- shelf

/**
 * Follow the user's shelf, newest entry first: the entries that count, at most `MAX_SHELF`. Writes of this page show at
 * once, and are undone if the rules deny them.
 *
 * @param {Client} client
 * @param {(entries: Entry[]) => void} callback
 * @param {(error: Error) => void} denied called if the rules deny access
 * @returns {Unsubscribe}
 */
export function onShelf(client, callback, denied) {
  const shelves = ref(client.database, 'User_Book');
  const mine = query(shelves, orderByChild('userId'), equalTo(uidOf(client)), limitToLast(MAX_SHELF));
  return onValue(
    mine,
    (snapshot) => {
      /** @type {Entry[]} */
      const entries = [];
      snapshot.forEach((child) => {
        const { bookId, isbn, myRate } = child.val();
        entries.push({ key: child.key, bookId: String(bookId), isbn: String(isbn ?? ''), rating: Number(myRate) || 0 });
      });
      callback(entries.reverse());
    },
    denied,
  );
}

/**
 * Add a book to the shelf, rated or unrated. Entry and copy are one write: both or neither. `bookId` is a new key every
 * time, so books are identified by their ISBN.
 *
 * @param {Client} client
 * @param {{isbn: string, title: string, author: string}} book
 * @param {number} [rating] 0 to 5 in halves
 * @returns {Promise<void>} settled when the database has accepted or denied the write
 */
export async function shelve(client, { isbn, title, author }, rating = 0) {
  const { database } = client;
  const bookId = push(ref(database, 'Books')).key;
  const entryKey = push(ref(database, 'User_Book')).key;
  await update(ref(database), {
    [`Books/${bookId}`]: { isbn, title, author, myRate: rating },
    [`User_Book/${entryKey}`]: { userId: uidOf(client), bookId, isbn, myRate: rating },
  });
}

/**
 * Change the rating of an entry in place, and that of its copy.
 *
 * @param {Client} client
 * @param {Entry} entry
 * @param {number} rating 0 to 5 in halves; 0 removes the rating
 */
export async function rate({ database }, entry, rating) {
  const copy = copyOf(entry);
  await update(ref(database), {
    [`User_Book/${entry.key}/myRate`]: rating,
    ...(copy && { [`${copy}/myRate`]: rating }),
  });
}

/**
 * Remove a book from the shelf, together with its copy.
 *
 * @param {Client} client
 * @param {Entry} entry
 */
export async function remove({ database }, entry) {
  const copy = copyOf(entry);
  await update(ref(database), { [`User_Book/${entry.key}`]: null, ...(copy && { [copy]: null }) });
}

/**
 * Return keys for books that will be put on the shelf. They are made here, in ascending order, so that a write can be
 * repeated: with the same keys, it changes nothing.
 *
 * @param {Pick<Client, 'database'>} client
 * @returns {{entryKey: string, bookId: string}}
 */
export function newKeys({ database }) {
  const [bookId, entryKey] = [push(ref(database, 'Books')).key, push(ref(database, 'User_Book')).key];
  if (!bookId || !entryKey) throw new Error('a reference without a key');
  return { entryKey, bookId };
}

/**
 * Add books and change ratings in one write: all of it or nothing. Whoever writes more than 300 entries in a minute is
 * paused for ten; each book in here counts.
 *
 * @param {Client} client
 * @param {Addition[]} additions
 * @param {Entry[]} [changed] entries with their new rating
 * @returns {Promise<void>} settled when the database has accepted or denied the write
 */
export async function writeShelf(client, additions, changed = []) {
  const userId = uidOf(client);
  /** @type {Record<string, unknown>} */
  const nodes = {};
  for (const { entryKey, bookId, isbn, title, author, rating } of additions) {
    nodes[`Books/${bookId}`] = { isbn, title, author, myRate: rating };
    nodes[`User_Book/${entryKey}`] = { userId, bookId, isbn, myRate: rating };
  }
  for (const entry of changed) {
    const copy = copyOf(entry);
    nodes[`User_Book/${entry.key}/myRate`] = entry.rating;
    if (copy) nodes[`${copy}/myRate`] = entry.rating;
  }
  await update(ref(client.database), nodes);
}

// ----------------------------------------------------------------------------------------------------- recommendations

/**
 * Follow the user's list; null while there is none.
 *
 * @param {Client} client
 * @param {(list: List | null) => void} callback
 * @param {(error: Error) => void} denied called if the rules deny access
 * @returns {Unsubscribe}
 */
export function onRecommendations(client, callback, denied) {
  const mine = ref(client.database, `Users/${uidOf(client)}/recommendations`);
  return onValue(mine, (snapshot) => callback(snapshot.val()), denied);
}

/**
 * Follow the books that the user has dismissed: their ISBNs, the latest first.
 *
 * @param {Client} client
 * @param {(isbns: string[]) => void} callback
 * @param {(error: Error) => void} denied called if the rules deny access
 * @returns {Unsubscribe}
 */
export function onDismissed(client, callback, denied) {
  return onValue(
    ref(client.database, `Users/${uidOf(client)}/dismissed`),
    (snapshot) => {
      /** @type {[string, number][]} */
      const dismissed = Object.entries(snapshot.val() ?? {});
      callback(dismissed.sort(([, a], [, b]) => b - a).map(([key]) => isbnOf(key)));
    },
    denied,
  );
}

/**
 * Say that the user is not interested in a book: it leaves the list in every edition. A reader dismisses at most 200
 * books; the dismissal of one that is dismissed already is denied.
 *
 * @param {Client} client
 * @param {string} isbn
 * @returns {Promise<void>} settled when the database has accepted or denied the write
 */
export async function dismiss(client, isbn) {
  await update(ref(client.database, `Users/${uidOf(client)}`), {
    [`dismissed/${bookKey(isbn)}`]: serverTimestamp(),
    'dismissals/count': increment(1),
    'dismissals/last': bookKey(isbn),
  });
}

/**
 * Take a dismissal back.
 *
 * @param {Client} client
 * @param {string} isbn
 */
export async function undismiss(client, isbn) {
  await update(ref(client.database, `Users/${uidOf(client)}`), {
    [`dismissed/${bookKey(isbn)}`]: null,
    'dismissals/count': increment(-1),
    'dismissals/last': bookKey(isbn),
  });
}

/**
 * Return the database key of a book: a key cannot have a dot, and no ISBN has a comma.
 *
 * @param {string} isbn
 */
export const bookKey = (isbn) => isbn.replaceAll('.', ',');

/** @param {string} key */
const isbnOf = (key) => key.replaceAll(',', '.');

/**
 * Return what follows the user's ten in pages, and the user's strongest genres; null if there is nothing of the kind, or
 * what is there belongs to another list than this one: its change is on its way, and calls back with the new list.
 *
 * @param {Client} client
 * @param {List} list the ten that the page shows
 * @returns {Promise<MoreLists | null>}
 */
export async function moreLists(client, list) {
  const more = (await get(ref(client.database, `More_Lists/${uidOf(client)}`))).val();
  if (more?.listId !== list.listId) return null;
  return { listId: more.listId, next: more.next ?? [], genres: more.genres ?? [] };
}

/**
 * Return the lists that all readers share: what is shelved more than before, and what is new in the catalogue.
 *
 * @param {Pick<Client, 'database'>} client
 * @returns {Promise<{trending: ShortItem[], newest: ShortItem[]}>} empty if there are none
 */
export async function sharedLists({ database }) {
  const lists = (await get(ref(database, 'Shared_Lists'))).val();
  return { trending: lists?.trending?.items ?? [], newest: lists?.newest?.items ?? [] };
}

/**
 * Say that the user's present list was shown: once for each list, when it is really visible. The backend counts how many
 * books are taken from lists that were shown.
 *
 * @param {Client} client
 * @param {string} listId
 * @returns {Promise<boolean>} false if it was said before, or if the list has been replaced meanwhile
 */
export async function listShown(client, listId) {
  const shown = ref(client.database, `Users/${uidOf(client)}/shown`);
  const last = await get(child(shown, 'listId'));
  if (last.val() === listId) return false;
  return set(shown, { listId, at: serverTimestamp() }).then(
    () => true,
    () => false,
  );
}

/**
 * Follow the pointer to the live model; null until one is published.
 *
 * @param {Client} client
 * @param {(model: {version: string, manifest: string, manifestSha256: string, publishedAt: number} | null) => void} callback
 * @param {(error: Error) => void} denied called if the rules deny access
 * @returns {Unsubscribe}
 */
export function onModel({ database }, callback, denied) {
  return onValue(ref(database, 'Recommender/model'), (snapshot) => callback(snapshot.val()), denied);
}

// ------------------------------------------------------------------------------------------------------------ own copy

/** What is stored about a reader where the reader cannot read it; `docs/privacy.md` says until when. */
export const ELSEWHERE = [
  { where: '/Recommender/readers', what: 'that your profile was seen, or is gone' },
  { where: '/Recommender/dirty', what: 'that your shelf or your dismissals have changed since the last training' },
  { where: '/Recommender/changes', what: 'which entries have changed since the last training' },
  { where: '/Recommender/writes', what: 'a number that grows with each write of your list' },
  { where: '/Recommender/shelvings', what: 'which lists you were shown, and which of their books you put on the shelf' },
  { where: '/Recommender/events', what: 'if the owner collects it: the same book by book, under a hash of your id' },
  { where: '/Recommender/paused', what: 'that you wrote too fast, and until when no entry is accepted' },
  { where: '/Recommender/rejected', what: 'which of your entries are rejected, and why' },
  { where: '/Recommender/status', what: 'that your list is being made, for a moment; or that making it failed' },
  { where: 'Cloud Storage: lists, snapshots and, if switched on, backups', what: 'copies of your entries and lists' },
  { where: 'logs', what: 'a hash of your user id' },
];

const ASK = 'The people who run this app can read these; ask them by the contact address of its privacy policy.';

/** So many copies are read at a time. */
const COPIES_AT_A_TIME = 50;

/**
 * Return everything that is stored about the user and that the user may read, and what else there is.
 *
 * @param {Client} client
 * @returns {Promise<OwnCopy>} can be written as JSON
 */
export async function ownCopy(client) {
  const { auth, database } = client;
  const uid = uidOf(client);
  /** @type {string[]} */
  const denied = [];
  /** @type {(path: string) => Promise<unknown>} */
  const value = (path) =>
    get(ref(database, path)).then(
      (snapshot) => snapshot.val(),
      (error) => {
        if (!/permission.denied/i.test(`${error?.code} ${error?.message}`)) throw error;
        denied.push(path);
        return null;
      },
    );
  const mine = query(ref(database, 'User_Book'), orderByChild('userId'), equalTo(uid));
  const [own, shelf, moreLists] = await Promise.all([value(`Users/${uid}`), get(mine), value(`More_Lists/${uid}`)]);
  /** @type {Record<string, {bookId?: unknown}>} */
  const entries = shelf.val() ?? {};
  const paths = new Set(Object.values(entries).map((entry) => copyOf({ bookId: String(entry?.bookId ?? '') })));
  /** @type {Record<string, unknown>} */
  const copies = {};
  const wanted = [...paths].filter((path) => path !== null);
  for (let start = 0; start < wanted.length; start += COPIES_AT_A_TIME) {
    const some = wanted.slice(start, start + COPIES_AT_A_TIME);
    const nodes = await Promise.all(some.map(value));
    some.forEach((path, place) => {
      if (nodes[place] !== null) copies[path.slice('Books/'.length)] = nodes[place];
    });
  }
  const { recommendations: list = null, dismissed = null, dismissals = null, shown = null, seen = null, ...profile } =
    /** @type {Record<string, unknown>} */ (own ?? {}); // prettier-ignore
  const { email = null, metadata } = /** @type {User} */ (auth.currentUser);
  const account = { uid, email, createdAt: metadata.creationTime ?? null, lastSignInAt: metadata.lastSignInTime ?? null };
  const nodes = { list, moreLists, dismissed, dismissals, shown, seen, entries, copies };
  return { at: new Date().toISOString(), account, profile, ...nodes, denied, elsewhere: ELSEWHERE, ask: ASK };
}

// ---------------------------------------------------------------------------------------------------------------------

/** @param {Client} client */
function uidOf({ auth }) {
  if (!auth.currentUser) throw new Error('nobody is signed in');
  return auth.currentUser.uid;
}

/**
 * Return the path of an entry's copy, or null if its `bookId` cannot be a key.
 *
 * @param {Pick<Entry, 'bookId'>} entry
 */
function copyOf({ bookId }) {
  return /^[^.#$[\]/]{1,64}$/.test(bookId) ? `Books/${bookId}` : null;
}

/**
 * @param {import('firebase/database').Database} database
 * @param {string} field an indexed field
 * @param {string} start
 * @param {number} limit
 */
async function beginningWith(database, field, start, limit) {
  return firstBooks(database, limit, orderByChild(field), startAt(start), endAt(start + LAST));
}

/**
 * Return the first books of a query. Nodes that are not books, and further nodes of a book, do not count: if some are
 * among the first nodes, the query is repeated with more.
 *
 * @param {import('firebase/database').Database} database
 * @param {number} limit
 * @param {import('firebase/database').QueryConstraint[]} constraints
 */
async function firstBooks(database, limit, ...constraints) {
  for (let size = limit, tries = 1; ; size *= 2, tries += 1) {
    const snapshot = await get(query(ref(database, 'archive'), ...constraints, limitToFirst(size)));
    const books = unique(booksOf(snapshot));
    if (books.length >= limit || snapshot.size < size || tries === MOST_TRIES) return books.slice(0, limit);
  }
}

/**
 * @param {import('firebase/database').DataSnapshot} snapshot
 * @returns {Book[]} the books with an ISBN and a title, in the order of the query
 */
function booksOf(snapshot) {
  /** @type {Book[]} */
  const books = [];
  snapshot.forEach((child) => {
    const book = child.val();
    if (typeof book?.isbn === 'string' && typeof book.title === 'string') books.push(book);
  });
  return books;
}

/** How often a query is repeated because of nodes that are not books. */
const MOST_TRIES = 4;

/** Words that are not capitalized within a title. */
const SMALL = /^(a|an|and|as|at|but|by|for|from|in|of|on|or|the|to|with)$/;

/**
 * @param {string} text
 * @param {RegExp} [small] words that are not changed, except at the beginning
 */
function capitals(text, small = SMALL) {
  const words = text.split(' ');
  return words.map((word, i) => (i && small.test(word) ? word : word.slice(0, 1).toUpperCase() + word.slice(1))).join(' ');
}

/** @param {string} text */
function spellings(text) {
  const capital = capitals(text);
  const sentence = capitals(text.slice(0, 1)) + text.slice(1);
  return [...new Set([text, sentence, capital, `The ${capital}`, `A ${capital}`, `The ${text}`])];
}

/** @param {Book[]} books */
function unique(books) {
  return [...new Map(books.map((book) => [book.isbn, book])).values()];
}
