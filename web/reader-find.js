/** The room where books are found: by the first letters of a title, an author or an ISBN, or by genre. */

import * as client from './client.js';
import { h, show } from './elements.js';
import { bookCard } from './reader-cards.js';
import { keyedList } from './reader-parts.js';
import { counted, explain } from './reader-words.js';

const PAGE = 24;
const TYPING_MS = 200;
/** How long a reader may take between two letters until the catalogue is asked. */

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @param {client.Client} reader
 * @param {import('./reader-cards.js').Actions} actions
 * @param {(isbn: string) => client.Entry | undefined} entryOf says where a book stands on the shelf
 * @param {(problem: string) => void} say
 */
export function findRoom(reader, actions, entryOf, say) {
  const search = /** @type {HTMLInputElement} */ ($('search'));
  const showFound = keyedList($('found'), ({ book }) => book.isbn, (/** @type {any} */ card) => bookCard(card, actions));
  /** @type {client.Book[]} */
  let found = [];
  /** @type {string[]} */
  let genres = [];
  let genre = '';
  let limit = PAGE;
  let asked = 0;

  function render() {
    showFound(found.map((book) => ({ book, entry: entryOf(book.isbn) })));
  }

  /** Ask for what stands in the search field, or else for the chosen genre; only the newest answer counts. */
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
      found = answer;
      render();
      $('found-about').textContent = words(text);
      show($('more'), found.length >= limit);
      renderGenres(text);
    } catch (error) {
      if (number === asked) say(explain(error));
    }
  }

  /** @param {string} text */
  function words(text) {
    const books = `${found.length >= limit ? 'The first ' : ''}${counted(found.length, 'book')}`;
    if (!text) return genre ? `${books} in ${genre}` : 'Search, or choose a genre';
    if (found.length) return `${books} for “${text}”`;
    return `Nothing begins with “${text}”. Titles are found by their first words, authors by their first name.`;
  }

  /** @param {string} text what is searched for, in all genres */
  function renderGenres(text) {
    const chips = $('genres');
    if (chips.childElementCount !== genres.length) chips.replaceChildren(...genres.map(chip));
    for (const each of chips.children) each.setAttribute('aria-pressed', String(!text && each.textContent === genre));
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
    /** Begin with the first genre, once the room is entered. */
    async open() {
      if (genres.length) return;
      try {
        genres = await client.genres(reader);
        genre ||= genres[0] ?? '';
        await find();
      } catch (error) {
        say(explain(error));
      }
    },
    /** Forget what was found: somebody else may come. */
    close() {
      [search.value, found, genres, genre, limit] = ['', [], [], '', PAGE];
      asked += 1;
      render();
    },
  };
}
