"""The books that a validation reader may be recommended: few enough to try hundreds of blends on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.metrics import CUTOFF, DISCOUNTS
from trainer.model.validation import Validation
from trainer.serving.item_item import MASKED, standardised

Floats = npt.NDArray[np.float32]

BEST, BEST_UNRATED, POPULAR = 100, 50, 50
"""Books of a reader: so many best ones by each table, of either kind, and so many of the most popular ones."""


@dataclass(frozen=True, slots=True)
class Blend:
    """How scores come about; ``ServingModel`` explains it.

    Attributes:
        share: of the first table.
        popularity_weight: in deviations.
        strengths: factors for the weights of unrated books, one for each table.
        offset: added to the scores of unrated books, in deviations.
    """

    share: float
    popularity_weight: float
    strengths: tuple[float, float] = (1.0, 1.0)
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Pool:
    """P books for each reader, ascending by item; of equal items, only the first counts.

    Attributes:
        parts: float32 [readers, P] per table: standardised sums, of unrated books with strength 0.
        slopes: float32 [readers, P] per table: what strength 1 adds; 0 for rated books.
        popularity: float32 [readers, P].
        is_unrated: float32 [readers, P].
        counts: bool [readers, P]: neither repeated nor on the shelf.
        labels: float32 [readers, P], 1 for a held-out book.
        ideals: float64 [readers], the greatest possible DCG@10.
    """

    parts: Sequence[Floats]
    slopes: Sequence[Floats]
    popularity: Floats
    is_unrated: Floats
    counts: npt.NDArray[np.bool_]
    labels: Floats
    ideals: npt.NDArray[np.float64]

    def ndcg(self, blend: Blend) -> float:
        """Return the mean NDCG@10 of a blend; 0 without readers."""
        if not len(self.ideals):
            return 0.0
        scores, labels = self._scores(blend), self.labels
        if scores.shape[1] > CUTOFF:
            best = np.argpartition(-scores, CUTOFF - 1, axis=1)[:, :CUTOFF]
            scores, labels = np.take_along_axis(scores, best, axis=1), np.take_along_axis(labels, best, axis=1)
        gains = np.take_along_axis(labels, np.argsort(-scores, axis=1, kind="stable"), axis=1)
        return float(np.mean(gains @ DISCOUNTS[: gains.shape[1]] / self.ideals))

    def loss(self, blend: Blend, scale: float) -> float:
        """Return the mean cross-entropy between the softmax of a scaled blend and the held-out books in the pool."""
        labels = self.labels * self.counts
        useful = labels.sum(axis=1) > 0
        if not useful.any():
            return 0.0
        scores = (self._scores(blend)[useful] * scale).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        log_shares = np.maximum(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), -1e3)
        return -float(np.mean((log_shares * labels[useful]).sum(axis=1) / labels[useful].sum(axis=1)))

    def _scores(self, blend: Blend) -> Floats:
        scores = np.float32(blend.popularity_weight) * self.popularity + np.float32(blend.offset) * self.is_unrated
        shares = (blend.share, 1 - blend.share)
        for part, slope, share, strength in zip(self.parts, self.slopes, shares, blend.strengths, strict=True):
            scores += np.float32(share) * (part + np.float32(strength) * slope)
        scores[~self.counts] = MASKED
        return scores


def pool_of(
    validation: Validation,
    rated: Sequence[sp.csr_matrix],
    unrated: Sequence[sp.csr_matrix],
    popularity: Floats,
) -> Pool:
    """Return the pool of validation's readers.

    Args:
        validation: the held-out entries.
        rated: per table its weights for rated books, CSR [items, items].
        unrated: per table its weights for unrated books.
        popularity: float32 [items], 0 for unrated books alone.
    """
    is_rated = popularity > 0
    popular = np.argsort(-popularity, kind="stable")[: min(POPULAR, int(is_rated.sum()))]
    others = np.flatnonzero(~is_rated)
    blocks = []
    for rows in [*validation.blocks()] or [slice(0, 0)]:  # without readers, an empty pool
        shelves = validation.shelves[rows]
        on_shelf = shelves.toarray() > 0
        counted = ~on_shelf & is_rated
        chosen, parts, slopes = [np.broadcast_to(popular, (len(counted), len(popular)))], [], []
        for of_rated, of_unrated in zip(rated, unrated, strict=True):
            sums = (shelves @ of_rated).toarray()
            part = standardised(sums, counted)
            slope = np.zeros_like(part)
            if len(others):
                # With strength 0, an unrated book's sum is 0. A column of ones shows what a sum of 1 adds.
                probe = standardised(
                    np.pad(sums, ((0, 0), (0, 1)), constant_values=1), np.pad(counted, ((0, 0), (0, 1)))
                )
                more = probe[:, -1:] - part[:, others[:1]]
                slope[:, others] = more * (shelves @ of_unrated[:, others]).toarray()
                chosen.append(others[_best(slope[:, others], BEST_UNRATED)])
            chosen.append(_best(np.where(counted, part, MASKED), BEST))
            parts.append(part)
            slopes.append(slope)
        items = np.sort(np.concatenate(chosen, axis=1), axis=1)
        repeated = np.pad(items[:, 1:] == items[:, :-1], ((0, 0), (1, 0)))
        labels = validation.labels(rows, items)

        def of(values: npt.NDArray[Any], items: npt.NDArray[np.int64] = items) -> npt.NDArray[Any]:
            return np.take_along_axis(values, items, axis=1)

        blocks.append(
            (
                *(of(part) for part in parts),
                *(of(slope) for slope in slopes),
                popularity[items],
                (~is_rated)[items].astype(np.float32),
                ~of(on_shelf) & ~repeated,
                labels,
            )
        )
    columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
    tables = len(rated)
    counts = np.minimum(validation.relevant_counts(), CUTOFF)
    ideals = np.concatenate([[1.0], np.cumsum(DISCOUNTS)])[counts]
    popular_ones, is_unrated, is_counted, labelled = columns[2 * tables :]
    return Pool(columns[:tables], columns[tables : 2 * tables], popular_ones, is_unrated, is_counted, labelled, ideals)


def _best(values: Floats, count: int) -> npt.NDArray[np.int64]:
    """Return the places of the greatest of each row, int64 [rows, at most count]."""
    if values.shape[1] <= count:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return np.argpartition(-values, count - 1, axis=1)[:, :count]
