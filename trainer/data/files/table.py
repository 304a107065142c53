"""Tables in text files: the separator is found by the header, columns by any of their names."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from trainer.data.files.formats import column_of
from trainer.data.files.lines import Record, lines_of, records
from trainer.data.files.text import beginning, is_archive, is_json_text, line_that_is_not_utf8, opened
from trainer.data.ingest.snapshot import SourceError

SEPARATORS = ",;\t"

MOST_NAMES = 500
"""Characters of columns' names in a message."""

Needed = Mapping[str, Sequence[str]]
"""Required columns, each with the names that it may have."""

_SEP_LINE = re.compile(r'"?sep=(.)"?[;,\t]*\r?\n', re.IGNORECASE)
"""What a spreadsheet writes first to name the separator."""

_UNCLOSED = "EOF inside string starting at row"
_RAGGED = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def read_table(path: Path | str, needed: Needed) -> pd.DataFrame:
    """Return a file with all columns as texts (an ISBN is never a number), required columns under their own names.

    Raises:
        SourceError: as ``raw_table`` and ``with_columns`` do.
    """
    return with_columns(raw_table(path, needed), needed, path)


def raw_table(path: Path | str, known: Needed) -> pd.DataFrame:
    """Return a file with all columns as texts, under the names that they have there.

    Args:
        path: a path or ``gs://BUCKET/NAME``; gzipped or not, in UTF-8, UTF-16 or UTF-32; the separator is one of
            ``SEPARATORS``.
        known: columns by which the separator is chosen.

    Returns:
        The index is the number of a row's first line in the file. Of columns with the same name, the first keeps it.

    Raises:
        SourceError: if the file cannot be read as a table.
    """
    name = str(path)
    try:
        return _read(name, known)
    except SourceError as problem:
        raise SourceError(str(problem).replace("cannot be read (", "cannot be read as CSV (", 1)) from problem
    except UnicodeDecodeError as problem:
        raise _unreadable(name, _encoding_problem(name, problem)) from problem
    except pd.errors.EmptyDataError as problem:
        raise _unreadable(name, "it is empty") from problem
    except (OSError, EOFError, zlib.error) as problem:
        raise _unreadable(name, f"it is cut off or damaged: {problem}") from problem
    except (ValueError, pd.errors.ParserWarning) as problem:  # pandas' parser errors are ValueErrors
        raise _unreadable(name, _ragged(name, known, str(problem))) from problem


def with_columns(frame: pd.DataFrame, needed: Needed, path: Path | str, *, in_any_case: bool = False) -> pd.DataFrame:
    """Return a table with its required columns under their own names.

    Args:
        needed: the required columns; one without names may be missing.
        in_any_case: whether a name in other letters is one too.

    Raises:
        SourceError: if a column or every row is missing.
    """
    for column, names in needed.items():
        same = next((each for each in names if each in frame.columns), None)
        present = column_of(frame.columns, names) if in_any_case else same
        if present is None and names:
            raise SourceError(f"{path}: no column {column}; it has {column_names(frame)}")
        if present not in (None, column):
            frame = frame.drop(columns=column, errors="ignore").rename(columns={present: column})
    if frame.empty:
        raise SourceError(f"{path}: no row below the header")
    return frame


def column_names(frame: pd.DataFrame) -> str:
    """Return the names of a table's columns, cut to ``MOST_NAMES`` characters."""
    names = ", ".join(frame.columns)
    return names if len(names) <= MOST_NAMES else f"{names[:MOST_NAMES]}…"


def _read(name: str, known: Needed) -> pd.DataFrame:
    start = beginning(name)
    if is_archive(start):
        raise _unreadable(name, "it is a zip archive or a spreadsheet: save the sheet as CSV UTF-8")
    if is_json_text(start):
        raise _unreadable(
            name,
            "it is JSON, and a table is needed; an export of the database, named .json, is for `train --source`, "
            "`evaluate --source` and the emulators",
        )
    form = _form(start, known)
    with form.text(name) as text, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        # Without index_col, a separator at the end of each row shifts all columns by one.
        frame = pd.read_csv(
            text,
            sep=form.separator,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skipinitialspace=form.skips_spaces,
        )
        has_a_line_a_row = text.lines == len(frame) + 1
    first = form.before + 2
    frame.index = (
        pd.RangeIndex(first, first + len(frame))
        if has_a_line_a_row
        else pd.Index(lines_of(form.records(name), len(frame)), dtype="int64")
    )
    frame = frame.rename(columns=lambda column: str(column).strip())
    return frame.loc[:, ~frame.columns.duplicated()]


