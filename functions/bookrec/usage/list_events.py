"""Events of lists for the app's owner: rows that are collected in the database and exported day by day.

A row's id follows from what it says, so an event that comes twice writes the same row. ``docs/events.md`` describes the
fields. Readers appear under the hash of the logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from bookrec import paths
from bookrec.entries import reader_key
from bookrec.life_cycle.experiment import Experiment
from bookrec.reader import Reader
from bookrec.shelf import Shelf
from bookrec.usage.conversions import Conversion

Kind = Literal["made", "shown", "taken", "dismissed"]

FIELDS = (
    "id",
    "event",
    "at",
    "reader",
    "list_id",
    "model_version",
    "experiment",
    "arm",
    "isbns",
    "sources",
    "position",
)

MAX_ROWS = 500_000
"""So many rows are kept until they are exported (about 200 MB); then none are added."""

KEPT_DAYS = 30
"""Rows that nobody has exported for so long are removed."""


def date_of(at_ms: float) -> str:
    """Return the date, UTC, of a time in milliseconds since 1970, such as ``2026-11-29``."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


class Rows:
    """The rows of one reader's write.

    Args:
        date: under which they are collected; "" if they are not.
        experiment: the running one.
    """

    def __init__(self, user_id: str, date: str, experiment: Experiment | None) -> None:
        self._reader, self._date = reader_key(user_id), date
        self._trial = {"experiment": experiment.id, "arm": experiment.arm(user_id)} if experiment else {}
        self.values: dict[str, object] = {}

    def made(self, list_id: str, version: str, items: Mapping[str, str], reader: Reader, at: object) -> None:
        """Add the row of a new list, if it is not the present one.

        Args:
            items: the source of each of its books, in order.
        """
        if list_id != reader.list_id:
            self._add("made", at, list_id, version, list(items), list(items.values()), 1)

    def shown(self, reader: Reader) -> None:
        """Add the row of the present list, which was shown."""
        isbns = [str(isbn) for isbn in reader.isbns]
        self._add("shown", reader.showing.at, reader.list_id, str(reader.version), isbns, reader.sources, 1)

    def taken(self, reader: Reader, outcome: Conversion, at: object) -> None:
        """Add a row for each book that was taken from the present list."""
        for key, hit in outcome.hits.items():
            isbn = str(reader.isbns[hit.position - 1])
            self._of_one("taken", at, reader, isbn, hit.source, hit.position, key)

    def dismissed(self, reader: Reader, shelf: Shelf) -> None:
        """Add a row for each book of the present list that was dismissed since."""
        for position, (isbn, source) in enumerate(zip(reader.isbns, reader.sources, strict=True), 1):
            if isbn in shelf.dismissed:
                at = reader.dismissals.at.get(paths.book_key(str(isbn)), 0)
                self._of_one("dismissed", at, reader, str(isbn), source, position)

    def _of_one(
        self, kind: Kind, at: object, reader: Reader, isbn: str, source: str, position: int, entry: str = ""
    ) -> None:
        part = entry or paths.book_key(isbn)
        self._add(kind, at, reader.list_id, str(reader.version), [isbn], [source], position, part)

    def _add(
        self,
        kind: Kind,
        at: object,
        list_id: str,
        version: str,
        isbns: Sequence[str],
        sources: Sequence[str],
        position: int,
        part: str = "",
    ) -> None:
        if not self._date:
            return
        name = "-".join(filter(None, (self._reader, kind, list_id, part)))
        self.values[f"{paths.EVENTS}/{self._date}/{name}"] = {
            "event": kind,
            "at": at,
            "reader": self._reader,
            "list_id": list_id,
            "model_version": version,
            **self._trial,
            "isbns": list(isbns),
            "sources": list(sources),
            "position": position,
        }


def read_row(key: str, node: object) -> dict[str, Any] | None:
    """Return a row from its node in the database, with all ``FIELDS``; None if it is malformed."""
    fields = paths.children(node)
    row: dict[str, Any] = {"id": key, **{name: fields.get(name) for name in FIELDS[1:]}}
    for name in ("isbns", "sources"):
        row[name] = [str(value) for value in paths.children(row[name]).values()]
    texts = all(isinstance(row[name], str) for name in ("event", "reader", "list_id", "model_version"))
    numbers = all(isinstance(row[name], int) and not isinstance(row[name], bool) for name in ("at", "position"))
    optional = all(row[name] is None or isinstance(row[name], str) for name in ("experiment", "arm"))
    return row if texts and numbers and optional and len(row["isbns"]) == len(row["sources"]) else None


def counts(values: Mapping[str, object]) -> dict[str, int]:
    """Return the number of rows in a write, by date."""
    numbers: dict[str, int] = {}
    for path in values:
        if path.startswith(f"{paths.EVENTS}/"):
            date = path.split("/")[2]
            numbers[date] = numbers.get(date, 0) + 1
    return numbers
