"""Retrieval for blocks of readers: sparse sums, standardised over the books not on the shelf, and their best."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.serving.arrays import Quantised, QuantisedTable
from trainer.serving.item_item import LEAST_DEVIATION, LEAST_SHARE, MASKED, ServingModel

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

CELLS = 1 << 24
"""Greatest number of readers times books in a block: an int16 is kept for each."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Candidates for readers whose shelves have n books.

    Attributes:
        indices: int64 [readers, C], in the order in which the exported file retrieves them.
        blend: float32 [readers, C], ``MASKED`` for books on the shelf.
        parts: float32 [readers, C] per table, its summand of the blend before the share.
        between: float32 [readers, n, C] per table, its weights from the shelf's books to the candidates.
        contributions: float32 [readers, n, C], each shelf book's summands of the blend.
    """

    indices: Places
    blend: Floats
    parts: list[Floats]
    between: list[Floats]
    contributions: Floats


class Retrieval:
    """Retrieval with the tables of one model. Each thread has one array for notes about books, reused by all blocks."""

    def __init__(self, serving: ServingModel, arrays: Quantised) -> None:
        count = self._count = arrays.book_count
        self._retrieved = arrays.retrieved
        self._tables = arrays.tables
        self._matrices = [_matrix(table, count) for table in arrays.tables]
        self._base = serving.popularity * np.float32(serving.popularity_weight)
        self._always = np.sort(arrays.always)
        self._is_always = np.zeros(count, bool)
        self._is_always[self._always] = True
        order = np.argsort(-self._base, kind="stable")
        self._by_popularity = order[~self._is_always[order]]
        self._thread = threading.local()

    @property
    def readers_at_once(self) -> int:
        """How many readers may be in one block."""
        return max(1, CELLS // (self._count + 1))

    def __call__(self, rows: Places) -> Retrieved:
        """Return the candidates for shelves int64 [readers, n] of distinct items, ``book_count`` for unknown ones."""
        sums = [self._sums(rows, matrix) for matrix in self._matrices]
        left = np.maximum(self._count - np.count_nonzero(rows < self._count, axis=1), 1)
        notes = self._clean_notes(len(rows))
        readers = np.arange(len(rows))[:, None]
        notes[readers, rows] = 1
        moments = [_moments(of_table, notes, left) for of_table in sums]
        indices, is_on_shelf = self._best(rows, sums, moments, notes)
        notes[readers, rows] = 0
        between = self.between(rows, indices)
        parts, contributions = [], np.zeros(between[0].shape, np.float32)
        blend = self._base[indices]
        for table, weights, (mean, deviation) in zip(self._tables, between, moments, strict=True):
            parts.append((weights.sum(axis=1) - mean[:, None]) / deviation[:, None])
            blend += np.float32(table.share) * parts[-1]
            contributions += (np.float32(table.share) / deviation)[:, None, None] * weights
        blend[is_on_shelf] = MASKED
        return Retrieved(indices, blend, parts, between, contributions)

    def between(self, rows: Places, targets: Places) -> list[Floats]:
        """Return each table's weights from shelf books [readers, n] to distinct targets [readers, C]."""
        notes, readers = self._clean_notes(len(rows)), np.arange(len(rows))[:, None]
        notes[readers, targets] = np.arange(1, targets.shape[1] + 1)
        notes[:, self._count] = 0  # no weight leads to an unknown book
        by_table = []
        for table in self._tables:
            near = table.neighbours[rows]
            columns = notes[readers[:, :, None], near]
            reader, book, place = np.nonzero(columns)
            weights = np.zeros((*rows.shape, targets.shape[1]), np.float32)
            values = table.weights[rows[reader, book], place] * table.unit
            weights[reader, book, columns[reader, book, place] - 1] = values
            by_table.append(weights)
        notes[readers, targets] = 0
        return by_table

    def _clean_notes(self, readers: int) -> npt.NDArray[np.int16]:
        """Return int16 [readers, items + 1], all 0; a caller that writes into it must reset it to 0."""
        notes: npt.NDArray[np.int16] | None = getattr(self._thread, "notes", None)
        if notes is None or len(notes) < readers:
            notes = self._thread.notes = np.zeros((readers, self._count + 1), np.int16)
        return notes[:readers]

    def _sums(self, rows: Places, matrix: sp.csr_matrix) -> sp.csr_matrix:
        readers, size = rows.shape
        ones, starts = np.ones(rows.size, np.float32), np.arange(0, rows.size + 1, size)
        return sp.csr_matrix((ones, rows.ravel(), starts), shape=(readers, self._count + 1)) @ matrix

    def _best(
        self,
        rows: Places,
        sums: list[sp.csr_matrix],
        moments: list[tuple[Floats, Floats]],
        notes: npt.NDArray[np.int16],
    ) -> tuple[Places, npt.NDArray[np.bool_]]:
        """Return the candidates [readers, C], and which of them are on the shelf because there are no others."""
        scales = [np.float32(t.share) / deviation for t, (_, deviation) in zip(self._tables, moments, strict=True)]
        blended = sum(
            (sp.diags(scale) @ of_table for scale, of_table in zip(scales, sums, strict=True)),
            start=sp.csr_matrix(sums[0].shape, dtype=np.float32),
        ).tocsr()
        offsets = np.zeros(len(rows), np.float32)
        for scale, (mean, _) in zip(scales, moments, strict=True):
            offsets -= scale * mean
        readers = np.repeat(np.arange(len(rows)), np.diff(blended.indptr))
        books = blended.indices
        values = self._base[books] + blended.data.astype(np.float32) + offsets[readers]
        values[(notes[readers, books] > 0) | self._is_always[books]] = -np.inf
        is_on_shelf = np.zeros((len(rows), self._retrieved), bool)
        indices = np.empty((len(rows), self._retrieved), np.int64)
        for reader, shelf in enumerate(rows):
            stored = slice(blended.indptr[reader], blended.indptr[reader + 1])
            note = notes[reader]
            first = self._always[note[self._always] == 0]
            wanted = self._retrieved - len(first)
            best = self._best_of(books[stored], values[stored], float(offsets[reader]), note, wanted)
            others = np.concatenate([first, best])
            is_on_shelf[reader, len(others) :] = True
            indices[reader] = np.concatenate([others, shelf[shelf < self._count]])[: self._retrieved]
        return indices, is_on_shelf

    def _best_of(
        self, books: npt.NDArray[np.int32], values: Floats, offset: float, note: npt.NDArray[np.int16], wanted: int
    ) -> Places:
        """Return at most ``wanted`` best books of one reader, from those with a sum and from the popular others."""
        least = np.partition(values, len(values) - wanted)[len(values) - wanted] if len(values) > wanted else -np.inf
        note[books] += 2
        others, start, step = [], 0, 2 * wanted + 2
        missing = wanted
        while missing > 0 and start < len(self._by_popularity):
            part = self._by_popularity[start : start + step]
            if self._base[part[0]] + offset < least:
                break
            others.append(part[note[part] == 0][:missing])
            missing -= len(others[-1])
            start, step = start + step, 2 * step
        note[books] -= 2
        kept = values >= max(least, np.float32(-3e38))
        every = np.concatenate([books[kept], *others]).astype(np.int64)
        worth = np.concatenate([values[kept], *(self._base[part] + np.float32(offset) for part in others)])
        return every[np.lexsort((every, -worth))[:wanted]]


