"""Retrieval for blocks of readers: sparse sums, standardised over the books not on the shelf, and their best."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.serving.arrays import Quantised
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


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rated or unrated books.

    Attributes:
        retrieved: number of candidates of this kind.
        always: int64, those among them whatever their blend is.
        by_base: int64, the others, the best first for an empty shelf.
        members: bool [items], the others.
    """

    retrieved: int
    always: Places
    by_base: Places
    members: npt.NDArray[np.bool_]


class Retrieval:
    """Retrieval with the tables of one model. Each thread has one array for notes about books, reused by all blocks."""

    def __init__(self, serving: ServingModel, arrays: Quantised) -> None:
        self._count, self._is_rated, self._base = arrays.book_count, arrays.is_rated, arrays.base
        self._tables = arrays.tables
        self._matrices = [table.matrix for table in arrays.tables]
        always = np.sort(arrays.always)
        is_always = np.zeros(self._count, bool)
        is_always[always] = True
        order = np.argsort(-self._base, kind="stable")
        rated = order[self._is_rated[order] & ~is_always[order]]
        self._kinds = [
            _Kind(arrays.retrieved_rated, always, rated, self._is_rated & ~is_always),
            _Kind(arrays.retrieved_unrated, always[:0], np.flatnonzero(~self._is_rated), ~self._is_rated),
        ]
        self._thread = threading.local()

    @property
    def readers_at_once(self) -> int:
        """How many readers may be in one block."""
        return max(1, CELLS // (self._count + 1))

    def __call__(self, rows: Places) -> Retrieved:
        """Return the candidates for shelves int64 [readers, n] of distinct items, ``book_count`` for unknown ones."""
        sums = [self._sums(rows, matrix) for matrix in self._matrices]
        is_rated = np.append(self._is_rated, False)
        counted = np.maximum(np.count_nonzero(self._is_rated) - np.count_nonzero(is_rated[rows], axis=1), 1)
        notes = self._clean_notes(len(rows))
        readers = np.arange(len(rows))[:, None]
        notes[readers, rows] = 1
        moments = [_moments(of_table, notes, self._is_rated, counted) for of_table in sums]
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
        flat = rows.ravel()
        for matrix in self._matrices:
            lengths = np.diff(matrix.indptr)[flat]
            shelf = np.repeat(np.arange(flat.size), lengths)
            stored = np.arange(lengths.sum()) + np.repeat(matrix.indptr[flat] - (np.cumsum(lengths) - lengths), lengths)
            columns = notes[shelf // rows.shape[1], matrix.indices[stored]]
            wanted = np.flatnonzero(columns)
            weights = np.zeros((flat.size, targets.shape[1]), np.float32)
            weights[shelf[wanted], columns[wanted] - 1] = matrix.data[stored[wanted]]
            by_table.append(weights.reshape(*rows.shape, -1))
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
        values[notes[readers, books] > 0] = -np.inf
        by_kind = [np.where(kind.members[books], values, -np.inf) for kind in self._kinds]
        count = sum(kind.retrieved for kind in self._kinds)
        is_on_shelf = np.zeros((len(rows), count), bool)
        indices = np.empty((len(rows), count), np.int64)
        for reader, shelf in enumerate(rows):
            stored = slice(blended.indptr[reader], blended.indptr[reader + 1])
            note, place = notes[reader], 0
            for kind, of_kind in zip(self._kinds, by_kind, strict=True):
                first = kind.always[note[kind.always] == 0]
                wanted = kind.retrieved - len(first)
                best = self._best_of(kind, books[stored], of_kind[stored], float(offsets[reader]), note, wanted)
                others = np.concatenate([first, best])
                end = place + kind.retrieved
                is_on_shelf[reader, place + len(others) : end] = True
                own = shelf[shelf < self._count]
                own = own[self._is_rated[own] == (kind is self._kinds[0])]
                indices[reader, place:end] = np.concatenate([others, own])[: kind.retrieved]
                place = end
        return indices, is_on_shelf

    def _best_of(
        self,
        kind: _Kind,
        books: npt.NDArray[np.int32],
        values: Floats,
        offset: float,
        note: npt.NDArray[np.int16],
        wanted: int,
    ) -> Places:
        """Return at most ``wanted`` best books of a kind for one reader: of those with a sum, and of the others."""
        if not wanted:
            return np.zeros(0, np.int64)
        least = np.partition(values, len(values) - wanted)[len(values) - wanted] if len(values) > wanted else -np.inf
        note[books] += 2
        others, start, step = [], 0, 2 * wanted + 2
        missing = wanted
        while missing > 0 and start < len(kind.by_base):
            part = kind.by_base[start : start + step]
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


def _moments(
    sums: sp.csr_matrix, notes: npt.NDArray[np.int16], is_rated: npt.NDArray[np.bool_], count: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return mean and deviation of each row over the ``count`` rated books that are not on the shelf."""
    readers = np.repeat(np.arange(len(count)), np.diff(sums.indptr))
    is_counted = (notes[readers, sums.indices] == 0) & is_rated[sums.indices]
    kept = np.where(is_counted, sums.data, np.float32(0))
    mean = np.bincount(readers, kept, len(count)) / count
    squares = np.bincount(readers, np.where(is_counted, (kept - mean[readers]) ** 2, 0), len(count))
    zeros = count - np.bincount(readers, is_counted, len(count))
    deviation = np.sqrt((squares + zeros * mean**2) / count)
    greatest, stored = np.zeros(len(count), np.float32), np.flatnonzero(np.diff(sums.indptr))
    if len(stored):
        greatest[stored] = np.maximum.reduceat(np.abs(kept), sums.indptr[stored])
    least = np.maximum(LEAST_DEVIATION, LEAST_SHARE * greatest)
    return mean.astype(np.float32), np.maximum(deviation, least).astype(np.float32)
