"""One snapshot for all workers: the chief reads the database, and the others get what it has read."""

from __future__ import annotations

import io
import json

import pandas as pd

from trainer.data.ingest.snapshot import BOOK_COLUMNS, RATING_COLUMNS, Snapshot
from trainer.model import distributed

LEARNED_FROM = [name for name in RATING_COLUMNS if name != "key"]

_LENGTH = 8
"""Bytes that say how long the part that follows is."""


def shared(snapshot: Snapshot) -> Snapshot:
    """Return the chief's snapshot on every worker; alone, what it was given.

    Raises:
        WorkerLost: where a worker is no longer there.
    """
    if len(distributed.workers()) <= 1:
        return snapshot
    content = distributed.share(to_bytes(snapshot) if distributed.is_chief() else b"")
    return snapshot if distributed.is_chief() else from_bytes(content)


def nothing() -> Snapshot:
    """Return the snapshot that a worker begins with."""
    return Snapshot(pd.DataFrame(columns=RATING_COLUMNS), pd.DataFrame(columns=BOOK_COLUMNS), {}, "the chief")


def to_bytes(snapshot: Snapshot) -> bytes:
    """Return what is learned from a snapshot: all but the keys of its entries."""
    columns = [name for name in LEARNED_FROM if name in snapshot.ratings]
    parts = [json.dumps({"refused": dict(snapshot.rejected), "source": snapshot.source}).encode()]
    for frame in (snapshot.ratings[columns], snapshot.books):
        parquet = io.BytesIO()
        frame.to_parquet(parquet, index=False)
        parts.append(parquet.getvalue())
    return b"".join(len(part).to_bytes(_LENGTH, "big") + part for part in parts)


def from_bytes(content: bytes) -> Snapshot:
    """Return the snapshot that ``to_bytes`` was given, without the keys."""
    parts = []
    while content:
        size = int.from_bytes(content[:_LENGTH], "big")
        parts.append(content[_LENGTH : _LENGTH + size])
        content = content[_LENGTH + size :]
    about = json.loads(parts[0])
    ratings, books = (pd.read_parquet(io.BytesIO(part)) for part in parts[1:])
    return Snapshot(ratings, books, about["refused"], about["source"])
