"""Where a run's data comes from: the database in pages, an export file, or CSV files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bookrec import paths
from bookrec.catalogue import parse_book
from bookrec.errors import BadData
from bookrec.shelf import sort_out
from trainer.database_export import push_time

PAGE_SIZE = 2_000
"""Nodes a read: a page of entries is about 250 kB, a page of catalogue nodes with descriptions about 2 MB."""

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
        for node in page.values():
            try:
                row = _book_row(node)
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
    except (OSError, ValueError) as problem:
        raise SourceError(f"{path}: cannot be read as a JSON export of the database ({problem})") from problem
    if not isinstance(tree, Mapping):
        raise SourceError(f"{path}: an export is an object with {paths.USER_BOOK} and {paths.ARCHIVE}")

    def whole_nodes(node: str, page_size: int) -> Iterator[Mapping[str, Any]]:
        children = tree.get(node)
        yield children if isinstance(children, Mapping) else {}

    return read_pages(whole_nodes, f"export {path.name}")


def _book_row(node: object) -> tuple[str, ...]:
    book = parse_book(node)
    fields = node if isinstance(node, Mapping) else {}

    def text(name: str) -> str:
        value = fields.get(name)
        return value[:10_000] if isinstance(value, str) else ""

    year = str(book.published_year) if book.published_year else ""
    return (book.isbn, book.title, book.author, text("genre"), year, text("description"))


RATINGS: Mapping[str, tuple[str, ...]] = {
    "userId": ("userId", "user_id", "user"),
    "isbn": ("isbn", "book_id", "item"),
    "myRate": ("myRate", "rating", "stars"),
}
BOOKS: Mapping[str, tuple[str, ...]] = {"isbn": ("isbn",)}
"""Needed columns, each with the names that it may have."""


def read_csv(path: Path, needed: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Return a CSV file, all columns as texts (an ISBN is never a number), needed columns under their own names.

    Raises:
        SourceError: where it cannot be read, is empty, or lacks a column.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as problem:  # pandas' parser errors are ValueErrors
        raise SourceError(f"{path}: cannot be read as CSV ({problem})") from problem
    for column, names in needed.items():
        found = next((name for name in names if name in frame.columns), None)
        if found is None:
            raise SourceError(f"{path}: no column {column}; it has {', '.join(frame.columns)}")
        frame = frame.rename(columns={found: column})
    if frame.empty:
        raise SourceError(f"{path}: no row below the header")
    return frame


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
