"""The folder in which a stack keeps its data between runs: an export of the emulators, with the bucket's objects."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

METADATA = "firebase-export-metadata.json"
BUCKET = "bucket_export"
PARTS = (METADATA, "database_export", "auth_export", BUCKET)
"""What such a folder may hold; the Emulator Suite writes and imports all but the bucket."""


class KeptDataError(RuntimeError):
    """The folder cannot be used; the message says why, and what to do."""


class KeptData:
    """A folder that is replaced as a whole: what it held stays until the new export is complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.part = self.folder.with_name(f".{self.folder.name}.part")
        self._previous = self.folder.with_name(f".{self.folder.name}.previous")

    def prepare(self) -> bool:
        """Return True if there is an export to begin with; make the folder's parents.

        Raises:
            KeptDataError: if the folder holds anything else, or cannot be written.
        """
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
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self.part, ignore_errors=True)
            self.part.mkdir()
            self.part.rmdir()
        except OSError as problem:
            raise KeptDataError(f"{self.folder} cannot be written: {problem}") from problem
        return bool(contents)

    def replace(self) -> None:
        """Put the export in ``part`` in the folder's place."""
        shutil.rmtree(self._previous, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(self._previous)
        self.part.rename(self.folder)
        shutil.rmtree(self._previous, ignore_errors=True)

    def _is_export(self) -> bool:
        try:
            metadata = json.loads((self.folder / METADATA).read_text())
            return bool((self.folder / metadata["database"]["path"]).is_dir())
        except (OSError, ValueError, KeyError, TypeError):
            return False
