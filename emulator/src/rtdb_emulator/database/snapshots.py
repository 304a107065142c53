"""What databases hold, kept in a folder: read at the start, written at the end, in the format of firebase-tools.

The folder holds ``firebase-export-metadata.json``, which names the folder of the databases within it, and there a
``NAMESPACE.json`` each, with priorities. It has no security rules. Exports of other emulators in the folder stay.

Source: ``emulators:export`` and ``emulators:start --import`` of firebase-tools (``hubExport.js``, ``controller.js``).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtdb_emulator.data.keys import check_namespace
from rtdb_emulator.data.tree import is_empty, to_json
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.errors import ServiceError

METADATA = "firebase-export-metadata.json"
DATABASES = "database_export"
FORMAT_VERSION = "4.11.2"
"""The version of Google's emulator that writes this format."""

log = logging.getLogger(__name__)


class SnapshotError(Exception):
    """A snapshot cannot be read or written; the message says which file, why, and what to do."""


def read_snapshot(folder: Path, databases: Databases) -> None:
    """Write what a snapshot holds into ``databases``; no trigger is called.

    Raises:
        SnapshotError: if something is missing or invalid; some databases may have been written by then.
    """
    folder = _whole(folder)
    section = _metadata(folder).get("database")
    if section is None:
        log.info("%s holds no databases", folder)
        return
    if not isinstance(section, dict) or not isinstance(section.get("path"), str):
        raise SnapshotError(f"{folder / METADATA}: database has no path: export again, or repair it by hand")
    inner = folder / section["path"]
    if not inner.is_dir():
        raise SnapshotError(f"{inner} is not a folder, but {METADATA} names it: export again, or repair it by hand")
    for file in sorted(inner.iterdir()):
        if file.is_file() and file.suffix.lower() == ".json" and not file.name.startswith("."):
            _read(file, databases)


def check_target(folder: Path) -> None:
    """Check that a snapshot can be written to ``folder`` later, when it is too late to name another one.

    Raises:
        SnapshotError: if it cannot.
    """
    try:
        folder = folder.resolve()
        if folder.is_mount():
            raise SnapshotError("a mount point cannot be replaced")
        if folder.exists() and not folder.is_dir():
            raise SnapshotError("it is not a folder")
        if (folder / METADATA).exists():
            _metadata(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent)).rmdir()
    except (OSError, SnapshotError) as problem:
        raise SnapshotError(f"cannot export to {folder}: {problem}: name another folder") from problem


def write_snapshot(folder: Path, databases: Databases) -> None:
    """Replace the snapshot in ``folder`` by what all databases hold, as a whole.

    The new one is written next to the old one, which stays until it is complete, even if this is interrupted: at every
    moment one of the two is at ``folder``, or at the name that ``read_snapshot`` tries instead.

    Raises:
        SnapshotError: if it cannot be written; the old one stays.
    """
    folder = folder.resolve()
    previous = _previous(folder)
    new = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if previous.exists() and not folder.exists():
            previous.rename(folder)
        unfinished = f".{folder.name}.new-"
        for left in [each for each in folder.parent.iterdir() if each.name.startswith(unfinished)]:
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=unfinished, dir=folder.parent))
        _fill(new, folder, databases)
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        new.rename(folder)
        _sync(folder.parent)
        shutil.rmtree(previous, ignore_errors=True)
    except (OSError, SnapshotError) as problem:
        if previous.exists() and not folder.exists():
            previous.rename(folder)
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        hint = "make room, or name another folder; the previous export is unchanged"
        raise SnapshotError(f"cannot export to {folder}: {problem}: {hint}") from problem


def _fill(new: Path, old: Path, databases: Databases) -> None:
    """Write a whole snapshot, with what other emulators exported to the old one."""
    metadata = _metadata(old) if (old / METADATA).exists() else {"version": FORMAT_VERSION}
    section = metadata.get("database")
    replaced = {METADATA, DATABASES, section.get("path") if isinstance(section, dict) else None}
    for other in sorted(old.iterdir()) if old.exists() else []:
        if other.name not in replaced:
            (shutil.copytree if other.is_dir() else shutil.copy2)(other, new / other.name)
    new.chmod(0o755)
    inner = new / DATABASES
    inner.mkdir()
    for name in databases.names:
        if not is_empty(databases[name].root):
            _write(inner / f"{name}.json", to_json(databases[name].root, export=True))
    _write(new / METADATA, {**metadata, "database": {"version": FORMAT_VERSION, "path": DATABASES}}, indent=2)
    _sync(inner)
    _sync(new)


def _whole(folder: Path) -> Path:
    """Return where the snapshot is: next to ``folder`` if an export was interrupted at its last step."""
    previous = _previous(folder.resolve())
    if not folder.exists() and previous.exists():
        log.warning("an export to %s was interrupted: reading the one before it, from %s", folder, previous)
        return previous
    return folder


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


def _metadata(folder: Path) -> dict[str, Any]:
    metadata = _json(folder / METADATA)
    if not isinstance(metadata, dict):
        raise SnapshotError(f"{folder / METADATA} is not an object: export again, or repair it by hand")
    return metadata


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes(), parse_constant=_reject)  # finds UTF-16, and byte order marks
    except FileNotFoundError as problem:
        raise SnapshotError(f"{file} does not exist: name a folder that `firebase emulators:export` wrote") from problem
    except OSError as problem:
        raise SnapshotError(f"{file} cannot be read: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise SnapshotError(f"{file} is not JSON: {problem}: export again, or repair it by hand") from problem


def _read(file: Path, databases: Databases) -> None:
    value = _json(file)
    try:
        name = check_namespace(file.stem)
    except ServiceError as problem:
        raise SnapshotError(
            f"{file} is not a database's file: {file.stem} cannot be the name of a database: move the file elsewhere"
        ) from problem
    try:
        database = databases[name]
        database.write({(): value}, Caller(is_admin=True), silent=True)
    except ServiceError as problem:
        raise SnapshotError(f"{file}: {problem.message}: export again, or repair it by hand") from problem


def _write(file: Path, value: Any, indent: int | None = None) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for part in _parts(value, indent):
            stream.write(part)
        stream.flush()
        os.fsync(stream.fileno())


def _parts(value: Any, indent: int | None) -> Iterator[str]:
    separators = None if indent else (",", ":")
    return json.JSONEncoder(ensure_ascii=False, indent=indent, separators=separators).iterencode(value)


def _sync(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reject(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
