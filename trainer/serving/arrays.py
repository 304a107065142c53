"""The served model's arrays as the exported file stores them, shared by all implementations that must agree with it.

Large ones are integers with a scale, which keeps the file small; nothing else is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bookrec.recommender import UNKNOWN
from trainer.serving.item_item import ServingModel

Floats = npt.NDArray[np.float32]

CANDIDATES = 100
"""Greatest number of books that a call returns."""

RETRIEVED = 200
"""Books that the reranker sees."""

RETRIEVED_POPULAR = 40
"""How many of the most popular books are always among them: a safe guess for a shelf of one or two books."""

REASONS = 2


@dataclass(frozen=True, slots=True)
class QuantisedTable:
    """One table, with a row of zeros for an unknown book.

    Attributes:
        neighbours: int16 or int32 [items + 1, M].
        weights: int16 [items + 1, M].
        unit: the unit of the integer weights.
        share: how much the table counts in the blend.
    """

    neighbours: npt.NDArray[Any]
    weights: npt.NDArray[np.int16]
    unit: np.float32
    share: float


class Quantised:
    """A model's arrays. Each has one row more than there are books: the last one is for unknown books.

    Attributes:
        book_count: number of items.
        retrieved: number of candidates for the reranker.
        tables: the item-item weights.
        vectors, vector_scales: int8 [items + 1, dim] and each row's unit, float32 [items + 1].
        bias, popular: float32 [items + 1].
        series, authors: int32 [items + 1], −1 for none.
        numbers: float32 [items + 1], the places in a series.
        always: int64 [at most ``RETRIEVED_POPULAR``], the books that are always retrieved.
    """

    def __init__(self, serving: ServingModel) -> None:
        self.book_count = len(serving.isbns)
        self.retrieved = min(RETRIEVED, self.book_count)
        self.tables = [
            QuantisedTable(
                _padded(_small(table.neighbours, self.book_count)), *_quantised(table.weights), share=table.share
            )
            for table in serving.tables
        ]
        self.vectors, self.vector_scales = _quantised_rows(serving.vectors)
        self.bias = np.append(serving.biases.items, np.float32(0))
        self.popular = np.append(serving.popularity, np.float32(0))
        self.series = np.append(serving.facts.series, UNKNOWN).astype(np.int32)
        self.numbers = np.append(serving.facts.numbers, 0).astype(np.float32)
        self.authors = np.append(serving.facts.authors, UNKNOWN).astype(np.int32)
        self.always = np.argsort(-serving.popularity, kind="stable")[:RETRIEVED_POPULAR]


def _padded(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.vstack([matrix, np.zeros((1, matrix.shape[1]), matrix.dtype)])


def _small(indices: npt.NDArray[np.int32], book_count: int) -> npt.NDArray[Any]:
    return indices.astype(np.int16) if book_count <= np.iinfo(np.int16).max else indices


def _quantised(weights: Floats) -> tuple[npt.NDArray[np.int16], np.float32]:
    """Return int16 weights, with a row for unknown books, and their unit."""
    unit = np.float32(max(float(np.abs(weights).max(initial=0.0)), 1e-12) / np.iinfo(np.int16).max)
    return _padded(np.round(weights / unit).astype(np.int16)), unit


def _quantised_rows(vectors: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Return int8 rows, with one for unknown books, and each row's unit."""
    units = np.maximum(np.abs(vectors).max(axis=1), 1e-12) / np.iinfo(np.int8).max
    whole = _padded(np.round(vectors / units[:, None]).astype(np.int8))
    return whole, np.append(units, 0).astype(np.float32)
