/** The view "Find books": by the first letters of a title, an author or an ISBN, or by genre. */

import * as client from './client.js';
import { h, show } from './elements.js';
import { bookCard } from './reader-cards.js';
import { keyedList } from './reader-parts.js';
import { counted, explain } from './reader-words.js';

const PAGE = 24;
const TYPING_MS = 200;
/** The pause in typing after which the catalogue is searched. */

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @param {client.Client} reader
 * @param {import('./reader-cards.js').Actions} actions
 * @param {(isbn: string) => client.Entry | undefined} entryOf returns a book's entry on the shelf
 * @param {(problem: string) => void} say
 */
export function setUpFind(reader, actions, entryOf, say) {
  const search = /** @type {HTMLInputElement} */ ($('search'));
  const showResults = keyedList($('found'), ({ book }) => book.isbn, (/** @type {any} */ card) => bookCard(card, actions));
  /** @type {client.Book[]} */
  let results = [];
  /** @type {string[]} */
  let genres = [];
  let genre = '';
  let limit = PAGE;
  let asked = 0;

  function render() {
    showResults(results.map((book) => ({ book, entry: entryOf(book.isbn) })));
  }

  /** Search for the text in the search field, or else the chosen genre. Only the newest answer counts. */
  async function find() {
    const number = (asked += 1);
    const text = search.value.trim();
    try {
      const answer = text
        ? await client.searchCatalogue(reader, text, limit)
        : genre
          ? await client.booksOfGenre(reader, genre, limit)
          : [];
      if (number !== asked) return;
      results = answer;
      render();
      $('found-about').textContent = words(text);
      show($('more'), results.length >= limit);
      renderGenres(text);
    } catch (error) {
      if (number === asked) say(explain(error));
    }
  }

  /** @param {string} text */
  function words(text) {
    const books = `${results.length >= limit ? 'The first ' : ''}${counted(results.length, 'book')}`;
    if (!text) return genre ? `${books} in ${genre}` : 'Search, or choose a genre';
    if (results.length) return `${books} for “${text}”`;
    return `No matches for “${text}”. Search by the first words of a title, or by an author’s first name.`;
  }

  /** @param {string} text the search text, which applies to all genres */
  function renderGenres(text) {
    for (const each of $('genres').children) each.setAttribute('aria-pressed', String(!text && each.textContent === genre));
  }

  /** @param {string} name */
  function chip(name) {
    const button = h('button', { type: 'button', class: 'chip' }, name);
    button.addEventListener('click', () => {
      search.value = '';
      [genre, limit] = [name, PAGE];
      find();
    });
    return button;
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  search.addEventListener('input', () => {
    clearTimeout(typing);
    limit = PAGE;
    typing = setTimeout(find, TYPING_MS);
  });
  $('search-form').addEventListener('submit', (event) => {
    event.preventDefault();
    find();
  });
  $('more').addEventListener('click', () => {
    limit += PAGE;
    find();
  });
  return {
    render,
    /** Start with the first genre when the view is opened. */
    async open() {
      if (genres.length) return;
      try {
        genres = await client.genres(reader);
        $('genres').replaceChildren(...genres.map(chip));
        genre ||= genres[0] ?? '';
        await find();
      } catch (error) {
        say(explain(error));
      }
    },
    /** Clear the results: somebody else may sign in. */
    close() {
      [search.value, results, genres, genre, limit] = ['', [], [], '', PAGE];
      asked += 1;
      render();
    },
  };
}
