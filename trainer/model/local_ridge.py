"""Local ridge regression: each book is predicted from its nearest books, with a small system of equations of its own.

EASE inverts one matrix as large as the catalogue, which is cubic in its books. Here the work for the systems grows with
the books alone, so one model serves catalogues of all sizes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float32]
Items = npt.NDArray[np.int64]

BLOCK = 512
"""Books whose Gram rows are dense at a time: two workers with 40,000 books hold 160 MB."""

SYSTEM_BYTES = 1 << 30
"""Greatest size of all systems together: items · k² · 4 bytes. It bounds k: 81 with 40,000 books."""


def observations(
    shelves: sp.csr_matrix, features: sp.csr_matrix, feature_weight: float, reader_norm: float
) -> sp.csc_matrix:
    """Return M with MᵀM = XᵀD²X + w²·FFᵀ, CSC [users + features, items].

    D gives a reader with n books the weight (n / mean n)^−α. Metadata are further rows of X: Jeunen et al.,
    "Closed-Form Models for Collaborative Filtering with Side-Information" (RecSys 2020), section 3.

    Args:
        shelves: X, CSR [users, items] of ones.
        features: F, CSR [items, features], rows L2-normalised.
        feature_weight: w.
        reader_norm: α.
    """
    sizes = np.maximum(np.diff(shelves.indptr), 1)
    weighted = sp.diags((sizes / sizes.mean()) ** -reader_norm, dtype=np.float32) @ shelves
    return sp.vstack([weighted, features.T * np.float32(feature_weight)], format="csc", dtype=np.float32)


class LocalRidge:
    """The systems of some books, to be solved for several regularisations.

    Book j has the weights b = (G_NN + λI + p/(1−p)·diag G_NN)⁻¹ G_Nj over N, its k nearest sources by the cosine of
    G = MᵀM. Source: Ning and Karypis, "SLIM" (ICDM 2011), section 4.2 (fsSLIM), with the ridge of Steck,
    "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019), and the dropout term of Steck, "Autoencoders that
    don't overfit towards the Identity" (NeurIPS 2020), eq. 8. Compare Steck, "Markov Random Fields for Collaborative
    Filtering" (NeurIPS 2019), section 4.

    The whole Gram matrix is never in memory: its rows are computed twice, ``BLOCK`` at a time, on all cores.

    Args:
        columns: M, CSC [rows, items], as ``observations`` returns it.
        targets: int64 [targets], ascending: the books to be predicted.
        sources: int64 [sources], ascending: the books to predict from. A book is never its own source.
        neighbours: k; fewer if there are fewer sources, or if the systems would exceed ``SYSTEM_BYTES``.
    """

    def __init__(self, columns: sp.csc_matrix, targets: Items, sources: Items, neighbours: int) -> None:
        self._items, self._targets, self._sources = columns.shape[1], targets, sources
        bound = int((SYSTEM_BYTES / (4 * max(len(targets), 1))) ** 0.5)
        others = len(sources) - int(np.isin(targets, sources).any())
        self.width = max(0, min(neighbours, bound, others))
        self._near = np.zeros((len(targets), self.width), np.int32)
        self._wanted = np.zeros((len(targets), self.width), np.float32)
        self._systems = np.zeros((len(targets), self.width, self.width), np.float32)
        if self.width:
            from_sources = columns[:, sources].tocsr()
            self._find(columns[:, targets].T.tocsr(), from_sources, _norms(columns))
            self._look_up(columns[:, sources].T.tocsr(), from_sources)

    def weights(self, regularisation: float, dropout: float, neighbours: int) -> sp.csr_matrix:
        """Return the weights, float32 CSR [items, items]: a shelf's scores are the sum of its books' rows.

        Args:
            regularisation: λ, above 0.
            dropout: p, in [0, 1).
            neighbours: k, at most that of the systems.
        """
        k = min(neighbours, self.width)
        solved, on_diagonal = np.zeros((len(self._targets), k), np.float32), np.arange(k)

        def solve(rows: slice) -> None:
            systems = self._systems[rows, :k, :k].copy()
            systems[:, on_diagonal, on_diagonal] *= np.float32(1 + dropout / (1 - dropout))
            systems[:, on_diagonal, on_diagonal] += np.float32(regularisation)
            solved[rows] = np.linalg.solve(systems, self._wanted[rows, :k, None])[:, :, 0]

        if k:
            _in_blocks(solve, len(self._targets))
        books = np.repeat(self._targets, k)
        sources = self._sources[self._near[:, :k].ravel()]
        shape = (self._items, self._items)
        weights = sp.csr_matrix((solved.ravel(), (sources, books)), shape=shape, dtype=np.float32)
        weights.eliminate_zeros()
        return weights

    def _find(self, targets: sp.csr_matrix, from_sources: sp.csr_matrix, norms: Floats) -> None:
        """Find each target's nearest sources, the nearest first, and their products with it."""
        scale = 1 / np.maximum(norms[self._sources], 1e-9)
        place = np.full(self._items, -1)
        place[self._sources] = np.arange(len(self._sources))
        own = place[self._targets]

        def find(rows: slice) -> None:
            products = (targets[rows] @ from_sources).toarray()
            cosines = products * scale
            themselves = np.flatnonzero(own[rows] >= 0)
            cosines[themselves, own[rows][themselves]] = -np.inf
            near = np.argpartition(-cosines, self.width - 1, axis=1)[:, : self.width]
            # Ties go to the smaller index, so that the order does not depend on the partition.
            order = np.lexsort((near, -np.take_along_axis(cosines, near, axis=1)), axis=1)
            self._near[rows] = np.take_along_axis(near, order, axis=1)
            self._wanted[rows] = np.take_along_axis(products, self._near[rows], axis=1)

        _in_blocks(find, len(self._targets))

    def _look_up(self, sources: sp.csr_matrix, from_sources: sp.csr_matrix) -> None:
        """Fill the systems, source by source: a row of the Gram matrix goes to the books that are near its source."""
        uses = np.argsort(self._near.ravel(), kind="stable")
        starts = np.searchsorted(self._near.ravel()[uses], np.arange(len(self._sources) + 1))

        def look_up(rows: slice) -> None:
            products = (sources[rows] @ from_sources).toarray()
            for source, row in enumerate(products, start=rows.start):
                target, position = np.divmod(uses[starts[source] : starts[source + 1]], self.width)
                self._systems[target, position] = row[self._near[target]]

        _in_blocks(look_up, len(self._sources))


def _norms(columns: sp.csc_matrix) -> Floats:
    """Return the length of each column, float32 [items]."""
    squares = columns.multiply(columns).sum(axis=0)
    lengths: Floats = np.sqrt(np.asarray(squares, np.float32)).ravel()
    return lengths


def _in_blocks(work: Callable[[slice], None], count: int) -> None:
    """Do ``work`` for blocks of ``count`` rows on all cores; a block's result must not depend on the others."""
    blocks = [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(work, blocks))
