"""What a file held, what was mended in it, and what was dropped: for people, and as JSON."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MANY = 0.1
"""If more than this share of the rows is dropped, that is a warning."""

EXAMPLES = 3

MATCH = "--match-isbns"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """The result of reading a table of ratings and its catalogue.

    Attributes:
        name: of the file of ratings.
        rows: number of rows in it.
        mended: number of repaired cells, by what was repaired (``mending.MENDED``).
        dropped: number of rows that are not used, by reason; those of the catalogue as ``book:REASON``.
        first: by reason, the number of the first such row's line in the file, and what is wrong with it.
        has_catalogue: whether there are titles at all.
        untitled: the books on shelves for which the catalogue has no title.
        otherwise: by ISBN as given, the spelling of the same book in the catalogue.
        is_matched: whether the books in ``otherwise`` were mapped onto the catalogue's spelling.
        is_table: whether ``--match-isbns`` can map them; in a database, they have to be written otherwise.
        notes: what else a person should know.
    """

    name: str
    rows: int = 0
    mended: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, str]] = field(default_factory=dict)
    has_catalogue: bool = False
    untitled: Sequence[str] = ()
    otherwise: Mapping[str, str] = field(default_factory=dict)
    is_matched: bool = False
    is_table: bool = True
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, number: int, line: int, message: str) -> None:
        """Count dropped rows, the first of which is in ``line``."""
        if number:
            self.dropped[reason] += number
            self.first[reason] = min(self.first.get(reason, (line, message)), (line, message))

    def warnings(self) -> Iterator[str]:
        """Yield what may be wrong with the result, one sentence each."""
        lost = sum(number for reason, number in self.dropped.items() if not reason.startswith("book:"))
        if lost > MANY * self.rows:
            yield f"{self.name}: {lost} of {self.rows} rows are dropped: {self.reasons()}"
        if self.otherwise and not self.is_matched:
            yield (
                f"{self.name}: the same book, spelt otherwise in the catalogue, is on shelves ({len(self.otherwise)} "
                f"ISBNs: {self._spellings()})"
                + (f"; {MATCH} maps them onto the catalogue's spelling" if self.is_table else "")
            )
        if self.untitled:
            why = (
                f"({len(self.untitled)} ISBNs: {', '.join(self.untitled[:EXAMPLES])}{self._more(self.untitled)})"
                if self.has_catalogue
                else f"({len(self.untitled)} ISBNs), because no catalogue was given: give it with --books"
            )
            yield f"{self.name}: books on shelves have no title in the catalogue {why}"
        yield from (f"{self.name}: {note}" for note in self.notes)

    def told(self) -> Iterator[str]:
        """Yield what was changed and is as it should be, one sentence each."""
        if self.mended:
            yield f"{self.name}: mended: {_counts(self.mended)}"
        if self.otherwise and self.is_matched:
            yield (f"{self.name}: {len(self.otherwise)} books are spelt as in the catalogue now: {self._spellings()}")

    def reasons(self) -> str:
        """Return the reasons for dropping rows, the most frequent first, each with its first line."""
        return "; ".join(
            f"{reason} {number} (line {self.first[reason][0]}: {self.first[reason][1]})"
            if reason in self.first
            else f"{reason} {number}"
            for reason, number in self.dropped.most_common()
        )

    def log(self) -> None:
        """Write everything to the log, warnings as such."""
        for line in self.told():
            log.info("%s", line)
        for line in self.warnings():
            log.warning("%s", line)

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        examples = dict(list(self.otherwise.items())[:EXAMPLES])
        return {
            "rows": self.rows,
            "mended": dict(self.mended),
            "dropped": dict(self.dropped),
            "untitled": {"books": len(self.untitled), "examples": list(self.untitled[:EXAMPLES])},
            "speltOtherwise": {"books": len(self.otherwise), "mapped": self.is_matched, "examples": examples},
            "warnings": list(self.warnings()),
        }

    def _spellings(self) -> str:
        examples = [f"{given} is {own}" for given, own in list(self.otherwise.items())[:EXAMPLES]]
        return ", ".join(examples) + self._more(self.otherwise)

    @staticmethod
    def _more(books: Sequence[str] | Mapping[str, str]) -> str:
        return ", …" if len(books) > EXAMPLES else ""


def _counts(numbers: Counter[str]) -> str:
    return ", ".join(f"{what} {number}" for what, number in sorted(numbers.items()))
