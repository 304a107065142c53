/**
 * Reads a reader's library as Goodreads and StoryGraph export it: a file becomes rows, each with a book and its stars.
 *
 * No page and no Firebase. The rules for cells are those of `trainer/data/files`; a test feeds both the same rows.
 *
 * @typedef {'to-read' | 'reading' | 'unfinished' | 'read'} Status
 * @typedef {{line: number, title: string, author: string, isbns: string[], rating: number, status: Status, added: number}}
 *   Row  `line` is the number of its first line in the file, as editors count; a rating of 0 means "not rated"; `added` in ms, or 0
 * @typedef {{line: number, title: string, author: string, reason: string, message: string}} Rejected
 * @typedef {{site: string, rows: Row[], rejected: Rejected[], rounded: number}} Library
 *   `rounded`: how many ratings were rounded to half stars
 */

import { parse } from 'csv-parse/sync';

/** The columns of each site, in lower case; `marks` are those by which its export is known. */
const SITES = [
  {
    site: 'Goodreads', marks: ['title', 'isbn13', 'my rating'], isbns: ['isbn', 'isbn13'], author: 'author',
    stars: 'my rating', status: 'exclusive shelf', added: ['date added', 'date read'],
  },
  {
    site: 'StoryGraph', marks: ['title', 'isbn/uid', 'star rating'], isbns: ['isbn/uid'], author: 'authors',
    stars: 'star rating', status: 'read status', added: ['date added', 'last date read'],
  },
]; // prettier-ignore

const SEPARATORS = [',', ';', '\t'];
const MAX_STARS = 5;

/** The largest file that is read. The export of 10,000 books with reviews has about 10 MB. */
const MAX_BYTES = 20_000_000;

/** If more than this share of the ratings, and so many, are above 5, they are on another scale. */
const [SUSPICIOUS, LEAST_ABOVE] = [0.1, 2];

/** A file that is not a library; the message says why, and what to do. */
export class LibraryError extends Error {}

// -------------------------------------------------------------------------------------------------------------- files

/**
 * Reject a file that is too large; a page asks before it reads the file.
 *
 * @param {number} bytes
 * @throws {LibraryError}
 */
export function checkSize(bytes) {
  if (bytes > MAX_BYTES) throw new LibraryError(`The file is larger than ${MAX_BYTES / 1e6} MB. Choose the CSV export itself.`);
}

/**
 * Return the text of a file in UTF-8 or UTF-16.
 *
 * @param {ArrayBuffer | Uint8Array} content
 * @returns {string}
 * @throws {LibraryError}
 */
