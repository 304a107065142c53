/** What follows the ten: more pages of the reader's own order, lists by genre, trending, and new in the catalogue. */

import * as client from './client.js';
import { h, show } from './elements.js';
import { bookCard } from './reader-cards.js';
import { keyedList } from './reader-parts.js';
import { counted, explain } from './reader-words.js';

/**
 * @typedef {{key: string, name: string}} Chip  lists are told apart by their keys: a genre can have any name
 */

/** The lists for everybody, by the keys that `sharedLists` gives them. */
const SHARED = [{ key: 'trending', name: 'Trending' }, { key: 'newest', name: 'New in the catalogue' }]; // prettier-ignore
/** The chip that the reader's genres replace once they are loaded. */
const GENRES = { key: 'genres', name: 'Your genres' };

/** @param {string} key */
const isShared = (key) => SHARED.some((one) => one.key === key);
/** @param {{genre: string}} genre */
const genreKey = ({ genre }) => `genre:${genre}`;

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Nothing is read before the reader asks for it. While the list stays the same, pages neither repeat nor leave out a book;
 * if it changes, as many pages of the new one are shown.
 *
 * @param {client.Client} reader
 * @param {import('./reader-cards.js').Actions} actions
 * @param {(isbn: string) => client.Entry | undefined} entryOf returns a book's entry on the shelf
 * @param {() => Set<string>} dismissed returns the ISBNs of dismissed books, which are on none of the lists
 * @param {(problem: string) => void} say
 */
export function setUpLists(reader, actions, entryOf, dismissed, say) {
  const make = (/** @type {any} */ card) => bookCard(card, actions);
  const showNext = keyedList($('next'), ({ book }) => book.isbn, make);
  const showListed = keyedList($('listed'), ({ book }) => book.isbn, make);
  /** @type {client.List | null | undefined} */
  let list = null;
  /** @type {client.MoreLists | null} of this list, once loaded */
  let more = null;
  /** @type {Awaited<ReturnType<typeof client.sharedLists>> | null} */
  let shared = null;
  let pages = 0;
  /** The key of the chosen list. */
  let chosen = '';
  let asked = 0;

  /** @param {client.ShortItem[]} items @param {number} [first] the first one's rank */
  const cards = (items, first) =>
    items.map((item, index) => ({
      book: item,
      entry: entryOf(item.isbn),
      rank: first && first + index,
      source: item.source,
      predicted: item.predictedRating,
    }));

  /** @returns {client.ShortItem[]} */
  function listed() {
    if (isShared(chosen)) return left(shared?.[/** @type {'trending' | 'newest'} */ (chosen)]);
    return left(more?.genres.find((one) => genreKey(one) === chosen)?.items);
  }

  /** @param {client.ShortItem[]} [items] */
  const left = (items = []) => items.filter(({ isbn }) => !dismissed().has(isbn));

  function render() {
    const next = left((more?.next ?? []).slice(0, pages).flat());
    const hadFocus = $('next').contains(document.activeElement);
    const ten = list?.items?.length ?? 0;
    showNext(cards(next, ten + 1));
    showListed(cards(listed()));
    // The book with the focus was dismissed.
    if (hadFocus && document.activeElement === document.body) $('next').focus({ preventScroll: true });
    // Whether there are more pages shows once they are loaded.
    const isOver = more !== null && pages >= more.next.length;
    show($('next-more'), ten > 0 && !isOver);
    $('next-about').textContent = pages && isOver ? `${counted(ten + next.length, 'book')} for you. That is all for now.` : '';
    show($('lists-title'), Boolean(list));
    renderChips();
  }

  /** @returns {Chip[]} */
  function offered() {
    if (!list) return [];
    const sharedNames = SHARED.map(({ name }) => name.toLowerCase());
    const own = more?.genres.map((one) => {
      const name = sharedNames.includes(one.genre.toLowerCase()) ? `${one.genre} (genre)` : one.genre;
      return { key: genreKey(one), name };
    });
    return [...SHARED, ...(own ?? [GENRES])];
  }

  function renderChips() {
    const wanted = offered();
    const chips = $('lists');
    const present = () => /** @type {HTMLElement[]} */ ([...chips.children]);
    const isSame = wanted.length === chips.childElementCount && wanted.every(({ key }, i) => present()[i].dataset.key === key);
    if (!isSame) {
      const hadFocus = chips.contains(document.activeElement);
      chips.replaceChildren(...wanted.map(chip));
      if (hadFocus) present().find((one) => one.dataset.key === chosen)?.focus();
    }
    for (const each of present()) each.setAttribute('aria-pressed', String(each.dataset.key === chosen));
  }

  /** @param {Chip} chip */
  function chip({ key, name }) {
    const button = h('button', { type: 'button', class: 'chip', 'data-key': key }, name);
    button.addEventListener('click', () => choose(key));
    return button;
  }

  /** Load what belongs to the list that is shown; return whether it still is the one when the answer comes. */
  async function load() {
    const number = (asked += 1);
    try {
      const answer = list ? await client.moreLists(reader, list) : null;
      if (number !== asked) return false;
      more = answer;
      return true;
    } catch (error) {
      if (number === asked) {
        pages = 0;
        say(explain(error));
      }
      return false;
    }
  }

  /** @param {string} key */
  async function choose(key) {
    try {
      if (isShared(key)) shared ??= await client.sharedLists(reader);
      else if (!more && !(await load())) return;
    } catch (error) {
      say(explain(error));
      return;
    }
    const [first] = more?.genres ?? [];
    chosen = key !== GENRES.key ? key : first ? genreKey(first) : '';
    render();
    if (key === GENRES.key && !chosen) say('Rate some books you like, and your genres appear here.');
    else if (!listed().length) say('There is nothing on this list yet.');
  }

  $('next-more').addEventListener('click', async () => {
    pages += 1;
    if (!more && !(await load())) return; // if it was pressed again meanwhile, the newest answer shows all these pages
    if (!more) {
      pages = 0;
      say('More books are on their way. Try again in a moment.');
    }
    render();
    // The button has gone with the last page: keyboard users go on with the books.
    if ($('next-more').hidden) $('next').focus({ preventScroll: true });
  });

  return {
    render,
    /**
     * Follow the ten: what is shown goes with them.
     *
     * @param {client.List | null} now
     */
    async follow(now) {
      const isSame = now?.listId === list?.listId;
      const wasLoaded = more !== null || pages > 0;
      list = now;
      if (isSame) {
        render();
        return;
      }
      if (wasLoaded && now && !(await load())) return;
      if (!wasLoaded || !now) [more, pages] = [null, 0];
      if (!isShared(chosen) && !listed().length) chosen = '';
      render();
    },
    /** Forget everything: somebody else may sign in. */
    close() {
      [list, more, shared, pages, chosen] = [null, null, null, 0, ''];
      asked += 1;
      render();
    },
  };
}
