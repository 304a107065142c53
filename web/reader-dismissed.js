/** The section "Not interested": the books that the reader has dismissed, each with a button that takes it back. */

import { h, show } from './elements.js';
import { cover, keyedList } from './reader-parts.js';
import { parts } from './reader-words.js';

/** @typedef {import('./client.js').Book} Book */

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * While the section is closed, it costs nothing; the catalogue is asked for the titles when it is opened.
 *
 * @param {() => Iterable<string>} dismissed returns the ISBNs, the latest first; the rules allow 200
 * @param {(isbn: string) => {book: Book, isGone: boolean}} find returns what is known of a book, and whether it has left
 *   the catalogue
 * @param {(isbns: string[]) => void} learnAbout called with the books that are shown
 * @param {(book: Book) => void} takeBack
 */
export function setUpDismissed(dismissed, find, learnAbout, takeBack) {
  const section = /** @type {HTMLDetailsElement} */ ($('dismissed'));
  const showBooks = keyedList($('dismissed-books'), ({ book }) => book.isbn, (/** @type {any} */ line) => entry(line, takeBack));

  function render() {
    const isbns = [...dismissed()];
    const hadFocus = $('dismissed-books').contains(document.activeElement);
    showBooks(section.open ? isbns.map(find) : []);
    // The button with the focus was removed with its book.
    if (hadFocus && document.activeElement === document.body) $('dismissed-title').focus({ preventScroll: true });
    $('dismissed-count').textContent = isbns.length ? String(isbns.length) : '';
    show($('dismissed-empty'), !isbns.length);
  }

  function learn() {
    render();
    if (section.open) learnAbout([...dismissed()]);
  }

  section.addEventListener('toggle', learn);
  return {
    render,
    /** What is dismissed has changed. */
    changed: learn,
    /** Close the section: somebody else may sign in. */
    close() {
      section.open = false;
      render();
    },
  };
}

/**
 * @param {{book: Book}} first
 * @param {(book: Book) => void} takeBack
 */
function entry({ book: { isbn } }, takeBack) {
  /** @type {Book} */
  let book;
  const place = h('div', { class: 'book-cover' });
  const title = h('h3', {});
  const author = h('p', { class: 'author' });
  const gone = h('p', { class: 'author' }, 'No longer in the catalogue');
  const back = h('button', { type: 'button', class: 'link small' }, 'Take back');
  back.addEventListener('click', () => takeBack(book));
  const element = h(
    'li',
    { class: 'entry', 'data-isbn': isbn },
    place,
    h('div', { class: 'book-text' }, title, author, gone, h('div', { class: 'actions' }, back)),
  );
  return {
    element,
    /** @param {{book: Book, isGone: boolean}} next */
    update(next) {
      show(gone, next.isGone);
      if (book?.title === next.book.title) return;
      book = next.book;
      const short = parts(book.title).title;
      place.replaceChildren(cover(book));
      title.textContent = short;
      author.textContent = book.author;
      show(author, Boolean(book.author));
      back.setAttribute('aria-label', `Take back: ${short}`);
    },
  };
}
