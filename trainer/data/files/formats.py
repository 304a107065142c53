"""The columns of ratings and catalogues, by the names that known data sets and programs give them.

The columns of a reader's library, which has a form of its own, are known in any case; so are optional columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

RATINGS: Mapping[str, tuple[str, ...]] = {
    "userId": ("userId", "user_id", "user", "User-ID"),
    "isbn": ("isbn", "book_id", "item", "ISBN"),
    "myRate": ("myRate", "rating", "stars", "Book-Rating"),
}
BOOKS: Mapping[str, tuple[str, ...]] = {"isbn": ("isbn", "ISBN")}
"""Required columns, each with the names that it may have."""

BOOK_NAMES: Mapping[str, tuple[str, ...]] = {
    "title": ("Title", "Book-Title"),
    "authors": ("author", "Authors", "Author", "Book-Author"),
    "year": (
        "original_publication_year",
        "publishedYear",
        "Original Publication Year",
        "Year Published",
        "Year-Of-Publication",
    ),
    "average_rating": ("Average Rating",),
    "genre": (),
    "description": (),
    "image_url": (),
}
"""Other names of a catalogue's optional columns: the first one with a text counts, after the column's own name."""


@dataclass(frozen=True, slots=True)
class Library:
    """One reader's library, as a site exports it: shelf and catalogue in one table, without a reader.

    Attributes:
        site: where it comes from.
        marks: columns that no other table has.
        ratings: as ``RATINGS``.
        isbns: columns that may hold the ISBN; the first usable one counts.
        times: columns that may hold the day on which the book was put on the shelf.
    """

    site: str
    marks: frozenset[str]
    ratings: Mapping[str, tuple[str, ...]]
    isbns: tuple[str, ...]
    times: tuple[str, ...]


LIBRARIES = (
    Library(
        "Goodreads",
        frozenset({"Title", "ISBN13", "My Rating"}),
        {"userId": (), "isbn": ("ISBN",), "myRate": ("My Rating",)},
        ("isbn", "ISBN13"),
        ("Date Added", "Date Read"),
    ),
    Library(
        "StoryGraph",
        frozenset({"Title", "ISBN/UID", "Star Rating"}),
        {"userId": (), "isbn": ("ISBN/UID",), "myRate": ("Star Rating",)},
        ("isbn",),
        ("Date Added", "Last Date Read"),
    ),
)

MARKS: Mapping[str, tuple[str, ...]] = {
    name: (*names, *(other for library in LIBRARIES for other in library.ratings[name]))
    for name, names in RATINGS.items()
}
"""Names by which a table of ratings is known, in whichever format."""


def column_of(columns: Collection[str], names: Iterable[str]) -> str | None:
    """Return the first of some names among a table's columns, as it is written there; one in the same case is first."""
    names = tuple(names)
    if (same := next((name for name in names if name in columns), None)) is not None:
        return same
    folded = {column.casefold(): column for column in reversed(tuple(columns))}
    return next((folded[name.casefold()] for name in names if name.casefold() in folded), None)


def library_of(columns: Collection[str]) -> Library | None:
    """Return the library whose columns these are, or None."""
    return next((each for each in LIBRARIES if all(column_of(columns, (mark,)) for mark in each.marks)), None)
