"""Writes a folder atomically: it exists with all its files, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bookrec.errors import BadInput


class FolderError(BadInput):
    """The folder cannot be written; the message says why, and what to do."""


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``path`` that becomes ``path`` at the end; an error or Ctrl-C removes it.

    Only its owner can read it.

    Raises:
        FolderError: if ``path`` exists already, or cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FolderError(f"{path}: exists already, and nothing is overwritten; give another folder, or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as problem:
        raise FolderError(f"{path}: cannot be written ({problem.strerror}); give another folder") from problem
    try:
        yield written
        written.rename(path)
    except BaseException:
        shutil.rmtree(written, ignore_errors=True)
        raise
