"""Reads ratings and their catalogue from files: what ``import``, ``train --source`` and ``evaluate`` have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bookrec import shelf
from bookrec.entries import MAX_RATING
from trainer.data.dataset import sort_out
from trainer.data.files import mending
from trainer.data.files.formats import BOOK_NAMES, BOOKS, MARKS, RATINGS, Library, column_of, library_of
from trainer.data.files.report import Report
from trainer.data.files.spelling import spelt_otherwise
from trainer.data.files.table import column_names, raw_table, read_table, with_columns
from trainer.data.files.text import is_json
from trainer.data.ingest.folders import SCHEME
from trainer.data.ingest.rows import SHELF_FULL
from trainer.data.ingest.snapshot import SourceError

FULL = SHELF_FULL.removeprefix("entry:")
"""The reason for leaving out rows of a reader who has more than count."""

_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_DATABASES = (".json", ".json.gz")
_DATE = re.compile(r"(\d{4})[-/](\d\d?)[-/](\d\d?)(?:[ T].*)?")


@dataclass(frozen=True, slots=True)
class How:
    """How files are read.

    Attributes:
        scale: the highest rating in them, which becomes five stars; None is 5, and another scale is an error.
        matches: whether ISBNs are mapped onto the catalogue's own spelling of the same book.
        user_id: whose library it is, if the file names no readers.
        foreign: the rows go into no database: stars need not be halves, and any text is a reader or a book.
        all_entries: a reader's rows all count, not only the newest ``shelf.MAX_SHELF``.
    """

    scale: float | None = None
    matches: bool = False
    user_id: str = "reader"
    foreign: bool = False
    all_entries: bool = False


AS_IT_IS = How()


@dataclass(frozen=True, slots=True)
class Tables:
    """What files hold.

    Attributes:
        ratings: ``userId``, ``isbn`` and ``myRate`` as texts, and ``at`` (int64, milliseconds since 1970, or -1) if
            the file has times; rows that break the contract are still in it, except those that are left out.
        usable: the usable rows, as ``dataset.clean`` returns them.
        books: the catalogue as texts, or None; the index is the number of a row's first line.
        report: what was mended and dropped; ``usable`` is what is left.
    """

    ratings: pd.DataFrame
    usable: pd.DataFrame
    books: pd.DataFrame | None
    report: Report

    @property
    def left_out(self) -> Mapping[str, int]:
        """The number of rows that are not in ``ratings``, by reason."""
        dropped = self.report.dropped
        return {reason: dropped[reason] for reason in (mending.LOST_DIGITS, FULL) if dropped[reason]}

    @property
    def dropped(self) -> Mapping[str, int]:
        """The number of rows that are not in ``usable``, by reason."""
        return {reason: number for reason, number in self.report.dropped.items() if not reason.startswith("book:")}


def is_table(source: Path | str) -> bool:
    """Return whether a source is a table of ratings, and not a database: by its name's ending, or else its content.

    Raises:
        SourceError: if it does not exist or cannot be read.
    """
    name = str(source)
    if name.lower().endswith(_TABLES):
        return True
    if name.lower().endswith(_DATABASES):
        return False
    if not name.startswith(SCHEME) and Path(name).is_dir():
        return _in_folder(Path(name), "ratings") is not None
    return not is_json(name)


def read_tables(source: Path | str, books: Path | str | None, how: How = AS_IT_IS, *, least: int = 1) -> Tables:
    """Return ratings and catalogue of a file, or of a folder with ``ratings.csv`` and ``books.csv``.

    A reader's library from Goodreads or StoryGraph is its own catalogue, unless ``books`` names another.

    Args:
        source: a path or ``gs://BUCKET/NAME``.
        books: a file of the catalogue; a folder has its own.
        how: how they are read.
        least: number of usable rows without which this is an error.

    Raises:
        SourceError: naming the file and what is wrong with it.
    """
    path = Path(source)
    report = Report(path.name)
    if not str(source).startswith(SCHEME) and path.is_dir():
        rows, catalogue = _goodbooks(path, books, report)
        library = None
    else:
        rows, library = _ratings(source, how, report)
        own = rows if library is not None else None
        catalogue = read_table(books, BOOKS) if books else own
    report.rows, report.has_catalogue = len(rows), catalogue is not None
    if "at" in rows:
        times = [time_of(text) for text in rows["at"]]
        if lost := sum(time < 0 and text.strip() != "" for time, text in zip(times, rows["at"], strict=True)):
            report.notes.append(f"{lost} times in column at are not milliseconds since 1970: they do not count")
        rows = rows.assign(at=times)
    rows = _mended_rows(rows, how, report)
    if catalogue is not None:
        catalogue = _mended_books(catalogue, report, is_own=library is not None and not books)
        rows = _spelt(rows, catalogue, how, report)
    chosen = sort_out(rows, foreign=how.foreign)
    numbers = rows.index.to_numpy()
    for reason, number in chosen.dropped.items():
        place, message = chosen.first[reason]
        report.drop(reason, number, int(numbers[place]), message)
    if len(chosen.frame) < least:
        raise SourceError(f"{source}: no usable rating in {report.rows} rows; dropped: {report.reasons()}")
    if catalogue is not None or not how.foreign:  # a comparison needs no titles
        report.untitled = untitled(chosen.frame["isbn"], catalogue)
    return Tables(rows.reset_index(drop=True), chosen.frame, catalogue, report)


def read_catalogue(path: Path | str) -> pd.DataFrame:
    """Return a catalogue's table as ``Tables.books`` has it; what was mended and dropped goes to the log.

    Raises:
        SourceError: naming the file and what is wrong with it.
    """
    report = Report(Path(path).name, has_catalogue=True)
    books = _mended_books(read_table(path, BOOKS), report, is_own=False)
    report.log()
    return books.reset_index(drop=True)


def untitled(isbns: Iterable[str], books: pd.DataFrame | None) -> tuple[str, ...]:
    """Return the books, ascending, for which a catalogue has no title."""
    if books is None or "title" not in books:
        return tuple(sorted(set(isbns)))
    titled = set(books["isbn"][books["title"].str.strip() != ""])
    return tuple(sorted(set(isbns) - titled))


def time_of(text: str) -> int:
    """Return milliseconds since 1970, or -1 if a text is not such a number."""
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else -1


def _ratings(source: Path | str, how: How, report: Report) -> tuple[pd.DataFrame, Library | None]:
    frame = raw_table(source, MARKS)
    library = library_of(frame.columns)
    if library is None:
        return _with_times(with_columns(frame, RATINGS, source)), None
    frame = with_columns(frame, library.ratings, source, in_any_case=True)
    isbns = mending.mend_first([frame[name] for name in _columns(frame, library.isbns)])
    report.mended.update(isbns.counts)
    days = _first_text(frame, _columns(frame, library.times))
    return frame.assign(userId=how.user_id, isbn=isbns.values, at=[_time_of_day(day) for day in days]), library


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its column of times, if it has one, under its own name."""
    column = column_of(frame.columns, ("at",))
    return frame if column is None else frame.rename(columns={column: "at"})


