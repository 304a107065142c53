/** The texts of the reader's page: errors, reasons, counts and durations. No DOM, no Firebase. */

/** The number of stars from which a reader liked a book. */
const LIKED = 3.5;

const ERRORS = {
  'auth/invalid-credential': 'The e-mail address or password is wrong.',
  'auth/wrong-password': 'The e-mail address or password is wrong.',
  'auth/user-not-found': 'The e-mail address or password is wrong.',
  'auth/invalid-email': 'Enter a valid e-mail address.',
  'auth/missing-email': 'Enter your e-mail address.',
  'auth/missing-password': 'Enter your password.',
  'auth/email-already-in-use': 'This e-mail address already has an account. Sign in instead.',
  'auth/weak-password': 'The password needs at least 6 characters.',
  'auth/too-many-requests': 'Too many attempts. Try again later.',
  'auth/user-disabled': 'This account is disabled.',
  'auth/network-request-failed': 'You are offline. Connect to the internet to sign in.',
};

/**
 * Return what went wrong, and what the reader can do about it.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function explain(error) {
  const { code = '', message = '' } = /** @type {{code?: string, message?: string}} */ (error ?? {});
  if (code in ERRORS) return ERRORS[/** @type {keyof typeof ERRORS} */ (code)];
  if (/permission.denied/i.test(`${code} ${message}`)) return 'This change was not allowed. Sign in again and retry.';
  return 'Something went wrong. Try again.';
}

/**
 * Split a title from the series in parentheses after it.
 *
 * @param {string} title
 * @returns {{title: string, series: string}}
 */
export function parts(title) {
  const match = /^(.+?)\s*\(([^()]+)\)\s*$/.exec(title);
  return match ? { title: match[1], series: match[2] } : { title, series: '' };
}

/** @typedef {(string | {title: string})[]} Words  a sentence in which book titles are marked */

/**
 * Return why a book is on the list.
 *
 * @param {import('./client.js').Item} item
 * @param {(isbn: string) => string} titleOf
 * @param {(isbn: string) => number | undefined} ratingOf of a book on the shelf; 0 means not rated
 * @returns {Words}
 */
export function reason({ because = [], source }, titleOf, ratingOf) {
  if (!because.length) return [WITHOUT_REASON[source] ?? WITHOUT_REASON.popular];
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

/** The text of a book's badge, by its source. */
export const BADGES = { personal: 'Personal', popular: 'Popular', newest: 'New', exploration: 'Rare' };

/** What is said of a book without a book that led to it, by its source. @type {Record<string, string>} */
const WITHOUT_REASON = {
  popular: 'Popular with other readers',
  newest: 'New in the catalogue',
  exploration: 'Few readers have this book yet',
};

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [several]
 */
export function counted(count, one, several = `${one}s`) {
  return `${count} ${count === 1 ? one : several}`;
}

/**
 * Return what a list is based on.
 *
 * @param {import('./client.js').List} list
 */
export function about({ source, basedOn }) {
  if (source === 'popular') return 'What other readers like. Rate a book to make this list yours';
  const mix = source === 'mixed' ? 'Partly personal' : 'Personal';
  return `${mix}, based on ${counted(basedOn?.entries ?? 0, 'book')} on your shelf`;
}

/** @param {number} ms */
export function duration(ms) {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {number} rating */
export function stars(rating) {
  return rating ? `${rating} ${rating === 1 ? 'star' : 'stars'}` : 'not rated';
}
