"""Ratings and books as arrays of integers and sparse matrices."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from bookrec.entries import Entry, parse_isbn, parse_rating, parse_user_id
from bookrec.errors import BadData
from bookrec.shelf import Shelf

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ratings:
    """Who has which book on the shelf, with how many stars; entries are sorted by user, then by item.

    Attributes:
        user_ids: by user index, ascending; never exported.
        isbns: by item index, ascending; the catalogue's books without a rating are items too.
        users: int32 [entries], user index.
        items: int32 [entries], item index.
        stars: float32 [entries], 0.5–5, or 0 for a book on the shelf without a rating.
        at: int64 [entries], when the entry was made, in milliseconds since 1970, or -1 if unknown.
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
        """Return the stars as a float32 CSR matrix [users, items]; unrated books are not stored."""
        rated = self.stars > 0
        return sp.csr_matrix((self.stars[rated], (self.users[rated], self.items[rated])), shape=self.shape)

    def select(self, rows: npt.NDArray[np.bool_]) -> Ratings:
        """Return the selected entries; users and items stay the same."""
        return Ratings(self.user_ids, self.isbns, self.users[rows], self.items[rows], self.stars[rows], self.at[rows])

    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) of the data without the user ids, for the manifest."""
        digest = hashlib.sha256("\n".join(self.isbns).encode())
        for array in (self.users, self.items, self.stars):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def clean(frame: pd.DataFrame, *, foreign: bool = False) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the usable rows (``userId, isbn, myRate``, and ``at`` if present), and the number of others by reason.

    Of a user's rows for one book the last rated one is kept, as on a shelf. Each distinct value is parsed once, so
    ten million rows take seconds; categorical columns stay categorical.

    Args:
        frame: the rows.
        foreign: the rows come from another site and go into no database: any text is a valid reader or book, and
            stars need not be halves.
    """
    chosen = sort_out(frame, foreign=foreign)
    return chosen.frame, dict(chosen.dropped)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The usable rows of a frame, and what was wrong with the others.

    Attributes:
        frame: the usable rows, as ``clean`` returns them.
        dropped: number of other rows by reason.
        first: by reason, the place of the first such row, and a sentence on what is wrong and what would be right.
    """

    frame: pd.DataFrame
    dropped: Counter[str]
    first: Mapping[str, tuple[int, str]]


def sort_out(frame: pd.DataFrame, *, foreign: bool = False) -> Sorted:
    """Return what ``clean`` returns, and an example for each reason."""
    dropped: Counter[str] = Counter()
    examples: dict[str, tuple[int, str]] = {}
    rows = np.arange(len(frame))
    columns = []
    for name, parse in (("userId", parse_user_id), ("isbn", parse_isbn), ("myRate", _stars)):
        column = _parsed(frame[name], _tolerant(parse) if foreign else parse)
        codes = column.codes[rows]
        bad = codes < 0
        if bad.any():
            kinds, first, numbers = np.unique(codes[bad], return_index=True, return_counts=True)
            for kind, place, number in zip(kinds.tolist(), rows[bad][first].tolist(), numbers.tolist(), strict=True):
                problem = column.reason(kind)
                dropped[problem.reason] += number
                before = examples.get(problem.reason, (len(frame), ""))
                examples[problem.reason] = min(before, (place, problem.message))
        rows = rows[~bad]
        columns.append(column)
    users, isbns, stars = columns
    ratings = np.array(stars.values, np.float64)[stars.codes[rows]]
    pairs = users.codes[rows].astype(np.int64) * max(len(isbns.values), 1) + isbns.codes[rows]
    first, kept = _last_rated(pairs, ratings)
    if len(first) < len(rows):
        dropped["duplicate"] += len(rows) - len(first)
        again = np.setdiff1d(np.arange(len(rows)), first)[0]
        examples["duplicate"] = int(rows[again]), "a reader has a book once: the last row with stars counts"
    order = np.argsort(first, kind="stable")
    chosen = rows[kept[order]]
    cleaned = pd.DataFrame({"userId": users.taken(chosen), "isbn": isbns.taken(chosen)})
    cleaned["myRate"] = ratings[kept[order]]
    cleaned["at"] = frame["at"].to_numpy(np.int64)[chosen] if "at" in frame else np.full(len(chosen), -1, np.int64)
    return Sorted(cleaned, dropped, examples)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column with each distinct value parsed once.

    Attributes:
        codes: int64 [rows], index into ``values``, or −1 − index into ``problems`` if the value is rejected.
        values: the usable values.
        problems: why the others were rejected.
        is_categorical: whether the column was categorical, and is returned so.
    """

    codes: npt.NDArray[np.int64]
    values: list[Any]
    problems: list[BadData]
    is_categorical: bool

    def reason(self, code: int) -> BadData:
        """Return why a code below 0 was rejected."""
        return self.problems[-1 - code]

    def taken(self, rows: npt.NDArray[np.int64]) -> Any:
        """Return the usable values of some rows, in the column's original type."""
        codes = self.codes[rows]
        if self.is_categorical:
            return pd.Categorical.from_codes(codes.astype(np.int32), pd.Index(self.values, dtype=object))
        values = np.empty(len(self.values), object)
        values[:] = self.values
        return values[codes]


