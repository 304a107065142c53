"""Copies what a model can be trained on: entries and catalogue, read and written page by page.

It holds nothing else about a reader: no profile, no list, no ``bookId`` (anyone who knows one may read that reader's
copy of the book), no rejected entry, and no entry of a reader who has left.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from bookrec import paths
from bookrec.entries import Entry, parse_entry
from bookrec.errors import BadData
from bookrec.push_keys import CHARS, LENGTH, push_time
from trainer.data.exchange.database_export import ARCHIVE_FIELDS, PROJECT, write_metadata
from trainer.data.ingest.pages import PAGE_SIZE, Nodes, Reading, pages

Format = Literal["emulator", "csv"]

TIME_DIGITS = 8
"""The characters of a push key that encode its time: anonymous keys keep them, as the newest entries are held out."""

_CSV_BOOKS = {"isbn": "isbn", "title": "title", "authors": "author", "genre": "genre", "year": "publishedYear"}


class Source(Nodes, Protocol):
    """The part of the database that a copy needs."""

    def gone(self) -> Collection[str]:
        """Return the readers who have left."""
        ...


@dataclass(frozen=True, slots=True)
class Copied:
    """What was written, and what was left out by reason."""

    entries: int
    books: int
    left_out: Mapping[str, int]


Disguise = Callable[[Entry], Entry]
"""Replaces the reader of an entry."""


def anonymous(key: bytes | None = None) -> Disguise:
    """Return a function that replaces user ids, and the random part of entry keys, by a keyed hash.

    Args:
        key: key of the hash; None uses a random one that is not kept, so that ids cannot be looked up.
    """
    secret = secrets.token_bytes(32) if key is None else key

    def digest(kind: str, text: str) -> bytes:
        return hmac.new(secret, f"{kind}:{text}".encode("utf-8", "replace"), hashlib.sha256).digest()

    def disguised(entry: Entry) -> Entry:
        random = "".join(CHARS[byte & 63] for byte in digest("entry", entry.key))
        is_push_key = push_time(entry.key) >= 0
        hidden = entry.key[:TIME_DIGITS] + random[: LENGTH - TIME_DIGITS] if is_push_key else f"entry-{random[:20]}"
        return replace(entry, key=hidden, user_id=digest("reader", entry.user_id).hex()[:28])

    return disguised


def copy(
    database: Source,
    folder: Path,
    form: Format,
    told: Callable[[str, int], object],
    disguise: Disguise | None = None,
    project: str = PROJECT,
    how: Reading | None = None,
) -> Copied:
    """Write a copy into an empty folder, with one page in memory at a time.

    Args:
        database: read, with retries.
        folder: becomes an export for the Emulator Suite, or gets ``ratings.csv`` and ``books.csv``.
        form: which of the two.
        told: called for each page with its node and number of children.
        disguise: replaces the readers of entries; None keeps them.
        project: project named in the export.
        how: how pages are read.

    Raises:
        ReadError: if a page fails too often.
    """
    left_out: Counter[str] = Counter()

    def read(path: str) -> Iterator[tuple[str, Any]]:
        for page in pages(database, path, PAGE_SIZE, how=how or Reading()):
            yield from page.items()
            told(path, len(page))

    entries = _entries(read(paths.USER_BOOK), database.gone(), left_out)
    hidden = map(disguise, entries) if disguise else entries
    books = _books(read(paths.ARCHIVE), left_out)
    if form == "csv":
        return _write_csv(folder, hidden, books, left_out)
    return _write_export(folder, project, hidden, books, left_out)


def _entries(nodes: Iterator[tuple[str, Any]], gone: Collection[str], left_out: Counter[str]) -> Iterator[Entry]:
    for key, node in nodes:
        try:
            entry = parse_entry(key, node)
        except BadData as problem:
            left_out[f"entry:{problem.reason}"] += 1
            continue
        if entry.user_id in gone:
            left_out["entry:reader_gone"] += 1
        else:
            yield entry


def _books(nodes: Iterator[tuple[str, Any]], left_out: Counter[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for key, node in nodes:
        if not isinstance(node, Mapping):
            left_out["book:not_an_object"] += 1
            continue
        texts = {name: node[name] for name in ARCHIVE_FIELDS if isinstance(node.get(name), str)}
        yield key, {"documentId": key, **texts}


def _write_export(
    folder: Path,
    project: str,
    entries: Iterator[Entry],
    books: Iterator[tuple[str, dict[str, str]]],
    left_out: Counter[str],
) -> Copied:
    path = write_metadata(folder, project)
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{\n"{paths.USER_BOOK}": ')
        entry_count = _write_object(file, ((entry.key, _node(entry)) for entry in entries))
        file.write(f',\n"{paths.ARCHIVE}": ')
        book_count = _write_object(file, books)
        file.write("\n}\n")
    return Copied(entry_count, book_count, dict(left_out))


def _node(entry: Entry) -> dict[str, object]:
    stars = int(entry.rating) if entry.rating == int(entry.rating) else entry.rating
    return {"userId": entry.user_id, "isbn": entry.isbn, "myRate": stars}


def _write_object(file: TextIO, children: Iterator[tuple[str, Any]]) -> int:
    """Write a JSON object, one child per line; return the number of children."""
    count = 0
    file.write("{")
    for key, child in children:
        file.write(f"{',' if count else ''}\n{json.dumps(key)}: {json.dumps(child, ensure_ascii=False)}")
        count += 1
    file.write("}")
    return count


def _write_csv(
    folder: Path, entries: Iterator[Entry], books: Iterator[tuple[str, dict[str, str]]], left_out: Counter[str]
) -> Copied:
    with (folder / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        rows = ([entry.user_id, entry.isbn, f"{entry.rating:g}"] for entry in entries)
        entry_count = _write_rows(file, ["userId", "isbn", "myRate"], rows)
    with (folder / "books.csv").open("w", encoding="utf-8", newline="") as file:
        rows = ([book.get(field, "") for field in _CSV_BOOKS.values()] for _, book in books)
        book_count = _write_rows(file, list(_CSV_BOOKS), rows)
    return Copied(entry_count, book_count, dict(left_out))


def _write_rows(file: TextIO, header: list[str], rows: Iterator[list[str]]) -> int:
    count = 0
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        count += 1
    return count