export function textOf(content) {
  const bytes = content instanceof Uint8Array ? content : new Uint8Array(content);
  const starts = (/** @type {number[]} */ ...first) => first.every((byte, place) => bytes[place] === byte);
  checkSize(bytes.length);
  if (starts(0x50, 0x4b, 3, 4) || starts(0xd0, 0xcf, 0x11, 0xe0)) {
    throw new LibraryError('This is a spreadsheet or a zip archive. Choose the CSV file, or save the sheet as CSV UTF-8.');
  }
  const utf16 = starts(0xff, 0xfe) ? 'utf-16le' : starts(0xfe, 0xff) ? 'utf-16be' : '';
  let text = '';
  try {
    text = new TextDecoder(utf16 || 'utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new LibraryError('The file is not UTF-8. Save it as “CSV UTF-8”, or choose the export as you downloaded it.');
  }
  if (text.includes('\0')) throw new LibraryError('The file is damaged, or not text. Download the export again.');
  return text;
}

/**
 * Return the rows of an export.
 *
 * @param {string} text
 * @returns {Library}
 * @throws {LibraryError} if it is not such an export
 */
export function readLibrary(text) {
  const sepLine = /^\uFEFF?"?sep=(.)"?[;,\t]*\r?\n/i.exec(text);
  const body = (sepLine ? text.slice(sepLine[0].length) : text).replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  const head = body.split('\n').find((line) => line.trim()) ?? '';
  if (!head) throw new LibraryError('The file is empty. Download the export again.');
  const { separator, site } = formatOf(head);
  const [{ fields: header }, ...records] = recordsOf(body, separator, head.includes(`${separator} `), sepLine ? 1 : 0);
  const places = new Map();
  for (const [place, name] of header.entries()) {
    const column = name.trim().toLowerCase();
    if (!places.has(column)) places.set(column, place);
  }
  const missing = (site?.marks ?? []).filter((mark) => !places.has(mark));
  if (!site || missing.length) throw notAnExport(header);
  if (!records.length) throw new LibraryError(`The ${site.site} export has no books in it.`);
  return rowsOf(records, header.length, places, site);
}

/**
 * Return the separator with which the header has the most columns of one site, and that site.
 *
 * @param {string} head
 */
function formatOf(head) {
  let best = { separator: ',', site: /** @type {typeof SITES[0] | null} */ (null), known: 0 };
  for (const separator of SEPARATORS) {
    const names = new Set(recordsOf(head, separator, false, 0)[0].fields.map((name) => name.trim().toLowerCase()));
    for (const site of SITES) {
      const known = site.marks.filter((mark) => names.has(mark)).length;
      if (known > best.known) best = { separator, site, known };
    }
  }
  return best;
}

/**
 * @param {string} text
 * @param {string} separator
 * @param {boolean} skipsSpaces
 * @param {number} before how many lines of the file are before the text
 * @returns {{fields: string[], line: number}[]}
 */
function recordsOf(text, separator, skipsSpaces, before) {
  try {
    /** @type {unknown} */
    const parsed = parse(text, {
      delimiter: separator, record_delimiter: '\n', ltrim: skipsSpaces, relax_column_count: true, relax_quotes: true,
      skip_empty_lines: true, info: true,
    }); // prettier-ignore
    return /** @type {{record: string[], info: {lines: number}}[]} */ (parsed)
      .map(({ record, info }) => ({ fields: record, line: before + info.lines - record.join('').split('\n').length + 1 }))
      .filter(({ fields }) => fields.length > 1 || fields[0].trim());
  } catch (error) {
    const { code, lines = 0 } = /** @type {{code?: string, lines?: number}} */ (error ?? {});
    throw new LibraryError(
      code === 'CSV_QUOTE_NOT_CLOSED'
        ? `A quotation mark in the file is not closed, up to line ${before + lines}: the file is cut off. Download the export again.`
        : `The file cannot be read as CSV${lines ? `, at line ${before + lines}` : ''}. Download the export again.`,
    );
  }
}

/** @param {string[]} header */
function notAnExport(header) {
  const names = header.map((name) => name.trim()).filter(Boolean).slice(0, 6).join(', ');
  return new LibraryError(
    'This is not an export of Goodreads or StoryGraph: it needs the columns Title, ISBN13 and My Rating, or Title, ' +
      `ISBN/UID and Star Rating. It begins with ${names.length > 100 ? `${names.slice(0, 100)}…` : names || 'no name'}.`,
  );
}

/**
 * @param {{fields: string[], line: number}[]} records
 * @param {number} width
 * @param {Map<string, number>} places
 * @param {typeof SITES[0]} site
 * @returns {Library}
 */
function rowsOf(records, width, places, site) {
  /** @type {(record: string[], column: string) => string} */
  const cell = (record, column) => unwrapped(record[places.get(column) ?? -1] ?? '').trim();
  const areNumbers = new Map(
    site.isbns.map((column) => [column, !records.some(({ fields }) => FRACTION.test(fields[places.get(column) ?? -1] ?? ''))]),
  );
  /** @type {Library} */
  const library = { site: site.site, rows: [], rejected: [], rounded: 0 };
  let [rated, above] = [0, 0];
  for (const { fields: record, line } of records) {
    const book = { line, title: cell(record, 'title'), author: cell(record, site.author) };
    const given = record[places.get(site.stars) ?? -1] ?? '';
    const { stars, isRounded, reason, message } = starsOf(given);
    const isAbove = reason === 'rating_out_of_range' && !/^\s*-/.test(unwrapped(given));
    rated += Number(Boolean(stars) || isAbove || reason === 'rating_not_half');
    above += Number(isAbove);
    if (record.slice(width).some((text) => text.trim())) {
      const long = `The row has ${record.length} fields, the header ${width}.`;
      library.rejected.push({ ...book, reason: 'fields', message: long });
    } else if (stars === null) {
      library.rejected.push({ ...book, reason, message });
    } else {
      const isbns = site.isbns.map((column) => mendedIsbn(record[places.get(column) ?? -1] ?? '', areNumbers.get(column)));
      const added = site.added.map((column) => timeOf(cell(record, column))).find(Boolean) ?? 0;
      library.rounded += Number(isRounded);
      library.rows.push({
        ...book, isbns: isbns.filter((isbn) => isbn !== null && ISBN.test(isbn)).map(String), rating: stars,
        status: statusOf(cell(record, site.status)), added,
      }); // prettier-ignore
    }
  }
  if (above >= LEAST_ABOVE && above > SUSPICIOUS * rated) {
    throw new LibraryError(`${above} of ${rated} ratings are above 5 stars: they are on another scale. Nothing was read.`);
  }
  return library;
}

/** @param {string} text @returns {Status} */
function statusOf(text) {
  const status = text.toLowerCase().replace(/[\s_]+/g, '-');
  if (/^(to-read|want-to-read|tbr)$/.test(status)) return 'to-read';
  if (/^(currently-reading|reading)$/.test(status)) return 'reading';
  if (/^(did-not-finish|dnf|unfinished|abandoned|gave-up)$/.test(status)) return 'unfinished';
  return 'read';
}

/** @param {string} text such as 2021/03/05 */
function timeOf(text) {
  const match = /^(\d{4})[-/](\d\d?)[-/](\d\d?)(?:[ T].*)?$/.exec(text);
  return match ? Math.max(0, Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]))) : 0;
}

