"""Reads files of a folder that somebody else may have filled: only regular ones, and no more bytes than expected."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class UnreadableError(Exception):
    """The file cannot be read; the message says why."""


def read_regular(path: Path, max_bytes: int, size: int | None = None) -> bytes:
    """Return the content of a regular file.

    Args:
        path: the file.
        max_bytes: a larger file is not read.
        size: the size that it must have; None accepts any.

    Raises:
        UnreadableError: if it cannot be read, is something else, or has another size. Nothing has been read then.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait for somebody who writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as problem:
        reason = "it is a link, not a regular file" if path.is_symlink() else problem.strerror
        raise UnreadableError(reason) from problem
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise UnreadableError("it is not a regular file")
        if size is not None and about.st_size != size:
            raise UnreadableError(f"it has {about.st_size} bytes instead of {size}")
        if about.st_size > max_bytes:
            raise UnreadableError(f"it has {about.st_size} bytes, at most {max_bytes} are read")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(about.st_size)
    except OSError as problem:
        raise UnreadableError(problem.strerror) from problem
    finally:
        os.close(descriptor)
