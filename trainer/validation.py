"""Held-out entries, and how well scores find them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from trainer.biases import Biases
from trainer.dataset import Ratings
from trainer.metrics import rmse, user_metrics
from trainer.serving import MASKED
from trainer.topk import top_inner_products

VALIDATION_USERS = 2_000
"""At most so many readers are ranked for a validation figure."""

BLOCK = 256

Floats = npt.NDArray[np.float32]


class Validation:
    """Held-out entries to be found again, among all books that are not on the reader's shelf.

    Attributes:
        held: the entries.
        users: int64 [validated], user indices with held-out entries, at most ``VALIDATION_USERS``.
        shelves: CSR [validated, items], their shelves.
    """

    def __init__(self, part: Ratings, held: Ratings) -> None:
        wanted = held.matrix()
        self.users = np.flatnonzero(np.diff(wanted.indptr))[:VALIDATION_USERS]
        self.held, self.shelves, self._wanted = held, part.matrix()[self.users], wanted[self.users]
        self._all_stars = part.star_matrix()
        self._stars = self._all_stars[self.users]

    def ndcg(self, score: Callable[[slice], Floats]) -> float:
        """Return the mean NDCG@10; ``score`` gives [rows, items] for some rows of ``shelves``, and may lose them."""
        figures = []
        for start in range(0, self.shelves.shape[0], BLOCK):
            rows = slice(start, start + BLOCK)
            scores = score(rows)
            scores[self.shelves[rows].nonzero()] = MASKED
            best = np.argpartition(-scores, min(10, scores.shape[1] - 1), axis=1)[:, :10]
            order = np.lexsort((best, -np.take_along_axis(scores, best, axis=1)), axis=1)
            ranked = np.take_along_axis(best, order, axis=1).astype(np.int32)
            figures.extend(self._ndcg(ranked, start))
        return float(np.mean(figures)) if figures else 0.0

    def ndcg_of_vectors(self, vectors: Floats) -> float:
        """Return the mean NDCG@10 where a book's score is the inner product with the sum of the shelf's vectors.

        Args:
            vectors: float32 [items, embedding_dim].
        """
        readers = np.asarray(self.shelves @ vectors, np.float32)
        ranked, _ = top_inner_products(readers, vectors, 10, self.shelves)
        figures = self._ndcg(ranked, 0)
        return float(np.mean(figures)) if figures else 0.0

    def _ndcg(self, ranked: npt.NDArray[np.int32], first: int) -> list[float]:
        """Return the NDCG@10 of the books [rows, 10] that were found for the readers from row ``first`` on."""
        return [
            user_metrics(found, set(self._wanted[row].indices.tolist()), set())["ndcg"]
            for row, found in enumerate(ranked, start=first)
        ]

    def rmse(self, biases: Biases, vectors: Floats, interaction: float) -> float:
        """Return the error of the multi-task model's ratings of the held-out entries; NaN where none is rated.

        Args:
            biases: fitted to the part that is not held out.
            vectors: float32 [items, embedding_dim].
            interaction: of the rating task.
        """
        rated = self.held.stars > 0
        users, items, stars = self.held.users[rated], self.held.items[rated], self.held.stars[rated]
        residuals = biases.residuals(self._all_stars)
        doubt = np.diff(self._all_stars.indptr) + biases.user_shrinkage
        likeness = np.einsum("ij,ij->i", (residuals @ vectors)[users], vectors[items]) / doubt[users]
        user_bias = biases.users(self._all_stars)[users]
        return rmse(biases.mean + biases.items[items] + user_bias + interaction * likeness, stars)

    def readers(self) -> Iterator[tuple[int, npt.NDArray[np.int32], Floats, frozenset[int]]]:
        """Yield each reader's index, shelf items, their stars (0: not rated), and the held-out items."""
        for row, user in enumerate(self.users.tolist()):
            items = self.shelves[row].indices.astype(np.int32)
            stars = self._stars[row].toarray().ravel()[items]
            yield user, items, stars, frozenset(self._wanted[row].indices.tolist())
