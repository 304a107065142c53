"""A reader's shelf: the state from which a list is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bookrec.entries import Entry, parse_entry
from bookrec.errors import BadData


@dataclass(frozen=True, slots=True)
class Shelf:
    """One user's valid entries.

    Attributes:
        user_id: the reader.
        entries: by push key, ascending: the order in which the books were added.
    """

    user_id: str
    entries: tuple[Entry, ...]

    @property
    def ratings(self) -> dict[str, float]:
        """Ratings by ISBN; a book with several entries counts once, with the newest entry's stars if it has any."""
        ratings: dict[str, float] = {}
        for entry in self.entries:
            if entry.is_rated or entry.isbn not in ratings:
                ratings[entry.isbn] = entry.rating
        return ratings

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the entries: with the same model, equal digests give equal lists."""
        rows = [[entry.key, entry.isbn, entry.rating] for entry in self.entries]
        return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def build_shelf(user_id: str, entries: Iterable[Entry]) -> Shelf:
    """Return the shelf of one user; the order of ``entries`` does not matter."""
    return Shelf(user_id, tuple(sorted((e for e in entries if e.user_id == user_id), key=lambda e: e.key)))


def sort_out(nodes: Mapping[str, object]) -> tuple[list[Entry], dict[str, BadData]]:
    """Separate valid entries among ``/User_Book`` nodes from rejected ones.

    Returns:
        The valid entries, and why each other node was rejected, by push key.
    """
    valid: list[Entry] = []
    rejected: dict[str, BadData] = {}
    for key, value in nodes.items():
        try:
            valid.append(parse_entry(key, value))
        except BadData as problem:
            rejected[key] = problem
    return valid, rejected
