/** The reader's page: what is on the shelf, what to read next, and what there is. */

import * as client from './client.js';
import { h, show } from './elements.js';
import { bookCard, shelfEntry } from './reader-cards.js';
import { openDoor } from './reader-door.js';
import { findRoom } from './reader-find.js';
import { keyedList } from './reader-parts.js';
import { about, counted, duration, explain, parts, reason, stars } from './reader-words.js';

/**
 * @typedef {import('./client.js').Book} Book
 * @typedef {import('./client.js').Entry} Entry
 */

const VIEWS = ['for-you', 'shelf', 'find'];
const TITLES = { 'for-you': 'For you', shelf: 'Your shelf', find: 'Find books' };
const PATIENCE_MS = 6000;
/** How long a list may take until the page says that it takes long. */
const CLOCK_SLACK_MS = 20;
const TOAST_MS = 5000;
const OFFER_MS = 10000;

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const reader = client.connect(await configuration());

/** What the page shows; everything else follows from it. */
const state = {
  /** @type {import('./client.js').List | null | undefined} undefined until the database has answered */
  list: undefined,
  /** @type {Entry[]} */
  shelf: [],
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
    ? 'This page was put here without its configuration (config.json).'
    : 'No connection: load the page again when there is one.'; // prettier-ignore
  show($('offline'), true);
  throw new Error('no configuration');
}

// ------------------------------------------------------------------------------------------------------------- writing

const actions = {
  /** @param {Book} book @param {number} rating */
  shelve(book, rating) {
    const { title } = parts(book.title);
    const done = rating ? `${title}: ${stars(rating)}, and on your shelf.` : `${title} is on your shelf.`;
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
    write('you removed a book', `${title} is off your shelf.`, () => client.remove(reader, entry), {
      label: 'Put it back',
      act: () => write('you put a book back', `${title} is on your shelf again.`, back),
    });
    // Its button is gone with it.
    if (document.activeElement === document.body) $('shelf-title').focus({ preventScroll: true });
  },
};

/**
 * Write, and watch how long the list takes to follow. Without a connection the write waits in the SDK.
 *
 * @param {string} what happened, behind "after"
 * @param {string} done the same as a sentence
 * @param {() => Promise<void>} send
 * @param {Offer} [offer] what can be done about it
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
  const refused = (error) => auth() && toast(explain(error));
  following = [
    client.onShelf(reader, shelfChanged, refused),
    client.onRecommendations(reader, listChanged, refused),
    client.onModel(reader, (model) => {
      state.hasModel = model !== null;
      renderList();
    }, refused),
  ]; // prettier-ignore
}

/** @param {Entry[]} entries */
function shelfChanged(entries) {
  state.shelf = entries;
  renderShelf();
  renderList();
  finding.render();
  learnAbout(entries.map(({ isbn }) => isbn));
}

/** @param {import('./client.js').List | null} list */
function listChanged(list) {
  const isFirst = state.list === undefined;
  const before = new Set(state.list?.items?.map(({ isbn }) => isbn));
  state.list = list;
  renderList();
  if (list && isFirst) requestAnimationFrame(() => performance.mark('first-list'));
  const isOfLastWrite = list && lastWrite?.sent && list.generatedAt >= lastWrite.clock - CLOCK_SLACK_MS;
  if (isOfLastWrite && lastWrite) {
    const fresh = (list.items ?? []).filter(({ isbn }) => !before.has(isbn)).length;
    const news = `Updated ${duration(performance.now() - lastWrite.at)} after ${lastWrite.what}`;
    renderPulse(news, fresh);
    if (!isInSight($('pulse'))) toast(`${lastWrite.done} ${news.replace('Updated', 'List updated')}.`, lastWrite.offer);
    clearTimeout(lastWrite.timer);
    lastWrite = null;
  }
  const [first] = list?.items ?? [];
  learnAbout([...(first ? [first.isbn] : []), ...(list?.items ?? []).flatMap(({ because = [] }) => because)]);
}

