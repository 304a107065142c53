/** The reader's page: the list, the shelf and the search. */

import * as client from './client.js';
import { h, show } from './elements.js';
import { bookCard, shelfEntry } from './reader-cards.js';
import { setUpSignIn } from './reader-sign-in.js';
import { setUpCopy } from './reader-copy.js';
import { setUpDismissed } from './reader-dismissed.js';
import { setUpFind } from './reader-find.js';
import { setUpShown } from './reader-shown.js';
import { setUpSimilar } from './reader-similar.js';
import { setUpImport } from './reader-import.js';
import { setUpLists } from './reader-lists.js';
import { keyedList } from './reader-parts.js';
import { about, counted, duration, explain, parts, reason, stars } from './reader-words.js';

/**
 * @typedef {import('./client.js').Book} Book
 * @typedef {import('./client.js').Entry} Entry
 */

const VIEWS = ['for-you', 'shelf', 'find', 'import'];
const TITLES = { 'for-you': 'For you', shelf: 'Your shelf', find: 'Find books', import: 'Bring your own shelf' };
const PATIENCE_MS = 6000;
/** The time after which the page says that the list takes long. */
const CLOCK_SLACK_MS = 20;
const TOAST_MS = 5000;
const OFFER_MS = 10000;

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const reader = client.connect(await configuration());

/** The state of the page; everything shown follows from it. */
const state = {
  /** @type {import('./client.js').List | null | undefined} undefined until the database has answered */
  list: undefined,
  /** @type {Entry[]} */
  shelf: [],
  /** The ISBNs of dismissed books, the latest first: they leave the screen at once, before the list follows. @type {Set<string>} */
  dismissed: new Set(),
  hasShelf: false,
  /** @type {Map<string, Book | null>} what the catalogue said, by ISBN */
  books: new Map(),
  /** @type {boolean | undefined} whether a model is live */
  hasModel: undefined,
  connected: false,
  wasConnected: false,
  /** Writes that the database has not answered yet. */
  waiting: 0,
};

/**
 * @typedef {{label: string, act: () => void}} Offer
 * @typedef {{what: string, done: string, offer?: Offer, at: number, clock: number, sent: boolean,
 *   timer?: ReturnType<typeof setTimeout>}} Write
 */

/** The write that the list has not followed yet. @type {Write | null} */
let lastWrite = null;
let clockOffset = 0;

/** @returns {Promise<import('./client.js').Config>} */
async function configuration() {
  const answer = await fetch('/config.json').catch(() => null);
  if (answer?.ok) return answer.json();
  $('offline').textContent = answer
    ? 'This page was deployed without its configuration (config.json).'
    : 'No connection. Reload the page when you are online.'; // prettier-ignore
  show($('offline'), true);
  throw new Error('no configuration');
}

// ------------------------------------------------------------------------------------------------------------- writing

const actions = {
  /** @param {Book} book @param {number} rating */
  shelve(book, rating) {
    const { title } = parts(book.title);
    const done = rating ? `${title} is on your shelf: ${stars(rating)}.` : `${title} is on your shelf.`;
    write(rating ? 'your rating' : 'you added a book', done, () => client.shelve(reader, book, rating));
  },
  /** @param {Entry} entry @param {number} rating */
  rate(entry, rating) {
    const done = `${parts(bookOf(entry.isbn).title).title}: ${stars(rating)}.`;
    write('your rating', done, () => client.rate(reader, entry, rating));
  },
  /** @param {Entry} entry */
  remove(entry) {
    const book = bookOf(entry.isbn);
    const { title } = parts(book.title);
    const back = () => client.shelve(reader, book, entry.rating);
    write('you removed a book', `${title} was removed from your shelf.`, () => client.remove(reader, entry), {
      label: 'Undo',
      act: () => write('you put a book back', `${title} is back on your shelf.`, back),
    });
    // The button with the focus was removed with the book.
    if (document.activeElement === document.body) $('shelf-title').focus({ preventScroll: true });
  },
  /** @param {Book} book */
  dismiss(book) {
    const { title } = parts(book.title);
    write('you dismissed a book', `${title} will not be recommended.`, () => client.dismiss(reader, book.isbn), {
      label: 'Undo',
      act: () => actions.takeBack(book),
    });
  },
  /** @param {Book} book */
  takeBack(book) {
    const { title } = parts(book.title);
    write('you took it back', `${title} may be recommended again.`, () => client.undismiss(reader, book.isbn));
  },
  /** @param {Book} book */
  similar(book) {
    similar.open(book);
  },
};

