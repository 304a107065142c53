"""The served model for blocks of readers, in NumPy and SciPy: the answers of ``recommend.tflite``, many at a time.

A table's scores are a sparse product; mean and deviation are computed from its stored values. So the work grows with
the shelves' weights, not with the books. Readers with shelves of one size are computed together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bookrec.recommender import UNKNOWN
from trainer.serving.arrays import CANDIDATES, REASONS, Quantised
from trainer.serving.batch.retrieval import Retrieval, Retrieved
from trainer.serving.item_item import MASKED, ServingModel
from trainer.serving.reranker_features import NUMPY, Seen, features

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

PAIRS = 1 << 20
"""Greatest number of shelf books times candidates in a block, held in a dozen float32 arrays."""


class Scorer:
    """A model in memory, safe for threads. Its answers equal the exported file's, except for last digits."""

    def __init__(self, serving: ServingModel) -> None:
        self._serving, self._arrays = serving, Quantised(serving)
        self._retrieval = Retrieval(serving, self._arrays)

    def recommend(self, items: Ints, ratings: Floats) -> dict[str, npt.NDArray[Any]]:
        """Return the best books for readers with shelves of one size.

        Args:
            items: int32 [readers, n], positions in the catalogue, or −1; n is at least 1.
            ratings: float32 [readers, n], 0 if not rated.

        Returns:
            The outputs of the exported file's signature ``recommend``, each with a first axis of readers.
        """
        width = min(self._retrieval.readers_at_once, max(1, PAIRS // (items.shape[1] * self._arrays.retrieved)))
        starts = range(0, len(items), width)
        parts = [self._block(items[start : start + width], ratings[start : start + width]) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def rate(self, items: Ints, ratings: Floats, targets: Ints) -> dict[str, Floats]:
        """Return one reader's predicted ratings, as the exported file's signature ``rate`` does."""
        rows = self._rows(items)[None, :]
        wanted, places = np.unique(self._rows(targets), return_inverse=True)
        between = self._retrieval.between(rows, wanted[None, :])
        return {"predicted_ratings": self._ratings(rows, ratings[None, :], wanted[None, :], between)[0, places]}

    def _rows(self, items: Ints) -> Places:
        count = self._arrays.book_count
        return np.where((items < 0) | (items >= count), count, items).astype(np.int64)

    def _block(self, items: Ints, ratings: Floats) -> dict[str, npt.NDArray[Any]]:
        rows = self._rows(items)
        retrieved = self._retrieval(rows)
        scores = retrieved.blend + self._arrays.offsets[retrieved.indices]
        if self._serving.reranker is not None:
            sizes = (rows < self._arrays.book_count).sum(axis=1)
            corrections = self._serving.reranker.corrections(self._features(rows, ratings, retrieved), sizes)
            scores = scores + corrections * (sizes > 0)[:, None]
        answers = {
            "indices": retrieved.indices.astype(np.int32),
            "scores": scores,
            "predicted_ratings": self._ratings(rows, ratings, retrieved.indices, retrieved.between),
            "because": _strongest(retrieved.contributions).astype(np.int32),
        }
        places = np.argsort(-scores, axis=1, kind="stable")[:, :CANDIDATES]
        readers = np.arange(len(rows))[:, None]
        best = {name: values[readers, places] for name, values in answers.items()}
        is_missing = best["scores"] <= MASKED / 2
        for name, nothing in (("indices", UNKNOWN), ("scores", 0), ("predicted_ratings", 0), ("because", UNKNOWN)):
            best[name][is_missing] = nothing
        return best

    def _features(self, rows: Places, ratings: Floats, retrieved: Retrieved) -> Floats:
        arrays, indices = self._arrays, retrieved.indices
        seen = Seen(
            on_shelf=(rows < arrays.book_count).astype(np.float32),
            residuals=self._residuals(rows, ratings),
            shelf_popularity=arrays.popular[rows],
            shelf_numbers=arrays.numbers[rows],
            blend=retrieved.blend,
            parts=retrieved.parts,
            popularity=arrays.popular[indices],
            unrated=1 - arrays.is_rated[indices].astype(np.float32),
            numbers=arrays.numbers[indices],
            likeness=self._likeness(rows, indices),
            contributions=retrieved.contributions,
            series=_pairs(arrays.series, rows, indices),
            authors=_pairs(arrays.authors, rows, indices),
        )
        seen_features: Floats = features(NUMPY, seen)
        return seen_features

    def _likeness(self, rows: Places, indices: Places) -> Floats:
        """Return the inner products of the learned vectors of shelves and candidates, float32 [readers, n, C]."""
        vectors, scales = self._arrays.vectors, self._arrays.vector_scales
        shelf, candidates = vectors[rows].astype(np.float32), vectors[indices].astype(np.float32)
        products: Floats = np.matmul(shelf, candidates.transpose(0, 2, 1))
        products *= scales[rows][:, :, None]
        products *= scales[indices][:, None, :]
        return products

    def _residuals(self, rows: Places, ratings: Floats) -> Floats:
        known = (ratings > 0) & (rows < self._arrays.book_count)
        expected = np.float32(self._serving.biases.mean) + self._arrays.bias[rows]
        return np.where(known, ratings - expected, np.float32(0)).astype(np.float32)

    def _ratings(self, rows: Places, ratings: Floats, targets: Places, between: list[Floats]) -> Floats:
        """Return predicted ratings, float32 [readers, C], given the tables' weights between, [readers, n, C] each."""
        biases = self._serving.biases
        known = (ratings > 0) & (rows < self._arrays.book_count)
        residuals = self._residuals(rows, ratings)
        doubt = known.sum(axis=1, keepdims=True) + np.float32(biases.user_shrinkage)
        predicted = biases.mean + self._arrays.bias[targets] + residuals.sum(axis=1, keepdims=True) / doubt
        if self._serving.interaction:
            for table, weights in zip(self._arrays.tables, between, strict=True):
                likeness = np.matmul(residuals[:, None, :], weights)[:, 0, :] / doubt
                predicted = predicted + self._serving.interaction * table.share * likeness
        return np.clip(predicted, 0.5, 5.0).astype(np.float32)


def _pairs(groups: Ints, rows: Places, indices: Places) -> Floats:
    """Return 1 where a shelf book and a candidate are in the same group, float32 [readers, n, C]; −1 means no group."""
    shelf, candidates = groups[rows][:, :, None], groups[indices][:, None, :]
    return ((shelf == candidates) & (candidates >= 0)).astype(np.float32)


def _strongest(contributions: Floats) -> Places:
    """Return the shelf books that contribute most, the first most, int64 [readers, C, reasons]; −1 for none.

    Sets the returned books' contributions to 0.
    """
    chosen = []
    for _ in range(REASONS):
        best = contributions.argmax(axis=1, keepdims=True)
        chosen.append(np.where(np.take_along_axis(contributions, best, axis=1) > 0, best, UNKNOWN)[:, 0, :])
        np.put_along_axis(contributions, best, 0, axis=1)
    return np.stack(chosen, axis=2)
