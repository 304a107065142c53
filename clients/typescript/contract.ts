// Made by `python -m clients.generate` from clients/contract.py; changes belong there.

export const LIST_SIZE = 10;

export const MANIFEST_SCHEMA = 1;

export const MAX_FILE_BYTES = 268435456;

/*
 * What is not there or not as the contract says is `undefined`; unknown fields are left alone. Of a map, and of a list
 * that may be missing, bad elements are left out; a list that has to be there is good as a whole or not at all.
 */

type Parser<T> = (value: unknown) => T | undefined;

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

const text =
  (pattern?: RegExp): Parser<string> =>
  (value) =>
    typeof value === 'string' && (pattern === undefined || pattern.test(value)) ? value : undefined;

const number =
  (fits: (value: number) => boolean): Parser<number> =>
  (value) =>
    typeof value === 'number' && Number.isFinite(value) && fits(value) ? value : undefined;

const many =
  <T>(parse: Parser<T>, most = Infinity): Parser<T[]> =>
  (value) =>
    Array.isArray(value)
      ? value
          .map((element) => parse(element))
          .filter((element): element is T & {} => element !== undefined)
          .slice(0, most)
      : undefined;

const all =
  <T>(parse: Parser<T>): Parser<T[]> =>
  (value) => {
    const found = many(parse)(value);
    return Array.isArray(value) && found?.length === value.length ? found : undefined;
  };

const byName =
  <T>(names: RegExp, parse: Parser<T>): Parser<Record<string, T>> =>
  (value) => {
    const fields = fieldsOf(value);
    return (
      fields &&
      Object.fromEntries(
        Object.entries(fields).flatMap(([name, element]) => {
          const parsed = names.test(name) ? parse(element) : undefined;
          return parsed === undefined ? [] : [[name, parsed] as const];
        }),
      )
    );
  };

/** A reader has a book on the shelf, rated or not. In `/User_Book/{entryId}`. */
export interface Entry {
  /** The signed-in reader's uid. */
  userId: string;
  /** The key of the reader's own copy under /Books, fresh for every add. */
  bookId: string;
  /** Stars in halves; 0 means on the shelf, not rated. */
  myRate: number;
  /** The book; an entry without it waits, and counts as soon as it has one. */
  isbn?: string;
}

/** The Entry in an untrusted value. */
export const parseEntry: Parser<Entry> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const userId = text()(fields['userId']);
  const bookId = text()(fields['bookId']);
  const myRate = number((n) => n >= 0 && n <= 5 && (n / 0.5) % 1 === 0)(fields['myRate']);
  const isbn = text(/^(?:[0-9A-Za-z][0-9A-Za-z ._:-]{0,63})$/)(fields['isbn']);
  if (userId === undefined || bookId === undefined || myRate === undefined) return undefined;
  return {
    userId,
    bookId,
    myRate,
    ...(isbn !== undefined && { isbn }),
  };
};

/** The reader's own copy of a book's data; the backend does not read it. In `/Books/{bookId}`. */
export interface BookCopy {
  /** The title. */
  title?: string;
  /** The author. */
  author?: string;
  /** The book. */
  isbn?: string;
  /** The entry's stars. */
  myRate?: number;
}

/** The BookCopy in an untrusted value. */
export const parseBookCopy: Parser<BookCopy> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const title = text()(fields['title']);
  const author = text()(fields['author']);
  const isbn = text(/^(?:[0-9A-Za-z][0-9A-Za-z ._:-]{0,63})$/)(fields['isbn']);
  const myRate = number((n) => n >= 0 && n <= 5 && (n / 0.5) % 1 === 0)(fields['myRate']);
  return {
    ...(title !== undefined && { title }),
    ...(author !== undefined && { author }),
    ...(isbn !== undefined && { isbn }),
    ...(myRate !== undefined && { myRate }),
  };
};

