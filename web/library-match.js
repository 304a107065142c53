/**
 * Finds the books of a library in the catalogue: by ISBN, in any of its spellings, or else by title and author.
 *
 * Every query reads a few nodes by an index; `docs/decisions/0039-bring-your-own-shelf.md` has the cost.
 *
 * @typedef {import('./client.js').Book} Book
 * @typedef {import('./client.js').Client} Client
 * @typedef {import('./library.js').Row} Row
 * @typedef {{row: Row, book: Book}} Match
 * @typedef {{line: number, title: string, author: string, message: string}} Unmatched
 */

import { booksBeginning, findBook } from './client.js';
import { edition, ISBN, sameBook, spellings, titleOnly } from './library.js';

/** So many rows are looked up at a time. */
const AT_A_TIME = 24;

/** So many books with a title, or of an author, are looked at. */
const [TITLES, WORKS] = [20, 60];

/**
 * Return each row's book, or why there is none.
 *
 * @param {Client} client
 * @param {Row[]} rows
 * @param {(isbn: string) => boolean} isOnShelf
 * @param {(done: number) => void} [progress]
 * @param {{aborted: boolean}} [signal] stops between two rows
 * @returns {Promise<{matches: Match[], unmatched: Unmatched[]}>} in the order of the rows
 * @throws the database's error if a query fails
 */
export async function matchRows(client, rows, isOnShelf, progress = () => {}, signal = { aborted: false }) {
  const find = finder(client, isOnShelf);
  /** @type {(Book | string)[]} */
  const answers = [];
  let next = 0;
  let done = 0;
  async function work() {
    while (next < rows.length && !signal.aborted) {
      const place = next++;
      answers[place] = await find(rows[place]);
      progress((done += 1));
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, rows.length) }, work));
  /** @type {Match[]} */
  const matches = [];
  /** @type {Unmatched[]} */
  const unmatched = [];
  for (const [place, row] of rows.entries()) {
    const book = answers[place];
    if (book === undefined) break;
    if (typeof book === 'string') unmatched.push({ line: row.line, title: row.title, author: row.author, message: book });
    else matches.push({ row, book });
  }
  return { matches, unmatched };
}

/**
 * Return a function that finds a row's book, or says why there is none. Queries are remembered.
 *
 * @param {Client} client
 * @param {(isbn: string) => boolean} isOnShelf
 * @returns {(row: Row) => Promise<Book | string>}
 */
function finder(client, isOnShelf) {
  /** @type {Map<string, Promise<any>>} */
  const asked = new Map();
  /** @type {Map<string, number>} how often a way of writing ISBNs was the catalogue's: it is tried first */
  const hits = new Map();

  /** @type {<T>(key: string, ask: () => Promise<T>) => Promise<T>} */
  function once(key, ask) {
    const answer = asked.get(key) ?? ask();
    asked.set(key, answer);
    return answer;
  }

  /** @param {string[]} isbns @returns {Promise<Book | null>} */
  async function byIsbn(isbns) {
    /** @type {Map<string, string>} */
    const ways = new Map();
    for (const isbn of isbns) for (const [way, text] of Object.entries(spellings(isbn))) if (!ways.has(text)) ways.set(text, way);
    const usual = [...ways].sort(([, a], [, b]) => (hits.get(b) ?? 0) - (hits.get(a) ?? 0));
    for (const [text, way] of usual) {
      if (!ISBN.test(text)) continue;
      const book = await once(`isbn ${text}`, () => findBook(client, text));
      if (!book) continue;
      hits.set(way, (hits.get(way) ?? 0) + 1);
      return book;
    }
    return null;
  }

  /** @param {Row} row @returns {Promise<Book[]>} the editions of the book with this title and author */
  async function byTitle(row) {
    const wanted = edition(row);
    const title = titleOnly(row.title).replace(/\s+/g, ' ');
    const author = row.author.split(',')[0].trim().replace(/\s+/g, ' ');
    const ask = (/** @type {'title' | 'author'} */ field, /** @type {string} */ text, /** @type {number} */ limit) =>
      once(`${field} ${text}`, () => booksBeginning(client, field, text, limit));
    /** @param {Book[]} books */
    const alike = (books) => books.filter(({ title, author }) => typeof author === 'string' && edition({ title, author }) === wanted);
    const titled = alike(await ask('title', title, TITLES));
    // The database compares letter by letter: with other capitals, the book is found among its author's.
    return titled.length ? titled : alike(await ask('author', author, WORKS));
  }

  return async (row) => {
    const book = await byIsbn(row.isbns);
    if (book) return ISBN.test(book.isbn) ? book : 'The catalogue has it under a number that no entry may have.';
    if (!edition(row)) return `${row.isbns.length ? 'Its ISBN is not in the catalogue' : 'It has no ISBN'}, and title or author is missing.`;
    const editions = (await byTitle(row)).filter(({ isbn }) => ISBN.test(isbn));
    const numbers = new Set(row.isbns.map(sameBook));
    const same = editions.filter(({ isbn }) => numbers.has(sameBook(isbn)));
    const there = editions.filter(({ isbn }) => isOnShelf(isbn));
    const one = same[0] ?? there[0] ?? (editions.length === 1 ? editions[0] : null);
    if (one) return one;
    if (!editions.length) return 'It is not in the catalogue.';
    return `The catalogue has ${editions.length} editions with this title and author: find it there, and choose.`;
  };
}
