"""The names of all database nodes and storage objects: the only place where paths are written out.

The contract of the app's nodes is in ``docs/contract.md``; a test compares it with this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

USER_BOOK = "User_Book"
ARCHIVE = "archive"
USERS = "Users"
SIMILAR = "Similar_Books"
MORE_LISTS = "More_Lists"
SHARED_LISTS = "Shared_Lists"

LIST_TIME = "recommendations/generatedAt"
"""Below ``/Users/{uid}``: when the list was made. The rules have an index on it."""

MODEL = "Recommender/model"
LEASE = "Recommender/lease"
CHANGES = "Recommender/changes"
DIRTY = "Recommender/dirty"
REJECTED = "Recommender/rejected"
READERS = "Recommender/readers"
CONVERSIONS = "Recommender/shelvings"
PAUSED = "Recommender/paused"
LIST_WRITES = "Recommender/writes"
EVENTS = "Recommender/events"
STATUS = "Recommender/status"
TREND = "Recommender/trend"

MAX_KEY_BYTES = 768
"""Longest database key in UTF-8 bytes (Source: Firebase documentation, Structure your database)."""

_KEY = re.compile(r"[^.$#\[\]/\x00-\x1f\x7f]+")
_INTEGER_KEY = re.compile(r"-?0*\d{1,10}", re.ASCII)


def recommendations(user_id: str) -> str:
    """Return the node that holds one user's list."""
    return f"{USERS}/{user_id}/recommendations"


def dismissed(user_id: str) -> str:
    """Return the node that holds the books that one user has dismissed, by ``book_key``."""
    return f"{USERS}/{user_id}/dismissed"


def dismissals(user_id: str) -> str:
    """Return the node that holds the number of these books, by which the rules bound it."""
    return f"{USERS}/{user_id}/dismissals"


def similar_books(isbn: str) -> str:
    """Return the node that holds the books similar to one."""
    return f"{SIMILAR}/{book_key(isbn)}"


def more_lists(user_id: str) -> str:
    """Return the node that holds what follows one user's list, and the user's lists by genre."""
    return f"{MORE_LISTS}/{user_id}"


def book_key(isbn: str) -> str:
    """Return the database key of a book: its ISBN, with a comma, which no ISBN has, for each dot, which no key has."""
    return isbn.replace(".", ",")


def isbn_of(key: str) -> str:
    """Return the ISBN whose ``book_key`` this is."""
    return key.replace(",", ".")


def children(node: object) -> Mapping[str, Any]:
    """Return a node's children by key; the database returns nodes with small integer keys as a list."""
    if isinstance(node, list):
        return {str(i): child for i, child in enumerate(node) if child is not None}
    return node if isinstance(node, Mapping) else {}


def whole(node: object) -> int:
    """Return the whole number in a node, or 0 if it holds none."""
    return node if isinstance(node, int) and not isinstance(node, bool) else 0


def in_query(text: str) -> str:
    """Return a text escaped for a query: firebase-admin (7.7.0) puts it into the URL unescaped."""
    return quote(json.dumps(text)[1:-1], safe="")


def is_key(text: str) -> bool:
    """Return whether ``text`` can be a database key: 1–768 bytes, no ``. $ # [ ] /``, no control characters."""
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return size <= MAX_KEY_BYTES and _KEY.fullmatch(text) is not None


def key_order(key: str) -> tuple[int, int, bytes]:
    """Return a sort key in the database's order: 32-bit integers by value, then texts by their UTF-16 code units.

    Paging by key needs this order: as texts, ``5`` comes after every push key; in the database, before.
    Source: the documentation of ``orderByKey``; leading zeros (``7`` before ``07``) as the client SDKs compare them.
    """
    if is_number(key):
        return 0, int(key), bytes(len(key))
    return 1, 0, text_order(key)


def text_order(text: str) -> bytes:
    """Return a sort key for the database's order of texts that are values, not keys: their UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")


def is_number(key: str) -> bool:
    """Return whether the database sorts a key by its value as a 32-bit integer, before all texts."""
    return _INTEGER_KEY.fullmatch(key) is not None and -(2**31) <= int(key) < 2**31


def model_object(version: str, file_name: str) -> str:
    """Return the Cloud Storage object name of one file of a published model."""
    return f"models/{version}/{file_name}"


def list_object(version: str, file_name: str) -> str:
    """Return the Cloud Storage object name of a file of lists, which clients may not read."""
    return f"lists/{version}/{file_name}"
