"""Synthetic ratings of any number, shaped like real ones: few popular books, clustered tastes, shelves of all sizes.

Everything comes from a seed and is computed in whole arrays: ten million entries take about half a minute.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bookrec.push_keys import CHARS
from trainer.data.dataset import Ratings

FIRST_MS, LAST_MS = 1_685_577_600_000, 1_763_164_800_000
"""The entries are spread evenly over two and a half years, starting in June 2023."""

ENTRIES_A_READER = 100
BOOKS_A_CLUSTER = 60
SKEW, FLATTENED_RANKS = 0.9, 10
"""A book's weight is (rank + 10)^−0.9. Source: Mandelbrot's form of Zipf's law."""

TASTES = 3
OWN_TASTE = 0.8
"""The number of clusters that a reader likes, and the share of the shelf that comes from them."""

UNRATED = 0.1
CHUNK = 200_000

_WORDS = ("ash", "bell", "crow", "dawn", "elm", "fern", "gull", "hill", "iris", "jade", "kite", "lark", "moss", "nest")


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Entries, oldest first.

    Attributes:
        readers, books: their numbers.
        users: int32 [entries], reader index.
        items: int32 [entries], book index; no reader has a book twice.
        stars: float32 [entries], 0.5–5 in steps of a half, 0 for an unrated book.
        at: int64 [entries], milliseconds since 1970, ascending.
        clusters: int32 [books], the books' tastes.
        seed: of all the data.
    """

    readers: int
    books: int
    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    stars: npt.NDArray[np.float32]
    at: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int32]
    seed: int

    @property
    def user_ids(self) -> list[str]:
        """Ids of 28 characters, as Firebase Authentication makes them, ascending."""
        return [f"reader{number:022d}" for number in range(self.readers)]

    @property
    def isbns(self) -> list[str]:
        """ISBNs of 14 characters, as the app writes them, ascending."""
        return [f"0978{number:010d}" for number in range(self.books)]

    def catalogue(self) -> pd.DataFrame:
        """Return the books' metadata, columns as ``trainer.data.sources.BOOK_COLUMNS``: each author has one cluster."""
        rng = np.random.default_rng((self.seed, 1))
        authors = self.clusters * 15 + rng.integers(0, 15, self.books)
        words = rng.integers(0, len(_WORDS), (self.books, 3))
        volumes = rng.integers(0, 4, self.books)
        titles = [
            f"{_WORDS[a]} {_WORDS[b]} {_WORDS[c]}" + (f" (Cycle {author}, #{volume})" if volume else "")
            for (a, b, c), author, volume in zip(words.tolist(), authors.tolist(), volumes.tolist(), strict=True)
        ]
        return pd.DataFrame(
            {
                "isbn": self.isbns,
                "title": titles,
                "authors": [f"Author {number}" for number in authors.tolist()],
                "genre": [f"Genre {cluster % 20}" for cluster in self.clusters.tolist()],
                "year": [str(year) for year in rng.integers(1950, 2026, self.books).tolist()],
                "description": "",
            }
        )

    def ratings(self) -> Ratings:
        """Return the entries as the trainer has them in memory."""
        order = np.lexsort((self.items, self.users))
        columns = (self.users[order], self.items[order], self.stars[order], self.at[order])
        return Ratings(tuple(self.user_ids), tuple(self.isbns), *columns)

    def frame(self) -> pd.DataFrame:
        """Return the entries as a snapshot has them, columns ``at, userId, isbn, myRate``."""
        return pd.DataFrame(
            {
                "at": self.at,
                "userId": np.array(self.user_ids, object)[self.users],
                "isbn": np.array(self.isbns, object)[self.items],
                "myRate": self.stars.astype(np.float64),
            }
        )


