"""One entry of ``/User_Book``: a reader has a book on the shelf, rated or not."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bookrec import paths
from bookrec.errors import BadData

MIN_RATING, MAX_RATING = 0.0, 5.0
UNRATED = 0.0
"""``myRate`` 0 means "on the shelf, not rated"; it is never a low rating."""

ISBN_PATTERN = r"[0-9A-Za-z][0-9A-Za-z ._:-]{0,63}"
"""What an ISBN may look like. ISBNs are opaque: they are compared as given, never as numbers.

``database.rules.json`` holds the same pattern; a test keeps the two equal.
"""

MAX_USER_ID = 128
"""Longest Firebase user id, in characters (Source: Firebase Auth, user import limits)."""

FIELDS = frozenset({"userId", "bookId", "myRate", "isbn"})

_ISBN = re.compile(ISBN_PATTERN)


@dataclass(frozen=True, slots=True)
class Entry:
    """A valid entry.

    Attributes:
        key: the entry's push key under ``/User_Book``.
        user_id: the reader.
        isbn: the item.
        rating: 0.5–5 in halves, or ``UNRATED``.
    """

    key: str
    user_id: str
    isbn: str
    rating: float

    @property
    def is_rated(self) -> bool:
        """Return whether the reader gave stars."""
        return self.rating != UNRATED


def parse_entry(key: str, value: object) -> Entry:
    """Return the valid entry in a database node.

    Args:
        key: the push key.
        value: the node's JSON value.

    Raises:
        BadData: with a reason code, if the node breaks the contract.
    """
    if not isinstance(value, Mapping):
        raise BadData("not_an_object", "an entry is an object with userId, bookId, myRate and isbn")
    user_id = parse_user_id(value.get("userId"))
    rating = parse_rating(value.get("myRate"))
    isbn = parse_isbn(value.get("isbn"))
    book_id = value.get("bookId", "")
    if not isinstance(book_id, str) or len(book_id) > paths.MAX_KEY_BYTES:
        raise BadData("book_id_invalid", f"bookId is a text of at most {paths.MAX_KEY_BYTES} characters")
    if not FIELDS.issuperset(value):
        raise BadData("unknown_field", "an entry has no fields but userId, bookId, myRate and isbn")
    return Entry(key=key, user_id=user_id, isbn=isbn, rating=rating)


def problem_of(value: object) -> BadData | None:
    """Return why a node is rejected, or None if it is a valid entry or there is no node."""
    if value is None:
        return None
    try:
        parse_entry("", value)
    except BadData as problem:
        return problem
    return None


def is_accepted(value: object) -> bool:
    """Return whether there is a node and it is a valid entry."""
    return value is not None and problem_of(value) is None


def user_id_of(value: object) -> str | None:
    """Return whose entry a node claims to be, or None if that user cannot have a list."""
    try:
        return parse_user_id(value.get("userId")) if isinstance(value, Mapping) else None
    except BadData:
        return None


def reader_key(user_id: str) -> str:
    """Return a reader's hash for logs and for events of lists: 12 hex digits of a SHA-256."""
    return hashlib.sha256(user_id.encode("utf-8", "replace")).hexdigest()[:12]


def parse_user_id(value: object) -> str:
    """Return a user id that can be a database key.

    Raises:
        BadData: ``user_missing``, ``user_not_text`` or ``user_invalid``.
    """
    if value is None or value == "":
        raise BadData("user_missing", "userId is missing: write the signed-in reader's uid")
    if not isinstance(value, str):
        raise BadData("user_not_text", "userId is a text")
    if len(value) > MAX_USER_ID or not paths.is_key(value):
        raise BadData("user_invalid", f"userId has 1 to {MAX_USER_ID} characters and none of . $ # [ ] /")
    return value


def parse_isbn(value: object) -> str:
    """Return an ISBN as given.

    Raises:
        BadData: ``isbn_missing``, ``isbn_not_text`` or ``isbn_invalid``.
    """
    if value is None or value == "":
        raise BadData("isbn_missing", "isbn is missing: write the ISBN of the book")
    if not isinstance(value, str):
        raise BadData("isbn_not_text", "isbn is a text, even if it has digits only")
    if not _ISBN.fullmatch(value):
        raise BadData("isbn_invalid", "isbn has 1 to 64 of the characters 0-9 A-Z a-z space . _ : -")
    return value


def parse_rating(value: object) -> float:
    """Return a rating of 0 (not rated) or 0.5–5 in halves.

    Raises:
        BadData: ``rating_missing``, ``rating_not_number``, ``rating_out_of_range`` or ``rating_not_half``.
    """
    if value is None:
        raise BadData("rating_missing", "myRate is missing: write 0 for a book without a rating")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadData("rating_not_number", "myRate is a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadData("rating_not_number", "myRate is a finite number")
    if not MIN_RATING <= value <= MAX_RATING:
        raise BadData("rating_out_of_range", "myRate is between 0 and 5")
    if (value * 2) != int(value * 2):
        raise BadData("rating_not_half", "myRate is a whole or a half number of stars")
    return float(value) or UNRATED  # -0.0 is 0: equal shelves have equal digests