def _parsed(column: pd.Series[Any], parse: Callable[[object], Any]) -> _Column:
    codes, different, is_categorical = _factorised(column)
    values: dict[Any, int] = {}
    problems: list[BadData] = []
    places = np.empty(len(different), np.int64)
    for number, value in enumerate(different):
        try:
            usable = parse(value)
            places[number] = values.setdefault(usable, len(values))
        except BadData as problem:
            problems.append(problem)
            places[number] = -len(problems)
    return _Column(places[codes], list(values), problems, is_categorical)


def _factorised(column: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], list[object], bool]:
    """Return each row's index into the distinct values, these values, and whether they are categories."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        places = np.asarray(column.cat.codes, np.int64)  # −1, the last, is missing
        return places, [*column.cat.categories, None], True
    if column.dtype.kind == "f":
        distinct, inverse = np.unique(column.to_numpy(np.float64), return_inverse=True)
        return inverse.astype(np.int64), distinct.tolist(), False
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=False) == "string":
        places, texts = pd.factorize(column.to_numpy(object))  # a loop would take ten times as long
        return places.astype(np.int64), texts.tolist(), False
    numbers: dict[tuple[type, object], int] = {}  # True is not 1, though they are equal
    different: list[object] = []
    codes = np.empty(len(column), np.int64)
    for row, value in enumerate(column):
        key = (type(value), value if isinstance(value, Hashable) else repr(value))
        if key not in numbers:
            numbers[key] = len(different)
            different.append(value)
        codes[row] = numbers[key]
    return codes, different, False


def _last_rated(
    pairs: npt.NDArray[np.int64], ratings: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first row of each distinct pair, and the row that counts: the last rated one, or else the first."""
    order = np.argsort(pairs, kind="stable")
    starts = np.flatnonzero(np.diff(pairs[order], prepend=-1))
    first = order[starts]
    last_rated = np.maximum.reduceat(np.where(ratings[order] > 0, order, -1), starts) if len(starts) else first
    return first, np.where(last_rated >= 0, last_rated, first)


def build(rows: pd.DataFrame, books: pd.DataFrame | None, *, foreign: bool = False) -> Ratings:
    """Return cleaned ``rows`` as arrays; every book of the catalogue is an item.

    Args:
        rows: as ``clean`` returns them.
        books: a frame with a column ``isbn``, or None.
        foreign: as for ``clean``.
    """
    catalogue = set() if books is None else {isbn for isbn in books["isbn"] if isbn and (foreign or _is_isbn(isbn))}
    user_ids, users = _indexed(rows["userId"], set())
    isbns, items = _indexed(rows["isbn"], catalogue)
    sequence = np.lexsort((items, users))
    return Ratings(
        user_ids,
        isbns,
        users[sequence],
        items[sequence],
        rows["myRate"].to_numpy(np.float32)[sequence],
        rows["at"].to_numpy(np.int64)[sequence],
    )