/**
 * Write, and measure how long the list takes to follow. While offline, the SDK keeps the write.
 *
 * @param {string} what happened, for use after "after"
 * @param {string} done the same as a sentence
 * @param {() => Promise<void>} send
 * @param {Offer} [offer] an action to offer, such as undoing it
 */
async function write(what, done, send, offer) {
  clearTimeout(lastWrite?.timer);
  const mine = { what, done, offer, at: performance.now(), clock: Date.now() + clockOffset, sent: state.connected };
  lastWrite = Object.assign(mine, { timer: setTimeout(() => renderPulse(), PATIENCE_MS) });
  state.waiting += 1;
  toast(done, offer);
  renderConnection();
  renderPulse();
  try {
    await send();
  } catch (error) {
    if (lastWrite === mine) lastWrite = null;
    toast(explain(error));
  } finally {
    state.waiting -= 1;
    renderConnection();
    renderPulse();
  }
}

// ----------------------------------------------------------------------------------------------------------- following

/** @type {client.Unsubscribe[]} */
let following = [];

function follow() {
  /** @param {Error} error */
  const denied = (error) => auth() && toast(explain(error));
  following = [
    client.onShelf(reader, shelfChanged, denied),
    client.onRecommendations(reader, listChanged, denied),
    client.onDismissed(reader, (isbns) => {
      state.dismissed = new Set(isbns);
      renderList();
      similar.render();
      lists.render();
      dismissed.changed();
    }, denied),
    client.onModel(reader, (model) => {
      state.hasModel = model !== null;
      renderList();
    }, denied),
  ]; // prettier-ignore
}

/** @param {Entry[]} entries */
function shelfChanged(entries) {
  Object.assign(state, { shelf: entries, hasShelf: true });
  renderShelf();
  renderList();
  finding.render();
  similar.render();
  importing.render();
  lists.render();
  learnAbout(entries.map(({ isbn }) => isbn));
}

/** @param {import('./client.js').List | null} list */
function listChanged(list) {
  const isFirst = state.list === undefined;
  const before = new Set(state.list?.items?.map(({ isbn }) => isbn));
  state.list = list;
  renderList();
  lists.follow(list);
  if (list && isFirst) requestAnimationFrame(() => performance.mark('first-list'));
  const isOfLastWrite = list && lastWrite?.sent && list.generatedAt >= lastWrite.clock - CLOCK_SLACK_MS;
  if (isOfLastWrite && lastWrite) {
    const fresh = (list.items ?? []).filter(({ isbn }) => !before.has(isbn)).length;
    const news = `Updated ${duration(performance.now() - lastWrite.at)} after ${lastWrite.what}`;
    renderPulse(news, fresh);
    if (!isInView($('pulse'))) toast(`${lastWrite.done} ${news.replace('Updated', 'List updated')}.`, lastWrite.offer);
    clearTimeout(lastWrite.timer);
    lastWrite = null;
  }
  const [first] = list?.items ?? [];
  learnAbout([...(first ? [first.isbn] : []), ...(list?.items ?? []).flatMap(({ because = [] }) => because)]);
}

/**
 * Load books from the catalogue that the page does not know yet.
 *
 * @param {string[]} isbns
 */
async function learnAbout(isbns) {
  const unknown = [...new Set(isbns)].filter((isbn) => isbn && !state.books.has(isbn));
  if (!unknown.length) return;
  try {
    const books = await Promise.all(unknown.map((isbn) => client.findBook(reader, isbn)));
    unknown.forEach((isbn, index) => state.books.set(isbn, books[index]));
  } catch {
    return; // tried again with the next change; until then, titles come from the list, or are ISBNs
  }
  renderShelf();
  renderList();
  dismissed.render();
}

