/** The view "Bring your own shelf": a file from Goodreads or StoryGraph, what was found, and writing it. */

import * as client from './client.js';
import { h, mount, show } from './elements.js';
import { counted, explain, parts, stars } from './reader-words.js';

/**
 * @typedef {import('./library.js').Library} Library
 * @typedef {import('./library.js').Status} Status
 * @typedef {import('./library-match.js').Match} Match
 * @typedef {import('./library-match.js').Unmatched} Unmatched
 * @typedef {{file: string, library: Library, matches: Match[], unmatched: Unmatched[], without: Set<Status>, changes: boolean}} Review
 */

/** Statuses that a reader may leave out. @type {[Status, string, string][]} */
const OPTIONAL = [
  ['to-read', 'book you want to read', 'books you want to read'],
  ['unfinished', 'book you did not finish', 'books you did not finish'],
];

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** The modules that only an import needs, with the parser. */
async function modules() {
  const [library, match, work] = await Promise.all([
    import('./library.js'), import('./library-match.js'), import('./library-import.js'),
  ]); // prettier-ignore
  return { ...library, ...match, ...work };
}

/**
 * @param {client.Client} reader
 * @param {() => client.Entry[] | null} shelf the shelf; null until the database has answered
 * @param {(books: client.Book[]) => void} learn called with books of the catalogue
 */
