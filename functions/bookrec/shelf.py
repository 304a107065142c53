"""A reader's shelf: the state from which a list is computed."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bookrec.entries import Entry, parse_entry
from bookrec.errors import BadData
from bookrec.paths import book_key, key_order

MAX_SHELF = 2_000
"""Of a reader's entries, the newest ones count, bad ones included: for the list, in training, and on the phone.

Without a limit, one account could take all memory and time of an instance (``docs/scale.md``).
"""


def newest(keys: Collection[str]) -> Collection[str]:
    """Return the keys of the newest ``MAX_SHELF`` of one reader's entries: the last ones in the database's order."""
    return keys if len(keys) <= MAX_SHELF else heapq.nlargest(MAX_SHELF, keys, key=key_order)


def newest_of_each(nodes: Mapping[str, object]) -> dict[str, object]:
    """Return those among all ``/User_Book`` nodes of some readers that count; what names nobody stays."""
    keys: dict[object, list[str]] = {}
    for key, node in nodes.items():
        user_id = node.get("userId") if isinstance(node, Mapping) else None
        keys.setdefault(user_id if isinstance(user_id, str) else None, []).append(key)
    kept = {key for user_id, own in keys.items() for key in (own if user_id is None else newest(own))}
    return {key: node for key, node in nodes.items() if key in kept}


def is_full(entries: int) -> bool:
    """Return whether a reader has so many entries that older ones may not count."""
    return entries >= MAX_SHELF


@dataclass(frozen=True, slots=True)
class Shelf:
    """One user's valid entries, and the books that the user has dismissed: what a list is computed from.

    Attributes:
        user_id: the reader.
        entries: by push key, ascending: the order in which the books were added; at most ``MAX_SHELF``.
        dismissed: ISBNs, ascending by key.
    """

    user_id: str
    entries: tuple[Entry, ...]
    dismissed: tuple[str, ...] = ()

    @property
    def ratings(self) -> dict[str, float]:
        """Ratings by ISBN; a book with several entries counts once, with the newest entry's stars if it has any."""
        ratings: dict[str, float] = {}
        for entry in self.entries:
            if entry.is_rated or entry.isbn not in ratings:
                ratings[entry.isbn] = entry.rating
        return ratings

    @property
    def entries_digest(self) -> str:
        """SHA-256 (hex) of the entries."""
        return _sha256([[entry.key, entry.isbn, entry.rating] for entry in self.entries])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the entries and dismissals: with the same model, equal digests give equal lists.

        Without dismissals it is ``entries_digest``.
        """
        entries = self.entries_digest
        return _sha256([entries, sorted(map(book_key, self.dismissed))]) if self.dismissed else entries


def build_shelf(user_id: str, entries: Iterable[Entry], dismissed: Collection[str] = ()) -> Shelf:
    """Return the shelf of one user: the newest of the ``entries``, whose order does not matter."""
    by_key = {entry.key: entry for entry in entries if entry.user_id == user_id}
    own = tuple(by_key[key] for key in sorted(newest(by_key.keys())))
    return Shelf(user_id, own, tuple(sorted(dismissed, key=book_key)))


def _sha256(rows: object) -> str:
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


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