def _indexed(column: pd.Series[Any], more: set[str]) -> tuple[tuple[str, ...], Ints]:
    """Return the texts of a column and of ``more``, ascending, and each row's index among them."""
    codes, different, _ = _factorised(column)
    used = np.unique(codes)
    texts = tuple(sorted({*more, *(str(different[code]) for code in used)}))
    index = {text: place for place, text in enumerate(texts)}
    places = np.zeros(len(different), np.int32)
    places[used] = [index[str(different[code])] for code in used]
    return texts, places[codes]


def shelves_of(ratings: Ratings, user_ids: Collection[str] | None = None) -> dict[str, Shelf]:
    """Return the shelves of some users, or of every one, as the functions would read them."""
    wanted = np.array([user_ids is None or user_id in user_ids for user_id in ratings.user_ids], bool)
    rows = np.flatnonzero(wanted[ratings.users])
    entries: dict[str, list[Entry]] = {}
    columns = (rows, ratings.users[rows], ratings.items[rows], ratings.stars[rows])
    for row, user, item, stars in zip(*(column.tolist() for column in columns), strict=True):
        user_id = ratings.user_ids[user]
        entries.setdefault(user_id, []).append(Entry(f"{row:09d}", user_id, ratings.isbns[item], stars))
    return {user_id: Shelf(user_id, tuple(own)) for user_id, own in entries.items()}


def holdout(ratings: Ratings, fraction: float, seed: int, *, by_time: bool = True) -> npt.NDArray[np.bool_]:
    """Return which entries to hold out: each user's newest ``fraction``, or a random one if there are no times.

    A user with a single entry keeps it.
    """
    rng = np.random.default_rng(seed)
    rank = np.where((ratings.at >= 0) & by_time, ratings.at.astype(np.float64), rng.random(len(ratings.users)))
    sizes = np.bincount(ratings.users, minlength=len(ratings.user_ids))
    counts = np.minimum(np.round(sizes * fraction + rng.random(len(sizes)) - 0.5), sizes - 1)
    newest_first = np.lexsort((-rank, ratings.users))
    ends = np.cumsum(sizes)
    place = np.arange(len(ratings.users)) - np.repeat(ends - sizes, sizes)
    held = np.zeros(len(ratings.users), bool)
    held[newest_first[place < np.repeat(counts, sizes)]] = True
    return held


def sample_readers(ratings: Ratings, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the indices of at most ``count`` readers with entries, ascending."""
    readers = np.unique(ratings.users).astype(np.int64)
    if len(readers) <= count:
        return readers
    return np.sort(np.random.default_rng(seed).choice(readers, count, replace=False))


def any_stars(value: object) -> float:
    """Return stars from 0 to 5; they need not be halves.

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


def _tolerant(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    """Return a parser that rejects only missing values and non-texts, with the contract's own reasons."""
    if parse is _stars:
        return any_stars
    return lambda value: value if isinstance(value, str) and value else parse(value)


def _stars(value: object) -> float:
    return parse_rating(_number(value))


def _number(value: object) -> object:
    """Return a text of a CSV column as a number; leave what is not a number for the validator to reject."""
    if isinstance(value, str):
        number = parsed_number(value)
        return value if number is None else number
    return float(value) if isinstance(value, (np.floating, np.integer)) else value


def parsed_number(text: str) -> float | None:
    """Return the number that a text is, or None; 0_4 is a number in Python only."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _is_isbn(value: object) -> bool:
    try:
        return bool(parse_isbn(value))
    except BadData:
        return False