/** A book that everyone can find. All fields are texts, and only the ISBN is sure to be there. In `/archive/{key}`. */
export interface CatalogueBook {
  /** The node's key. */
  documentId?: string;
  /** The title, with its series in brackets. */
  title?: string;
  /** The authors, separated by commas. */
  author?: string;
  /** The average rating, as a text. */
  rating?: string;
  /** What the book is about. */
  description?: string;
  /** The book; an opaque text, compared as given. */
  isbn: string;
  /** The genre. */
  genre?: string;
  /** The number of pages, as a text. */
  pages?: string;
  /** The year, as a text. */
  publishedYear?: string;
  /** The address of the cover. */
  image?: string;
}

/** The CatalogueBook in an untrusted value. */
export const parseCatalogueBook: Parser<CatalogueBook> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const documentId = text()(fields['documentId']);
  const title = text()(fields['title']);
  const author = text()(fields['author']);
  const rating = text()(fields['rating']);
  const description = text()(fields['description']);
  const isbn = text(/^(?:[0-9A-Za-z][0-9A-Za-z ._:-]{0,63})$/)(fields['isbn']);
  const genre = text()(fields['genre']);
  const pages = text()(fields['pages']);
  const publishedYear = text()(fields['publishedYear']);
  const image = text()(fields['image']);
  if (isbn === undefined) return undefined;
  return {
    ...(documentId !== undefined && { documentId }),
    ...(title !== undefined && { title }),
    ...(author !== undefined && { author }),
    ...(rating !== undefined && { rating }),
    ...(description !== undefined && { description }),
    isbn,
    ...(genre !== undefined && { genre }),
    ...(pages !== undefined && { pages }),
    ...(publishedYear !== undefined && { publishedYear }),
    ...(image !== undefined && { image }),
  };
};

/** The reader's profile. Beside a list it is written field by field. In `/Users/{uid}`. */
export interface Profile {
  /** The uid. */
  id?: string;
  /** The first name. */
  firstname?: string;
  /** The last name. */
  lastname?: string;
  /** The telephone number. */
  mobile?: string;
  /** The address of a picture. */
  image?: string;
}

/** The Profile in an untrusted value. */
export const parseProfile: Parser<Profile> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const id = text()(fields['id']);
  const firstname = text()(fields['firstname']);
  const lastname = text()(fields['lastname']);
  const mobile = text()(fields['mobile']);
  const image = text()(fields['image']);
  return {
    ...(id !== undefined && { id }),
    ...(firstname !== undefined && { firstname }),
    ...(lastname !== undefined && { lastname }),
    ...(mobile !== undefined && { mobile }),
    ...(image !== undefined && { image }),
  };
};

/** What `source` of a ListItem may say; there may be more one day. */
export type ListItemSource = 'personal' | 'popular' | 'newest' | (string & {});

/** One book of a list. In `items`. */
export interface ListItem {
  /** The book. */
  isbn: string;
  /** The catalogue's title; may be empty. */
  title: string;
  /** The catalogue's author; may be empty. */
  author: string;
  /** The address of the cover; may be empty. */
  image: string;
  /** The higher the better; comparable within one list only. */
  score: number;
  /** Stars; absent where no model is live. */
  predictedRating?: number;
  /** Why the book is on the list. */
  source: ListItemSource;
  /** The reader's books that contributed most, the most first. */
  because: string[];
}

/** The ListItem in an untrusted value. */
export const parseListItem: Parser<ListItem> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const isbn = text(/^(?:[0-9A-Za-z][0-9A-Za-z ._:-]{0,63})$/)(fields['isbn']);
  const title = text()(fields['title']);
  const author = text()(fields['author']);
  const image = text()(fields['image']);
  const score = number(() => true)(fields['score']);
  const predictedRating = number((n) => n >= 0.5 && n <= 5)(fields['predictedRating']);
  const source = text()(fields['source']);
  const because = many(text(/^(?:[0-9A-Za-z][0-9A-Za-z ._:-]{0,63})$/), 2)(fields['because']) ?? [];
  if (
    isbn === undefined ||
    title === undefined ||
    author === undefined ||
    image === undefined ||
    score === undefined ||
    source === undefined
  ) {
    return undefined;
  }
  return {
    isbn,
    title,
    author,
    image,
    score,
    ...(predictedRating !== undefined && { predictedRating }),
    source,
    because,
  };
};

