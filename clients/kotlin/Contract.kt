// Made by `python -m clients.generate` from clients/contract.py; changes belong there.

package bookrec.contract

import com.google.firebase.database.IgnoreExtraProperties

const val LIST_SIZE = 10

const val MANIFEST_SCHEMA = 1

const val MAX_FILE_BYTES = 268435456

/** A reader has a book on the shelf, rated or not. In `/User_Book/{entryId}`. */
@IgnoreExtraProperties
data class Entry(
    /** The signed-in reader's uid. */
    val userId: String = "",
    /** The key of the reader's own copy under /Books, fresh for every add. */
    val bookId: String = "",
    /** Stars in halves; 0 means on the shelf, not rated. */
    val myRate: Double = 0.0,
    /** The book; an entry without it waits, and counts as soon as it has one. */
    val isbn: String? = null,
)

/** The reader's own copy of a book's data; the backend does not read it. In `/Books/{bookId}`. */
@IgnoreExtraProperties
data class BookCopy(
    /** The title. */
    val title: String? = null,
    /** The author. */
    val author: String? = null,
    /** The book. */
    val isbn: String? = null,
    /** The entry's stars. */
    val myRate: Double? = null,
)

/** A book that everyone can find. All fields are texts, and only the ISBN is sure to be there. In `/archive/{key}`. */
@IgnoreExtraProperties
data class CatalogueBook(
    /** The node's key. */
    val documentId: String? = null,
    /** The title, with its series in brackets. */
    val title: String? = null,
    /** The authors, separated by commas. */
    val author: String? = null,
    /** The average rating, as a text. */
    val rating: String? = null,
    /** What the book is about. */
    val description: String? = null,
    /** The book; an opaque text, compared as given. */
    val isbn: String = "",
    /** The genre. */
    val genre: String? = null,
    /** The number of pages, as a text. */
    val pages: String? = null,
    /** The year, as a text. */
    val publishedYear: String? = null,
    /** The address of the cover. */
    val image: String? = null,
)

/** The reader's profile. Beside a list it is written field by field. In `/Users/{uid}`. */
@IgnoreExtraProperties
data class Profile(
    /** The uid. */
    val id: String? = null,
    /** The first name. */
    val firstname: String? = null,
    /** The last name. */
    val lastname: String? = null,
    /** The telephone number. */
    val mobile: String? = null,
    /** The address of a picture. */
    val image: String? = null,
)

/** What `source` of a ListItem may say; there may be more one day. */
object ListItemSource {
    const val PERSONAL = "personal"
    const val POPULAR = "popular"
    const val NEWEST = "newest"
}

/** One book of a list. In `items`. */
@IgnoreExtraProperties
data class ListItem(
    /** The book. */
    val isbn: String = "",
    /** The catalogue's title; may be empty. */
    val title: String = "",
    /** The catalogue's author; may be empty. */
    val author: String = "",
    /** The address of the cover; may be empty. */
    val image: String = "",
    /** The higher the better; comparable within one list only. */
    val score: Double = 0.0,
    /** Stars; absent where no model is live. */
    val predictedRating: Double? = null,
    /** Why the book is on the list. */
    val source: String = "",
    /** The reader's books that contributed most, the most first. */
    val because: List<String> = emptyList(),
)

/** The shelf that a list was computed from. In `basedOn`. */
@IgnoreExtraProperties
data class BasedOn(
    /** How many valid entries it had. */
    val entries: Long = 0L,
    /** SHA-256 of the entries: equal digests, equal shelves. */
    val digest: String = "",
)

/** What `source` of a RecommendationList may say; there may be more one day. */
object RecommendationListSource {
    const val PERSONAL = "personal"
    const val MIXED = "mixed"
    const val POPULAR = "popular"
}

/** A reader's list: ten books wherever the catalogue has ten left. In `/Users/{uid}/recommendations`. */
@IgnoreExtraProperties
data class RecommendationList(
    /** Equal exactly for equal lists: the same books, in order, for the same shelf. */
    val listId: String = "",
    /** When it was written, by the database's clock; milliseconds. */
    val generatedAt: Long = 0L,
    /** The model that first gave this list; "none" where none was published yet. */
    val modelVersion: String = "",
    /** Where its items come from. */
    val source: String = "",
    /** The shelf that it was computed from. */
    val basedOn: BasedOn = BasedOn(),
    /** The books, the best first. */
    val items: List<ListItem> = emptyList(),
)

/** An A/B split: A is the live model, B another of the kept ones. In `experiment`. */
@IgnoreExtraProperties
data class Experiment(
    /** The experiment; with a uid it decides the reader's arm. */
    val id: String = "",
    /** B, one of the kept versions. */
    val version: String = "",
    /** The share of the readers that get B. */
    val share: Double = 0.0,
    /** When it began; milliseconds. */
    val startedAt: Long = 0L,
)

/** What is live. In `/Recommender/model`. */
@IgnoreExtraProperties
data class Pointer(
    /** The live model. */
    val version: String = "",
    /** The manifest's name in the bucket. */
    val manifest: String = "",
    /** SHA-256 of the manifest's bytes. */
    val manifestSha256: String = "",
    /** The publishing run's number; it only ever grows. */
    val fence: Long = 0L,
    /** When it went live; milliseconds. */
    val publishedAt: Long = 0L,
    /** When the run began to read the entries; milliseconds. */
    val snapshotAt: Long = 0L,
    /** The manifests' SHA-256 of all versions that may be live again. */
    val kept: Map<String, String> = emptyMap(),
    /** In how many shards the trainer made lists; for the backend. */
    val lists: Long? = null,
    /** The A/B split that runs now. */
    val experiment: Experiment? = null,
    /** How often one began or ended since the publish; for the backend. */
    val switches: Long? = null,
)

/** One file of a model. In `files`. */
@IgnoreExtraProperties
data class FileEntry(
    /** Bytes. */
    val size: Long = 0L,
    /** SHA-256 of the bytes. */
    val sha256: String = "",
)

/** The files of a model. Its other fields are for people. In `models/{version}/manifest.json`. */
@IgnoreExtraProperties
data class Manifest(
    /** 1; a client that finds another one keeps the model that it has. */
    val schema: Long = 0L,
    /** The model's name, the same as the pointer's. */
    val version: String = "",
    /** By file name. */
    val files: Map<String, FileEntry> = emptyMap(),
    /** When it was trained; ISO 8601. */
    val createdAt: String? = null,
)

/** The books that a model knows: a book's index is its position. In `models/{version}/items.json`. */
@IgnoreExtraProperties
data class Items(
    /** By index. */
    val isbns: List<String> = emptyList(),
    /** The most popular books, the first the most popular. */
    val popular: List<String> = emptyList(),
)
