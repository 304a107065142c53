// Made by `python -m clients.generate` from clients/contract.py; changes belong there.

let listSize = 10

let manifestSchema = 1

let maxFileBytes = 268435456

/// A reader has a book on the shelf, rated or not. In `/User_Book/{entryId}`.
struct Entry: Codable, Equatable, Sendable {
  /// The signed-in reader's uid.
  var userId: String
  /// The key of the reader's own copy under /Books, fresh for every add.
  var bookId: String
  /// Stars in halves; 0 means on the shelf, not rated.
  var myRate: Double
  /// The book; an entry without it waits, and counts as soon as it has one.
  var isbn: String?
}

/// The reader's own copy of a book's data; the backend does not read it. In `/Books/{bookId}`.
struct BookCopy: Codable, Equatable, Sendable {
  /// The title.
  var title: String?
  /// The author.
  var author: String?
  /// The book.
  var isbn: String?
  /// The entry's stars.
  var myRate: Double?
}

/// A book that everyone can find. All fields are texts, and only the ISBN is sure to be there. In `/archive/{key}`.
struct CatalogueBook: Codable, Equatable, Sendable {
  /// The node's key.
  var documentId: String?
  /// The title, with its series in brackets.
  var title: String?
  /// The authors, separated by commas.
  var author: String?
  /// The average rating, as a text.
  var rating: String?
  /// What the book is about.
  var description: String?
  /// The book; an opaque text, compared as given.
  var isbn: String
  /// The genre.
  var genre: String?
  /// The number of pages, as a text.
  var pages: String?
  /// The year, as a text.
  var publishedYear: String?
  /// The address of the cover.
  var image: String?
}

/// The reader's profile. Beside a list it is written field by field. In `/Users/{uid}`.
struct Profile: Codable, Equatable, Sendable {
  /// The uid.
  var id: String?
  /// The first name.
  var firstname: String?
  /// The last name.
  var lastname: String?
  /// The telephone number.
  var mobile: String?
  /// The address of a picture.
  var image: String?
}

/// What `source` of a ListItem may say; there may be more one day.
enum ListItemSource {
  static let personal = "personal"
  static let popular = "popular"
  static let newest = "newest"
}

/// One book of a list. In `items`.
struct ListItem: Codable, Equatable, Sendable {
  /// The book.
  var isbn: String
  /// The catalogue's title; may be empty.
  var title: String
  /// The catalogue's author; may be empty.
  var author: String
  /// The address of the cover; may be empty.
  var image: String
  /// The higher the better; comparable within one list only.
  var score: Double
  /// Stars; absent where no model is live.
  var predictedRating: Double?
  /// Why the book is on the list.
  var source: String
  /// The reader's books that contributed most, the most first.
  var because: [String] = []
}

extension ListItem {
  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    isbn = try fields.decode(String.self, forKey: .isbn)
    title = try fields.decode(String.self, forKey: .title)
    author = try fields.decode(String.self, forKey: .author)
    image = try fields.decode(String.self, forKey: .image)
    score = try fields.decode(Double.self, forKey: .score)
    predictedRating = try fields.decodeIfPresent(Double.self, forKey: .predictedRating)
    source = try fields.decode(String.self, forKey: .source)
    because = try fields.decodeIfPresent([String].self, forKey: .because) ?? []
  }
}

/// The shelf that a list was computed from. In `basedOn`.
struct BasedOn: Codable, Equatable, Sendable {
  /// How many valid entries it had.
  var entries: Int
  /// SHA-256 of the entries: equal digests, equal shelves.
  var digest: String
}

/// What `source` of a RecommendationList may say; there may be more one day.
enum RecommendationListSource {
  static let personal = "personal"
  static let mixed = "mixed"
  static let popular = "popular"
}

