"""Turns the nodes of ``/archive`` into the books that a model is trained for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from bookrec import paths
from bookrec.catalogue import parse_book, plain_text
from bookrec.errors import BadData
from trainer.data.ingest.snapshot import BOOK_COLUMNS

MAX_LONG_TEXT = 10_000
"""A genre or description is cut to so many characters."""

Row = tuple[str, ...]


class Books:
    """The catalogue, collected node by node in any order.

    Args:
        rejected: counts the rejected nodes, by ``book:reason``.
    """

    def __init__(self, rejected: Counter[str]) -> None:
        self._rejected = rejected
        self._rows: dict[str, tuple[tuple[int, int, bytes], Row]] = {}

    def add(self, nodes: Mapping[str, Any]) -> None:
        """Add some nodes by key. If a book has several nodes, the first by key counts, as in the lists."""
        for key, node in nodes.items():
            try:
                row = _row(node)
            except BadData as problem:
                self._rejected[f"book:{problem.reason}"] += 1
                continue
            keyed = paths.key_order(key), row
            self._rows[row[0]] = min(keyed, self._rows.get(row[0], keyed))

    def and_others(self, sections: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Mapping[str, Any]]:
        """Add the pages of the catalogue among pairs (node, children), and yield the children of other nodes."""
        for node, page in sections:
            if node == paths.ARCHIVE:
                self.add(page)
            else:
                yield page

    def frame(self) -> pd.DataFrame:
        """Return columns ``BOOK_COLUMNS``, sorted by ISBN."""
        return pd.DataFrame(sorted(row for _, row in self._rows.values()), columns=BOOK_COLUMNS)


def _row(node: object) -> Row:
    book = parse_book(node)
    fields = node if isinstance(node, Mapping) else {}
    year = str(book.published_year) if book.published_year else ""
    genre, description = (plain_text(fields.get(name), MAX_LONG_TEXT) for name in ("genre", "description"))
    return (book.isbn, book.title, book.author, genre, year, description)
