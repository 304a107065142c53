"""A book's catalogue metadata as sparse features: title words, authors, series, genre, decade."""

from __future__ import annotations

import re
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
    isbns: tuple[str, ...],
    books: pd.DataFrame | None,
    weights: FeatureWeights,
    rated: npt.NDArray[np.bool_] | None = None,
) -> sp.csr_matrix:
    """Return tf-idf features, float32 CSR [items, features]; a row without metadata is empty.

    The vocabulary and the document frequencies are those of the rated books alone: another book that nobody has rated
    changes no row and no column of theirs. What only one rated book has is kept, since a book that nobody has rated may
    share it; but a word of a description that one book alone has is chance. A row is L2-normalised without what only
    one rated book has, unless it has nothing else.

    Args:
        isbns: the items.
        books: the catalogue; of several rows with one ISBN, the first counts.
        weights: the weight of each kind of feature.
        rated: bool [items], which books somebody has rated; all books count if it is None or nowhere true.
    """
    rows = _rows(books)
    numbers: dict[str, int] = {}
    kinds: list[float] = []
    columns: list[int] = []
    starts = [0]
    for isbn in isbns:
        features = dict(_features(rows[isbn], weights)) if isbn in rows else {}
        for feature, weight in features.items():
            number = numbers.setdefault(feature, len(kinds))
            if number == len(kinds):
                kinds.append(weight)
            columns.append(number)
        starts.append(len(columns))
    counted = rated if rated is not None and rated.any() else np.ones(len(isbns), bool)
    shape = (len(isbns), len(numbers))
    present = sp.csr_matrix((np.ones(len(columns), np.float32), columns, starts), shape=shape)
    frequency = np.bincount(present[counted].indices, minlength=len(numbers))
    least = {feature: 2 if feature.startswith("description:") else 1 for feature in numbers}
    known = np.array([numbers[f] for f in sorted(numbers) if frequency[numbers[f]] >= least[f]], np.int64)
    if not known.size:
        return sp.csr_matrix((len(isbns), 1), dtype=np.float32)
    values = np.array(kinds)[known] * np.log1p(np.count_nonzero(counted) / frequency[known])
    matrix = (present[:, known] @ sp.diags(values.astype(np.float32))).tocsr()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    squares = matrix.multiply(matrix)
    shared = np.asarray(squares @ (frequency[known] > 1)).ravel()
    norms = np.sqrt(np.where(shared > 0, shared, squares.sum(axis=1).A1))
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


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold())) - _STOP_WORDS


def _text(book: Mapping[str, object], name: str) -> str:
    for column in _COLUMNS.get(name, (name,)):
        value = book.get(column)
        if isinstance(value, str) and value:
            return value
    return ""