/// A reader's list: ten books wherever the catalogue has ten left. In `/Users/{uid}/recommendations`.
struct RecommendationList: Codable, Equatable, Sendable {
  /// Equal exactly for equal lists: the same books, in order, for the same shelf.
  var listId: String
  /// When it was written, by the database's clock; milliseconds.
  var generatedAt: Int
  /// The model that first gave this list; "none" where none was published yet.
  var modelVersion: String
  /// Where its items come from.
  var source: String
  /// The shelf that it was computed from.
  var basedOn: BasedOn
  /// The books, the best first.
  var items: [ListItem] = []
}

extension RecommendationList {
  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    listId = try fields.decode(String.self, forKey: .listId)
    generatedAt = try fields.decode(Int.self, forKey: .generatedAt)
    modelVersion = try fields.decode(String.self, forKey: .modelVersion)
    source = try fields.decode(String.self, forKey: .source)
    basedOn = try fields.decode(BasedOn.self, forKey: .basedOn)
    items = try fields.decodeIfPresent([ListItem].self, forKey: .items) ?? []
  }
}

/// An A/B split: A is the live model, B another of the kept ones. In `experiment`.
struct Experiment: Codable, Equatable, Sendable {
  /// The experiment; with a uid it decides the reader's arm.
  var id: String
  /// B, one of the kept versions.
  var version: String
  /// The share of the readers that get B.
  var share: Double
  /// When it began; milliseconds.
  var startedAt: Int
}

/// What is live. In `/Recommender/model`.
struct Pointer: Codable, Equatable, Sendable {
  /// The live model.
  var version: String
  /// The manifest's name in the bucket.
  var manifest: String
  /// SHA-256 of the manifest's bytes.
  var manifestSha256: String
  /// The publishing run's number; it only ever grows.
  var fence: Int
  /// When it went live; milliseconds.
  var publishedAt: Int
  /// When the run began to read the entries; milliseconds.
  var snapshotAt: Int
  /// The manifests' SHA-256 of all versions that may be live again.
  var kept: [String: String] = [:]
  /// In how many shards the trainer made lists; for the backend.
  var lists: Int?
  /// The A/B split that runs now.
  var experiment: Experiment?
  /// How often one began or ended since the publish; for the backend.
  var switches: Int?
}

extension Pointer {
  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    version = try fields.decode(String.self, forKey: .version)
    manifest = try fields.decode(String.self, forKey: .manifest)
    manifestSha256 = try fields.decode(String.self, forKey: .manifestSha256)
    fence = try fields.decode(Int.self, forKey: .fence)
    publishedAt = try fields.decode(Int.self, forKey: .publishedAt)
    snapshotAt = try fields.decode(Int.self, forKey: .snapshotAt)
    kept = try fields.decodeIfPresent([String: String].self, forKey: .kept) ?? [:]
    lists = try fields.decodeIfPresent(Int.self, forKey: .lists)
    experiment = try fields.decodeIfPresent(Experiment.self, forKey: .experiment)
    switches = try fields.decodeIfPresent(Int.self, forKey: .switches)
  }
}

/// One file of a model. In `files`.
struct FileEntry: Codable, Equatable, Sendable {
  /// Bytes.
  var size: Int
  /// SHA-256 of the bytes.
  var sha256: String
}

/// The files of a model. Its other fields are for people. In `models/{version}/manifest.json`.
struct Manifest: Codable, Equatable, Sendable {
  /// 1; a client that finds another one keeps the model that it has.
  var schema: Int
  /// The model's name, the same as the pointer's.
  var version: String
  /// By file name.
  var files: [String: FileEntry]
  /// When it was trained; ISO 8601.
  var createdAt: String?
}

/// The books that a model knows: a book's index is its position. In `models/{version}/items.json`.
struct Items: Codable, Equatable, Sendable {
  /// By index.
  var isbns: [String]
  /// The most popular books, the first the most popular.
  var popular: [String] = []
}

extension Items {
  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    isbns = try fields.decode([String].self, forKey: .isbns)
    popular = try fields.decodeIfPresent([String].self, forKey: .popular) ?? []
  }
}