/** The shelf that a list was computed from. In `basedOn`. */
export interface BasedOn {
  /** How many valid entries it had. */
  entries: number;
  /** SHA-256 of the entries: equal digests, equal shelves. */
  digest: string;
}

/** The BasedOn in an untrusted value. */
export const parseBasedOn: Parser<BasedOn> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const entries = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['entries']);
  const digest = text(/^(?:[0-9a-f]{64})$/)(fields['digest']);
  if (entries === undefined || digest === undefined) return undefined;
  return {
    entries,
    digest,
  };
};

/** What `source` of a RecommendationList may say; there may be more one day. */
export type RecommendationListSource = 'personal' | 'mixed' | 'popular' | (string & {});

/** A reader's list: ten books wherever the catalogue has ten left. In `/Users/{uid}/recommendations`. */
export interface RecommendationList {
  /** Equal exactly for equal lists: the same books, in order, for the same shelf. */
  listId: string;
  /** When it was written, by the database's clock; milliseconds. */
  generatedAt: number;
  /** The model that first gave this list; "none" where none was published yet. */
  modelVersion: string;
  /** Where its items come from. */
  source: RecommendationListSource;
  /** The shelf that it was computed from. */
  basedOn: BasedOn;
  /** The books, the best first. */
  items: ListItem[];
}

/** The RecommendationList in an untrusted value. */
export const parseRecommendationList: Parser<RecommendationList> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const listId = text()(fields['listId']);
  const generatedAt = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['generatedAt']);
  const modelVersion = text()(fields['modelVersion']);
  const source = text()(fields['source']);
  const basedOn = parseBasedOn(fields['basedOn']);
  const items = many(parseListItem, 10)(fields['items']) ?? [];
  if (
    listId === undefined ||
    generatedAt === undefined ||
    modelVersion === undefined ||
    source === undefined ||
    basedOn === undefined
  ) {
    return undefined;
  }
  return {
    listId,
    generatedAt,
    modelVersion,
    source,
    basedOn,
    items,
  };
};

/** An A/B split: A is the live model, B another of the kept ones. In `experiment`. */
export interface Experiment {
  /** The experiment; with a uid it decides the reader's arm. */
  id: string;
  /** B, one of the kept versions. */
  version: string;
  /** The share of the readers that get B. */
  share: number;
  /** When it began; milliseconds. */
  startedAt: number;
}

/** The Experiment in an untrusted value. */
export const parseExperiment: Parser<Experiment> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const id = text()(fields['id']);
  const version = text(/^(?:[0-9A-Za-z][0-9A-Za-z_-]{0,63})$/)(fields['version']);
  const share = number((n) => n > 0 && n < 1)(fields['share']);
  const startedAt = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['startedAt']);
  if (id === undefined || version === undefined || share === undefined || startedAt === undefined) return undefined;
  return {
    id,
    version,
    share,
    startedAt,
  };
};

/** What is live. In `/Recommender/model`. */
export interface Pointer {
  /** The live model. */
  version: string;
  /** The manifest's name in the bucket. */
  manifest: string;
  /** SHA-256 of the manifest's bytes. */
  manifestSha256: string;
  /** The publishing run's number; it only ever grows. */
  fence: number;
  /** When it went live; milliseconds. */
  publishedAt: number;
  /** When the run began to read the entries; milliseconds. */
  snapshotAt: number;
  /** The manifests' SHA-256 of all versions that may be live again. */
  kept: Record<string, string>;
  /** In how many shards the trainer made lists; for the backend. */
  lists?: number;
  /** The A/B split that runs now. */
  experiment?: Experiment;
  /** How often one began or ended since the publish; for the backend. */
  switches?: number;
}

