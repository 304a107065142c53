"""The data that a run trains on, and the error raised if it cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from bookrec.errors import BadInput

RATING_COLUMNS = ["key", "at", "userId", "isbn", "myRate"]
BOOK_COLUMNS = ["isbn", "title", "authors", "genre", "year", "description"]


class SourceError(BadInput):
    """Input that cannot be read; the message says which, and what to do. It repeats column names at most."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The data that a run trains on.

    Attributes:
        ratings: columns ``RATING_COLUMNS``, the oldest entry first. ``key`` is the entry's key, or an empty text if it
            has none (CSV files); ``at`` is when it was made, by its push key. If read from a database, ``userId`` and
            ``isbn`` are categorical, and no column has one Python object per row.
        books: columns ``BOOK_COLUMNS``, all texts.
        rejected: number of rejected entries and catalogue nodes, by ``entry:reason`` or ``book:reason``.
        source: where it was read from, for the manifest.
        taken: time after which changes may be missing (milliseconds since 1970), if it was not read by this run.
    """

    ratings: pd.DataFrame
    books: pd.DataFrame
    rejected: Mapping[str, int]
    source: str
    taken: int | None = None

    def without(self, user_ids: Collection[str]) -> Snapshot:
        """Return the snapshot without the entries of some readers, which count as rejected."""
        leaves = self.ratings["userId"].isin(list(user_ids))
        if not leaves.any():
            return self
        kept = self.ratings[~leaves].reset_index(drop=True)
        for name in kept.columns[kept.dtypes == "category"]:
            kept[name] = kept[name].cat.remove_unused_categories()
        gone = self.rejected.get(READER_GONE, 0) + int(leaves.sum())
        return replace(self, ratings=kept, rejected={**self.rejected, READER_GONE: gone})


def empty_snapshot(source: str) -> Snapshot:
    """Return a snapshot without an entry or a book."""
    return Snapshot(pd.DataFrame(columns=RATING_COLUMNS), pd.DataFrame(columns=BOOK_COLUMNS), {}, source)


READER_GONE = "entry:reader_gone"
"""The reason for rejecting entries of readers who have left."""
