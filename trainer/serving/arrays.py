"""The served model's arrays as the exported file stores them, shared by all implementations that must agree with it.

Large ones are integers with a scale, which keeps the file small; nothing else is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from bookrec.recommender import UNKNOWN
from trainer.serving.item_item import ServingModel, Table

Floats = npt.NDArray[np.float32]

CANDIDATES = 100
"""Greatest number of books that a call returns."""

RETRIEVED = 150
"""Rated books that the reranker sees."""

RETRIEVED_UNRATED = 50
"""Unrated books that the reranker sees. They have places of their own, so they take none from rated books."""

RETRIEVED_POPULAR = 40
"""How many of the most popular books are always among these rated ones: a safe guess for a shelf of one or two."""

CHUNK = 16
"""Number of weights that are stored and read together; a book has as many chunks as its weights need."""

REASONS = 2

NO_VECTOR = np.float32(1e-12)
"""Vectors are of length 1, or 0."""

SIMILAR = 20
"""Books that are found similar to one: some of them may be editions of each other, or no longer in the catalogue."""


@dataclass(frozen=True, slots=True)
class QuantisedTable:
    """One table. Its rows differ in length, so each is stored as chunks of one length, row by row.

    Attributes:
        neighbours: int16 or int32 [chunks, CHUNK], items; a row's last chunk is filled up with weights of 0.
        weights: int16 [chunks, CHUNK].
        first, counts: int32 [items + 1], each book's first chunk and number of chunks; an unknown book has none.
        unit: the unit of the integer weights.
        share: how much the table counts in the blend.
    """

    neighbours: npt.NDArray[Any]
    weights: npt.NDArray[np.int16]
    first: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    unit: np.float32
    share: float

    @property
    def matrix(self) -> sp.csr_matrix:
        """The weights, float32 CSR [items + 1, items], the last row for unknown books."""
        items = len(self.counts) - 1
        starts = np.append(self.first, len(self.weights)) * CHUNK
        starts[-2] = starts[-1]
        stored = (self.weights.ravel() * self.unit, self.neighbours.ravel().astype(np.int32), starts)
        matrix = sp.csr_matrix(stored, shape=(items + 1, items))
        matrix.eliminate_zeros()
        return matrix


class Quantised:
    """A model's arrays. Those by item have one row more than there are books: the last one is for unknown books.

    Attributes:
        book_count: number of items.
        retrieved_rated, retrieved_unrated: number of candidates for the reranker, of either kind.
        tables: the item-item weights.
        base: float32 [items], the blend of an empty shelf: popularity times its weight.
        is_rated: bool [items].
        offsets: float32 [items], added to the scores: ``unrated_offset`` for unrated books, 0 for others.
        vectors, vector_scales: int8 [items + 1, dim] and each row's unit, float32 [items + 1]; the unit of a row of
            zeros is at most ``NO_VECTOR``.
        bias, popular: float32 [items + 1].
        series, authors: int32 [items + 1], −1 for none.
        numbers: float32 [items + 1], the places in a series.
        always: int64 [at most ``RETRIEVED_POPULAR``], the rated books that are always retrieved.
    """

    def __init__(self, serving: ServingModel) -> None:
        self.book_count = len(serving.isbns)
        self.is_rated = serving.is_rated
        rated = int(self.is_rated.sum())
        self.retrieved_rated = min(RETRIEVED, rated)
        # With few rated books, more unrated ones: a call returns ``CANDIDATES`` books if there are so many.
        self.retrieved_unrated = min(max(RETRIEVED_UNRATED, CANDIDATES - rated), self.book_count - rated)
        self.tables = [_quantised(table, self.is_rated) for table in serving.tables]
        self.base = serving.popularity * np.float32(serving.popularity_weight)
        self.offsets = np.where(self.is_rated, 0, serving.unrated_offset).astype(np.float32)
        self.vectors, self.vector_scales = _quantised_rows(serving.vectors)
        self.bias = np.append(serving.biases.items, np.float32(0))
        self.popular = np.append(serving.popularity, np.float32(0))
        self.series = np.append(serving.facts.series, UNKNOWN).astype(np.int32)
        self.numbers = np.append(serving.facts.numbers, 0).astype(np.float32)
        self.authors = np.append(serving.facts.authors, UNKNOWN).astype(np.int32)
        self.always = np.argsort(-serving.popularity, kind="stable")[: min(RETRIEVED_POPULAR, rated)]

    @property
    def retrieved(self) -> int:
        """Number of candidates for the reranker."""
        return self.retrieved_rated + self.retrieved_unrated


def _padded(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.vstack([matrix, np.zeros((1, matrix.shape[1]), matrix.dtype)])


def _small(indices: npt.NDArray[np.int32], book_count: int) -> npt.NDArray[Any]:
    return indices.astype(np.int16) if book_count <= np.iinfo(np.int16).max else indices


def _quantised(table: Table, is_rated: npt.NDArray[np.bool_]) -> QuantisedTable:
    """Return a table in integers; its unit is that of the rated books, however large the others' weights are.

    If no rated book has weights, the unit is that of the others.
    """
    matrix, items = table.matrix.tocsr(), table.matrix.shape[0]
    of_rated = is_rated[matrix.indices]
    weights = matrix.data[of_rated] if of_rated.any() else matrix.data
    greatest = np.iinfo(np.int16).max
    unit = np.float32(max(float(np.abs(weights).max(initial=0.0)), 1e-12) / greatest)
    lengths = np.diff(matrix.indptr)
    counts = -(-lengths // CHUNK)
    first = np.cumsum(counts) - counts
    # Each weight's place: the row's first chunk, and how far into the row it is.
    places = np.repeat(first * CHUNK - matrix.indptr[:-1], lengths) + np.arange(matrix.nnz)
    chunks = max(int(counts.sum()), 1)
    neighbours, integers = np.zeros(chunks * CHUNK, np.int32), np.zeros(chunks * CHUNK, np.int16)
    neighbours[places] = matrix.indices
    integers[places] = np.clip(np.round(matrix.data / unit), -greatest, greatest)
    return QuantisedTable(
        _small(neighbours, items).reshape(-1, CHUNK),
        integers.reshape(-1, CHUNK),
        np.append(first, 0).astype(np.int32),
        np.append(counts, 0).astype(np.int32),
        unit,
        table.share,
    )


def _quantised_rows(vectors: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Return int8 rows, with one for unknown books, and each row's unit."""
    units = np.maximum(np.abs(vectors).max(axis=1), NO_VECTOR) / np.iinfo(np.int8).max
    whole = _padded(np.round(vectors / units[:, None]).astype(np.int8))
    return whole, np.append(units, 0).astype(np.float32)