/** @param {string} isbn @returns {Book} */
function bookOf(isbn) {
  const known = state.books.get(isbn) ?? state.list?.items?.find((item) => item.isbn === isbn);
  return known ?? { isbn, title: isbn ? `Book ${isbn}` : 'A book without an ISBN', author: '' };
}

/** @param {HTMLElement} element */
function isInView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return element.checkVisibility() && top >= 0 && bottom <= innerHeight;
}

/** @param {string} isbn */
const entryOf = (isbn) => state.shelf.find((entry) => entry.isbn === isbn);
const auth = () => reader.auth.currentUser;

// ------------------------------------------------------------------------------------------------------------- showing

const showTopTen = keyedList($('top-ten'), ({ book }) => book.isbn, (/** @type {any} */ card) => bookCard(card, actions));
const showShelf = keyedList($('entries'), ({ entry }) => entry.key, (/** @type {any} */ line) => shelfEntry(line, actions));

function renderList() {
  const { list, hasModel } = state;
  const container = $('top-ten');
  const focused = container.contains(document.activeElement);
  container.setAttribute('aria-busy', String(list === undefined));
  const titleOf = (/** @type {string} */ isbn) => bookOf(isbn).title;
  const ratingOf = (/** @type {string} */ isbn) => entryOf(isbn)?.rating;
  showTopTen(
    (list?.items ?? []).filter(({ isbn }) => !state.dismissed.has(isbn)).map((item, index) => ({
      book: item,
      entry: entryOf(item.isbn),
      rank: index + 1,
      source: item.source,
      predicted: item.predictedRating,
      reason: reason(item, titleOf, ratingOf),
      more: state.books.get(item.isbn),
    })),
  );
  shown(list?.listId ?? null);
  // If the book that was just rated or dismissed has left the list, keyboard users are not sent to the top of the page.
  if (focused && !container.contains(document.activeElement)) $('for-you-title').focus({ preventScroll: true });
  $('list-about').textContent = list ? about(list) : '';
  show($('list-empty'), list === null);
  $('list-empty').replaceChildren(...emptyList());
  show($('model-note'), hasModel === false);
  $('model-note').textContent = hasModel === false
    ? 'No model has been trained yet. Until then, lists show popular and new books.'
    : ''; // prettier-ignore
}

function emptyList() {
  if (state.shelf.length) return [h('p', {}, 'Your list is on its way. It will appear here automatically.')];
  return [
    h('p', {}, 'Nothing here yet. Add a book to your shelf to get your list.'),
    h('p', {}, h('a', { class: 'primary', href: '#find' }, 'Find a book you know')),
  ];
}

function renderShelf() {
  showShelf(state.shelf.map((entry) => ({ entry, book: bookOf(entry.isbn) })));
  const rated = state.shelf.filter(({ rating }) => rating).length;
  $('shelf-count').textContent = state.shelf.length ? String(state.shelf.length) : '';
  $('shelf-about').textContent = state.shelf.length ? `${counted(state.shelf.length, 'book')}, ${rated} rated` : '';
  show($('shelf-empty'), !state.shelf.length);
}

/**
 * Show whether the list has followed the last write.
 *
 * @param {string} [news]
 * @param {number} [fresh] how many books are new on the list
 */
function renderPulse(news, fresh = 0) {
  const pulse = $('pulse');
  if (news) {
    pulse.className = 'pulse fresh';
    pulse.textContent = fresh ? `${news} · ${counted(fresh, 'new book')}` : news;
  } else if (lastWrite && !state.connected) {
    pulse.className = 'pulse';
    pulse.textContent = 'Your list updates when you are back online';
  } else if (lastWrite) {
    const isLate = performance.now() - lastWrite.at >= PATIENCE_MS - CLOCK_SLACK_MS;
    pulse.className = 'pulse busy';
    pulse.textContent = isLate ? 'Saved. Updating your list takes a little longer this time' : 'Updating your list…';
  } else if (!pulse.classList.contains('fresh')) {
    pulse.className = 'pulse';
    pulse.textContent = '';
  }
}

