/** What the reader's page says: errors, reasons, counts and durations as sentences. No DOM, no Firebase. */

/** From how many stars on a reader liked a book. */
const LIKED = 3.5;

const ERRORS = {
  'auth/invalid-credential': 'E-mail or password is wrong.',
  'auth/wrong-password': 'E-mail or password is wrong.',
  'auth/user-not-found': 'E-mail or password is wrong.',
  'auth/invalid-email': 'That is no e-mail address.',
  'auth/missing-email': 'Type your e-mail address.',
  'auth/missing-password': 'Type your password.',
  'auth/email-already-in-use': 'There is an account with this e-mail address: sign in instead.',
  'auth/weak-password': 'The password needs at least 6 characters.',
  'auth/too-many-requests': 'Too many attempts: wait a while.',
  'auth/user-disabled': 'This account is closed.',
  'auth/network-request-failed': 'No connection: signing in has to wait for one.',
};

/**
 * Say what went wrong, so that a reader can do something about it.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function explain(error) {
  const { code = '', message = '' } = /** @type {{code?: string, message?: string}} */ (error ?? {});
  if (code in ERRORS) return ERRORS[/** @type {keyof typeof ERRORS} */ (code)];
  if (/permission.denied/i.test(`${code} ${message}`)) return 'The database refused this. Sign in again, and try once more.';
  return 'Something went wrong. Try again.';
}

/**
 * Part a title from the series that stands behind it in parentheses.
 *
 * @param {string} title
 * @returns {{title: string, series: string}}
 */
export function parts(title) {
  const found = /^(.+?)\s*\(([^()]+)\)\s*$/.exec(title);
  return found ? { title: found[1], series: found[2] } : { title, series: '' };
}

/** @typedef {(string | {title: string})[]} Words  a sentence, with the titles of books in it told apart */

/**
 * Say why a book is on the list.
 *
 * @param {import('./client.js').Item} item
 * @param {(isbn: string) => string} titleOf
 * @param {(isbn: string) => number | undefined} ratingOf of a book on the shelf; 0 means not rated
 * @returns {Words}
 */
export function reason({ because = [], source }, titleOf, ratingOf) {
  if (!because.length) return [source === 'newest' ? 'New in the catalogue' : 'Popular with other readers'];
  /** @type {Words} */
  const words = [];
  let last = '';
  for (const isbn of because) {
    const rating = ratingOf(isbn);
    const verb = !rating ? '' : rating >= LIKED ? 'you liked ' : 'you rated ';
    const joint = words.length ? ' and ' : 'Because ';
    words.push(joint + (verb === last ? '' : verb), { title: parts(titleOf(isbn)).title });
    if (!verb) words.push(' is on your shelf');
    last = verb;
  }
  return words;
}

/** What stands on a book's badge, by its source. */
export const BADGES = { personal: 'Personal', popular: 'Popular', newest: 'New' };

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [several]
 */
export function counted(count, one, several = `${one}s`) {
  return `${count} ${count === 1 ? one : several}`;
}

/**
 * Say what a list was made from.
 *
 * @param {import('./client.js').List} list
 */
export function about({ source, basedOn }) {
  if (source === 'popular') return 'What other readers like; rate a book and this becomes yours';
  const mix = source === 'mixed' ? 'Partly personal' : 'Personal';
  return `${mix}, from ${counted(basedOn?.entries ?? 0, 'book')} on your shelf`;
}

/** @param {number} ms */
export function duration(ms) {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {number} rating */
export function stars(rating) {
  return rating ? `${rating} ${rating === 1 ? 'star' : 'stars'}` : 'not rated';
}
