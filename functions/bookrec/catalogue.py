"""The catalogue ``/archive``: the books that the app can show."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from bookrec import paths
from bookrec.entries import parse_isbn
from bookrec.errors import BadData
from bookrec.life_cycle.ranges import CLOCKS_MS
from bookrec.push_keys import push_time

MAX_TEXT = 1_000
"""Longest title, author or image address that is copied into a list, in characters."""

MAX_GENRE, MAX_GENRES = 60, 5
"""Longest name of a genre that is shown, in characters; genres of a book that count."""

MAX_YEAR = 2100
"""A later year is an error, or means "unknown" (9999): it does not make a book the newest of all."""

MAX_RATING = 5.0

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER = re.compile(r"\s*([0-9]{1,4}(?:\.[0-9]+)?)(?![\w.,]*\w)")
_MAX_NUMBER = 32
_WORDS = re.compile(r"\w+")
_SERIES = re.compile(r"\s*\([^()]*#[^()]*\)\s*$")


@dataclass(frozen=True, slots=True)
class Book:
    """What a list shows of a catalogue node, and what orders books that nobody has rated."""

    isbn: str
    title: str
    author: str
    image: str
    published_year: int = 0
    average_rating: float = 0.0

    @property
    def shown(self) -> tuple[str, str, str]:
        """What an item of a list copies: title, author and image."""
        return self.title, self.author, self.image

    @property
    def edition(self) -> tuple[str, str] | None:
        """What two editions of one book share, or None if the title or the author is missing."""
        title = _normalise(_SERIES.sub("", self.title))
        author = _normalise(self.author.split(",")[0])
        return (title, author) if title and author else None


class _Unread(NamedTuple):
    """A node's fields, not parsed yet: most books of a catalogue are on no list that an instance makes."""

    isbn: str
    title: object
    author: object
    image: object
    year: object
    rating: object

    def read(self) -> Book:
        """Return the book; a field that is missing or wrong is empty, or 0."""
        return Book(
            isbn=self.isbn,
            title=plain_text(self.title),
            author=plain_text(self.author),
            image=plain_text(self.image),
            published_year=int(_number(self.year, MAX_YEAR)),
            average_rating=_number(self.rating, MAX_RATING),
        )


