/**
 * Puts the matched books of a library on the shelf: what is to be written, and writing it so that it can stop anywhere.
 *
 * The plan, with the keys of all nodes, is in the browser's storage until it is done. A batch that is written again after
 * a lost answer has the same keys, and books that are on the shelf by then are left out.
 *
 * @typedef {import('./client.js').Addition} Addition
 * @typedef {import('./client.js').Client} Client
 * @typedef {import('./client.js').Entry} Entry
 * @typedef {import('./library.js').Status} Status
 * @typedef {import('./library-match.js').Match} Match
 * @typedef {Omit<Addition, 'entryKey' | 'bookId'>} NewBook
 * @typedef {{additions: NewBook[], already: Match[], changed: (Match & {entry: Entry})[], repeated: number, over: number}} Plan
 *   `changed`: on the shelf with another rating; `repeated`: further rows of a book; `over`: more than a shelf holds
 * @typedef {{file: string, additions: Addition[], changed: Entry[]}} Work
 */

import { MAX_SHELF, newKeys, writeShelf } from './client.js';
import { sameBook } from './library.js';

/**
 * So many entries at a time, and the time between two writes: 200 a minute. The functions pause a reader whose writes
 * reach them more than 300 times in a minute; the rest is for what the reader does meanwhile, and for late events.
 */
export const [BATCH, EVERY_MS] = [20, 6000];

/**
 * Decide what an import writes.
 *
 * @param {Match[]} matches
 * @param {Entry[]} shelf
 * @param {Set<Status>} [without] rows with these statuses are left out
 * @returns {Plan} additions with the oldest first, so that the newest comes first on the shelf
 */
export function planOf(matches, shelf, without = new Set()) {
  /** @type {Map<string, Match>} */
  const byBook = new Map();
  const wanted = matches.filter(({ row }) => !without.has(row.status));
  for (const match of wanted) {
    const book = sameBook(match.book.isbn); // the catalogue may have it in two spellings
    const before = byBook.get(book);
    // As in training: of a book's rows the last one with stars counts.
    if (!before || match.row.rating || !before.row.rating) byBook.set(book, match);
  }
  const there = onShelf(shelf);
  /** @type {Plan} */
  const plan = { additions: [], already: [], changed: [], repeated: wanted.length - byBook.size, over: 0 };
  /** @type {Match[]} */
  const missing = [];
  for (const match of byBook.values()) {
    const entry = there.get(sameBook(match.book.isbn));
    if (!entry) missing.push(match);
    else if (match.row.rating && match.row.rating !== entry.rating) plan.changed.push({ ...match, entry });
    else plan.already.push(match);
  }
  missing.sort((a, b) => a.row.added - b.row.added || b.row.line - a.row.line);
  plan.over = Math.max(0, missing.length - Math.max(0, MAX_SHELF - shelf.length));
  plan.additions = missing.slice(plan.over).map(({ row, book }) => ({
    isbn: book.isbn, title: book.title, author: typeof book.author === 'string' ? book.author : '', rating: row.rating,
  })); // prettier-ignore
  return plan;
}

/**
 * The entries of a shelf by book, in whichever spelling.
 *
 * @param {Entry[]} shelf newest first
 */
export function onShelf(shelf) {
  const named = shelf.filter(({ isbn }) => isbn).reverse(); // of two entries, the newer one counts
  return new Map(named.map((entry) => [sameBook(entry.isbn), entry]));
}

/** An import of one user: at most one at a time, also over several tabs. */
export class LibraryImport {
  /** @type {'none' | 'running' | 'stopped' | 'done'} */
  phase = 'none';
  done = 0;
  /** @type {unknown} why it stopped by itself */
  problem = null;
  /** @type {Work | null} */
  work = null;
  #lastAt = 0;
  #isStopping = false;
  #isStored = false;
  /** @type {Promise<void>} */
  #ended = Promise.resolve();
  /** @type {() => void} */
  #wake = () => {};

  /**
   * Take up what the browser's storage holds for the user.
   *
   * @param {Client} client
   * @param {string} uid
   * @param {string} key where the plan is in the browser's storage
   * @param {() => Entry[]} shelf the present shelf
   * @param {() => void} changed called after each change
   */
  constructor(client, uid, key, shelf, changed) {
    this.client = client;
    this.uid = uid;
    this.key = key;
    this.shelf = shelf;
    this.changed = changed;
    this.work = stored(read(this.key));
    if (!this.work) return;
    this.#isStored = true;
    this.#takePlace();
    this.phase = 'stopped';
  }

