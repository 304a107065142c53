/**
 * The reference client: all that an app does with this backend, as small functions without a page around them.
 *
 * Copy what you need. It uses nothing but Firebase's SDK; `docs/contract.md` says what each node holds and
 * `docs/access.md` what the rules let pass. Functions whose name begins with "on" are live: they call back at once and
 * with every change, and return a function that ends it.
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
 *   source: 'personal' | 'popular' | 'newest', because?: string[]}} Item
 * @typedef {{listId: string, generatedAt: number, modelVersion: string, source: 'personal' | 'mixed' | 'popular',
 *   basedOn: {entries: number, digest: string}, items: Item[]}} List
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
  connectDatabaseEmulator,
  endAt,
  equalTo,
  forceWebSockets,
  get,
  getDatabase,
  limitToFirst,
  onValue,
  orderByChild,
  push,
  query,
  ref,
  startAfter,
  startAt,
  update,
} from 'firebase/database';

/** Sorts after every character that a title holds: what begins with a text lies between it and it with this. */
const LAST = '\uf8ff';

// ---------------------------------------------------------------------------------------------------------- connecting

/**
 * Connect to the project that the configuration names, or to its emulators.
 *
 * @param {Config} config what `/config.json` holds
 * @returns {Client}
 */
export function connect(config) {
  const app = initializeApp(config);
  // Without the parts of Auth that sign in by pop-up: they would load scripts from elsewhere.
  const auth = initializeAuth(app, { persistence: [indexedDBLocalPersistence, browserLocalPersistence] });
  // The other way, long polling, works by scripts from elsewhere too, and the pages' policy refuses them.
  forceWebSockets();
  const database = getDatabase(app);
  const authAt = emulator(config, 'auth');
  const databaseAt = emulator(config, 'database');
  if (authAt) connectAuthEmulator(auth, `http://${authAt.host}:${authAt.port}`, { disableWarnings: true });
  if (databaseAt) connectDatabaseEmulator(database, databaseAt.host, databaseAt.port);
  return { app, auth, database, config };
}

/**
 * Return where the emulator of a service is, or null where the real service is meant.
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
 * Tell whether the database can be reached, now and from now on. Writes made meanwhile wait in this page's memory and
 * are sent, in order, as soon as it can.
 *
 * @param {Client} client
 * @param {(connected: boolean) => void} callback
 * @returns {Unsubscribe}
 */
export function onConnection({ database }, callback) {
  return onValue(ref(database, '.info/connected'), (snapshot) => callback(snapshot.val() === true));
}

/**
 * Tell by how many milliseconds the database's clock is ahead of this machine's, now and whenever it is known better.
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
 * Tell who is signed in, now and from now on; null where nobody is. A browser remembers its reader.
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
 * @throws an error with the code `auth/invalid-credential` where they do not belong together
 */
export async function signIn({ auth }, email, password) {
  return (await signInWithEmailAndPassword(auth, email, password)).user;
}

/**
 * Make an account and write its profile.
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
 * Write some fields of the own profile. Field by field: setting the whole profile would delete the list beside it.
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
 * Return the books whose title, author or ISBN begins with a text, up to `limit` of each. The database compares letters
 * as they are, so the text is also tried with capitals and behind an article: "crooked" finds "The Crooked Key".
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
 * Return the catalogue's genres, by one small question each: the index on `genre` is followed from one to the next.
 *
 * @param {Client} client
 * @param {number} [limit]
 * @returns {Promise<string[]>}
 */
export async function genres({ database }, limit = 16) {
  /** @type {string[]} */
  const found = [];
  while (found.length < limit) {
    const after = found.length ? [startAfter(/** @type {string} */ (found.at(-1)))] : [startAfter('')];
    const [book] = booksOf(await get(query(ref(database, 'archive'), orderByChild('genre'), ...after, limitToFirst(1))));
    if (!book?.genre) break;
    found.push(book.genre);
  }
  return found;
}

/**
 * Return books of a genre.
 *
 * @param {Client} client
 * @param {string} genre
 * @param {number} [limit]
 * @returns {Promise<Book[]>}
 */
export async function booksOfGenre({ database }, genre, limit = 24) {
  const asked = query(ref(database, 'archive'), orderByChild('genre'), equalTo(genre), limitToFirst(limit));
  return unique(booksOf(await get(asked)));
}

