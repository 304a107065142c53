"""Reading a backup or an export of the database: one JSON file, gzipped or not, as a stream."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, NoReturn

import ijson.backends.yajl2_c as parser
from ijson.common import JSONError

from bookrec import paths
from trainer.data.ingest.pages import PAGE_SIZE
from trainer.data.ingest.snapshot import SourceError

SECTIONS = (paths.USER_BOOK, paths.ARCHIVE)
"""What is read; all else is passed over, and never in memory."""

BUFFER = 1 << 14
"""Bytes that are parsed at a time: more is slower, since all that they become is alive at once."""

_GZIP = b"\x1f\x8b"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)

BACKUP_SPAN_MS = 3_600_000
"""A backup is taken to hold what was there so long before the time in its name: whether that is the moment when it
began or ended is not documented.
"""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)_[^/]*")

Event = tuple[str, Any]
_OPENING = ("start_map", "start_array")
_BUILT = frozenset({*_OPENING, "number"})
"""Events that are not yet their value."""

_DEPTH = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}


def sections(file: BinaryIO, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the children of ``SECTIONS`` as (section, nodes by key), ``PAGE_SIZE`` at a time, in the file's order.

    Args:
        file: the whole database as JSON, gzipped or not; small integer keys may have become an array.
        name: of the file, for errors.

    Raises:
        SourceError: where the file is damaged or no database, or has no ``/User_Book``; the message names the place.
    """
    place = _Place(name)
    try:
        stream = _WholeText(_unpacked(file), place)
        # Numbers as floats and machine integers would end at the first that does not fit, in whatever node it is.
        with _numbers_of_any_length():
            yield from _sections(parser.basic_parse(stream, buf_size=BUFFER, use_float=False), place)
    except (JSONError, UnicodeDecodeError) as problem:
        place.fail("it is no JSON: " + _first_line(problem))
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        place.fail(f"it is cut off or damaged: {problem}")
    except RecursionError:
        place.fail("nodes are too deep")


@contextmanager
def _numbers_of_any_length() -> Iterator[None]:
    """Lift the bound on an integer's digits: the parser (3.6.0) crashes the process where Python refuses one."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def time_of_backup(name: str) -> int | None:
    """Return from when on a change may be missing in a backup, by its name ``{ISO timestamp}_{instance}_data.json.gz``.

    Returns:
        Milliseconds since 1970, or None where the name tells no time.
    """
    found = _TIME.fullmatch(name.rpartition("/")[2])
    if found is None:
        return None
    try:
        return int(datetime.fromisoformat(found[1]).timestamp() * 1000) - BACKUP_SPAN_MS
    except ValueError:
        return None


def _sections(events: Iterator[Event], place: _Place) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if next(events)[0] != "start_map":
        place.fail(f"a database is an object with {' and '.join(SECTIONS)}")
    seen: set[str] = set()
    for _, section in events:
        if section is None:  # the end of the map
            break
        event, _ = next(events)
        seen.add(section)
        if section not in SECTIONS or event not in _OPENING:
            _skip(event, events)
            continue
        page: dict[str, Any] = {}
        for key, node in _members(events) if event == "start_map" else _elements(events):
            page[key], place.last = node, (section, key)
            if len(page) >= PAGE_SIZE:
                yield section, page
                page = {}
        yield section, page
    if paths.USER_BOOK not in seen:
        place.fail(f"there is no /{paths.USER_BOOK} in it")
    for _ in events:  # to the end of the file, which may be damaged there
        pass


def _members(events: Iterator[Event]) -> Iterator[tuple[str, Any]]:
    """Yield the members of a map that has begun, to its end."""
    for event, key in events:
        if event == "end_map":
            return
        event, value = next(events)
        yield key, _value(event, value, events) if event in _BUILT else value


def _elements(events: Iterator[Event]) -> Iterator[tuple[str, Any]]:
    """Yield the elements of an array that has begun by their place; what is null is no child."""
    for place, (event, value) in enumerate(events):  # of a container _value takes all other events
        if event == "end_array":
            return
        if event != "null":
            yield str(place), _value(event, value, events)


def _value(event: str, value: Any, events: Iterator[Event]) -> Any:
    """Return the value that begins with an event, its numbers as Python's own reader has them."""
    if event == "start_map":
        return dict(_members(events))
    if event == "start_array":
        return [child for _, child in _elements(events)]
    return float(value) if isinstance(value, Decimal) else value


def _skip(event: str, events: Iterator[Event]) -> None:
    depth = _DEPTH.get(event, 0)
    while depth:
        depth += _DEPTH.get(next(events)[0], 0)


class _Place:
    """How far a file was read."""

    def __init__(self, name: str) -> None:
        self._name, self.size, self.last = name, 0, ("", "")

    def fail(self, why: str) -> NoReturn:
        place = f"after /{'/'.join(self.last)}" if any(self.last) else "near the beginning"
        raise SourceError(f"{self._name}: {why} ({place}, {self.size:,} bytes of JSON in at most)") from None


class _WholeText:
    """A file of JSON in which half a surrogate pair is a control character: the parser would stop at one.

    Either makes a user id or an ISBN invalid, and is a space in a title.
    """

    def __init__(self, file: BinaryIO, place: _Place) -> None:
        self._file, self._place, self._rest = file, place, b""

    def read(self, size: int) -> bytes:
        """Return about ``size`` bytes, nothing at the end."""
        while size and (found := self._file.read(size)):
            self._place.size += len(found)
            # After a comma no escape is half read.
            end = found.rfind(b",") + 1
            if end:
                whole, self._rest = self._rest + found[:end], found[end:]
                return _with_whole_characters(whole)
            self._rest += found
        whole, self._rest = self._rest if size else b"", b"" if size else self._rest
        return _with_whole_characters(whole)


def _with_whole_characters(text: bytes) -> bytes:
    if not _SURROGATE.search(text):
        return text
    return _ESCAPE.sub(lambda found: rb"\u0001" if found[1] else found[0], text)


def _unpacked(file: BinaryIO) -> BinaryIO:
    buffered = io.BufferedReader(file, 1 << 20) if isinstance(file, io.RawIOBase) else file
    start = buffered.read(2)
    buffered.seek(0)
    return gzip.GzipFile(fileobj=buffered) if start == _GZIP else buffered  # type: ignore[return-value]


def _first_line(problem: Exception) -> str:
    """Return what is wrong without the text around it, which is a reader's."""
    if isinstance(problem, UnicodeDecodeError):
        return "a text is no UTF-8"
    message = problem.args[0] if problem.args else ""
    text = message.decode("ascii", "replace") if isinstance(message, bytes) else str(message)
    return text.splitlines()[0] if text else type(problem).__name__