export function setUpImport(reader, shelf, learn) {
  const file = /** @type {HTMLInputElement} */ ($('import-file'));
  /** @type {Awaited<ReturnType<typeof modules>> | null} */
  let tools = null;
  /** @type {import('./library-import.js').LibraryImport | null} */
  let work = null;
  /** @type {Review | null} */
  let review = null;
  /** @type {{aborted: boolean} | null} */
  let reading = null;
  let uid = '';
  let isConnected = false;

  /** Read the chosen file, and look its books up. */
  async function readFile() {
    const [chosen] = file.files ?? [];
    if (!chosen || !uid) return;
    const signal = { aborted: false };
    if (reading) reading.aborted = true;
    [reading, review] = [signal, null];
    say('');
    $('import-status').textContent = `Reading ${chosen.name}…`;
    render();
    try {
      tools ??= await modules();
      tools.checkSize(chosen.size);
      const library = tools.readLibrary(tools.textOf(await chosen.arrayBuffer()));
      const there = () => tools?.onShelf(shelf() ?? []) ?? new Map();
      const isOnShelf = (/** @type {string} */ isbn) => there().has(tools?.sameBook(isbn));
      const bar = (/** @type {number} */ done) => signal.aborted || showProgress(done, library.rows.length, 'Books looked up');
      const { matches, unmatched } = await tools.matchRows(reader, library.rows, isOnShelf, bar, signal);
      if (signal.aborted) return;
      review = { file: chosen.name, library, matches, unmatched, without: new Set(), changes: false };
      learn(matches.map(({ book }) => book));
      $('import-status').textContent = `${chosen.name} was read.`;
    } catch (error) {
      if (signal.aborted) return;
      $('import-status').textContent = '';
      say(tools && error instanceof tools.LibraryError ? error.message : unread(error));
    }
    reading = null;
    render();
    if (review) $('import-found')?.focus();
    else file.focus();
  }

  /** @param {unknown} error */
  function unread(error) {
    const isOffline = !navigator.onLine || /offline|network/i.test(String(/** @type {Error} */ (error)?.message));
    return isOffline ? 'The connection was lost. Choose the file again when you are online.' : explain(error);
  }

  /** Load what an import needs, and take up one that was not finished. */
  async function prepare() {
    const user = uid;
    try {
      tools ??= await modules();
    } catch (error) {
      return say(unread(error));
    }
    if (uid !== user || work) return;
    work = new tools.LibraryImport(reader, uid, placeOf(uid), () => shelf() ?? [], render);
    render();
  }

  function plan() {
    const { matches, without } = /** @type {Review} */ (review);
    return /** @type {NonNullable<typeof tools>} */ (tools).planOf(matches, shelf() ?? [], without);
  }

  function start() {
    if (!review || !work) return;
    const { additions, changed } = plan();
    const rated = review.changes ? changed.map(({ entry, row }) => ({ ...entry, rating: row.rating })) : [];
    const name = review.file;
    close();
    work.start(name, additions, rated);
    $('import-title').focus();
  }

  function close() {
    if (reading) reading.aborted = true;
    [review, reading, file.value] = [null, null, ''];
    $('import-status').textContent = '';
    say('');
  }

  // ----------------------------------------------------------------------------------------------------------- showing

  function render() {
    const isReady = shelf() !== null && work !== null;
    file.disabled = !isReady || work?.phase === 'running';
    const phase = work?.phase ?? 'none';
    show($('import-choose'), phase !== 'running' && phase !== 'stopped');
    show($('import-stop'), phase === 'running');
    show($('import-continue'), phase === 'stopped');
    show($('import-discard'), phase === 'stopped');
    /** @type {HTMLButtonElement} */ ($('import-continue')).disabled = !isReady;
    if (phase === 'running' || phase === 'stopped') showProgress(work?.done ?? 0, work?.total ?? 0, 'Books written');
    else if (!reading) show($('import-progress-line'), false);
    if (phase !== 'none') sayPhase();
    renderNote();
    show($('import-review'), review !== null);
    if (review) mount($('import-review'), [plan(), review.file, [...review.without], review.changes], reviewed);
    else mount($('import-review'), null, () => []);
  }

  function sayPhase() {
    if (!work || review || reading) return;
    const { phase, done, total, problem } = work;
    const name = work.work?.file ?? 'the file';
    const words = {
      none: '',
      running: isConnected ? `Importing ${name}. You can go on using the page, but keep it open.` : 'Waiting for the connection. The import continues by itself.',
      stopped: `The import of ${name} is not finished: ${done} of ${total} are written.`,
      done: `Done. ${counted(total, 'change')} from ${name} ${total === 1 ? 'is' : 'are'} on your shelf.`,
    }[phase]; // prettier-ignore
    if ($('import-status').textContent !== words) $('import-status').textContent = words;
    say(problem ? stopped(problem) : '');
  }

  /** @param {unknown} problem */
  function stopped(problem) {
    if (tools && problem instanceof tools.Busy) return 'Another tab of this browser is importing. Continue there.';
    const { code = '', message = '' } = /** @type {{code?: string, message?: string}} */ (problem);
    if (!/permission.denied/i.test(`${code} ${message}`)) return explain(problem);
    return 'The database does not accept more changes from you now, because there were many in a short time. Continue in ten minutes.';
  }

  /** The line in the shelf that leads here while there is something to do. */
  function renderNote() {
    const { phase = 'none', done = 0, total = 0 } = work ?? {};
    show(/** @type {HTMLElement} */ ($('import-note').parentElement), phase === 'running' || phase === 'stopped');
    $('import-note').textContent = phase === 'running' ? `Importing: ${done} of ${total}` : `Import not finished: ${done} of ${total}`;
  }

  /**
   * @param {number} done
   * @param {number} total
   * @param {string} what
   */
  function showProgress(done, total, what) {
    const bar = /** @type {HTMLProgressElement} */ ($('import-progress'));
    show($('import-progress-line'), true);
    bar.max = Math.max(1, total);
    bar.value = done;
    bar.setAttribute('aria-label', what);
    $('import-count').textContent = `${what}: ${done} of ${total}${work?.phase === 'running' ? left(total - done) : ''}`;
  }

  /** @param {number} books */
  function left(books) {
    const { BATCH = 1, EVERY_MS = 0 } = tools ?? {};
    const seconds = (Math.ceil(books / BATCH) * EVERY_MS) / 1000;
    return seconds < 60 ? ', less than a minute left' : `, about ${counted(Math.round(seconds / 60), 'minute')} left`;
  }

  function reviewed() {
    const { library, matches, unmatched, without, changes } = /** @type {Review} */ (review);
    const { additions, already, changed, repeated, over } = plan();
    const rejected = [...library.rejected, ...unmatched].sort((a, b) => a.line - b.line);
    const count = additions.length + (changes ? changed.length : 0);
    const options = OPTIONAL.map(([status, one, several]) => {
      const number = matches.filter(({ row }) => row.status === status).length;
      return number > 0 && option(`Also ${counted(number, one, several)}`, status, !without.has(status), (isOn) => {
        if (isOn) without.delete(status);
        else without.add(status);
      });
    });
    const change = changed.length > 0 &&
      option(`Change ${counted(changed.length, 'rating')} on your shelf to the file’s`, 'changes', changes, (isOn) => {
        /** @type {Review} */ (review).changes = isOn;
      }); // prettier-ignore
    return [
      h('h3', { id: 'import-found', tabindex: '-1' }, `${counted(library.rows.length + library.rejected.length, 'book')} in this ${library.site} export`),
      h('ul', { class: 'import-figures' }, figures({ additions, already, changed, repeated, over, rejected, rounded: library.rounded })),
      options, change,
      lines('To be added', additions.map(({ title, author, rating }) => [title, `${author}, ${stars(rating)}`])),
      lines('On your shelf with another rating', changed.map(({ book, entry, row }) => [book.title, `${stars(entry.rating)} here, ${stars(row.rating)} in the file`])),
      lines('Already on your shelf', already.map(({ book }) => [book.title, book.author])),
      lines('Not used', rejected.map(({ line, title, message }) => [title || 'No title', `Line ${line}: ${message}`]), true),
      h('p', { class: 'import-buttons' },
        count > 0 && h('button', { type: 'button', class: 'primary', 'data-key': 'go', onclick: start }, goWords(additions.length, changes ? changed.length : 0)),
        count === 0 && h('span', {}, 'There is nothing to add. '),
        h('button', { type: 'button', class: 'secondary', 'data-key': 'close', onclick: dismiss }, 'Close')),
    ]; // prettier-ignore
  }

  function dismiss() {
    close();
    render();
    file.focus();
  }

  /**
   * @param {string} label
   * @param {string} key
   * @param {boolean} isOn
   * @param {(isOn: boolean) => void} set
   */
  function option(label, key, isOn, set) {
    const box = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox', checked: isOn, 'data-key': key }));
    box.addEventListener('change', () => {
      set(box.checked);
      render();
    });
    return h('label', { class: 'import-option' }, box, h('span', {}, label));
  }

  /** @param {string} problem */
  function say(problem) {
    if ($('import-problem').textContent !== problem) $('import-problem').textContent = problem;
    if (problem && !work?.problem) file.setAttribute('aria-invalid', 'true');
    else file.removeAttribute('aria-invalid');
  }

  file.addEventListener('change', readFile);
  $('import-stop').addEventListener('click', () => {
    work?.stop();
    $('import-title').focus();
  });
  $('import-continue').addEventListener('click', () => {
    work?.run();
    $('import-title').focus();
  });
  $('import-discard').addEventListener('click', () => {
    work?.discard();
    $('import-status').textContent = '';
    say('');
    $('import-title').focus();
  });

  return {
    render,
    /** @param {boolean} connected */
    connectionChanged(connected) {
      isConnected = connected;
      render();
    },
    /** Show what belongs to a user. @param {client.User | null} user */
    userChanged(user) {
      work?.stop();
      [work, uid] = [null, user?.uid ?? ''];
      close();
      render();
      if (uid && isStored(uid)) prepare();
    },
    /** Prepare for a file when the view is opened. */
    open() {
      if (uid && !work) prepare();
    },
    /** Leave nothing behind in this browser: the user signs out. */
    forget() {
      work?.discard();
      try {
        localStorage.removeItem(placeOf(uid));
        localStorage.removeItem(`${placeOf(uid)}.done`);
      } catch {
        // storage is blocked, so nothing is there
      }
    },
  };
}