/** The Pointer in an untrusted value. */
export const parsePointer: Parser<Pointer> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const version = text(/^(?:[0-9A-Za-z][0-9A-Za-z_-]{0,63})$/)(fields['version']);
  const manifest = text(/^(?:models\/[0-9A-Za-z][0-9A-Za-z_-]{0,63}\/manifest\.json)$/)(fields['manifest']);
  const manifestSha256 = text(/^(?:[0-9a-f]{64})$/)(fields['manifestSha256']);
  const fence = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['fence']);
  const publishedAt = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['publishedAt']);
  const snapshotAt = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['snapshotAt']);
  const kept = byName(/^(?:[0-9A-Za-z][0-9A-Za-z_-]{0,63})$/, text(/^(?:[0-9a-f]{64})$/))(fields['kept']) ?? {};
  const lists = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['lists']);
  const experiment = parseExperiment(fields['experiment']);
  const switches = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['switches']);
  if (
    version === undefined ||
    manifest === undefined ||
    manifestSha256 === undefined ||
    fence === undefined ||
    publishedAt === undefined ||
    snapshotAt === undefined
  ) {
    return undefined;
  }
  return {
    version,
    manifest,
    manifestSha256,
    fence,
    publishedAt,
    snapshotAt,
    kept,
    ...(lists !== undefined && { lists }),
    ...(experiment !== undefined && { experiment }),
    ...(switches !== undefined && { switches }),
  };
};

/** One file of a model. In `files`. */
export interface FileEntry {
  /** Bytes. */
  size: number;
  /** SHA-256 of the bytes. */
  sha256: string;
}

/** The FileEntry in an untrusted value. */
export const parseFileEntry: Parser<FileEntry> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const size = number((n) => Number.isSafeInteger(n) && n >= 0 && n <= 268435456)(fields['size']);
  const sha256 = text(/^(?:[0-9a-f]{64})$/)(fields['sha256']);
  if (size === undefined || sha256 === undefined) return undefined;
  return {
    size,
    sha256,
  };
};

/** The files of a model. Its other fields are for people. In `models/{version}/manifest.json`. */
export interface Manifest {
  /** 1; a client that finds another one keeps the model that it has. */
  schema: number;
  /** The model's name, the same as the pointer's. */
  version: string;
  /** By file name. */
  files: Record<string, FileEntry>;
  /** When it was trained; ISO 8601. */
  createdAt?: string;
}

/** The Manifest in an untrusted value. */
export const parseManifest: Parser<Manifest> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const schema = number((n) => Number.isSafeInteger(n) && n >= 0)(fields['schema']);
  const version = text(/^(?:[0-9A-Za-z][0-9A-Za-z_-]{0,63})$/)(fields['version']);
  const files = byName(/^(?:[0-9A-Za-z][0-9A-Za-z_.-]{0,63})$/, parseFileEntry)(fields['files']);
  const createdAt = text()(fields['createdAt']);
  if (schema === undefined || version === undefined || files === undefined) return undefined;
  return {
    schema,
    version,
    files,
    ...(createdAt !== undefined && { createdAt }),
  };
};

/** The books that a model knows: a book's index is its position. In `models/{version}/items.json`. */
export interface Items {
  /** By index. */
  isbns: string[];
  /** The most popular books, the first the most popular. */
  popular: string[];
}

/** The Items in an untrusted value. */
export const parseItems: Parser<Items> = (value) => {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const isbns = all(text(/^(?:[0-9A-Za-z][0-9A-Za-z ._:-]{0,63})$/))(fields['isbns']);
  const popular = many(text(/^(?:[0-9A-Za-z][0-9A-Za-z ._:-]{0,63})$/))(fields['popular']) ?? [];
  if (isbns === undefined) return undefined;
  return {
    isbns,
    popular,
  };
};
