"""Where a run's data comes from: the database in pages, an export file, or CSV files."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bookrec import paths
from bookrec.catalogue import parse_book, plain_text
from bookrec.errors import BadData
from bookrec.push_keys import push_time
from bookrec.shelf import sort_out

PAGE_SIZE = 2_000
"""Nodes a read: a page of entries is about 250 kB, a page of catalogue nodes with descriptions about 2 MB."""

MAX_LONG_TEXT = 10_000
"""Longest genre or description that is learned from, in characters."""

RATING_COLUMNS = ["at", "userId", "isbn", "myRate"]
BOOK_COLUMNS = ["isbn", "title", "authors", "genre", "year", "description"]


class SourceError(ValueError):
    """Input that cannot be read; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run trains on.

    Attributes:
        ratings: columns ``RATING_COLUMNS``, the oldest entry first; ``at`` is when it was made, by its push key.
        books: columns ``BOOK_COLUMNS``, all texts.
        refused: how many entries and catalogue nodes were set aside, by ``entry:reason`` or ``book:reason``.
        source: where it was read from, for the manifest.
    """

    ratings: pd.DataFrame
    books: pd.DataFrame
    refused: Mapping[str, int]
    source: str

    def without(self, user_ids: Collection[str]) -> Snapshot:
        """Return the snapshot without the entries of some readers, which count as set aside."""
        leaves = self.ratings["userId"].isin(list(user_ids))
        if not leaves.any():
            return self
        return replace(
            self,
            ratings=self.ratings[~leaves].reset_index(drop=True),
            refused={**self.refused, "entry:reader_gone": int(leaves.sum())},
        )


Pages = Callable[[str, int], Iterator[Mapping[str, Any]]]
"""From a path and a page size to the node's children in key order, some at a time."""


def read_pages(pages: Pages, source: str) -> Snapshot:
    """Return the snapshot of a database that can be read in pages."""
    refused: Counter[str] = Counter()
    rows: list[tuple[str, int, str, str, float]] = []
    for page in pages(paths.USER_BOOK, PAGE_SIZE):
        entries, problems = sort_out(page)
        rows.extend((e.key, push_time(e.key), e.user_id, e.isbn, e.rating) for e in entries)
        refused.update(f"entry:{problem.reason}" for problem in problems.values())
    books: dict[str, tuple[str, ...]] = {}
    for page in pages(paths.ARCHIVE, PAGE_SIZE):
        for key in sorted(page, key=paths.key_order):  # of two nodes for one book the first counts, as in its lists
            try:
                row = _book_row(page[key])
                books.setdefault(row[0], row)
            except BadData as problem:
                refused[f"book:{problem.reason}"] += 1
    return Snapshot(
        pd.DataFrame([row[1:] for row in sorted(rows)], columns=RATING_COLUMNS),
        pd.DataFrame(sorted(books.values()), columns=BOOK_COLUMNS),
        dict(refused),
        source,
    )


def read_export(path: Path) -> Snapshot:
    """Return the snapshot in a database export: one JSON file, or the folder that the Emulator Suite writes.

    Raises:
        SourceError: where there is no such file, or it is no JSON object.
    """
    if path.is_dir():
        found = sorted(path.glob("**/database_export/*.json"))
        if len(found) != 1:
            raise SourceError(f"{path}: expected one file database_export/*.json, found {len(found)}")
        path = found[0]
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as problem:
        raise SourceError(f"{path}: cannot be read as a JSON export of the database ({problem})") from problem
    if not isinstance(tree, Mapping):
        raise SourceError(f"{path}: an export is an object with {paths.USER_BOOK} and {paths.ARCHIVE}")

    def whole_nodes(node: str, page_size: int) -> Iterator[Mapping[str, Any]]:
        children = tree.get(node)
        if isinstance(children, list):  # the service renders small integer keys as an array
            children = {str(place): child for place, child in enumerate(children) if child is not None}
        yield children if isinstance(children, Mapping) else {}

    return read_pages(whole_nodes, f"export {path.name}")


def _book_row(node: object) -> tuple[str, ...]:
    book = parse_book(node)
    fields = node if isinstance(node, Mapping) else {}

    year = str(book.published_year) if book.published_year else ""
    genre, description = (plain_text(fields.get(name), MAX_LONG_TEXT) for name in ("genre", "description"))
    return (book.isbn, book.title, book.author, genre, year, description)


RATINGS: Mapping[str, tuple[str, ...]] = {
    "userId": ("userId", "user_id", "user"),
    "isbn": ("isbn", "book_id", "item"),
    "myRate": ("myRate", "rating", "stars"),
}
BOOKS: Mapping[str, tuple[str, ...]] = {"isbn": ("isbn",)}
"""Needed columns, each with the names that it may have."""


def read_csv(path: Path, needed: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Return a CSV file, all columns as texts (an ISBN is never a number), needed columns under their own names.

    A column ``at`` alone is of integers: milliseconds since 1970, or -1 where it tells no time.

    Raises:
        SourceError: where it cannot be read, is empty, or lacks a column.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            # Without index_col a separator at the end of each row moves all columns by one.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (OSError, ValueError, pd.errors.ParserWarning) as problem:  # pandas' parser errors are ValueErrors
        raise SourceError(f"{path}: cannot be read as CSV ({problem})") from problem
    for column, names in needed.items():
        found = next((name for name in names if name in frame.columns), None)
        if found is None:
            raise SourceError(f"{path}: no column {column}; it has {', '.join(frame.columns)}")
        frame = frame.rename(columns={found: column})
    if frame.empty:
        raise SourceError(f"{path}: no row below the header")
    return frame.assign(at=[_time(text) for text in frame["at"]]) if "at" in frame else frame


def _time(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else -1


def read_files(source: Path, books: Path | None) -> Snapshot:
    """Return the snapshot in an export (a folder or a JSON file) or in a CSV of ratings with a CSV of books.

    Raises:
        SourceError: naming the file and what is wrong with it.
    """
    if source.suffix != ".csv":
        return read_export(source)
    ratings = read_csv(source, RATINGS)
    catalogue = read_csv(books, BOOKS) if books else pd.DataFrame({"isbn": sorted(set(ratings["isbn"]))})
    return Snapshot(ratings, catalogue, {}, f"csv {source.name}")
