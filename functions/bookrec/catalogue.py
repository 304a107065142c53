"""The catalogue ``/archive``: the books that the app can show."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from bookrec import paths
from bookrec.entries import parse_isbn
from bookrec.errors import BadData

MAX_TEXT = 1_000
"""Longest title, author or image address that is copied into a list, in characters."""

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
    """The books of ``/archive`` by ISBN. A duplicate ISBN keeps the node with the smallest key."""

    def __init__(self, books: Iterable[Book | _Unread]) -> None:
        self._books: dict[str, Book | _Unread] = {}
        self._editions: dict[str, tuple[str, str] | None] = {}
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
        return tuple(sorted(self._books, key=lambda isbn: (-self[isbn].published_year, isbn)))

    @cached_property
    def best_rated(self) -> tuple[str, ...]:
        """All ISBNs, the catalogue's best average rating first: what is popular if no model is live."""
        return tuple(sorted(self.newest, key=lambda isbn: -self[isbn].average_rating))

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
    return Catalogue(books.values()), rejected


def _unread(value: object) -> _Unread:
    if not isinstance(value, Mapping):
        raise BadData("not_an_object", "a catalogue node is an object with isbn, title, author and image")
    isbn, field = parse_isbn(value.get("isbn")), value.get
    return _Unread(isbn, field("title"), field("author"), field("image"), field("publishedYear"), field("rating"))


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