/**
 * Return a book of the catalogue by its ISBN, which is compared as it is given; null where there is none.
 *
 * @param {Client} client
 * @param {string} isbn
 * @returns {Promise<Book | null>}
 */
export async function findBook({ database }, isbn) {
  const asked = query(ref(database, 'archive'), orderByChild('isbn'), equalTo(isbn), limitToFirst(1));
  return booksOf(await get(asked))[0] ?? null;
}

// --------------------------------------------------------------------------------------------------------------- shelf

/**
 * Follow the own shelf: the newest entry first. What this page writes is there at once, and goes again if it is refused.
 *
 * @param {Client} client
 * @param {(entries: Entry[]) => void} callback
 * @param {(error: Error) => void} refused
 * @returns {Unsubscribe}
 */
export function onShelf(client, callback, refused) {
  const mine = query(ref(client.database, 'User_Book'), orderByChild('userId'), equalTo(uidOf(client)));
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
    refused,
  );
}

/**
 * Put a book on the shelf; without a rating it stands there unrated. Entry and copy are one write: both or neither.
 * `bookId` is a fresh key for every add, so that the item is the ISBN.
 *
 * @param {Client} client
 * @param {{isbn: string, title: string, author: string}} book
 * @param {number} [rating] 0 to 5 in halves
 * @returns {Promise<void>} settled when the database has it, or refuses it
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
 * @param {number} rating 0 to 5 in halves; 0 takes the rating back
 */
export async function rate({ database }, entry, rating) {
  const copy = copyOf(entry);
  await update(ref(database), {
    [`User_Book/${entry.key}/myRate`]: rating,
    ...(copy && { [`${copy}/myRate`]: rating }),
  });
}

/**
 * Take a book off the shelf, and its copy with it.
 *
 * @param {Client} client
 * @param {Entry} entry
 */
export async function remove({ database }, entry) {
  const copy = copyOf(entry);
  await update(ref(database), { [`User_Book/${entry.key}`]: null, ...(copy && { [copy]: null }) });
}

// ----------------------------------------------------------------------------------------------------- recommendations

/**
 * Follow the own list; null as long as there is none.
 *
 * @param {Client} client
 * @param {(list: List | null) => void} callback
 * @param {(error: Error) => void} refused
 * @returns {Unsubscribe}
 */
export function onRecommendations(client, callback, refused) {
  const mine = ref(client.database, `Users/${uidOf(client)}/recommendations`);
  return onValue(mine, (snapshot) => callback(snapshot.val()), refused);
}

/**
 * Follow the pointer to the live model; null as long as none was published.
 *
 * @param {Client} client
 * @param {(model: {version: string, manifest: string, manifestSha256: string, publishedAt: number} | null) => void} callback
 * @param {(error: Error) => void} refused
 * @returns {Unsubscribe}
 */
export function onModel({ database }, callback, refused) {
  return onValue(ref(database, 'Recommender/model'), (snapshot) => callback(snapshot.val()), refused);
}

// ---------------------------------------------------------------------------------------------------------------------

/** @param {Client} client */
function uidOf({ auth }) {
  if (!auth.currentUser) throw new Error('nobody is signed in');
  return auth.currentUser.uid;
}

/**
 * Return where an entry's copy is; null where its `bookId` cannot be a key.
 *
 * @param {Entry} entry
 */
function copyOf({ bookId }) {
  return /^[^.#$[\]/]{1,64}$/.test(bookId) ? `Books/${bookId}` : null;
}

/**
 * @param {import('firebase/database').Database} database
 * @param {string} field one that the rules index
 * @param {string} start
 * @param {number} limit
 */
async function beginningWith(database, field, start, limit) {
  const range = [startAt(start), endAt(start + LAST), limitToFirst(limit)];
  return booksOf(await get(query(ref(database, 'archive'), orderByChild(field), ...range)));
}

/**
 * @param {import('firebase/database').DataSnapshot} snapshot
 * @returns {Book[]} those with an ISBN and a title, in the order of the query
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

/** Words that stay small within a title. */
const SMALL = /^(a|an|and|as|at|but|by|for|from|in|of|on|or|the|to|with)$/;

/**
 * @param {string} text
 * @param {RegExp} [small] words that stay as they are, unless they begin the text
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