/**
 * Ask the catalogue about books that the page does not know yet.
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
    return; // asked again with the next change; until then titles are those of the list, or ISBNs
  }
  renderShelf();
  renderList();
}

/** @param {string} isbn @returns {Book} */
function bookOf(isbn) {
  const known = state.books.get(isbn) ?? state.list?.items?.find((item) => item.isbn === isbn);
  return known ?? { isbn, title: isbn ? `Book ${isbn}` : 'A book without an ISBN', author: '' };
}

/** @param {HTMLElement} element */
function isInSight(element) {
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
  const holder = $('top-ten');
  const focused = holder.contains(document.activeElement);
  holder.setAttribute('aria-busy', String(list === undefined));
  const titleOf = (/** @type {string} */ isbn) => bookOf(isbn).title;
  const ratingOf = (/** @type {string} */ isbn) => entryOf(isbn)?.rating;
  showTopTen(
    (list?.items ?? []).map((item, index) => ({
      book: item,
      entry: entryOf(item.isbn),
      rank: index + 1,
      source: item.source,
      predicted: item.predictedRating,
      reason: reason(item, titleOf, ratingOf),
      more: state.books.get(item.isbn),
    })),
  );
  // The book that was just rated has left the list: who reached it by keyboard is not sent to the top of the page.
  if (focused && !holder.contains(document.activeElement)) $('for-you-title').focus({ preventScroll: true });
  $('list-about').textContent = list ? about(list) : '';
  show($('list-empty'), list === null);
  $('list-empty').replaceChildren(...emptyList());
  show($('model-note'), hasModel === false);
  $('model-note').textContent = hasModel === false
    ? 'No model has been trained yet: until then, lists show what is popular and new.'
    : ''; // prettier-ignore
}

function emptyList() {
  if (state.shelf.length) return [h('p', {}, 'Your list is being made. It appears here by itself.')];
  return [
    h('p', {}, 'Nothing here yet: your list begins with the first book on your shelf.'),
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
 * Say how the list stands to the last write.
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
    pulse.textContent = 'Follows when you are back online';
  } else if (lastWrite) {
    const isLate = performance.now() - lastWrite.at >= PATIENCE_MS - CLOCK_SLACK_MS;
    pulse.className = 'pulse busy';
    pulse.textContent = isLate ? 'Saved. Your list takes a little longer this time' : 'Updating your list…';
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
    ? `You are offline. What you change is kept while this page is open, and sent when you are back.${queued}`
    : ''; // prettier-ignore
  if ($('offline').textContent !== text) $('offline').textContent = text;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let toastTimer;

/**
 * Say something that passes.
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

// ------------------------------------------------------------------------------------------------- rooms and signing in

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
  }
}

/** @param {client.User | null} user */
function userChanged(user) {
  following.forEach((stop) => stop());
  following = [];
  clearTimeout(lastWrite?.timer);
  lastWrite = null;
  Object.assign(state, { list: undefined, shelf: [], hasModel: undefined });
  $('pulse').className = 'pulse';
  $('pulse').textContent = '';
  show($('toast'), false);
  document.body.dataset.state = user ? 'in' : 'out';
  document.title = 'Bookshelf';
  $('who').textContent = user?.email ?? '';
  renderList();
  renderShelf();
  finding.close();
  if (!user) return;
  follow();
  enter();
}

const finding = findRoom(reader, actions, entryOf, (problem) => toast(problem));
openDoor(reader, () => $('main').focus({ preventScroll: true }));
$('sign-out').addEventListener('click', () => client.signOut(reader));
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
    // What waited goes out now: from here on the list can follow.
    Object.assign(lastWrite, { sent: true, at: performance.now(), clock: Date.now() + clockOffset, what: 'you came back online' });
  }
  renderConnection();
  renderPulse();
});
