"""The columns of ratings and catalogues, by the names that known data sets and programs give them."""

from __future__ import annotations

from collections.abc import Mapping
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
}
"""Other names of a catalogue's optional columns: the first one with a text counts, after the column's own name."""


@dataclass(frozen=True, slots=True)
class Library:
    """One reader's library, as a site exports it: shelf and catalogue in one table, without a reader.

    Attributes:
        site: where it comes from.
        marks: columns that no other table has.
        ratings: as ``RATINGS``.
        isbns: columns that may hold the ISBN; the first one with a text counts.
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


def library_of(columns: frozenset[str]) -> Library | None:
    """Return the library whose columns these are, or None."""
    return next((library for library in LIBRARIES if library.marks <= columns), None)
