"""Ratings and books as arrays of integers and sparse matrices."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from bookrec.entries import parse_isbn, parse_rating, parse_user_id
from bookrec.errors import BadData

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ratings:
    """Who has which book on the shelf, and with how many stars.

    Attributes:
        user_ids: by user index, ascending; they stay in memory and are never exported.
        isbns: by item index, ascending; the catalogue's books without a rating are items too.
        users: int32 [entries], user index.
        items: int32 [entries], item index.
        stars: float32 [entries], 0.5–5, or 0 for a book that is on the shelf without a rating.
        at: int64 [entries], when the entry was made, in milliseconds since 1970, or -1 where that is unknown.
    """

    user_ids: tuple[str, ...]
    isbns: tuple[str, ...]
    users: Ints
    items: Ints
    stars: Floats
    at: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """(users, items)."""
        return len(self.user_ids), len(self.isbns)

    def matrix(self) -> sp.csr_matrix:
        """Return the shelves as a float32 CSR matrix [users, items] of ones."""
        ones = np.ones(len(self.users), np.float32)
        return sp.csr_matrix((ones, (self.users, self.items)), shape=self.shape)

    def star_matrix(self) -> sp.csr_matrix:
        """Return the stars as a float32 CSR matrix [users, items]; unrated books are not in it."""
        rated = self.stars > 0
        return sp.csr_matrix((self.stars[rated], (self.users[rated], self.items[rated])), shape=self.shape)

    def select(self, rows: npt.NDArray[np.bool_]) -> Ratings:
        """Return some of the entries; users and items stay the same."""
        return Ratings(self.user_ids, self.isbns, self.users[rows], self.items[rows], self.stars[rows], self.at[rows])

    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) of the data without the user ids, for the manifest."""
        digest = hashlib.sha256("\n".join(self.isbns).encode())
        for array in (self.users, self.items, self.stars):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def clean(frame: pd.DataFrame, *, foreign: bool = False) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the usable rows of ``userId, isbn, myRate`` and, where present, ``at``; and how many others, by reason.

    Of a user's rows for one book the last rated one stays, as on a shelf.

    Args:
        frame: the rows.
        foreign: they come from another site and go into no database: any text will do for a reader or a book, and
            stars need not be halves.
    """
    parse = _foreign_row if foreign else _row
    dropped: Counter[str] = Counter()
    rows: dict[tuple[str, str], tuple[float, int]] = {}
    times = frame["at"] if "at" in frame else np.full(len(frame), -1)
    for user, isbn, stars, at in zip(frame["userId"], frame["isbn"], frame["myRate"], times, strict=True):
        try:
            key, rating = parse(user, isbn, _number(stars))
        except BadData as problem:
            dropped[problem.reason] += 1
            continue
        if key in rows:
            dropped["duplicate"] += 1
        if key not in rows or rating > 0:
            rows[key] = (rating, int(at))
    table = [(user, isbn, rating, at) for (user, isbn), (rating, at) in rows.items()]
    return pd.DataFrame(table, columns=["userId", "isbn", "myRate", "at"]), dict(dropped)


def build(rows: pd.DataFrame, books: pd.DataFrame | None, *, foreign: bool = False) -> Ratings:
    """Return cleaned ``rows`` as arrays; all books of the catalogue are items.

    Args:
        rows: as ``clean`` returns them.
        books: a frame with a column ``isbn``, or None.
        foreign: as for ``clean``.
    """
    catalogue = set() if books is None else {isbn for isbn in books["isbn"] if isbn and (foreign or _is_isbn(isbn))}
    user_ids, isbns = sorted(set(rows["userId"])), sorted(catalogue | set(rows["isbn"]))
    user_index = {user: i for i, user in enumerate(user_ids)}
    item_index = {isbn: i for i, isbn in enumerate(isbns)}
    users = np.array([user_index[user] for user in rows["userId"]], np.int32)
    items = np.array([item_index[isbn] for isbn in rows["isbn"]], np.int32)
    sequence = np.lexsort((items, users))
    return Ratings(
        tuple(user_ids),
        tuple(isbns),
        users[sequence],
        items[sequence],
        rows["myRate"].to_numpy(np.float32)[sequence],
        rows["at"].to_numpy(np.int64)[sequence],
    )


def holdout(ratings: Ratings, fraction: float, seed: int, *, by_time: bool = True) -> npt.NDArray[np.bool_]:
    """Return which entries to hold out: of each user's the newest ``fraction``; a random one without times.

    A user with a single entry keeps it.
    """
    rng = np.random.default_rng(seed)
    rank = np.where((ratings.at >= 0) & by_time, ratings.at.astype(np.float64), rng.random(len(ratings.users)))
    held = np.zeros(len(ratings.users), bool)
    boundaries = np.searchsorted(ratings.users, np.arange(len(ratings.user_ids) + 1))
    for start, end in itertools.pairwise(boundaries):
        count = min(round((end - start) * fraction + rng.random() - 0.5), end - start - 1)
        if count > 0:
            held[start + np.argsort(rank[start:end])[-count:]] = True
    return held


def any_stars(value: object) -> float:
    """Return stars from 0 to 5, halves or not.

    Raises:
        BadData: as ``parse_rating`` does.
    """
    number = _number(value)
    try:
        return parse_rating(number)
    except BadData as problem:
        if problem.reason != "rating_not_half" or not isinstance(number, float):
            raise
        return number


def _row(user: object, isbn: object, stars: object) -> tuple[tuple[str, str], float]:
    return (parse_user_id(user), parse_isbn(isbn)), parse_rating(stars)


def _foreign_row(user: object, isbn: object, stars: object) -> tuple[tuple[str, str], float]:
    """Refuse only what is missing or no text; the contract's own checks say which."""
    known_user = user if isinstance(user, str) and user else parse_user_id(user)
    known_isbn = isbn if isinstance(isbn, str) and isbn else parse_isbn(isbn)
    return (known_user, known_isbn), any_stars(stars)


def _number(value: object) -> object:
    """CSV columns are texts; what is no number stays what it is, for the validator to name."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return float(value) if isinstance(value, (np.floating, np.integer)) else value


def _is_isbn(value: object) -> bool:
    try:
        return bool(parse_isbn(value))
    except BadData:
        return False