// -------------------------------------------------------------------------------------------------------------- cells

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const FRACTION = /^\d+[.,]0*[1-9]\d*$/;

/** What the rules accept as an ISBN. */
export const ISBN = /^[0-9A-Za-z][0-9A-Za-z ._:-]{0,63}$/;

/**
 * Return what is in a text that a spreadsheet or Goodreads wrote as a formula, ="…"; any other text as it is.
 *
 * @param {string} text
 */
export function unwrapped(text) {
  const match = /^\s*="(.*)"\s*$/s.exec(text);
  return match ? match[1].replaceAll('""', '"') : text;
}

/**
 * Return the stars in a cell: 0 if it is empty, null if it is rejected. Quarters are rounded up to halves.
 *
 * @param {string} text
 * @returns {{stars: number | null, isRounded: boolean, reason: string, message: string}}
 */
export function starsOf(text) {
  const plain = unwrapped(text).trim().replace(/^([+-]?\d*),(\d+)$/, '$1.$2');
  const bad = (/** @type {string} */ reason, /** @type {string} */ why) => ({
    stars: null, isRounded: false, reason, message: `“${plain.slice(0, 30)}” ${why}.`,
  }); // prettier-ignore
  const stars = plain === '' ? 0 : NUMBER.test(plain) ? Number(plain) : NaN;
  if (!Number.isFinite(stars)) return bad('rating_not_number', 'is not a number of stars');
  if (stars < 0 || stars > MAX_STARS) return bad('rating_out_of_range', 'is not between 0 and 5 stars');
  if (stars * 4 !== Math.trunc(stars * 4)) return bad('rating_not_half', 'is not a number of half or quarter stars');
  const isRounded = stars * 2 !== Math.trunc(stars * 2);
  // Rounded down, a quarter star would be "not rated".
  return { stars: (isRounded ? Math.floor(stars * 2 + 0.5) / 2 : stars) || 0, isRounded, reason: '', message: '' };
}

/**
 * Return an ISBN as it was before a spreadsheet turned it, or null if digits are lost.
 *
 * @param {string} text
 * @param {boolean} [areNumbers] whether a .0 at the end is a spreadsheet's
 */