def _matrix(table: QuantisedTable, count: int) -> sp.csr_matrix:
    """Return a table's weights, float32 CSR [items + 1, items]."""
    width = table.neighbours.shape[1]
    starts = np.arange(0, (count + 1) * width + 1, width)
    weights = table.weights.ravel() * table.unit
    matrix = sp.csr_matrix((weights, table.neighbours.ravel().astype(np.int32), starts), shape=(count + 1, count))
    matrix.eliminate_zeros()
    return matrix


def _moments(sums: sp.csr_matrix, notes: npt.NDArray[np.int16], left: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return mean and deviation of each row over the ``left`` books that are not on the shelf."""
    readers = np.repeat(np.arange(len(left)), np.diff(sums.indptr))
    is_left = notes[readers, sums.indices] == 0
    kept = np.where(is_left, sums.data, np.float32(0))
    mean = np.bincount(readers, kept, len(left)) / left
    squares = np.bincount(readers, np.where(is_left, (kept - mean[readers]) ** 2, 0), len(left))
    zeros = left - np.bincount(readers, is_left, len(left))
    deviation = np.sqrt((squares + zeros * mean**2) / left)
    greatest, stored = np.zeros(len(left), np.float32), np.flatnonzero(np.diff(sums.indptr))
    if len(stored):
        greatest[stored] = np.maximum.reduceat(np.abs(kept), sums.indptr[stored])
    least = np.maximum(LEAST_DEVIATION, LEAST_SHARE * greatest)
    return mean.astype(np.float32), np.maximum(deviation, least).astype(np.float32)
