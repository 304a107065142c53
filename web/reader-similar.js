/** The dialog "Similar books": what readers of a book also like. */

import * as client from './client.js';
import { show } from './elements.js';
import { bookCard } from './reader-cards.js';
import { keyedList } from './reader-parts.js';
import { explain, parts } from './reader-words.js';

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @param {client.Client} reader
 * @param {import('./reader-cards.js').Actions} actions
 * @param {(isbn: string) => client.Entry | undefined} entryOf returns a book's entry on the shelf
 * @param {() => {shelf: string[], dismissed: Set<string>}} leftOut returns the ISBNs that are not shown; a book that goes
 *   on the shelf meanwhile stays, so that it can be rated
 */
export function setUpSimilar(reader, actions, entryOf, leftOut) {
  const dialog = /** @type {HTMLDialogElement} */ ($('similar'));
  const showBooks = keyedList($('similar-books'), ({ book }) => book.isbn, (/** @type {any} */ card) => bookCard(card, actions));
  /** @type {client.Book[]} */
  let books = [];
  let asked = 0;

  function render() {
    const { dismissed } = leftOut();
    const shown = books.filter(({ isbn }) => !dismissed.has(isbn));
    const isFocused = $('similar-books').contains(document.activeElement);
    showBooks(shown.map((book) => ({ book, entry: entryOf(book.isbn) })));
    // The book with the focus was dismissed.
    if (isFocused && document.activeElement === document.body) $('similar-title').focus({ preventScroll: true });
  }

  /** @param {string} text */
  function say(text) {
    $('similar-about').textContent = text;
    show($('similar-about'), text !== '');
  }

  /**
   * Show what is similar to a book. Only the newest answer counts.
   *
   * @param {{isbn: string, title: string}} book
   */
  async function open({ isbn, title }) {
    const number = (asked += 1);
    books = [];
    render();
    $('similar-title').textContent = `Similar to ${parts(title).title}`;
    say('Looking for similar books…');
    if (!dialog.open) dialog.showModal();
    $('similar-title').focus();
    dialog.scrollTop = 0;
    try {
      const { shelf, dismissed } = leftOut();
      const answer = await client.similarTo(reader, isbn, [...shelf, ...dismissed]);
      if (number !== asked) return;
      books = answer;
      say(books.length ? '' : 'None yet. Similar books come with the next model, unless all of them are on your shelf.');
      render();
    } catch (error) {
      if (number === asked) say(explain(error));
    }
  }

  $('similar-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close(); // next to the content
  });
  return {
    open,
    render,
    close() {
      asked += 1;
      books = [];
      render();
      if (dialog.open) dialog.close();
    },
  };
}