class Catalogue:
    """The books of ``/archive`` by ISBN. A duplicate ISBN keeps the node with the smallest key.

    Args:
        genres: the nodes' genres by ISBN, as they are.
        keys: the nodes' keys by ISBN; those that are push keys say when a book came into the catalogue.
    """

    def __init__(
        self,
        books: Iterable[Book | _Unread],
        genres: Mapping[str, object] | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        self._genres, self._keys = genres or {}, keys or {}
        self._books: dict[str, Book | _Unread] = {}
        self._editions: dict[str, tuple[str, str] | None] = {}
        self._genres_of: dict[str, tuple[str, ...]] = {}
        self._of_genre: dict[str, tuple[str, ...]] = {}
        for book in books:
            self._books.setdefault(book.isbn, book)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what decides which books may be shown together: 20 hex digits of a SHA-256 of ISBNs and editions.

        It hashes titles and authors as they are, since only few of a large catalogue have to be parsed otherwise.
        """
        digest = hashlib.sha256()
        for isbn in sorted(self._books):
            book = self._books[isbn]
            digest.update(json.dumps([isbn, plain_text(book.title), plain_text(book.author)]).encode())
        return digest.hexdigest()[:20]

    @cached_property
    def newest(self) -> tuple[str, ...]:
        """All ISBNs, the newest book first, then by ISBN."""
        return tuple(sorted(self._books, key=self._by_age))

    @cached_property
    def best_rated(self) -> tuple[str, ...]:
        """All ISBNs, the catalogue's best average rating first: what is popular if no model is live."""
        return tuple(sorted(self.newest, key=lambda isbn: -self[isbn].average_rating))

    @cached_property
    def well_rated(self) -> tuple[str, ...]:
        """Those of ``best_rated`` that have a rating."""
        return tuple(isbn for isbn in self.best_rated if self[isbn].average_rating > 0)

    def latest(self, now_ms: int) -> tuple[str, ...]:
        """Return all ISBNs, the one that came into the catalogue last first, then as ``newest``.

        A later time than now, as the ids of other systems seem to have, is not one.
        """
        times = {isbn: push_time(self._keys.get(isbn, "")) for isbn in self._books}
        return tuple(sorted(self.newest, key=lambda isbn: -times[isbn] if times[isbn] <= now_ms + CLOCKS_MS else 1))

    @cached_property
    def genre_sizes(self) -> Mapping[str, int]:
        """The number of books of each genre, by the genre's key."""
        return {genre: len(isbns) for genre, isbns in self._by_genre[0].items()}

    @cached_property
    def _by_genre(self) -> tuple[Mapping[str, list[str]], Mapping[str, str]]:
        """The ISBNs and the name of each genre.

        In one pass: a pass a genre would take long if there are thousands of genres.
        """
        books: dict[str, list[str]] = {}
        spellings: dict[str, Counter[str]] = {}
        for isbn in self._books:
            for genre, name in parse_genres(self._genres.get(isbn)):
                books.setdefault(genre, []).append(isbn)
                spellings.setdefault(genre, Counter())[name] += 1
        return books, {key: min(names, key=lambda name: (-names[name], name)) for key, names in spellings.items()}

    def genres(self, isbn: str) -> tuple[str, ...]:
        """Return the keys of the genres of one of the books; they are parsed once."""
        if isbn not in self._genres_of:
            self._genres_of[isbn] = tuple(key for key, _ in parse_genres(self._genres.get(isbn)))
        return self._genres_of[isbn]

    def genre_name(self, genre: str) -> str:
        """Return a genre's most common spelling."""
        return self._by_genre[1][genre]

    def of_genre(self, genre: str) -> tuple[str, ...]:
        """Return the ISBNs of a genre in the order of ``newest``; they are sorted once."""
        if genre not in self._of_genre:
            self._of_genre[genre] = tuple(sorted(self._by_genre[0].get(genre, ()), key=self._by_age))
        return self._of_genre[genre]

    def _by_age(self, isbn: str) -> tuple[int, str]:
        return -self[isbn].published_year, isbn

    def __len__(self) -> int:
        return len(self._books)

    def __contains__(self, isbn: object) -> bool:
        return isbn in self._books

    def __getitem__(self, isbn: str) -> Book:
        book = self._books[isbn]
        if isinstance(book, _Unread):
            book = self._books[isbn] = book.read()
        return book

    def __iter__(self) -> Iterator[str]:
        return iter(self._books)

    def edition(self, isbn: str) -> tuple[str, str] | None:
        """Return ``Book.edition`` of one of the books; it is computed once."""
        if isbn not in self._editions:
            self._editions[isbn] = self[isbn].edition
        return self._editions[isbn]


def parse_book(value: object) -> Book:
    """Return the book in a catalogue node.

    A node is a book if it has a usable ISBN. Each other field may be missing or wrong; it is then empty, or 0.

    Raises:
        BadData: if the node is not an object or has no usable ISBN.
    """
    return _unread(value).read()


def parse_catalogue(nodes: Mapping[str, object]) -> tuple[Catalogue, dict[str, BadData]]:
    """Return the catalogue in the nodes of ``/archive``, and why each other node was rejected, by key."""
    books: dict[str, _Unread] = {}
    keys: dict[str, str] = {}
    rejected: dict[str, BadData] = {}
    for key, node in nodes.items():
        try:
            book = _unread(node)
        except BadData as problem:
            rejected[key] = problem
            continue
        other = keys.get(book.isbn)
        if other is None or paths.key_order(key) < paths.key_order(other):  # only if two nodes are one book
            books[book.isbn], keys[book.isbn] = book, key
    genres = {isbn: paths.children(nodes[key]).get("genre") for isbn, key in keys.items()}
    return Catalogue(books.values(), genres, keys), rejected


def _unread(value: object) -> _Unread:
    if not isinstance(value, Mapping):
        raise BadData("not_an_object", "a catalogue node is an object with isbn, title, author and image")
    isbn, field = parse_isbn(value.get("isbn")), value.get
    return _Unread(isbn, field("title"), field("author"), field("image"), field("publishedYear"), field("rating"))


def parse_genres(value: object) -> tuple[tuple[str, str], ...]:
    """Return the genres in a field, which separates them by commas, each as its key and its spelling there.

    Two spellings have one key if they differ in case, accents, spaces or punctuation only. The first ``MAX_GENRES``
    count.
    """
    return _genres_in(value[:MAX_TEXT]) if isinstance(value, str) else ()


@lru_cache(maxsize=10_000)  # catalogues have few different ones
def _genres_in(text: str) -> tuple[tuple[str, str], ...]:
    by_key: dict[str, str] = {}
    for part in text.split(","):
        name = " ".join(plain_text(part, MAX_GENRE).split())
        if key := _normalise(name):
            by_key.setdefault(key, name)
        if len(by_key) == MAX_GENRES:  # a field may have hundreds
            break
    return tuple(by_key.items())


def plain_text(value: object, longest: int = MAX_TEXT) -> str:
    """Return a text of the catalogue that can be written and shown, or "" if the value is not a text.

    Control characters and lone surrogates become spaces. A long text is cut to its first ``longest`` characters.
    Markup stays: it is escaped where it is shown.
    """
    if not isinstance(value, str):
        return ""
    text = value[:longest]
    return text if text.isprintable() else _UNPRINTABLE.sub(" ", text)


def _number(value: object, highest: float) -> float:
    """Return the number in a field. All fields are strings; one that does not begin with a number in range gives 0."""
    match = _NUMBER.match(value[:_MAX_NUMBER]) if isinstance(value, str) else None
    number = float(match.group(1)) if match else 0.0
    return number if number <= highest else 0.0


def _normalise(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    return " ".join(_WORDS.findall("".join(c for c in folded if not unicodedata.combining(c))))
