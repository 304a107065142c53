"""Sources of a run's data: the database in pages, a backup or an export of it, or tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bookrec import paths
from trainer.data.files.formats import BOOKS, RATINGS
from trainer.data.files.mending import LOST_DIGITS
from trainer.data.files.reading import AS_IT_IS, How, is_table, read_tables, time_of, untitled
from trainer.data.files.report import Report
from trainer.data.files.spelling import spelt_otherwise
from trainer.data.files.table import Needed, read_table
from trainer.data.ingest import rows
from trainer.data.ingest.backup import sections, time_of_backup
from trainer.data.ingest.books import Books
from trainer.data.ingest.folders import SCHEME, open_file
from trainer.data.ingest.pages import PAGE_SIZE, Nodes, Reading, parallel_pages
from trainer.data.ingest.snapshot import BOOK_COLUMNS, RATING_COLUMNS, Snapshot, SourceError

__all__ = [
    "BOOKS", "BOOK_COLUMNS", "PAGE_SIZE", "RATINGS", "RATING_COLUMNS", "Pages", "Snapshot", "SourceError",
    "apart", "newest_apart", "read_csv", "read_database", "read_export", "read_files", "read_pages",
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
        others = (path for path in Path(name).glob("**/database_export/*") if not path.name.startswith("."))
        files = sorted(path for path in others if path.suffix.lower() == ".json")
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


def read_csv(path: Path | str, needed: Needed) -> pd.DataFrame:
    """Return a table as ``files.table.read_table`` does; a column ``at`` holds integers, as ``files.reading`` has it.

    Raises:
        SourceError: if the file cannot be read, is empty, or lacks a column.
    """
    frame = read_table(path, needed)
    return frame.assign(at=[time_of(text) for text in frame["at"]]) if "at" in frame else frame


def read_files(source: Path | str, books: Path | None, how: How = AS_IT_IS) -> Snapshot:
    """Return the snapshot in a backup or an export (as ``read_export``), or in tables of ratings and books.

    What was mended and dropped goes to the log.

    Raises:
        SourceError: naming the file and what is wrong with it; also if there is nothing usable in it.
    """
    if is_table(source):
        tables = read_tables(source, books, how)
        tables.report.log()
        catalogue = tables.books
        if catalogue is None:
            catalogue = pd.DataFrame({"isbn": sorted(set(tables.usable["isbn"]))})
        catalogue = catalogue.reset_index(drop=True)
        lost = tables.report.dropped[LOST_DIGITS]
        rejected = {f"entry:{LOST_DIGITS}": lost} if lost else {}
        return Snapshot(tables.ratings.assign(key=""), catalogue, rejected, f"csv {Path(source).name}")
    snapshot = read_export(source)
    report = report_of(snapshot, Path(source).name)
    if snapshot.ratings.empty:
        raise SourceError(f"{source}: no usable entry in it; rejected: {report.reasons() or 'none'}")
    report.log()
    return snapshot


def report_of(snapshot: Snapshot, name: str) -> Report:
    """Return what was rejected in a snapshot of a database, and which of its books have no title."""
    entries = {reason.removeprefix("entry:"): number for reason, number in snapshot.rejected.items()}
    isbns = snapshot.ratings["isbn"].unique()
    return Report(
        name,
        rows=len(snapshot.ratings) + sum(n for reason, n in entries.items() if not reason.startswith("book:")),
        dropped=Counter(entries),
        has_catalogue=True,
        untitled=untitled(isbns, snapshot.books),
        otherwise=spelt_otherwise(isbns, snapshot.books["isbn"]),
        is_table=False,
    )


def newest_apart(ratings: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a snapshot's entries without each reader's newest fifth, and that fifth.

    A reader with fewer than five entries keeps them all.
    """
    shelves = ratings.groupby("userId", observed=True)["at"]
    held = shelves.cumcount(ascending=False) < shelves.transform("size") // 5
    train, test = ratings[~held].reset_index(drop=True), ratings[held].reset_index(drop=True)
    return train, test.astype({"userId": object, "isbn": object})


def apart(ratings: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return entries without a fifth of each reader's, and that fifth: the newest, or a random one without times.

    Args:
        ratings: columns ``userId``, ``isbn`` and ``at`` (-1: unknown, older than all others), and more.
        seed: of the random fifth.

    Raises:
        SourceError: if no reader has five entries.
    """
    if (ratings["at"] >= 0).any():
        train, test = newest_apart(ratings.sort_values("at", kind="stable"))
    else:
        order = np.random.default_rng(seed).permutation(len(ratings))
        train, test = newest_apart(ratings.iloc[order])
    if test.empty:
        raise SourceError(
            "no reader has five entries, so nothing can be held out: give more data, or --train and --test"
        )
    return train, test
