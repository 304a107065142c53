"""Sources of a run's data: the database in pages, a backup or an export of it, or tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bookrec import paths
from trainer.data.dataset import clean
from trainer.data.files.formats import BOOKS, RATINGS
from trainer.data.files.reading import AS_IT_IS, How, is_table, read_tables, untitled
from trainer.data.files.report import Report
from trainer.data.files.spelling import spelt_otherwise
from trainer.data.ingest import rows
from trainer.data.ingest.backup import sections, time_of_backup
from trainer.data.ingest.books import Books
from trainer.data.ingest.folders import SCHEME, open_file
from trainer.data.ingest.pages import PAGE_SIZE, Nodes, Reading, parallel_pages
from trainer.data.ingest.snapshot import BOOK_COLUMNS, RATING_COLUMNS, Snapshot, SourceError

__all__ = [
    "BOOKS", "BOOK_COLUMNS", "PAGE_SIZE", "RATINGS", "RATING_COLUMNS", "Pages", "Snapshot", "SourceError",
    "Usable", "apart", "newest_apart", "read_database", "read_export", "read_files", "read_pages", "read_usable",
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
        rejected = {f"entry:{reason}": number for reason, number in tables.left_out.items()}
        return Snapshot(tables.ratings.assign(key=""), catalogue, rejected, f"csv {Path(source).name}")
    snapshot = read_export(source)
    report = report_of(snapshot, Path(source).name)
    if snapshot.ratings.empty:
        raise SourceError(f"{source}: no usable entry in it; rejected: {report.reasons() or 'none'}")
    report.log()
    return snapshot


@dataclass(frozen=True, slots=True)
class Usable:
    """The usable rows of a source.

    Attributes:
        rows: as ``dataset.clean`` returns them.
        books: the catalogue, or None.
        dropped: number of other rows by reason.
    """

    rows: pd.DataFrame
    books: pd.DataFrame | None
    dropped: Mapping[str, int]


def read_usable(source: Path | str, books: Path | None, how: How = AS_IT_IS) -> Usable:
    """Return the usable rows of what ``read_files`` reads, in which nothing is rejected that ``how`` lets pass.

    Raises:
        SourceError: as ``read_files`` does.
    """
    if is_table(source):
        tables = read_tables(source, books, how)
        tables.report.log()
        return Usable(tables.usable, tables.books, tables.dropped)
    snapshot = read_files(source, books, how)
    rows, dropped = clean(snapshot.ratings, foreign=how.foreign)
    rejected = {reason.removeprefix("entry:"): number for reason, number in snapshot.rejected.items()}
    return Usable(rows, snapshot.books, {**rejected, **dropped})


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