def shape_of(entries: int) -> tuple[int, int]:
    """Return the numbers of readers and books for a number of entries: 100 entries per reader, and books by Heaps' law.

    The exponent 0.4 fits the sizes of real data: about 700 books at 1,000 entries, 4,400 at 100,000.
    """
    return max(10, entries // ENTRIES_A_READER), max(50, round(700 * (entries / 1000) ** 0.4))


def make(entries: int, seed: int = 42, readers: int | None = None, books: int | None = None) -> Synthetic:
    """Return exactly ``entries`` entries.

    Args:
        entries: their number, at most a third of readers times books.
        seed: of all randomness.
        readers, books: replace the numbers of ``shape_of``.

    Raises:
        ValueError: there are too few books for the entries.
    """
    usual = shape_of(entries)
    readers, books = readers or usual[0], books or usual[1]
    if entries * 3 > readers * books:
        raise ValueError(f"{entries} entries are too many for {readers} readers and {books} books: raise one of them")
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, max(1, books // BOOKS_A_CLUSTER), books).astype(np.int32)
    weights = np.asarray((rng.permutation(books) + FLATTENED_RANKS) ** -SKEW, np.float64)
    pairs = _pairs(rng, entries, readers, clusters, weights)
    users, items = (pairs // books).astype(np.int32), (pairs % books).astype(np.int32)
    at = np.sort(rng.integers(FIRST_MS, LAST_MS, entries))
    stars = _stars(rng, users, items, readers, books)
    return Synthetic(readers, books, users, items, stars, at, clusters, seed)


def _pairs(
    rng: np.random.Generator,
    entries: int,
    readers: int,
    clusters: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """Return distinct pairs, encoded as reader times books plus book, in random order."""
    books, distinct = len(clusters), np.empty(0, np.int64)
    activity = rng.lognormal(0, 1, readers)
    readers_drawn = np.cumsum(activity / activity.sum())
    tastes = rng.integers(0, clusters.max() + 1, (readers, TASTES))
    by_cluster = np.argsort(clusters, kind="stable")
    within = np.cumsum(weights[by_cluster])  # one distribution per cluster, end to end
    starts = np.searchsorted(clusters[by_cluster], np.arange(clusters.max() + 2))
    bounds = np.append(0.0, within)[starts]
    anywhere = np.cumsum(weights) / weights.sum()
    while len(distinct) < entries:
        count = int((entries - len(distinct)) * 1.3) + 100
        users = np.minimum(np.searchsorted(readers_drawn, rng.random(count)), readers - 1)
        chosen = tastes[users, rng.integers(0, TASTES, count)]
        place = bounds[chosen] + rng.random(count) * (bounds[chosen + 1] - bounds[chosen])
        own = by_cluster[np.minimum(np.searchsorted(within, place), books - 1)]
        other = np.minimum(np.searchsorted(anywhere, rng.random(count)), books - 1)
        items = np.where(rng.random(count) < OWN_TASTE, own, other)
        distinct = np.unique(np.concatenate([distinct, users.astype(np.int64) * books + items]))
    return rng.permutation(distinct)[:entries]


def _stars(
    rng: np.random.Generator,
    users: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    readers: int,
    books: int,
) -> npt.NDArray[np.float32]:
    """Return the reader's mean plus the book's quality plus noise, rounded to halves; a tenth is unrated."""
    means, quality = rng.normal(3.8, 0.4, readers), rng.normal(0, 0.3, books)
    exact = means[users] + quality[items] + rng.normal(0, 0.8, len(users))
    stars = np.clip(np.round(exact * 2) / 2, 0.5, 5.0)
    return np.where(rng.random(len(users)) < UNRATED, 0.0, stars).astype(np.float32)


def entry_keys(at: npt.NDArray[np.int64], first: int = 0) -> list[str]:
    """Return a unique push key for each entry: 8 characters of its time, and 12 of its number."""
    digits = np.array(list(CHARS))
    numbers = np.arange(first, first + len(at), dtype=np.int64)
    places = [(at >> np.int64(6 * place)) & 63 for place in reversed(range(8))]
    places += [(numbers >> np.int64(6 * place)) & 63 if place < 10 else numbers * 0 for place in reversed(range(12))]
    letters = digits[np.stack(places, axis=1)]
    keys: list[str] = np.ascontiguousarray(letters).view(f"<U{letters.shape[1]}").ravel().tolist()
    return keys


def nodes(synthetic: Synthetic) -> Iterator[dict[str, Any]]:
    """Yield the nodes of ``/User_Book`` by key, in chunks, as the app writes them."""
    user_ids, isbns = synthetic.user_ids, synthetic.isbns
    for start in range(0, len(synthetic.at), CHUNK):
        part = slice(start, start + CHUNK)
        keys = entry_keys(synthetic.at[part], start)
        columns = (synthetic.users[part].tolist(), synthetic.items[part].tolist(), synthetic.stars[part].tolist())
        yield {
            key: {"bookId": key, "isbn": isbns[item], "myRate": int(s) if s == int(s) else s, "userId": user_ids[user]}
            for key, user, item, s in zip(keys, *columns, strict=True)
        }


def write_backup(synthetic: Synthetic, path: Path) -> None:
    """Write a gzipped JSON backup of a database, like the service's daily backups: one object with ascending keys."""
    archive = {
        f"book{number:07d}": {"documentId": f"book{number:07d}", **{name: str(book[name]) for name in _ARCHIVE}}
        for number, book in enumerate(_archive_rows(synthetic))
    }
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.write('{"User_Book":{')
        for number, part in enumerate(nodes(synthetic)):
            file.write(("," if number else "") + json.dumps(part, separators=(",", ":"))[1:-1])
        file.write('},"archive":' + json.dumps(archive, separators=(",", ":")) + "}")


_ARCHIVE = ("title", "author", "isbn", "genre", "publishedYear", "description", "image", "pages", "rating")


def _archive_rows(synthetic: Synthetic) -> Iterator[dict[str, str]]:
    for row in synthetic.catalogue().to_dict("records"):
        yield {
            "title": row["title"],
            "author": row["authors"],
            "isbn": row["isbn"],
            "genre": row["genre"],
            "publishedYear": row["year"],
            "description": "",
            "image": f"https://covers.example/{row['isbn']}.jpg",
            "pages": "300",
            "rating": "4.0",
        }