def _columns(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Return the columns that have some names, in the names' order."""
    return list(dict.fromkeys(filter(None, (column_of(frame.columns, (name,)) for name in names))))


def _first_text(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return, row by row, the first of some columns' cells that holds a text."""
    column = pd.Series("", frame.index, dtype=object)
    for name in names:
        texts = frame[name]
        is_empty = column.map(lambda text: not mending.unwrapped(text).strip())
        column = column.where(~is_empty, texts)
    return column


def _time_of_day(text: str) -> str:
    match = _DATE.fullmatch(text.strip())
    try:
        day = datetime(*map(int, match.groups()), tzinfo=UTC) if match else None  # type: ignore[arg-type,misc]
    except ValueError:
        day = None
    return str(int(day.timestamp() * 1000)) if day and day.timestamp() > 0 else ""


def _goodbooks(folder: Path, books: Path | str | None, report: Report) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the tables in a folder; in goodbooks-10k, ratings name a book by its ``book_id``."""
    ratings, own = (_in_folder(folder, name) for name in ("ratings", "books"))
    if ratings is None:
        raise SourceError(f"{folder}: there is no ratings.csv in it")
    if own is None and books is None:
        raise SourceError(f"{folder}: there is no books.csv in it")
    catalogue = read_table(books or own, BOOKS)  # type: ignore[arg-type]
    rows = read_table(ratings, {name: names for name, names in RATINGS.items() if name != "isbn"})
    rows = _with_times(rows)
    isbn = next((name for name in RATINGS["isbn"] if name in rows and name != "book_id"), None)
    if isbn is not None:
        return rows.rename(columns={isbn: "isbn"}), catalogue
    if "book_id" not in rows or "book_id" not in catalogue:
        raise SourceError(f"{ratings}: no column isbn, nor book_id in both files; it has {column_names(rows)}")
    ids, of_rows, isbns = (
        mending.mend_ids(column) for column in (catalogue["book_id"], rows["book_id"], catalogue["isbn"])
    )
    for mended in (ids, of_rows, isbns):
        report.mended.update(mended.counts)
    # Goodbooks-10k has ISBNs without their leading zeros; a book without an ISBN stays without, and so do lost digits.
    is_whole = ~isbns.unusable & (isbns.values != "")
    catalogue = catalogue.assign(isbn=isbns.values.where(~is_whole, isbns.values.str.zfill(10)))
    isbn_of = dict(zip(ids.values, catalogue["isbn"], strict=True))
    return rows.assign(isbn=[isbn_of.get(book, "") for book in of_rows.values]), catalogue


def _in_folder(folder: Path, stem: str) -> Path | None:
    """Return the table of a folder with this name, in any case and gzipped or not."""
    names = {f"{stem}{ending}" for ending in _TABLES}
    return next((path for path in sorted(folder.iterdir()) if path.name.lower() in names), None)


def _mended_rows(rows: pd.DataFrame, how: How, report: Report) -> pd.DataFrame:
    usable = np.ones(len(rows), bool)
    columns = {}
    for name in ("userId", "isbn"):
        mended = mending.mend_ids(rows[name])
        columns[name] = mended.values
        usable &= ~mended.unusable
        report.mended.update(mended.counts)
    stars = mending.mend_stars(rows["myRate"], how.scale, halves=not how.foreign)
    report.mended.update(stars.counts)
    _check_scale(stars.values, how, report)
    if not usable.all():
        first = int(rows.index[~usable][0])
        report.drop(mending.LOST_DIGITS, int(np.count_nonzero(~usable)), first, mending.LOST_DIGITS_MESSAGE)
    rows = rows.assign(**columns, myRate=stars.values)
    counts = np.ones(len(rows), bool) if how.all_entries else _newest(rows)
    if not counts.all():
        number, first = int(np.count_nonzero(~counts & usable)), int(rows.index[~counts][0])
        report.drop(FULL, number, first, f"of a reader's rows, the newest {shelf.MAX_SHELF} count, as of entries")
    return rows[usable & counts]


def _newest(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows are among their reader's newest ``shelf.MAX_SHELF``: by time, or else the last in the file.

    A bad row takes a place, as a bad entry does in the database.
    """
    order = np.argsort(rows["at"].to_numpy(np.int64), kind="stable") if "at" in rows else np.arange(len(rows))
    readers = pd.Series(pd.factorize(rows["userId"].to_numpy(object))[0])[order]
    counts = np.ones(len(rows), bool)
    counts[order] = (readers.groupby(readers).cumcount(ascending=False) < shelf.MAX_SHELF).to_numpy()
    return counts


def _check_scale(stars: pd.Series, how: How, report: Report) -> None:
    """Check that ratings are of five stars, unless ``how`` names a scale.

    Raises:
        SourceError: if they are on another scale; without those above 5, only the low ones would be left.
    """
    other = None if how.scale else mending.other_scale(stars)
    if other is None:
        return
    scale, above, rated = other
    raise SourceError(
        f"{report.name}: {above} of {rated} ratings are above 5, up to {scale}: dropping them would keep the low ones. "
        f"If the ratings are of {scale}, give --scale {scale}, which maps them to five stars; if they are of 5 "
        f"and these are errors, give --scale {MAX_RATING:g}, which drops them"
    )


def _mended_books(books: pd.DataFrame, report: Report, *, is_own: bool) -> pd.DataFrame:
    """Return a catalogue with repaired ISBNs, and optional columns under their own names.

    Args:
        is_own: the catalogue is the table of ratings: its ISBNs are repaired already, and counted.
    """
    mended = mending.mend_ids(books["isbn"])
    report.mended.update({} if is_own else mended.counts)
    if mended.unusable.any() and not is_own:
        first = int(books.index[mended.unusable][0])
        number = int(np.count_nonzero(mended.unusable))
        report.drop(f"book:{mending.LOST_DIGITS}", number, first, mending.LOST_DIGITS_MESSAGE)
    books = books.assign(isbn=mended.values)[~mended.unusable]
    if is_own:
        books = books[books["isbn"] != ""]
    for name, others in BOOK_NAMES.items():
        if present := _columns(books, (name, *others)):
            books = books.assign(**{name: _first_text(books, present)})
    return books


def _spelt(rows: pd.DataFrame, books: pd.DataFrame, how: How, report: Report) -> pd.DataFrame:
    """Find the books that the catalogue spells otherwise; return rows, with its spelling if ``how`` says so."""
    report.otherwise = spelt_otherwise(filter(None, rows["isbn"].unique()), filter(None, books["isbn"]))
    report.is_matched = how.matches
    if not how.matches or not report.otherwise:
        return rows
    return rows.assign(isbn=rows["isbn"].map(lambda isbn: report.otherwise.get(isbn, isbn)))
