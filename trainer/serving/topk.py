"""Exact top k by inner product, for a dense model's lists and neighbours, in blocks of bounded memory.

A block's products are one matrix product, at the speed of BLAS. The maximum of each 64 products is taken while they
are in the cache; only the k best of these groups can contain any of the k best, so almost nothing is sorted.
Each worker multiplies on one thread, so multiplying and choosing use all cores equally.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

GROUP = 64
"""Items per group; the greatest product represents the group."""

QUERIES, ITEMS = 512, 8192
"""Greatest number of queries per block: enough for BLAS to reach its speed, few enough for the cache."""

BLOCK_BYTES = 1 << 28
"""A worker keeps the products of its queries with all items; more items mean fewer queries."""


def top_inner_products(
    queries: Floats, items: Floats, k: int, excluded: sp.csr_matrix | None = None, *, by_magnitude: bool = False
) -> tuple[Ints, Floats]:
    """Return each query's exact best items, the best first; ties go to the smaller index.

    Args:
        queries: float32 [queries, dim].
        items: float32 [items, dim].
        k: number of results; at most the number of items.
        excluded: CSR [queries, items]: the stored pairs are excluded.
        by_magnitude: the products of greatest magnitude are the best, and an excluded one counts as 0. They are
            returned with their signs, the greatest first.

    Returns:
        int32 [queries, k] indices, −1 where fewer items are left, and float32 [queries, k] products, −inf there.
    """
    k = min(k, len(items))
    indices, products = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)
    if not k or not len(queries):
        return indices, products
    width = max(1, min(QUERIES, len(queries), BLOCK_BYTES // (4 * len(items))))
    workers = min(len(os.sched_getaffinity(0)), -(-len(queries) // width))
    width = -(-len(queries) // (workers * -(-len(queries) // (workers * width))))  # as many blocks for each worker
    starts = iter(range(0, len(queries), width))

    def work(_: int) -> None:
        block = _Block(items, width, k, by_magnitude)
        for start in starts:  # a free worker takes the next block
            rows = slice(start, min(start + width, len(queries)))
            indices[rows], products[rows] = block.best(queries[rows], None if excluded is None else excluded[rows])

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    return indices, products


def first_of_best(scores: Floats, k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k greatest of each row [rows, width], int64 [rows, k], ascending; ties go first."""
    width = scores.shape[1]
    least = np.partition(scores, width - k, axis=1)[:, width - k, None]
    chosen = scores >= least
    crowded = np.count_nonzero(chosen, axis=1) > k
    if crowded.any():
        first = np.argsort(-scores[crowded], axis=1, kind="stable")[:, :k]
        only = np.zeros((len(first), width), bool)
        np.put_along_axis(only, first, True, axis=1)
        chosen[crowded] = only
    return np.nonzero(chosen)[1].reshape(len(scores), k)


class _Block:
    """One worker's memory: the products of some queries with all items, and the maximum of each group of items."""

    def __init__(self, items: Floats, width: int, k: int, by_magnitude: bool) -> None:
        self._items, self._k, self._by_magnitude = items, k, by_magnitude
        # With few items, groups are smaller: there must be several times as many groups as are chosen.
        self._group = max(1, min(GROUP, len(items) // (4 * k)))
        self._groups = -(-len(items) // self._group)
        self._products = np.empty(self._groups * self._group * width, np.float32)
        self._greatest = np.empty(self._groups * width, np.float32)

    def best(self, queries: Floats, excluded: sp.csr_matrix | None) -> tuple[Ints, Floats]:
        """Return indices int32 [rows, k] and products float32 [rows, k] of some queries [rows, dim]."""
        products, greatest = self._multiply(queries, excluded)
        # k items come before each item of a group that is not among the k best groups.
        groups = first_of_best(np.ascontiguousarray(greatest.T), self._k)
        members = (groups[:, :, None] * self._group + np.arange(self._group)).reshape(len(queries), -1)
        candidates = products[members, np.arange(len(queries))[:, None]]
        places = first_of_best(np.abs(candidates) if self._by_magnitude else candidates, self._k)
        indices, values = np.take_along_axis(members, places, axis=1), np.take_along_axis(candidates, places, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        indices, values = np.take_along_axis(indices, order, axis=1), np.take_along_axis(values, order, axis=1)
        return np.where(values == -np.inf, -1, indices).astype(np.int32), values

    def _multiply(self, queries: Floats, excluded: sp.csr_matrix | None) -> tuple[Floats, Floats]:
        """Return products float32 [padded items, rows] and group maxima float32 [groups, rows]."""
        rows, count, step = len(queries), len(self._items), ITEMS // self._group * self._group
        products = self._products[: self._groups * self._group * rows].reshape(-1, rows)
        greatest = self._greatest[: self._groups * rows].reshape(-1, rows)
        nothing = np.float32(0 if self._by_magnitude else -np.inf)
        products[count:] = nothing
        left_out = None if excluded is None else excluded.tocsc()
        columns = np.ascontiguousarray(queries.T)
        for start in range(0, count, step):
            end = min(start + step, count)
            np.matmul(self._items[start:end], columns, out=products[start:end])
            if left_out is not None:
                stored = slice(*left_out.indptr[[start, end]])
                items = np.repeat(np.arange(start, end), np.diff(left_out.indptr[start : end + 1]))
                products[items, left_out.indices[stored]] = nothing
            groups = slice(start // self._group, -(-end // self._group))
            grouped = products[start : groups.stop * self._group].reshape(-1, self._group, rows)
            np.maximum.reduce(grouped, axis=1, out=greatest[groups])
            if self._by_magnitude:
                np.maximum(greatest[groups], -np.minimum.reduce(grouped, axis=1), out=greatest[groups])
        return products, greatest