  /** Take the place that was reached, maybe by another tab. */
  #takePlace() {
    const place = /** @type {{done?: unknown, at?: unknown} | null} */ (read(`${this.key}.done`));
    this.done = Math.min(Math.max(Number(place?.done) || 0, this.done), this.total);
    this.#lastAt = Math.max(Number(place?.at) || 0, this.#lastAt);
  }

  get total() {
    return this.work ? this.work.additions.length + this.work.changed.length : 0;
  }

  /**
   * Begin an import.
   *
   * @param {string} file its name
   * @param {NewBook[]} books
   * @param {Entry[]} changed entries with their new rating
   */
  start(file, books, changed) {
    const additions = books.map((book) => ({ ...newKeys(this.client), ...book }));
    this.work = { file, additions, changed };
    this.done = 0;
    this.#isStored = write(`${this.key}.done`, { done: 0, at: this.#lastAt }) && write(this.key, this.work);
    return this.run();
  }

  /** Go on until everything is written, or until it is stopped. Never fails: `problem` says what went wrong. */
  async run() {
    const { work } = this;
    if (this.phase === 'running' || !work) return;
    [this.phase, this.problem, this.#isStopping] = ['running', null, false];
    this.changed();
    await this.#ended; // one that was discarded may still be writing a batch
    if (this.work !== work) return;
    this.#ended = alone(this.key, () => this.#writeAll(work)).catch((error) => {
      if (this.work === work) this.problem = error;
    });
    await this.#ended;
    if (this.work !== work) return;
    this.phase = this.done === this.total ? 'done' : 'stopped';
    if (this.phase === 'done') forget(this.key);
    this.changed();
  }

  /** Stop after the batch that is being written. */
  stop() {
    this.#isStopping = true;
    this.#wake();
  }

  /** Forget what is left. */
  discard() {
    this.stop();
    forget(this.key);
    [this.work, this.done, this.problem] = [null, 0, null];
    this.phase = 'none';
    this.changed();
  }

  /** @param {Work} work */
  async #writeAll(work) {
    if (this.#isStored) {
      this.#takePlace();
      if (read(this.key) === null) this.done = this.total; // another tab has written everything
    }
    while (this.done < this.total && !this.#isStopping) {
      const next = this.#leftOf(work, this.done, this.done + BATCH);
      if (next.additions.length + next.changed.length) {
        await this.#pause(this.#lastAt + EVERY_MS - Date.now());
        if (this.#isStopping) return;
        if (this.client.auth.currentUser?.uid !== this.uid) throw new Error('somebody else has signed in');
        await writeShelf(this.client, next.additions, next.changed);
        this.#lastAt = Date.now();
      }
      if (this.work !== work) return;
      this.done = Math.min(this.done + BATCH, this.total);
      write(`${this.key}.done`, { done: this.done, at: this.#lastAt });
      this.changed();
    }
  }

  /**
   * Return what is still to be written of a part of the work.
   *
   * @param {Work} work
   * @param {number} from
   * @param {number} to
   */
  #leftOf({ additions, changed }, from, to) {
    const shelf = this.shelf();
    const there = onShelf(shelf);
    const byKey = new Map(shelf.map((entry) => [entry.key, entry]));
    const count = additions.length;
    return {
      additions: additions.slice(from, to).filter(({ isbn }) => !there.has(sameBook(isbn))),
      changed: changed.slice(Math.max(0, from - count), Math.max(0, to - count)).filter(({ key, rating }) => {
        const entry = byKey.get(key);
        return entry && entry.rating !== rating;
      }),
    };
  }

  /** @param {number} ms */
  async #pause(ms) {
    if (ms <= 0) return;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, EVERY_MS));
      this.#wake = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}

/** Another tab of this browser is importing. */
export class Busy extends Error {}

/**
 * @param {string} name
 * @param {() => Promise<void>} act
 */
async function alone(name, act) {
  if (!navigator.locks) return act();
  await navigator.locks.request(name, { ifAvailable: true }, (lock) => {
    if (!lock) throw new Busy('another tab is importing');
    return act();
  });
}

/**
 * Return what was in the browser's storage, or null if it is not an import.
 *
 * @param {any} work
 * @returns {Work | null}
 */
function stored(work) {
  return Array.isArray(work?.additions) && Array.isArray(work.changed) ? work : null;
}

/** @param {string} key @returns {unknown} */
function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null');
  } catch {
    return null; // not ours, or storage is blocked
  }
}

/** @param {string} key @param {unknown} value */
function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false; // full or blocked: the import cannot be continued later, but importing the file again adds nothing twice
  }
}

/** @param {string} key */
function forget(key) {
  try {
    localStorage.removeItem(key);
    localStorage.removeItem(`${key}.done`);
  } catch {
    // as above
  }
}
