"""Sources of a run's data: the database in pages, a backup or an export of it, or CSV files."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bookrec import paths
from trainer.data.ingest import rows
from trainer.data.ingest.backup import sections, time_of_backup
from trainer.data.ingest.books import Books
from trainer.data.ingest.folders import SCHEME, open_file
from trainer.data.ingest.pages import PAGE_SIZE, Nodes, Reading, parallel_pages
from trainer.data.ingest.snapshot import BOOK_COLUMNS, RATING_COLUMNS, Snapshot, SourceError

__all__ = [
    "BOOKS", "BOOK_COLUMNS", "PAGE_SIZE", "RATINGS", "RATING_COLUMNS", "Pages", "Snapshot", "SourceError",
    "newest_apart", "read_csv", "read_database", "read_export", "read_files", "read_pages",
]  # fmt: skip

Pages = Callable[[str, int], Iterator[Mapping[str, Any]]]
"""Yields the children of a node, given its path and a page size."""


def read_pages(pages: Pages, source: str) -> Snapshot:
    """Return the snapshot of a database that is read in pages, in any order."""
    sections = ((node, page) for node in (paths.USER_BOOK, paths.ARCHIVE) for page in pages(node, PAGE_SIZE))
    return _snapshot(sections, source)


def read_database(database: Nodes, how: Reading | None = None) -> Snapshot:
    """Return the snapshot of the whole database, read concurrently.

    Raises:
        ReadError: if a page fails too often.
    """
    return read_pages(lambda path, size: parallel_pages(database, path, size, how), "database")


def read_export(source: Path | str) -> Snapshot:
    """Return the snapshot in an export or a backup of the database, gzipped or not.

    Args:
        source: a JSON file, a folder that the Emulator Suite wrote, or an object ``gs://BUCKET/NAME``.

    Raises:
        SourceError: if there is no such file, or it is damaged or not a database.
    """
    name = str(source)
    if not name.startswith(SCHEME) and Path(name).is_dir():
        files = sorted(Path(name).glob("**/database_export/*.json"))
        if len(files) != 1:
            raise SourceError(f"{name}: expected one file database_export/*.json, found {len(files)}")
        name = str(files[0])
    with open_file(name) as file:
        snapshot = _snapshot(sections(file, name), f"export {name.rpartition('/')[2]}")
    return replace(snapshot, taken=time_of_backup(name))


def _snapshot(sections: Iterable[tuple[str, Mapping[str, Any]]], source: str) -> Snapshot:
    rejected: Counter[str] = Counter()
    books = Books(rejected)
    ratings = rows.table(rows.batches(books.and_others(sections), rejected), rejected)
    return Snapshot(ratings, books.frame(), dict(rejected), source)


RATINGS: Mapping[str, tuple[str, ...]] = {
    "userId": ("userId", "user_id", "user"),
    "isbn": ("isbn", "book_id", "item"),
    "myRate": ("myRate", "rating", "stars"),
}
BOOKS: Mapping[str, tuple[str, ...]] = {"isbn": ("isbn",)}
"""Required columns, each with the names that it may have."""


def read_csv(path: Path, needed: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Return a CSV file with all columns as texts (an ISBN is never a number), required columns under their own names.

    Only a column ``at`` holds integers: milliseconds since 1970, or -1 if the text is not a time.

    Raises:
        SourceError: if the file cannot be read, is empty, or lacks a column.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            # Without index_col, a separator at the end of each row shifts all columns by one.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (OSError, ValueError, pd.errors.ParserWarning) as problem:  # pandas' parser errors are ValueErrors
        raise SourceError(f"{path}: cannot be read as CSV ({problem})") from problem
    for column, names in needed.items():
        present = next((name for name in names if name in frame.columns), None)
        if present is None:
            raise SourceError(f"{path}: no column {column}; it has {', '.join(frame.columns)}")
        frame = frame.rename(columns={present: column})
    if frame.empty:
        raise SourceError(f"{path}: no row below the header")
    return frame.assign(at=[_time(text) for text in frame["at"]]) if "at" in frame else frame


def _time(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else -1


def read_files(source: Path | str, books: Path | None) -> Snapshot:
    """Return the snapshot in a backup or an export (as ``read_export``), or in CSV files of ratings and books.

    Raises:
        SourceError: naming the file and what is wrong with it.
    """
    path = Path(source)
    if path.suffix != ".csv":
        return read_export(source)
    ratings = read_csv(path, RATINGS)
    catalogue = read_csv(books, BOOKS) if books else pd.DataFrame({"isbn": sorted(set(ratings["isbn"]))})
    return Snapshot(ratings.assign(key=""), catalogue, {}, f"csv {path.name}")


def newest_apart(ratings: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a snapshot's entries without each reader's newest fifth, and that fifth.

    A reader with fewer than five entries keeps them all.
    """
    shelves = ratings.groupby("userId", observed=True)["at"]
    held = shelves.cumcount(ascending=False) < shelves.transform("size") // 5
    train, test = ratings[~held].reset_index(drop=True), ratings[held].reset_index(drop=True)
    return train, test.astype({"userId": object, "isbn": object})
