"""The contract with the app, as data: every node that a client reads or writes, field by field.

``docs/contract.md`` describes it in words. Tests compare this module with the code that writes and reads the nodes, and
``python -m clients.generate`` generates the clients' data classes from it.

The database does not keep empty lists and maps: if one is missing, it is empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bookrec.entries import ISBN_PATTERN, MAX_RATING, MAX_USER_ID, MIN_RATING
from bookrec.further.sizes import MOST_GENRES, MOST_PAGES, MOST_SHARED
from bookrec.life_cycle.manifest import MAX_FILE_BYTES
from bookrec.ranking import LIST_SIZE

VERSION_PATTERN = r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}"
FILE_NAME_PATTERN = r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}"
SHA256_PATTERN = r"[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class Text:
    """A text.

    Attributes:
        pattern: a regular expression for the whole text, valid in Python, JavaScript and Java; None for any text.
        known: the current values. Clients also accept others, because they stay in use for years.
        longest: maximum length in characters; None if clients need not check it.
    """

    pattern: str | None = None
    known: tuple[str, ...] = ()
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number with bounds, which belong to the range unless it is ``open``.

    Attributes:
        step: the number is a multiple of it; None for any number.
    """

    lowest: float | None = None
    highest: float | None = None
    step: float | None = None
    open: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from 0 to ``highest``: a count, bytes, or milliseconds since 1970."""

    highest: int = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class Many:
    """An ordered list of at most ``most`` elements of one kind."""

    of: Kind
    most: int | None = None


@dataclass(frozen=True, slots=True)
class ByName:
    """A map from names, which match a pattern, to values of one kind."""

    of: Kind
    names: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a node.

    Attributes:
        optional: it may be missing. Missing lists and maps are empty.
    """

    name: str
    kind: Kind
    doc: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """An object in the database or in a model's files.

    Attributes:
        name: the name of its data class.
        place: its path in the database, its file, or the field that holds it.
        fields: in the order of the data class. Unknown fields are ignored.
    """

    name: str
    place: str
    doc: str
    fields: tuple[Field, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the fields that are always present."""
        return tuple(field.name for field in self.fields if not field.optional)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields."""
        return tuple(field.name for field in self.fields)


Kind = Text | Number | Whole | Many | ByName | Node

ISBN = Text(ISBN_PATTERN)
STARS = Number(MIN_RATING, MAX_RATING, 0.5)
VERSION = Text(VERSION_PATTERN)
SHA256 = Text(SHA256_PATTERN)

ENTRY = Node(
    "Entry",
    "/User_Book/{entryId}",
    "A book on a reader's shelf, rated or not.",
    (
        Field("userId", Text(longest=MAX_USER_ID), "The signed-in reader's uid."),
        Field("bookId", Text(longest=128), "The key of the reader's copy under /Books, new for every book added."),
        Field("myRate", STARS, "Stars in steps of a half; 0 means on the shelf, not rated."),
        Field("isbn", ISBN, "The book; an entry without it is rejected until it has one.", optional=True),
    ),
)

BOOK_COPY = Node(
    "BookCopy",
    "/Books/{bookId}",
    "The reader's copy of a book's data; the backend does not read it.",
    (
        Field("title", Text(), "The title.", optional=True),
        Field("author", Text(), "The author.", optional=True),
        Field("isbn", ISBN, "The book.", optional=True),
        Field("myRate", STARS, "The entry's stars.", optional=True),
    ),
)

CATALOGUE_BOOK = Node(
    "CatalogueBook",
    "/archive/{key}",
    "A book of the catalogue. All fields are texts, and only the ISBN is always present.",
    (
        Field("documentId", Text(), "The node's key.", optional=True),
        Field("title", Text(), "The title, with the series in parentheses.", optional=True),
        Field("author", Text(), "The authors, separated by commas.", optional=True),
        Field("rating", Text(), "The average rating, as a text.", optional=True),
        Field("description", Text(), "What the book is about.", optional=True),
        Field("isbn", ISBN, "The book; an opaque text, compared exactly."),
        Field("genre", Text(), "The genre.", optional=True),
        Field("pages", Text(), "The number of pages, as a text.", optional=True),
        Field("publishedYear", Text(), "The year, as a text.", optional=True),
        Field("image", Text(), "The address of the cover.", optional=True),
    ),
)

PROFILE = Node(
    "Profile",
    "/Users/{uid}",
    "The reader's profile. If there is a list, write it field by field.",
    (
        Field("id", Text(), "The uid.", optional=True),
        Field("firstname", Text(), "The first name.", optional=True),
        Field("lastname", Text(), "The last name.", optional=True),
        Field("mobile", Text(), "The telephone number.", optional=True),
        Field("image", Text(), "The address of a picture.", optional=True),
    ),
)

LIST_ITEM = Node(
    "ListItem",
    "items",
    "One book of a list.",
    (
        Field("isbn", ISBN, "The book."),
        Field("title", Text(), "The catalogue's title; may be empty."),
        Field("author", Text(), "The catalogue's author; may be empty."),
        Field("image", Text(), "The address of the cover; may be empty."),
        Field("score", Number(), "The higher the better; comparable within one list only."),
        Field("predictedRating", Number(0.5, 5), "Stars; absent if no model is live.", optional=True),
        Field("source", Text(known=("personal", "popular", "newest", "exploration")), "Why the book is on the list."),
        Field(
            "because", Many(ISBN, 2), "The reader's books that contributed most, in descending order.", optional=True
        ),
    ),
)

SHORT_ITEM = Node(
    "ShortItem",
    "next",
    "One book of a list that is not the reader's ten: without score and reasons.",
    tuple(field for field in LIST_ITEM.fields if field.name not in ("score", "because")),
)

GENRE_LIST = Node(
    "GenreList",
    "genres",
    "A reader's best books of one genre; books of other lists may be there too.",
    (
        Field("genre", Text(), "The genre, as most books of the catalogue spell it."),
        Field("items", Many(SHORT_ITEM, LIST_SIZE), "The books, best first.", optional=True),
    ),
)

BASED_ON = Node(
    "BasedOn",
    "basedOn",
    "The shelf that a list was computed from.",
    (
        Field("entries", Whole(), "How many valid entries it had."),
        Field("digest", SHA256, "SHA-256 of entries and dismissals; equal ones have equal digests."),
        Field("dismissed", Whole(), "How many dismissals counted; missing if none did.", optional=True),
        Field("shelf", SHA256, "SHA-256 of the entries alone; missing if no dismissal counted.", optional=True),
    ),
)

RECOMMENDATION_LIST = Node(
    "RecommendationList",
    "/Users/{uid}/recommendations",
    "A reader's list: ten books, if the catalogue has ten left.",
    (
        Field("listId", Text(), "Identifies the list: equal for the same books, in order, for the same shelf."),
        Field("generatedAt", Whole(), "When it was written, by the database's clock; milliseconds since 1970."),
        Field("modelVersion", Text(), 'The model that first computed this list; "none" if no model was published yet.'),
        Field("source", Text(known=("personal", "mixed", "popular")), "Where its items come from."),
        Field("basedOn", BASED_ON, "The shelf that it was computed from."),
        Field("items", Many(LIST_ITEM, LIST_SIZE), "The books, best first.", optional=True),
        Field(
            "more", Text(), "The sizes of /More_Lists, such as 4+3; missing if there are no more lists.", optional=True
        ),
    ),
)

MORE_LISTS = Node(
    "MoreLists",
    "/More_Lists/{uid}",
    "What follows a reader's ten, and the reader's strongest genres. Use it only if its listId is that of the ten.",
    (
        Field("listId", Text(), "The list that these belong to."),
        Field("digest", SHA256, "The digest in the list's basedOn."),
        Field("modelVersion", Text(), 'The model that computed them; "none" if no model was published yet.'),
        Field("next", Many(Many(SHORT_ITEM, LIST_SIZE), MOST_PAGES), "The pages that follow the ten.", optional=True),
        Field("genres", Many(GENRE_LIST, MOST_GENRES), "The strongest genre first.", optional=True),
    ),
)

SHARED_LIST = Node(
    "SharedList",
    "/Shared_Lists/{trending, newest}",
    "A list for all readers.",
    (
        Field("generatedAt", Whole(), "When it was written, by the database's clock; milliseconds since 1970."),
        Field("items", Many(SHORT_ITEM, MOST_SHARED), "The books, best first.", optional=True),
    ),
)

EXPERIMENT = Node(
    "Experiment",
    "experiment",
    "An A/B experiment: A is the live model, B another kept version.",
    (
        Field("id", Text(), "The experiment's id; with a uid it decides the reader's arm."),
        Field("version", VERSION, "The version of arm B."),
        Field("share", Number(0, 1, open=True), "The share of readers in arm B."),
        Field("startedAt", Whole(), "When it began; milliseconds since 1970."),
    ),
)

POINTER = Node(
    "Pointer",
    "/Recommender/model",
    "The live model.",
    (
        Field("version", VERSION, "The live model."),
        Field("manifest", Text(rf"models/{VERSION_PATTERN}/manifest\.json"), "The manifest's name in the bucket."),
        Field("manifestSha256", SHA256, "SHA-256 of the manifest's bytes."),
        Field("fence", Whole(), "The publishing run's number, which only ever increases."),
        Field("publishedAt", Whole(), "When it went live; milliseconds since 1970."),
        Field("snapshotAt", Whole(), "When the run began to read the entries; milliseconds since 1970."),
        Field(
            "kept",
            ByName(SHA256, VERSION_PATTERN),
            "The versions that can be made live again, with the SHA-256 of their manifests.",
            optional=True,
        ),
        Field("lists", Whole(), "The number of shards of lists that the trainer made; for the backend.", optional=True),
        Field("listsSha256", SHA256, "SHA-256 of the index of these shards; for the backend.", optional=True),
        Field("experiment", EXPERIMENT, "The running A/B experiment.", optional=True),
        Field(
            "switches",
            Whole(),
            "How often experiments began or ended since the publish; for the backend.",
            optional=True,
        ),
    ),
)

FILE_ENTRY = Node(
    "FileEntry",
    "files",
    "One file of a model.",
    (
        Field("size", Whole(MAX_FILE_BYTES), "Bytes."),
        Field("sha256", SHA256, "SHA-256 of the bytes."),
    ),
)

MANIFEST = Node(
    "Manifest",
    "models/{version}/manifest.json",
    "The files of a model. Other fields are for people.",
    (
        Field("schema", Whole(), "1; a client that finds another number keeps its present model."),
        Field("version", VERSION, "The model's version, the same as the pointer's."),
        Field("files", ByName(FILE_ENTRY, FILE_NAME_PATTERN), "The files by name."),
        Field("createdAt", Text(), "When it was trained; ISO 8601.", optional=True),
    ),
)

ITEMS = Node(
    "Items",
    "models/{version}/items.json",
    "The books that a model knows; a book's index is its position.",
    (
        Field("isbns", Many(ISBN), "By index."),
        Field("popular", Many(ISBN), "The most popular books, in descending order.", optional=True),
        Field("rare", Many(Whole()), "The indices of the books that few readers have; for the backend.", optional=True),
        Field("diversity", Number(0), "How strongly near-duplicates move down in a list; 0 if absent.", optional=True),
        Field("series", Many(Whole()), "By index, the book's series, 0 for none; there with diversity.", optional=True),
        Field("authors", Many(Whole()), "By index, the first author, 0 for none; there with diversity.", optional=True),
    ),
)

NODES = (
    ENTRY,
    BOOK_COPY,
    CATALOGUE_BOOK,
    PROFILE,
    LIST_ITEM,
    BASED_ON,
    RECOMMENDATION_LIST,
    SHORT_ITEM,
    GENRE_LIST,
    MORE_LISTS,
    SHARED_LIST,
    EXPERIMENT,
    POINTER,
    FILE_ENTRY,
    MANIFEST,
    ITEMS,
)
"""All nodes; each comes after the nodes that it contains."""


def problems(kind: Kind, value: object, where: str = "") -> Iterator[str]:
    """Yield where a JSON value differs from the contract; unknown fields count as differences.

    Clients are more tolerant: they ignore unknown fields. This function is for tests of code against contract.
    """
    if isinstance(kind, Node):
        if not isinstance(value, Mapping):
            yield f"{where or kind.name}: not an object"
            return
        yield from (f"{where}{name}: unknown" for name in value if name not in kind.names)
        for field in kind.fields:
            if field.name in value:
                yield from problems(field.kind, value[field.name], f"{where}{field.name}.")
            elif not field.optional:
                yield f"{where}{field.name}: missing"
    elif isinstance(kind, Many):
        if not isinstance(value, list) or (kind.most is not None and len(value) > kind.most):
            yield f"{where} not a list, or too long"
            return
        for place, element in enumerate(value):
            yield from problems(kind.of, element, f"{where}{place}.")
    elif isinstance(kind, ByName):
        if not isinstance(value, Mapping):
            yield f"{where} not a map"
            return
        for name, element in value.items():
            if re.fullmatch(kind.names, name) is None:
                yield f"{where}{name!r:.80}: the name does not match {kind.names}"
            yield from problems(kind.of, element, f"{where}{name}.")
    elif not _fits(kind, value):
        yield f"{where} {value!r:.80} is not a {kind}"


def _fits(kind: Text | Number | Whole, value: object) -> bool:
    if isinstance(kind, Text):
        return (
            isinstance(value, str)
            and (kind.pattern is None or re.fullmatch(kind.pattern, value) is not None)
            and (not kind.known or value in kind.known)
            and (kind.longest is None or len(value) <= kind.longest)
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(kind, Whole):
        return 0 <= value <= kind.highest and value == int(value)
    low, high = (
        -math.inf if kind.lowest is None else kind.lowest,
        math.inf if kind.highest is None else kind.highest,
    )
    inside = low < value < high if kind.open else low <= value <= high
    return inside and (kind.step is None or value % kind.step == 0)