/** Where a user's unfinished import is in the browser's storage. @param {string} uid */
const placeOf = (uid) => `bookrec.import.${uid}`;

/** @param {string} uid */
function isStored(uid) {
  try {
    return localStorage.getItem(placeOf(uid)) !== null;
  } catch {
    return false; // storage is blocked
  }
}

/** @param {{additions: unknown[], already: unknown[], changed: unknown[], repeated: number, over: number, rejected: unknown[], rounded: number}} numbers */
function figures({ additions, already, changed, repeated, over, rejected, rounded }) {
  return [
    [additions.length, 'to be added'],
    [already.length, 'already on your shelf'],
    [changed.length, 'on your shelf with another rating'],
    [repeated, 'in the file more than once: the last row with stars counts'],
    [over, `too many: a shelf has room for ${client.MAX_SHELF} books, so the oldest are left out`],
    [rejected.length, 'not used, with the reasons below'],
    [rounded, 'with quarter stars, rounded up to half stars'],
  ].flatMap(([number, words]) => (number ? [h('li', {}, h('strong', {}, number), ` ${words}`)] : []));
}

/**
 * @param {string} name
 * @param {string[][]} rows a title, and what there is to say about it
 * @param {boolean} [isOpen]
 */
function lines(name, rows, isOpen = false) {
  if (!rows.length) return null;
  const items = rows.map(([title, words]) => h('li', {}, h('cite', {}, parts(title).title), ` ${words}`));
  return h('details', { class: 'import-lines', 'data-key': name, open: isOpen },
    h('summary', {}, `${name} (${rows.length})`), h('ul', {}, items)); // prettier-ignore
}

/**
 * @param {number} additions
 * @param {number} changes
 */
function goWords(additions, changes) {
  if (!changes) return `Add ${counted(additions, 'book')}`;
  return additions ? `Add ${counted(additions, 'book')}, change ${counted(changes, 'rating')}` : `Change ${counted(changes, 'rating')}`;
}
