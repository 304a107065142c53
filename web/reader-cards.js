/** A book as a card: in the list of recommendations and in search results. */

import { h, show } from './elements.js';
import { cover, starSlider } from './reader-parts.js';
import { BADGES, parts } from './reader-words.js';

/**
 * @typedef {import('./client.js').Book} Book
 * @typedef {import('./client.js').Entry} Entry
 * @typedef {{shelve: (book: Book, rating: number) => void, rate: (entry: Entry, rating: number) => void,
 *   remove: (entry: Entry) => void, dismiss: (book: Book) => void, similar: (book: Book) => void}} Actions
 * @typedef {{book: Book, entry?: Entry, rank?: number, source?: keyof typeof BADGES, predicted?: number, reason?: import('./reader-words.js').Words,
 *   more?: Book | null}} Card  `more` is the catalogue's book, with fields that the list lacks
 */

/**
 * Make a card. It shows whether the book is on the shelf, and its rating.
 *
 * @param {Card} first
 * @param {Actions} actions
 */
export function bookCard(first, actions) {
  let card = first;
  const { title, series } = parts(first.book.title);
  const slider = starSlider(`Rate ${title}`, (rating) => {
    if (card.entry) actions.rate(card.entry, rating);
    else if (rating) actions.shelve(card.book, rating);
  });
  const add = h('button', { type: 'button', class: 'secondary small add', 'aria-label': `Add to shelf: ${title}` }, 'Add to shelf');
  add.addEventListener('click', () => actions.shelve(card.book, 0));
  const not = h('button', { type: 'button', class: 'link small dismiss', 'aria-label': `Not interested: ${title}` }, 'Not interested');
  not.addEventListener('click', () => actions.dismiss(card.book));
  const like = similarButton(title, () => actions.similar(card.book));
  const there = h('span', { class: 'there' }, 'On your shelf');
  const rank = h('span', { class: 'rank' });
  const badge = h('span', { class: 'badge' });
  const predicted = h('span', { class: 'predicted' });
  const reason = h('p', { class: 'reason' });
  const facts = h('p', { class: 'facts' });
  const description = h('p', { class: 'description' });
  const element = h(
    'li',
    { class: 'book', 'data-isbn': first.book.isbn },
    h('div', { class: 'book-cover' }, cover(first.book)),
    h(
      'div',
      { class: 'book-text' },
      h('div', { class: 'tags' }, rank, badge, predicted),
      h('h3', {}, title),
      h('p', { class: 'author' }, first.book.author, series && h('span', { class: 'series' }, ` · ${series}`)),
      facts,
      reason,
      description,
    ),
    h('div', { class: 'actions' }, slider.element, add, not, like, there),
  );
  return {
    element,
    /** @param {Card} next */
    update(next) {
      card = next;
      slider.set(next.entry?.rating ?? 0);
      show(add, !next.entry);
      show(not, Boolean(next.rank) && !next.entry);
      show(there, Boolean(next.entry));
      say(rank, next.rank ? String(next.rank) : '');
      say(badge, next.source ? BADGES[next.source] ?? '' : '');
      badge.className = `badge ${next.source ?? ''}`;
      say(predicted, next.predicted ? `★ ${next.predicted.toFixed(1)} for you` : '');
      sayWords(reason, next.reason ?? []);
      const { genre, publishedYear, pages, description: text } = next.more ?? next.book;
      say(facts, [genre, publishedYear, pages && `${pages} pages`].filter(Boolean).join(' · '));
      say(description, next.rank === 1 ? text ?? '' : '');
    },
  };
}

/**
 * Make an entry on the shelf.
 *
 * @param {{entry: Entry, book: Book}} first
 * @param {Actions} actions
 */
export function shelfEntry(first, actions) {
  let { entry, book } = first;
  const slider = starSlider('', (rating) => actions.rate(entry, rating));
  const title = h('h3', {});
  const author = h('p', { class: 'author' });
  const unrated = h('span', { class: 'unrated' }, 'Not rated');
  const away = h('button', { type: 'button', class: 'away' });
  away.addEventListener('click', () => actions.remove(entry));
  const like = similarButton('', () => actions.similar(book));
  const place = h('div', { class: 'book-cover' });
  const element = h(
    'li',
    { class: 'entry', 'data-isbn': entry.isbn },
    place,
    h('div', { class: 'book-text' }, title, author, h('div', { class: 'actions' }, slider.element, unrated, like)),
    away,
  );
  let drawn = '';
  return {
    element,
    /** @param {{entry: Entry, book: Book}} next */
    update(next) {
      ({ entry, book } = next);
      slider.set(entry.rating);
      show(unrated, !entry.rating);
      if (drawn === `${book.isbn}\n${book.title}`) return;
      drawn = `${book.isbn}\n${book.title}`;
      const short = parts(book.title).title;
      element.dataset.isbn = book.isbn;
      place.replaceChildren(cover(book));
      say(title, short);
      say(author, book.author);
      slider.element.setAttribute('aria-label', `Your rating for ${short}`);
      away.setAttribute('aria-label', `Remove ${short} from your shelf`);
      like.setAttribute('aria-label', `Similar books: ${short}`);
    },
  };
}

/**
 * @param {string} title
 * @param {() => void} open
 */
function similarButton(title, open) {
  return h('button', { type: 'button', class: 'link small similar', 'aria-label': `Similar books: ${title}`, onclick: open }, 'Similar books');
}

/**
 * @param {HTMLElement} element
 * @param {import('./reader-words.js').Words} words
 */
function sayWords(element, words) {
  const text = words.map((word) => (typeof word === 'string' ? word : word.title)).join('');
  show(element, text !== '');
  if (element.textContent === text) return;
  element.replaceChildren(...words.map((word) => (typeof word === 'string' ? word : h('cite', {}, word.title))));
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  show(element, text !== '');
}
