"""Lists that all readers share: what is shelved more than before, and what is new in the catalogue."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bookrec import paths
from bookrec.catalogue import Catalogue
from bookrec.entries import Entry
from bookrec.further.sizes import MOST_SHARED
from bookrec.push_keys import push_time
from bookrec.ranking import Candidate, Source, first_allowed, short_item
from bookrec.shelf import Shelf

DAY_MS = 86_400_000

SMOOTHING = 5
"""Readers: it keeps books that hardly anybody had shelved before from being first because of a few."""

MOST_IN_A_WEEK = 30
"""A reader who shelves more books a week, on average over one of the two times, is importing a shelf. Such an import
says nothing about that time, so none of its books count there."""

Counts = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Trend:
    """What makes a book trend.

    Attributes:
        days: how long the recent time is.
        days_before: how long the time before it is, with which it is compared.
        readers: at least so many readers shelved the book in the recent time, so that no single one shows through.
        size: how many books a shared list has at most.
    """

    days: int = 7
    days_before: int = 28
    readers: int = 5
    size: int = MOST_SHARED


@dataclass(slots=True)
class Shelved:
    """How many readers shelved each book of the catalogue in the recent time, and before it.

    The memory is bounded by the catalogue.

    Attributes:
        at_ms: the end of the recent time, milliseconds since 1970.
        books: by ISBN.
        changed: the ISBNs counted since this was last emptied.
    """

    trend: Trend
    at_ms: int
    books: dict[str, Counts] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def add(self, entries: Iterable[Entry], catalogue: Catalogue) -> None:
        """Count the entries on some whole shelves. A reader counts once for a book: when it was shelved first."""
        first: dict[str, dict[str, int]] = {}
        for entry in entries:
            at, own = push_time(entry.key), first.setdefault(entry.user_id, {})
            own[entry.isbn] = min(at, own.get(entry.isbn, at))
        for own in first.values():
            for place, isbns in enumerate(self._by_time(own)):
                most = MOST_IN_A_WEEK * (self.trend.days, self.trend.days_before)[place] / 7
                for isbn in isbns if len(isbns) <= most else ():
                    if isbn in catalogue:
                        recent, before = self.books.get(isbn, (0, 0))
                        self.books[isbn] = (recent + (place == 0), before + (place == 1))
                        self.changed.add(isbn)

    def _by_time(self, first: Mapping[str, int]) -> tuple[list[str], list[str]]:
        """Return a reader's books of the recent time, and those of the time before it."""
        begin = self.at_ms - self.trend.days * DAY_MS
        earliest = begin - self.trend.days_before * DAY_MS
        recent = [isbn for isbn, at in first.items() if begin <= at <= self.at_ms]
        return recent, [isbn for isbn, at in first.items() if earliest <= at < begin]

    def trending(self) -> list[str]:
        """Return the books that are shelved more than before, the strongest first.

        With r readers in the recent time and p in the time before, e = p · days / days_before are expected. The
        strength is (r − e) / √(e + ``SMOOTHING``): how unusual r is for a Poisson distribution with mean e, smoothed.
        Books with fewer than ``Trend.readers`` recent readers are left out.
        """
        share = self.trend.days / self.trend.days_before
        strength = {
            isbn: (recent - before * share) / math.sqrt(before * share + SMOOTHING)
            for isbn, (recent, before) in self.books.items()
            if recent >= self.trend.readers and recent > before * share
        }
        return sorted(strength, key=lambda isbn: (-strength[isbn], -self.books[isbn][0], isbn))

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        books = {paths.book_key(isbn): list(counts) for isbn, counts in self.books.items()}
        return {"at": self.at_ms, "books": books}


def read_shelved(node: object, trend: Trend) -> Shelved | None:
    """Return the counts in a database node from ``Shelved.to_node``, or None if there are none."""
    fields = paths.children(node)
    at = paths.whole(fields.get("at"))
    if not at:
        return None
    rows = {paths.isbn_of(key): paths.children(row) for key, row in paths.children(fields.get("books")).items()}
    books = {isbn: (paths.whole(row.get("0")), paths.whole(row.get("1"))) for isbn, row in rows.items()}
    return Shelved(trend, at, books)


def shared_items(isbns: Iterable[str], source: Source, size: int, catalogue: Catalogue) -> list[dict[str, object]]:
    """Return the first books of a shared list as its items: each is in the catalogue, no two are editions of one."""
    candidates = (Candidate(isbn, 0.0, None, source) for isbn in isbns)
    return [short_item(item, catalogue) for item in first_allowed(Shelf("", ()), candidates, catalogue, size)]
