"""Every database node and storage object by name: the only place where a path is spelled.

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

MODEL = "Recommender/model"
LEASE = "Recommender/lease"
CHANGES = "Recommender/changes"
DIRTY = "Recommender/dirty"
REJECTED = "Recommender/rejected"
READERS = "Recommender/readers"
CONVERSIONS = "Recommender/shelvings"
STATUS = "Recommender/status"

MAX_KEY_BYTES = 768
"""Longest database key in UTF-8 bytes (Source: Firebase documentation, Structure your database)."""

_KEY = re.compile(r"[^.$#\[\]/\x00-\x1f\x7f]+")
_INTEGER_KEY = re.compile(r"-?0*\d{1,10}", re.ASCII)


def recommendations(user_id: str) -> str:
    """Return the node that holds one user's list."""
    return f"{USERS}/{user_id}/recommendations"


def children(node: object) -> Mapping[str, Any]:
    """Return a node's children as they were read; the service renders small integer keys as a list."""
    if isinstance(node, list):
        return {str(i): child for i, child in enumerate(node) if child is not None}
    return node if isinstance(node, Mapping) else {}


def in_query(text: str) -> str:
    """Return how a text is handed to a query: firebase-admin puts it into the address as it is (7.7.0)."""
    return quote(json.dumps(text)[1:-1], safe="")


def is_key(text: str) -> bool:
    """Tell whether ``text`` can be a database key: 1–768 bytes, no ``. $ # [ ] /``, no control characters."""
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return size <= MAX_KEY_BYTES and _KEY.fullmatch(text) is not None


def key_order(key: str) -> tuple[int, int, bytes]:
    """Return what sorts keys as the database does: 32-bit integers by value first, then texts by their UTF-16 units.

    Whoever pages by key needs it: the text order puts the key ``5`` behind every push key, the database before.
    Source: the documentation of ``orderByKey``; leading zeros (``7`` before ``07``) as the client SDKs compare them.
    """
    if _INTEGER_KEY.fullmatch(key) and -(2**31) <= int(key) < 2**31:
        return 0, int(key), bytes(len(key))
    return 1, 0, key.encode("utf-16-be", "surrogatepass")


def model_object(version: str, file_name: str) -> str:
    """Return the Cloud Storage object name of one file of a published model."""
    return f"models/{version}/{file_name}"


def list_object(version: str, file_name: str) -> str:
    """Return the Cloud Storage object name of a file of lists, which clients may not read."""
    return f"lists/{version}/{file_name}"