function renderConnection() {
  const lost = !navigator.onLine || (state.wasConnected && !state.connected);
  show($('offline'), lost);
  const queued = state.waiting ? ` ${counted(state.waiting, 'change')} waiting.` : '';
  const text = lost
    ? `You are offline. Changes are kept while this page is open, and sent when you are back online.${queued}`
    : ''; // prettier-ignore
  if ($('offline').textContent !== text) $('offline').textContent = text;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let toastTimer;

/**
 * Show a message for a few seconds.
 *
 * @param {string} text
 * @param {Offer} [offer]
 */
function toast(text, offer) {
  clearTimeout(toastTimer);
  const button = offer && h('button', { type: 'button', class: 'link' }, offer.label);
  button?.addEventListener('click', () => {
    show($('toast'), false);
    offer?.act();
  });
  $('toast').replaceChildren(h('span', {}, text), ...(button ? [button] : []));
  show($('toast'), true);
  toastTimer = setTimeout(() => show($('toast'), false), offer ? OFFER_MS : TOAST_MS);
}

// ------------------------------------------------------------------------------------------------- views and signing in

function enter() {
  const wanted = location.hash.slice(1);
  const view = /** @type {keyof typeof TITLES} */ (VIEWS.includes(wanted) ? wanted : 'for-you');
  document.body.dataset.view = view;
  for (const tab of document.querySelectorAll('[data-tab]')) {
    if (tab.getAttribute('data-tab') === view) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  if (auth()) {
    document.title = `${TITLES[view]} – Bookshelf`;
    scrollTo(0, 0);
    if (view === 'find') finding.open();
    if (view === 'import') importing.open();
  }
}

/** @param {client.User | null} user */
function userChanged(user) {
  following.forEach((stop) => stop());
  following = [];
  clearTimeout(lastWrite?.timer);
  lastWrite = null;
  Object.assign(state, { list: undefined, shelf: [], hasShelf: false, dismissed: new Set(), hasModel: undefined });
  $('pulse').className = 'pulse';
  $('pulse').textContent = '';
  show($('toast'), false);
  document.body.dataset.state = user ? 'in' : 'out';
  document.title = 'Bookshelf';
  $('who').textContent = user?.email ?? '';
  renderList();
  renderShelf();
  finding.close();
  similar.close();
  importing.userChanged(user);
  lists.close();
  dismissed.close();
  if (!user) return;
  follow();
  enter();
}

const shown = setUpShown(reader, $('top-ten'));
const finding = setUpFind(reader, actions, entryOf, (problem) => toast(problem));
const similar = setUpSimilar(reader, actions, entryOf, () => {
  return { shelf: state.shelf.map(({ isbn }) => isbn), dismissed: state.dismissed };
});
const importing = setUpImport(reader, () => (state.hasShelf ? state.shelf : null), (books) => {
  for (const book of books) state.books.set(book.isbn, book);
}); // prettier-ignore
setUpCopy(reader, toast);
const lists = setUpLists(reader, actions, entryOf, () => state.dismissed, (problem) => toast(problem));
const dismissed = setUpDismissed(() => state.dismissed, (isbn) => {
  return { book: bookOf(isbn), isGone: state.books.get(isbn) === null };
}, learnAbout, actions.takeBack); // prettier-ignore
setUpSignIn(reader, () => $('main').focus({ preventScroll: true }));
$('sign-out').addEventListener('click', () => {
  importing.forget();
  client.signOut(reader);
});
addEventListener('hashchange', enter);
addEventListener('online', renderConnection);
addEventListener('offline', renderConnection);
enter();
client.onUser(reader, userChanged);
client.onClockOffset(reader, (ms) => {
  clockOffset = ms;
});
client.onConnection(reader, (connected) => {
  Object.assign(state, { connected, wasConnected: state.wasConnected || connected });
  if (connected && lastWrite && !lastWrite.sent) {
    // Waiting writes are sent now: from here on the list can follow.
    Object.assign(lastWrite, { sent: true, at: performance.now(), clock: Date.now() + clockOffset, what: 'you came back online' });
  }
  renderConnection();
  renderPulse();
  importing.connectionChanged(connected);
});