@dataclass(frozen=True, slots=True)
class _Form:
    """How a table is written.

    Attributes:
        separator: between fields.
        skips_spaces: spaces after a separator belong to no field.
        before: number of lines before the header that name the separator.
    """

    separator: str
    skips_spaces: bool
    before: int

    @contextmanager
    def text(self, name: str) -> Iterator[_Text]:
        """Open a file behind the lines that name the separator."""
        with opened(name) as file:
            for _ in range(self.before):
                file.readline()
            text = _Text(file, "utf-8", newline="")
            text.path = name
            yield text

    def records(self, name: str) -> Iterator[Record]:
        """Yield the rows of a file."""
        with self.text(name) as text:
            yield from records(text, self.separator, skips_spaces=self.skips_spaces, before=self.before)


def _form(start: bytes, known: Needed) -> _Form:
    head, before = _header(start.decode("utf-8", "ignore"))  # the sample may end within a character
    separator = _separator(head, known)
    return _Form(separator, f"{separator} " in head, before)


class _Text(io.TextIOWrapper):
    """Reads text without NUL characters: pandas would end a cell there.

    Attributes:
        path: of the file.
    """

    path = ""
    _ends, _returns, _last = 0, 0, "\n"

    @property
    def lines(self) -> int:
        """The number of lines that were read, or -1 if some of them may end with a carriage return alone."""
        return -1 if self._returns not in (0, self._ends) else self._ends + (self._last != "\n")

    def read(self, size: int | None = -1, /) -> str:
        """Return so many characters; raise ``SourceError`` if there is a NUL among them."""
        text = super().read(size)
        if "\0" in text:
            raise _unreadable(self.path, "it has NUL characters, so it is damaged or not text: save it as CSV UTF-8")
        self._ends, self._returns = self._ends + text.count("\n"), self._returns + text.count("\r")
        self._last = text[-1:] or self._last
        return text


def _header(start: str) -> tuple[str, int]:
    """Return the header's line, and the number of lines before it that name the separator."""
    match = _SEP_LINE.match(start)
    rest = start[match.end() :] if match else start
    line = next((line for line in rest.splitlines() if line.strip()), "")
    return line, 1 if match else 0


def _separator(head: str, known: Needed) -> str:
    """Return the separator with which the header has the most of the known columns, then the most columns."""

    def columns(separator: str) -> tuple[int, int]:
        cells = {cell.strip() for cell in next(csv.reader([head], delimiter=separator), [])}
        return sum(column_of(cells, names) is not None for names in known.values()), len(cells)

    return max(SEPARATORS, key=columns)


def _unreadable(name: str, why: str) -> SourceError:
    return SourceError(f"{name}: cannot be read as CSV ({why})")


def _encoding_problem(name: str, problem: UnicodeDecodeError) -> str:
    if not problem.encoding.startswith("utf-8"):
        return f"it is damaged {problem.encoding.upper()}: save it as UTF-8"
    try:
        line = line_that_is_not_utf8(name)
    except (OSError, EOFError, zlib.error):  # cut off behind the place, in the same line
        return "it is cut off or damaged, and not UTF-8"
    return (
        f"line {line} is not UTF-8: save it as UTF-8, which spreadsheets call CSV UTF-8, or convert it, from Latin-1 "
        "for example with `iconv -f LATIN1 -t UTF-8`"
    )


def _ragged(name: str, known: Needed, problem: str) -> str:
    match = _RAGGED.search(problem)
    if match is None and _UNCLOSED not in problem:
        text = " ".join(problem.split())
        return "rows have more fields than the header" if text.startswith("Length of header") else text
    rows = _form(beginning(name), known).records(name)
    if match is None:
        line = max(row.line for row in rows)  # all that follows the mark is one row
        return f"line {line} has a quotation mark that is not closed: close it, or write it twice"
    expected, line, seen = map(int, match.groups())
    line = next((row.line for row in rows if row.fields > expected), line)  # pandas' number, of a row that is not known
    return f"line {line} has {seen} fields, the header {expected}: put fields that contain a separator in quotes"