export function mendedIsbn(text, areNumbers = true) {
  let plain = unwrapped(text);
  if (/^'?[0-9][0-9XxEe.,+ -]*$/.test(plain.trim())) plain = plain.trim();
  if (/^'[0-9][0-9Xx -]*$/.test(plain)) plain = plain.slice(1);
  const whole = /^([1-9])(?:[.,](\d+))?[eE]([+-]?)(\d{1,3})$/.exec(plain);
  if (whole) {
    const [, first, fraction = '', sign, power] = whole;
    const exponent = Number(power);
    if (!sign && !fraction) return plain;
    if (sign === '-' || fraction.length < exponent || /[^0]/.test(fraction.slice(exponent))) return null;
    return first + fraction.slice(0, exponent);
  }
  const zero = areNumbers && /^(\d+)[.,]0+$/.exec(plain);
  if (zero) return zero[1];
  return /^[1-9]\d{0,2}(?:,\d{3})+$/.test(plain) ? plain.replaceAll(',', '') : plain;
}

// -------------------------------------------------------------------------------------------------------------- books

/**
 * Return a text that is equal for all spellings of one book's ISBN. ISBN-10 and ISBN-13 are equal only if their check
 * digits are right: other numbers may be a shop's own.
 *
 * @param {string} isbn
 */
export function sameBook(isbn) {
  const bare = bareOf(isbn);
  const stem = stemOf(bare);
  return stem ?? (bare.replace(/^0+/, '') || bare);
}

/**
 * Return the ways in which a catalogue may write an ISBN, by the name of each way.
 *
 * @param {string} isbn
 * @returns {Record<string, string>}
 */
export function spellings(isbn) {
  const bare = bareOf(isbn);
  const stem = stemOf(bare);
  if (!stem) return { given: isbn, bare, zero: `0${bare}`, stripped: bare.replace(/^0+/, '') || bare };
  const thirteen = stem + last13(stem);
  /** @type {Record<string, string>} */
  const ways = { given: isbn, thirteen, zero13: `0${thirteen}` };
  if (!stem.startsWith('978')) return ways;
  const ten = stem.slice(3) + last10(stem.slice(3));
  return { ...ways, ten, small: ten.toLowerCase(), short: ten.replace(/^0+/, '') };
}

/**
 * Return what two editions of one book share, or "" if title or author is missing: as `Book.edition` of the functions.
 *
 * @param {{title: string, author: string}} book
 */
export function edition({ title, author }) {
  const [name, writer] = [plainWords(titleOnly(title)), plainWords(author.split(',')[0])];
  return name && writer ? `${name}\n${writer}` : '';
}

/** Return a title without the series after it, "(…, #1)". @param {string} title */
export function titleOnly(title) {
  return title.replace(/\s*\([^()]*#[^()]*\)\s*$/, '').trim();
}

/** @param {string} text */
function plainWords(text) {
  // Upper case first: ß and SS are equal.
  const folded = text.normalize('NFKD').toUpperCase().toLowerCase().replace(/\p{M}+/gu, '');
  return (folded.match(/[\p{L}\p{N}_]+/gu) ?? []).join(' ');
}

/** @param {string} isbn */
function bareOf(isbn) {
  return isbn
    .replace(/[\u2010-\u2013\u2212]/g, '-')
    .replaceAll('\u00a0', ' ')
    .toUpperCase()
    .trim()
    .replace(/(?:URN:)?ISBN(?:-?1[03](?=[ :]))?[ :]*(?=[0-9])/g, '')
    .replace(/[ ._:\t-]/g, '');
}

/** Return the first twelve digits of the ISBN-13, or null if it is not a valid ISBN. @param {string} bare */
function stemOf(bare) {
  const thirteen = bare.replace(/^0+(?=97[89]\d{10}$)/, '');
  if (/^97[89]\d{10}$/.test(thirteen) && last13(thirteen) === thirteen[12]) return thirteen.slice(0, 12);
  const ten = /^\d{4,8}[\dX]$/.test(bare) ? bare.padStart(10, '0') : bare;
  return /^\d{9}[\dX]$/.test(ten) && last10(ten) === ten[9] ? `978${ten.slice(0, 9)}` : null;
}

/** @param {string} digits the first twelve count */
function last13(digits) {
  const sum = [...digits.slice(0, 12)].reduce((total, digit, place) => total + Number(digit) * (place % 2 ? 3 : 1), 0);
  return String((10 - (sum % 10)) % 10);
}

/** @param {string} digits the first nine count */
function last10(digits) {
  const sum = [...digits.slice(0, 9)].reduce((total, digit, place) => total + Number(digit) * (10 - place), 0);
  const check = (11 - (sum % 11)) % 11;
  return check === 10 ? 'X' : String(check);
}
