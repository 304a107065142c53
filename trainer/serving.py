"""The one form in which any linear model is served: sparse item-item weights, popularity, biases."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.biases import Biases

Floats = npt.NDArray[np.float32]
BLOCK = 1024

MASKED = np.float32(-1e30)
"""Score of a book that is on the shelf."""


@dataclass(frozen=True, slots=True)
class ServingModel:
    """What the exported file holds.

    A shelf S of n books gives book j the score Σ_{i∈S} weights[i, j] / √n + popularity[j], and the predicted
    rating mean + item bias + reader's bias + interaction · Σ_{i∈S rated} residual_i · weights[i, j] / (n_rated + β),
    where β is the biases' shrinkage.

    Attributes:
        isbns: by item index, ascending.
        neighbours: int32 [items, M], each book's best outgoing neighbours.
        weights: float32 [items, M], theirs; 0 where there are fewer.
        popularity: float32 [items], in units of a reader's best personal score.
        interaction: 0 where validation says that the interaction does not help.
    """

    isbns: tuple[str, ...]
    neighbours: npt.NDArray[np.int32]
    weights: Floats
    popularity: Floats
    biases: Biases
    interaction: float = 0.0

    @property
    def matrix(self) -> sp.csr_matrix:
        """The weights as a float32 CSR matrix [items, items]."""
        items, width = self.neighbours.shape
        starts = np.arange(0, items * width + 1, width)
        matrix = sp.csr_matrix((self.weights.ravel(), self.neighbours.ravel(), starts), shape=(items, items))
        matrix.eliminate_zeros()
        return matrix

    @property
    def popular(self) -> tuple[str, ...]:
        """The 200 most popular ISBNs, the most popular first, then by ISBN."""
        return tuple(self.isbns[i] for i in np.argsort(-self.popularity, kind="stable")[:200])

    def scores(self, shelves: sp.csr_matrix) -> Floats:
        """Return scores, float32 [users, items], of shelves [users, items]; books on a shelf are ``MASKED``."""
        sizes = np.maximum(np.diff(shelves.indptr), 1)
        scores = (shelves @ self.matrix).toarray() / np.sqrt(sizes)[:, None].astype(np.float32)
        scores += self.popularity
        scores[shelves.nonzero()] = MASKED
        return scores

    def ratings(self, stars: sp.csr_matrix) -> Floats:
        """Return predicted ratings, float32 [users, items], of shelves' stars [users, items]."""
        biases = self.biases
        user_bias = biases.users(stars)
        predicted = biases.mean + biases.items[None, :] + user_bias[:, None]
        if self.interaction:
            rated = np.diff(stars.indptr) + biases.user_shrinkage
            likeness = (biases.residuals(stars) @ self.matrix).toarray() / rated[:, None]
            predicted = predicted + self.interaction * likeness
        return np.clip(predicted, 0.5, 5.0).astype(np.float32)

    def rescaled(self, shelves: sp.csr_matrix) -> ServingModel:
        """Return the model with weights in units of the mean reader's best personal score."""
        sizes = np.maximum(np.diff(shelves.indptr), 1)
        best = []
        for start in range(0, shelves.shape[0], BLOCK):
            part = (shelves[start : start + BLOCK] @ self.matrix).toarray()
            best.append(part.max(axis=1) / np.sqrt(sizes[start : start + BLOCK]))
        scale = float(np.concatenate(best).mean()) if best else 0.0
        return replace(self, weights=(self.weights / scale).astype(np.float32)) if scale > 0 else self


def strongest(row_block: npt.NDArray[np.float32], width: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return the indices and values of the ``width`` greatest positive weights in each row [rows, items]."""
    width = min(width, row_block.shape[1])
    chosen = np.argpartition(-row_block, width - 1, axis=1)[:, :width]
    values = np.take_along_axis(row_block, chosen, axis=1)
    order = np.lexsort((chosen, -values), axis=1)
    chosen, values = np.take_along_axis(chosen, order, axis=1), np.take_along_axis(values, order, axis=1)
    return chosen.astype(np.int32), np.maximum(values, 0).astype(np.float32)


def neighbours_of_matrix(weights: Floats, width: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the strongest outgoing neighbours in a dense matrix [items, items]."""
    blocks = [strongest(weights[start : start + BLOCK], width) for start in range(0, len(weights), BLOCK)]
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])


def neighbours_of_vectors(vectors: Floats, width: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the strongest neighbours by inner product of vectors [items, dim], a block of rows at a time."""
    blocks = []
    for start in range(0, len(vectors), BLOCK):
        products = vectors[start : start + BLOCK] @ vectors.T
        rows = np.arange(len(products))
        products[rows, start + rows] = 0
        blocks.append(strongest(products, width))
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])


def popularity(items: npt.NDArray[np.int32], count: int) -> Floats:
    """Return log popularity scaled to 0–1, float32 [count], from the item indices of all entries."""
    logs = np.log1p(np.bincount(items, minlength=count))
    return (logs / max(logs.max(), 1e-9)).astype(np.float32)
