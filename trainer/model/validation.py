"""Held-out entries, and how well scores rank them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from trainer.data.dataset import Ratings
from trainer.metrics import ndcg, rmse
from trainer.serving.biases import Biases
from trainer.serving.item_item import MASKED
from trainer.serving.topk import top_inner_products

VALIDATION_USERS = 2_000
"""Greatest number of readers that are ranked for a validation figure."""

BLOCK, PAIRS = 256, 1 << 16
"""Readers times all books, or vectors of pairs, in memory at a time."""

Floats = npt.NDArray[np.float32]


class Validation:
    """Held-out entries, to be ranked among all books that are not on the reader's shelf.

    Attributes:
        held: the entries.
        users: int64 [validated], user indices with held-out entries, at most ``VALIDATION_USERS``.
        shelves: CSR [validated, items], the users' shelves.
        stars: CSR [validated, items], their stars.
    """

    def __init__(self, part: Ratings, held: Ratings) -> None:
        wanted = held.matrix()
        self.users = np.flatnonzero(np.diff(wanted.indptr))[:VALIDATION_USERS]
        self.held, self.shelves = held, part.matrix()[self.users]
        self._wanted = [frozenset(wanted[user].indices.tolist()) for user in self.users]
        self.stars = part.star_matrix()[self.users]

    def blocks(self) -> Iterator[slice]:
        """Yield slices of the rows of ``shelves``, such that each slice times all books fits into memory."""
        for start in range(0, self.shelves.shape[0], BLOCK):
            yield slice(start, min(start + BLOCK, self.shelves.shape[0]))

    def ndcg_of_vectors(self, vectors: Floats) -> float:
        """Return the mean NDCG@10 if a book's score is the inner product with the sum of the shelf's vectors.

        Args:
            vectors: float32 [items, embedding_dim].
        """
        readers = np.asarray(self.shelves @ vectors, np.float32)
        ranked, _ = top_inner_products(readers, vectors, 10, self.shelves)
        figures = self._ndcg(ranked, 0)
        return float(np.mean(figures)) if figures else 0.0

    def figures(self, rows: slice, scores: Floats) -> list[float]:
        """Return each reader's NDCG@10 by ``scores`` [rows, items] of some rows of ``shelves``; changes ``scores``."""
        scores[self.shelves[rows].nonzero()] = MASKED
        best = np.argpartition(-scores, min(10, scores.shape[1] - 1), axis=1)[:, :10]
        order = np.lexsort((best, -np.take_along_axis(scores, best, axis=1)), axis=1)
        return self._ndcg(np.take_along_axis(best, order, axis=1).astype(np.int32), rows.start)

    def labels(self, rows: slice, items: npt.NDArray[np.int64]) -> Floats:
        """Return 1 where the reader has the book among the held-out ones, float32, for items [rows, n]."""
        wanted = self._wanted[rows]
        return np.array(
            [[item in of_reader for item in row] for row, of_reader in zip(items.tolist(), wanted, strict=True)],
            np.float32,
        ).reshape(items.shape)

    def relevant_counts(self) -> npt.NDArray[np.int64]:
        """Return each reader's number of held-out books, int64 [validated]."""
        return np.array([len(of_reader) for of_reader in self._wanted], np.int64)

    def _ndcg(self, ranked: npt.NDArray[np.int32], first: int) -> list[float]:
        return [ndcg(items, self._wanted[row]) for row, items in enumerate(ranked, start=first)]

    def rmse(self, biases: Biases, vectors: Floats, interaction: float) -> float:
        """Return the RMSE of the multi-task model's ratings of these readers' held-out entries; NaN without any.

        Args:
            biases: biases fitted to the part that is not held out.
            vectors: float32 [items, embedding_dim].
            interaction: the rating task's interaction.
        """
        rows, items, stars = self.held_stars()
        doubt = np.diff(self.stars.indptr) + biases.user_shrinkage
        readers = biases.residuals(self.stars) @ vectors
        likeness = np.concatenate(
            [
                np.einsum("ij,ij->i", readers[rows[start : start + PAIRS]], vectors[items[start : start + PAIRS]])
                for start in range(0, len(rows), PAIRS)
            ]
            or [np.zeros(0)]
        )
        user_bias = biases.users(self.stars)[rows]
        return rmse(biases.mean + biases.items[items] + user_bias + interaction * likeness / doubt[rows], stars)

    def held_stars(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Floats]:
        """Return these readers' rated held-out entries: row of ``shelves``, item, stars."""
        rows = np.searchsorted(self.users, self.held.users)
        known = self.users[np.minimum(rows, len(self.users) - 1)] == self.held.users if len(self.users) else rows < 0
        rated = known & (self.held.stars > 0)
        return rows[rated], self.held.items[rated], self.held.stars[rated]

    def readers(self) -> Iterator[tuple[int, npt.NDArray[np.int32], Floats, frozenset[int]]]:
        """Yield each reader's index, shelf items, their stars (0: not rated), and the held-out items."""
        for row, user in enumerate(self.users.tolist()):
            items = self.shelves[row].indices.astype(np.int32)
            stars = self.stars[row].toarray().ravel()[items]
            yield user, items, stars, self._wanted[row]
