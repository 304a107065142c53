"""The folder in which a stack keeps its data between runs: an export of the emulators, with the bucket's objects."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

METADATA = "firebase-export-metadata.json"
BUCKET = "bucket_export"
PARTS = (METADATA, "database_export", "auth_export", BUCKET)
"""What such a folder may hold; the Emulator Suite writes and imports all but the bucket."""


class KeptDataError(RuntimeError):
    """The folder cannot be used; the message says why, and what to do."""


class KeptData:
    """A folder that is replaced as a whole: what it held stays until the new export is complete.

    From ``prepare`` to ``replace``, or to the end of the process, no other stack can use the folder.

    Raises:
        KeptDataError: if the path names no place.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.folder = folder.expanduser().resolve()
        except (OSError, RuntimeError) as problem:
            raise KeptDataError(f"{folder} is not a usable path: {problem}. Name another folder") from problem
        self.part = self.folder.parent / f".{self.folder.name}.part"
        self._previous = self.folder.parent / f".{self.folder.name}.previous"
        self._lock: int | None = None

    def prepare(self) -> bool:
        """Return True if there is an export to begin with; make the folder's parents.

        Raises:
            KeptDataError: if the folder holds anything else, is in use, or cannot be read, written or replaced.
        """
        try:
            self._lock = self._take()
            return self._prepare()
        except KeptDataError:
            self._give_back()
            raise
        except OSError as problem:
            self._give_back()
            raise KeptDataError(f"{self.folder} cannot be read or cannot be written: {problem}") from problem

    def replace(self) -> None:
        """Put the export in ``part`` in the folder's place."""
        shutil.rmtree(self._previous, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(self._previous)
        self.part.rename(self.folder)
        shutil.rmtree(self._previous, ignore_errors=True)
        self._give_back()

    def _prepare(self) -> bool:
        if os.path.ismount(self.folder):
            raise KeptDataError(f"{self.folder} is a mount point, which cannot be replaced: name a folder in it")
        if not self.folder.exists() and self._previous.exists():
            self._previous.rename(self.folder)  # the last run ended between the two renames
        if self.folder.exists() and not self.folder.is_dir():
            raise KeptDataError(f"{self.folder} is not a folder: name a new folder, or one that an earlier run kept")
        contents = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        strangers = sorted(contents - set(PARTS))
        if strangers:
            names = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
            raise KeptDataError(
                f"{self.folder} holds something else ({names}), which would be lost: "
                "name a new folder, or one that an earlier run kept"
            )
        if contents and not self._is_export():
            raise KeptDataError(
                f"{self.folder} is not a whole export: {METADATA} is missing, or names no database. "
                "Remove the folder, or name another one"
            )
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.part, ignore_errors=True)
        self.part.mkdir()
        self.part.rmdir()
        return bool(contents)

    def _take(self) -> int:
        """Lock the folder by a file elsewhere: the folder itself may not exist yet, and is replaced."""
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:32]
        file = Path(tempfile.gettempdir()) / f"bookrec-{os.getuid()}-{digest}.lock"
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            holder = os.read(lock, 20).decode()
            os.close(lock)
            raise KeptDataError(
                f"{self.folder} is in use by another stack (process {holder}), and the data of one would be lost: "
                "end that one first, or name another folder"
            ) from problem
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return lock

    def _give_back(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _is_export(self) -> bool:
        try:
            metadata = json.loads((self.folder / METADATA).read_text())
            return bool((self.folder / metadata["database"]["path"]).is_dir())
        except (OSError, ValueError, KeyError, TypeError):
            return False
