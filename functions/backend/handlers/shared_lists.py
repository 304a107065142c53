"""The lists that all readers share: counted during a sweep, written at its end, if they have changed."""

from __future__ import annotations

from collections.abc import Iterable

from backend.catalogue_cache import CatalogueCache
from backend.ports import TIMESTAMP, Clock, Database
from bookrec import paths
from bookrec.entries import Entry
from bookrec.further.shared import Shelved, Trend, read_shelved, shared_items


class SharedLists:
    """One run's part of the counting.

    Counts are kept in ``/Recommender/trend`` from one run to the next. A page of the sweep writes only those that it
    has changed, with the sweep's place: so a page is counted once, whatever becomes of the run.
    """

    def __init__(self, database: Database, catalogue: CatalogueCache, clock: Clock, trend: Trend) -> None:
        self._database, self._catalogue, self._clock, self._trend = database, catalogue, clock, trend
        self._is_stored = False
        self._shelved = Shelved(trend, 0)

    def begin(self, *, goes_on: bool) -> None:
        """Begin to count, or go on where the last run of the sweep has stopped.

        Cost of going on: some 30 bytes for each book that was shelved in the last weeks.
        """
        page = self._database.page(paths.TREND, "", 2) if goes_on else {}
        stored = read_shelved(page, self._trend)
        self._is_stored = stored is not None
        self._shelved = stored or Shelved(self._trend, self._clock.now_ms())

    def add(self, entries: Iterable[Entry]) -> None:
        """Count the entries on some whole shelves."""
        self._shelved.add(entries, self._catalogue.current())

    def changes(self) -> dict[str, object]:
        """Return what to write with the sweep's place, by path."""
        changed, self._shelved.changed = self._shelved.changed, set()
        if not self._is_stored:
            self._is_stored = True
            return {paths.TREND: self._shelved.to_node()}
        return {f"{paths.TREND}/books/{paths.book_key(isbn)}": list(self._shelved.books[isbn]) for isbn in changed}

    def lists(self) -> dict[str, object]:
        """Return what to write at the end of the sweep, by path.

        Cost: a read of both lists, 10 kB.
        """
        catalogue, size = self._catalogue.current(), self._trend.size
        wanted = {
            "trending": shared_items(self._shelved.trending(), "popular", size, catalogue),
            "newest": shared_items(catalogue.latest(self._clock.now_ms()), "newest", size, catalogue),
        }
        present = self._database.page(paths.SHARED_LISTS, "", len(wanted))
        values: dict[str, object] = {paths.TREND: None}
        for name, items in wanted.items():
            node = paths.children(present.get(name))
            if list(paths.children(node.get("items")).values()) != items:
                values[f"{paths.SHARED_LISTS}/{name}"] = {"generatedAt": TIMESTAMP, "items": items} if items else None
        return values
