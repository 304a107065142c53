"""Exploration: the last place of a list is for a book that few readers have, so that such books are seen at all.

The reader and the day decide which book: a list that is made again on the same day has the same one, and over readers
and days each book has the same chance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bookrec.catalogue import Catalogue
from bookrec.ranking import LIST_SIZE, Candidate, RecommendationList, is_allowed

DAY_MS = 86_400_000

TRIES = 20
"""How many books are drawn at most for one that the list may contain; without one, the list stays as it is."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """Who explores, and when.

    Attributes:
        share: of the readers, 0 to 1; 0 is off.
        day: days since 1970, UTC.
    """

    share: float = 0.0
    day: int = 0

    def is_for(self, user_id: str) -> bool:
        """Return whether a reader explores: the same on all days; readers who do with one share do with a greater."""
        return self.share > 0 and _number(f"explores:{user_id}") / 2**64 < self.share


OFF = Exploration()
"""Nobody explores."""


def day_of(at_ms: float) -> int:
    """Return the day, UTC, of a time in milliseconds since 1970."""
    return int(at_ms // DAY_MS)


def explored(
    made: RecommendationList, rare: Sequence[str], day: int, catalogue: Catalogue, rate: Callable[[str], float | None]
) -> RecommendationList:
    """Return a list with a book that few have in its last place; a list that is not full stays as it is.

    Args:
        made: the list.
        rare: the books that few have, in an order that is the same for all readers.
        day: seeds the draw, with the reader.
        catalogue: what a list may contain.
        rate: returns a book's predicted rating, or None if there is none.
    """
    if len(made.items) < LIST_SIZE or not rare:
        return made
    kept, last = made.items[:-1], made.items[-1]
    for attempt in range(TRIES):
        isbn = rare[_number(f"{day}:{attempt}:{made.shelf.user_id}") % len(rare)]
        if is_allowed(made.shelf, [*(item.isbn for item in kept), isbn], catalogue):
            return replace(made, items=(*kept, Candidate(isbn, last.score, rate(isbn), "exploration")))
    return made


def _number(text: str) -> int:
    """Return a whole number below 2^64 that looks random, and is always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8])
