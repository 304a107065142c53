"""Generates the clients' data classes: ``python -m clients.generate``."""

from __future__ import annotations

from pathlib import Path

from bookrec.life_cycle.manifest import MAX_FILE_BYTES, SCHEMA
from bookrec.ranking import LIST_SIZE
from bookrec.shelf import MAX_SHELF
from clients.contract import NODES
from clients.writers import kotlin, swift, typescript

FOLDER = Path(__file__).resolve().parent

CONSTANTS = {
    "LIST_SIZE": LIST_SIZE,
    "MANIFEST_SCHEMA": SCHEMA,
    "MAX_FILE_BYTES": MAX_FILE_BYTES,
    "MAX_SHELF": MAX_SHELF,
}


def files() -> dict[Path, str]:
    """Return the text of every generated file, by its path."""
    writers = {"typescript/contract.ts": typescript, "kotlin/Contract.kt": kotlin, "swift/Contract.swift": swift}
    return {FOLDER / name: writer.write(NODES, CONSTANTS) for name, writer in writers.items()}


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
