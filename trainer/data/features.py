"""A book's catalogue metadata as sparse features: title words, authors, series, genre, decade."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from trainer.config import FeatureWeights

_WORD = re.compile(r"[^\W_]{3,}")
_SERIES = re.compile(r"\(([^()#]+?),?\s*#\s*([^()]*)\)")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_STOP_WORDS = frozenset({"the", "and", "for", "from", "with", "her", "his", "der", "die", "das", "les", "des", "los"})
_COLUMNS = {
    "authors": ("authors", "author"),
    "year": ("year", "original_publication_year", "publishedYear"),
    "language": ("language_code", "language"),
}


LONGEST_SERIES = 10_000
"""A greater number after a title is not a place in a series."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the reranker knows about each book.

    Attributes:
        series: int32 [items], which series, or −1 for none.
        numbers: float32 [items], the place in the series, 0 if unknown.
        authors: int32 [items], the first author, or −1 if unknown.
    """

    series: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.float32]
    authors: npt.NDArray[np.int32]


def item_facts(isbns: tuple[str, ...], books: pd.DataFrame | None) -> Facts:
    """Return each book's series, its place in it, and its first author; numbers are given in order of appearance."""
    rows = _rows(books)
    series_ids: dict[str, int] = {}
    author_ids: dict[str, int] = {}
    series, numbers, authors = [], [], []
    for isbn in isbns:
        book = rows.get(isbn, {})
        match = _SERIES.search(_text(book, "title"))
        name, place = (match.group(1).strip().casefold(), _NUMBER.match(match.group(2))) if match else ("", None)
        author = _text(book, "authors").split(",")[0].strip().casefold()
        series.append(series_ids.setdefault(name, len(series_ids)) if name else -1)
        number = float(place.group()) if place else 0.0
        numbers.append(number if number <= LONGEST_SERIES else 0.0)
        authors.append(author_ids.setdefault(author, len(author_ids)) if author else -1)
    return Facts(np.array(series, np.int32), np.array(numbers, np.float32), np.array(authors, np.int32))


def item_features(
    isbns: tuple[str, ...], books: pd.DataFrame | None, weights: FeatureWeights, is_rated=None
) -> sp.csr_matrix:
    """Return L2-normalised tf-idf features, float32 CSR [items, features]; a row without metadata is empty.

    A feature that only one book has says nothing about others and is left out.
    """
    rows = _rows(books)
    features_of = [dict(_features(rows[isbn], weights)) if isbn in rows else {} for isbn in isbns]
    frequency = Counter(feature for features in features_of for feature in features)
    vocabulary = {f: i for i, f in enumerate(sorted(f for f, n in frequency.items() if n > 1))}
    data, columns, starts = [], [], [0]
    for features in features_of:
        for feature, weight in features.items():
            if feature in vocabulary:
                columns.append(vocabulary[feature])
                data.append(weight * np.log(1 + len(isbns) / frequency[feature]))
        starts.append(len(data))
    matrix = sp.csr_matrix((np.array(data, np.float32), columns, starts), shape=(len(isbns), max(len(vocabulary), 1)))
    norms = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    return sp.diags(1 / np.maximum(norms, 1e-12), dtype=np.float32).dot(matrix).tocsr().astype(np.float32)


def _rows(books: pd.DataFrame | None) -> dict[str, Mapping[str, object]]:
    """Return the catalogue's rows by ISBN; the first one counts if a book has several."""
    rows: dict[str, Mapping[str, object]] = {}
    for row in books.to_dict("records") if books is not None else ():
        rows.setdefault(str(row["isbn"]), {str(name): value for name, value in row.items()})
    return rows


def _features(book: Mapping[str, object], weights: FeatureWeights) -> Iterator[tuple[str, float]]:
    title, authors = _text(book, "title"), _text(book, "authors")
    for author in authors.split(","):
        if author.strip():
            yield f"author:{author.strip().casefold()}", weights.author
    for series, _ in _SERIES.findall(title):
        yield f"series:{series.strip().casefold()}", weights.series
    for word in _words(title):
        yield f"title:{word}", weights.title
    for genre in re.split(r"[,;/|]", _text(book, "genre")):
        if genre.strip():
            yield f"genre:{genre.strip().casefold()}", weights.genre
    year = re.match(r"-?\d{1,4}(?!\d)", _text(book, "year"))
    if year:
        yield f"decade:{int(year.group()) // 10}", weights.decade
    if language := _text(book, "language"):
        yield f"language:{language.casefold()[:2]}", weights.language
    for word in _words(_text(book, "description")):
        yield f"description:{word}", weights.description


def _words(text: str) -> list[str]:
    """Return the words in alphabetical order: a set's order differs between processes."""
    return sorted({word for word in _WORD.findall(text.casefold()) if word not in _STOP_WORDS})


def _text(book: Mapping[str, object], name: str) -> str:
    for column in _COLUMNS.get(name, (name,)):
        value = book.get(column)
        if isinstance(value, str) and value:
            return value
    return ""
