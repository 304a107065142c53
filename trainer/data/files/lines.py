"""The numbers of lines, as a person sees them: pandas leaves out blank lines, and counts a cell of two lines as one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a table, the header included.

    Attributes:
        line: the number of its first line, from 1.
        fields: how many there are.
    """

    line: int
    fields: int


def records(text: TextIO, separator: str, *, skips_spaces: bool, before: int) -> Iterator[Record]:
    """Yield the rows of a text as pandas finds them, until one with a field of more than 128 kB, which gets 0 fields.

    Args:
        text: opened without translation of line ends.
        separator: between fields.
        skips_spaces: spaces after a separator belong to no field.
        before: number of lines of the file before the text.
    """
    reader = csv.reader(text, delimiter=separator, skipinitialspace=skips_spaces)
    start = before + 1
    try:
        for fields in reader:
            is_blank = not fields or (len(fields) == 1 and fields[0].isspace())
            if not is_blank and not (skips_spaces and fields == [""]):
                yield Record(start, len(fields))
            start = before + reader.line_num + 1
    except csv.Error:
        yield Record(start, 0)


def lines_of(rows: Iterator[Record], count: int) -> list[int]:
    """Return the first lines of ``count`` rows below the header; those of unknown rows follow the last known one."""
    lines = [row.line for row in islice(rows, 1, count + 1)]
    last = lines[-1] if lines else 1
    return [*lines, *range(last + 1, last + 1 + count - len(lines))]
