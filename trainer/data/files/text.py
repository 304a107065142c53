"""Files as UTF-8 without a byte order mark: gzipped or not, in a folder or in Cloud Storage."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from trainer.data.ingest.folders import open_file

SAMPLE = 1 << 16
"""Bytes at the beginning that tell what a file is."""

_GZIP = b"\x1f\x8b"
_ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # zip, as .xlsx and .ods are; and .xls
_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNMARKED = 8
"""So many bytes, every second one zero, are UTF-16 without a mark."""


def unpacked(file: BinaryIO) -> BinaryIO:
    """Return a file's content: decompressed, as UTF-8, without a byte order mark.

    Args:
        file: seekable; gzipped or not.

    Returns:
        A buffered file; reading raises ``UnicodeDecodeError`` where UTF-16 or UTF-32 is damaged. UTF-8 is not checked.
    """
    whole = io.BufferedReader(file, 1 << 20) if isinstance(file, io.RawIOBase) else file
    start = whole.read(len(_GZIP))
    whole.seek(0)
    plain = cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=whole))) if start == _GZIP else whole
    start = plain.read(_UNMARKED)
    encoding, mark = _encoding(start)
    plain.seek(mark if encoding == "utf-8" else 0)
    if encoding == "utf-8":
        return plain
    return cast(BinaryIO, io.BufferedReader(_AsUtf8(plain, encoding)))


def _encoding(start: bytes) -> tuple[str, int]:
    """Return the encoding of a file that begins so, and the length of its mark."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, len(mark)
    if len(start) == _UNMARKED and start[::2].strip(b"\0") and not start[1::2].strip(b"\0"):
        return "utf-16-le", 0
    if len(start) == _UNMARKED and start[1::2].strip(b"\0") and not start[::2].strip(b"\0"):
        return "utf-16-be", 0
    return "utf-8", 0


class _AsUtf8(io.RawIOBase):
    """Reads a file in another encoding as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder(encoding)()
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as possible; return the number of bytes."""
        view = memoryview(cast(bytearray, buffer))
        while not self._rest:
            chunk = self._file.read(len(view))
            self._rest = self._decoder.decode(chunk, not chunk).encode()
            if not chunk:
                break
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Open the file that a path or ``gs://BUCKET/NAME`` names, as ``unpacked`` returns it.

    Raises:
        SourceError: if it does not exist or cannot be read.
    """
    with open_file(name) as file:
        yield unpacked(file)


def is_archive(start: bytes) -> bool:
    """Return whether a file that begins so is a zip archive or a spreadsheet."""
    return start.startswith(_ARCHIVES)


def is_json(name: str) -> bool:
    """Return whether a file holds JSON, by its content.

    Raises:
        SourceError: if it does not exist or cannot be read.
    """
    try:
        return is_json_text(beginning(name))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):  # damaged: its reader says where
        return ".json" in name.lower()


def is_json_text(start: bytes) -> bool:
    """Return whether a text that begins so is JSON, and not a table."""
    return start.lstrip()[:1] in (b"{", b"[")


def beginning(name: str) -> bytes:
    """Return the first ``SAMPLE`` bytes of what ``opened`` opens."""
    with opened(name) as file:
        return file.read(SAMPLE)


def line_that_is_not_utf8(name: str) -> int:
    """Return the number of the first line, from 1, that is not UTF-8."""
    with opened(name) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
