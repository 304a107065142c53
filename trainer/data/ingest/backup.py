"""Reads a backup or an export of the database as a stream: one JSON file, gzipped or not."""

from __future__ import annotations

import gzip
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
from trainer.data.files.text import unpacked
from trainer.data.ingest.pages import PAGE_SIZE
from trainer.data.ingest.snapshot import SourceError

SECTIONS = (paths.USER_BOOK, paths.ARCHIVE)
"""The nodes that are read; others are skipped, and never in memory."""

BUFFER = 1 << 14
"""Bytes parsed at a time: more is slower, since all the objects made from them are alive at once."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)

BACKUP_SPAN_MS = 3_600_000
"""A backup is assumed to hold the state of this long before the time in its name: whether that time is its beginning
or its end is not documented.
"""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)_[^/]*")

Event = tuple[str, Any]
_OPENING = ("start_map", "start_array")
_BUILT = frozenset({*_OPENING, "number"})
"""Events whose value still has to be built."""

_DEPTH = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}


def sections(file: BinaryIO, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the children of ``SECTIONS`` as (section, nodes by key), ``PAGE_SIZE`` at a time, in the file's order.

    Args:
        file: the whole database as JSON, gzipped or not, with or without a byte order mark; small integer keys may have
            become an array.
        name: name of the file, for error messages.

    Raises:
        SourceError: if the file is damaged, not a database, or without ``/User_Book``; the message gives the place.
    """
    place = _Place(name)
    try:
        stream = _WholeText(unpacked(file), place)
        # With floats and machine integers, parsing would stop at the first number that does not fit, in any node.
        with _numbers_of_any_length():
            yield from _sections(parser.basic_parse(stream, buf_size=BUFFER, use_float=False), place)
    except (JSONError, UnicodeDecodeError) as problem:
        place.fail("it is not JSON: " + _first_line(problem))
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        place.fail(f"it is cut off or damaged: {problem}")
    except RecursionError:
        place.fail("nodes are too deep")


@contextmanager
def _numbers_of_any_length() -> Iterator[None]:
    """Lift the limit on an integer's digits: if Python rejects a number, the parser (3.6.0) crashes the process."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def time_of_backup(name: str) -> int | None:
    """Return the time after which changes may be missing in a backup named ``{ISO timestamp}_{instance}_data.json.gz``.

    Returns:
        Milliseconds since 1970, or None if the name has no time.
    """
    match = _TIME.fullmatch(name.rpartition("/")[2])
    if match is None:
        return None
    try:
        return int(datetime.fromisoformat(match[1]).timestamp() * 1000) - BACKUP_SPAN_MS
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
    for _ in events:  # read to the end of the file: it may be damaged there
        pass


def _members(events: Iterator[Event]) -> Iterator[tuple[str, Any]]:
    """Yield the remaining members of a map whose opening event has been read."""
    for event, key in events:
        if event == "end_map":
            return
        event, value = next(events)
        yield key, _value(event, value, events) if event in _BUILT else value


def _elements(events: Iterator[Event]) -> Iterator[tuple[str, Any]]:
    """Yield the elements of an opened array by their place; a null is not a child."""
    for place, (event, value) in enumerate(events):  # _value consumes a container's other events
        if event == "end_array":
            return
        if event != "null":
            yield str(place), _value(event, value, events)


def _value(event: str, value: Any, events: Iterator[Event]) -> Any:
    """Return the value that begins with an event, its numbers as Python's ``json`` returns them."""
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
    """The position in a file, for error messages."""

    def __init__(self, name: str) -> None:
        self._name, self.size, self.last = name, 0, ("", "")

    def fail(self, why: str) -> NoReturn:
        place = f"after /{'/'.join(self.last)}" if any(self.last) else "near the beginning"
        raise SourceError(f"{self._name}: {why} ({place}, within the first {self.size:,} bytes of JSON)") from None


class _WholeText:
    """Replaces half a surrogate pair in a JSON file by a control character: the parser would stop at the half.

    Either one makes a user id or an ISBN invalid, and becomes a space in a title.
    """

    def __init__(self, file: BinaryIO, place: _Place) -> None:
        self._file, self._place, self._rest = file, place, b""

    def read(self, size: int) -> bytes:
        """Return about ``size`` bytes, and none at the end of the file."""
        while size and (chunk := self._file.read(size)):
            self._place.size += len(chunk)
            # An escape never contains a comma, so none is cut in half here.
            end = chunk.rfind(b",") + 1
            if end:
                whole, self._rest = self._rest + chunk[:end], chunk[end:]
                return _with_whole_characters(whole)
            self._rest += chunk
        whole, self._rest = self._rest if size else b"", b"" if size else self._rest
        return _with_whole_characters(whole)


def _with_whole_characters(text: bytes) -> bytes:
    if not _SURROGATE.search(text):
        return text
    return _ESCAPE.sub(lambda match: rb"\u0001" if match[1] else match[0], text)


def _first_line(problem: Exception) -> str:
    """Return what is wrong without the surrounding text, which may be personal data."""
    if isinstance(problem, UnicodeDecodeError):
        return "a text is not UTF-8"
    message = problem.args[0] if problem.args else ""
    text = message.decode("ascii", "replace") if isinstance(message, bytes) else str(message)
    return text.splitlines()[0] if text else type(problem).__name__
