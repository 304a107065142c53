"""Writes a database in the format that the Emulator Suite imports, with nodes as the app writes them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bookrec import paths
from bookrec.push_keys import CHARS, first_key

PROJECT = "demo-bookrec"
ARCHIVE_FIELDS = ("title", "author", "rating", "description", "isbn", "genre", "pages", "publishedYear", "image")


@dataclass(frozen=True, slots=True)
class ShelfRow:
    """One book on one reader's shelf, ``at`` milliseconds since 1970; 0 stars means not rated."""

    user_id: str
    isbn: str
    stars: float
    at: int


def push_key(rng: random.Random, at_ms: int) -> str:
    """Return a push key: 8 characters of time, 12 random ones."""
    return first_key(at_ms) + "".join(rng.choice(CHARS) for _ in range(12))


def make_tree(
    rows: Iterable[ShelfRow], catalogue: Mapping[str, Mapping[str, str]], rng: random.Random, first_ms: int
) -> dict[str, Any]:
    """Return a whole database.

    Args:
        rows: the shelves.
        catalogue: ``ARCHIVE_FIELDS`` by ISBN; missing ones become empty texts.
        rng: draws the random part of the keys.
        first_ms: when the catalogue was made, milliseconds since 1970.
    """
    archive = {}
    for number, (isbn, fields) in enumerate(catalogue.items()):
        key = push_key(rng, first_ms + number)
        archive[key] = {"documentId": key, **{name: fields.get(name, "") for name in ARCHIVE_FIELDS}, "isbn": isbn}
    entries: dict[str, Any] = {}
    copies: dict[str, Any] = {}
    users: dict[str, Any] = {}
    for row in rows:
        profile = {
            "id": row.user_id,
            "firstname": "Reader",
            "lastname": f"{len(users) + 1:02}",
            "mobile": "",
            "image": "",
        }
        users.setdefault(row.user_id, profile)
        book_id, stars = push_key(rng, row.at), _number(row.stars)
        book = catalogue.get(row.isbn, {})
        copies[book_id] = {
            "title": book.get("title", ""),
            "author": book.get("author", ""),
            "isbn": row.isbn,
            "myRate": stars,
        }
        entries[push_key(rng, row.at + 40)] = {
            "userId": row.user_id,
            "bookId": book_id,
            "isbn": row.isbn,
            "myRate": stars,
        }
    return {paths.USER_BOOK: entries, "Books": copies, paths.ARCHIVE: archive, paths.USERS: users}


def write_export(tree: Mapping[str, Any], folder: Path, project: str = PROJECT, indent: int | None = None) -> Path:
    """Write ``tree`` for ``firebase emulators:start --import``; return the data file."""
    data_file = write_metadata(folder, project)
    data_file.write_text(json.dumps(tree, indent=indent, sort_keys=True, ensure_ascii=False) + "\n")
    return data_file


def write_metadata(folder: Path, project: str = PROJECT) -> Path:
    """Write the metadata that make a folder an export; return the path of its database file."""
    data_file = folder / "database_export" / f"{project}-default-rtdb.json"
    data_file.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"version": "15.34.2", "database": {"version": "4.11.2", "path": "database_export"}}
    (folder / "firebase-export-metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    return data_file


def _number(stars: float) -> int | float:
    """Return whole stars as an int: the app writes both."""
    return int(stars) if stars == int(stars) else stars
