"""The served form of every linear model: sparse item-item weights, popularity, biases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.data.features import Facts
from trainer.serving.biases import Biases
from trainer.serving.topk import top_inner_products

Floats = npt.NDArray[np.float32]
BLOCK = 1024

RESCALING_READERS = 10_000
"""About so many readers suffice to estimate the mean reader's best score."""

LARGE = 12_000
"""With more books, a search several times as fast is used; with fewer, the weights stay the same to the last bit."""

LEAST_DEVIATION = np.float32(1e-6)
"""The least deviation: an empty shelf has none."""

LEAST_SHARE = np.float32(1e-3)
"""The least deviation as a part of the greatest sum: with one or two books left, it would be mere rounding."""

MASKED = np.float32(-1e30)
"""The score of a book on the shelf."""


@dataclass(frozen=True, slots=True)
class Table:
    """One model's item-item weights: each book's strongest outgoing neighbours.

    Attributes:
        neighbours: int32 [items, M], item indices.
        weights: float32 [items, M], the neighbours' weights, of either sign.
        share: the model's share in the blend.
    """

    neighbours: npt.NDArray[np.int32]
    weights: Floats
    share: float = 1.0

    @property
    def matrix(self) -> sp.csr_matrix:
        """A copy of the weights as a float32 CSR matrix [items, items], without the zeros that the table has."""
        items, width = self.neighbours.shape
        starts = np.arange(0, items * width + 1, width)
        stored = (self.weights.ravel(), self.neighbours.ravel(), starts)
        matrix = sp.csr_matrix(stored, shape=(items, items), copy=True)
        matrix.eliminate_zeros()
        return matrix

    def rescaled(self, shelves: sp.csr_matrix) -> Table:
        """Return the table with weights in units of the mean reader's best score, so tables can be added."""
        some = shelves[:: max(1, shelves.shape[0] // RESCALING_READERS)]
        sizes = np.maximum(np.diff(some.indptr), 1)
        best = np.asarray((some @ self.matrix).max(axis=1).todense()).ravel() / sizes
        scale = float(best.astype(np.float32).mean()) if len(best) else 0.0
        return replace(self, weights=(self.weights / scale).astype(np.float32)) if scale > 0 else self


@dataclass(frozen=True, slots=True)
class Reranker:
    """The reranker: a candidate's score is its blend plus the mean over networks of out · relu(hidden · x + bias).

    A single network varies with its random start by as much as reranking gains; the mean of several hardly does.

    Attributes:
        mean, deviation: float32 [features], for standardising x.
        hidden: float32 [networks, features, width].
        bias: float32 [networks, width].
        out: float32 [networks, width].
    """

    mean: Floats
    deviation: Floats
    hidden: Floats
    bias: Floats
    out: Floats

    @staticmethod
    def blank(features: int, networks: int, width: int, mean: Floats, deviation: Floats, seed: int) -> Reranker:
        """Return an untrained reranker, which adds 0. Source: Glorot and Bengio (AISTATS 2010), eq. 16."""
        limit = np.sqrt(6 / (features + width))
        hidden = np.random.default_rng(seed).uniform(-limit, limit, (networks, features, width)).astype(np.float32)
        none = np.zeros((networks, width), np.float32)
        return Reranker(mean, np.maximum(deviation, np.float32(1e-3)), hidden, none, none.copy())

    def joined(self) -> tuple[Floats, Floats, Floats]:
        """Return all networks as one: hidden [features, networks · width], bias and out [networks · width]."""
        networks, features, width = self.hidden.shape
        hidden = self.hidden.transpose(1, 0, 2).reshape(features, networks * width)
        return hidden, self.bias.ravel(), (self.out / np.float32(networks)).ravel()

    def scaled(self, features: Floats) -> Floats:
        """Return standardised features, float32 of the same shape [..., features]."""
        return ((features - self.mean) / self.deviation).astype(np.float32)

    def corrections(self, features: Floats) -> Floats:
        """Return the corrections to the blend, float32 [...], for features [..., features]."""
        hidden, bias, out = self.joined()
        corrections: Floats = np.maximum(self.scaled(features) @ hidden + bias, 0) @ out
        return corrections


@dataclass(frozen=True, slots=True)
class ServingModel:
    """The model in the exported file.

    Table k gives a shelf S the sum s_k[j] = Σ_{i∈S} weights_k[i, j]. With mean μ_k and deviation σ_k of s_k over the
    books that are not on the shelf, book j's blend is Σ_k share_k · (s_k[j] − μ_k) / σ_k + w · popularity[j]: two
    models add up reader by reader, however different their scales. The best candidates are reranked. The predicted
    rating is mean + item bias + reader's bias + interaction · Σ_{i∈S rated} residual_i · Σ_k share_k ·
    weights_k[i, j] / (n_rated + β), where β is the biases' shrinkage.

    Attributes:
        isbns: by item index, ascending.
        tables: the learned model's and, except for the largest catalogues, that of EASE with metadata.
        vectors: float32 [items, embedding_dim], from the learned model.
        popularity: float32 [items], 0–1.
        popularity_weight: w, in units of σ.
        interaction: 0 if the interaction does not help in validation.
        reranker: None if reranking does not help in validation.
    """

    isbns: tuple[str, ...]
    tables: tuple[Table, ...]
    vectors: Floats
    popularity: Floats
    biases: Biases
    facts: Facts
    popularity_weight: float
    interaction: float = 0.0
    reranker: Reranker | None = None

    @property
    def popular(self) -> tuple[str, ...]:
        """The 200 most popular ISBNs, the most popular first, then by ISBN."""
        return tuple(self.isbns[i] for i in np.argsort(-self.popularity, kind="stable")[:200])

    @property
    def likeness(self) -> sp.csr_matrix:
        """The sum of the tables, float32 CSR [items, items]: how a residual affects another book's rating."""
        total = sp.csr_matrix((len(self.isbns), len(self.isbns)), dtype=np.float32)
        for table in self.tables:
            total = total + table.matrix * np.float32(table.share)
        return total

    def blend(self, shelves: sp.csr_matrix) -> Floats:
        """Return the blend, float32 [users, items], of shelves [users, items]; books on a shelf are ``MASKED``."""
        on_shelf = shelves.toarray() > 0
        scores = np.broadcast_to(self.popularity * np.float32(self.popularity_weight), on_shelf.shape).copy()
        for table in self.tables:
            scores += np.float32(table.share) * standardised((shelves @ table.matrix).toarray(), on_shelf)
        scores[on_shelf] = MASKED
        return scores

    def ratings(self, stars: sp.csr_matrix) -> Floats:
        """Return predicted ratings, float32 [users, items], of shelves' stars [users, items]."""
        biases = self.biases
        predicted = biases.mean + biases.items[None, :] + biases.users(stars)[:, None]
        if self.interaction:
            predicted = predicted + self.interactions(stars, self.likeness)
        return np.clip(predicted, 0.5, 5.0).astype(np.float32)

    def interactions(self, stars: sp.csr_matrix, likeness: sp.csr_matrix) -> npt.NDArray[np.floating[Any]]:
        """Return the interaction's part of predicted ratings, [users, items] in stars, given ``likeness``."""
        rated = np.diff(stars.indptr) + self.biases.user_shrinkage
        return self.interaction * (self.biases.residuals(stars) @ likeness).toarray() / rated[:, None]


def standardised(sums: Floats, on_shelf: npt.NDArray[np.bool_]) -> Floats:
    """Return each row of ``sums`` [users, items] in deviations from its mean over the books not on the shelf."""
    left = np.maximum((~on_shelf).sum(axis=1, keepdims=True), 1)
    kept = np.where(on_shelf, np.float32(0), sums)
    mean = kept.sum(axis=1, keepdims=True) / left
    squares = np.where(on_shelf, np.float32(0), (sums - mean) ** 2)
    deviation = np.sqrt(squares.sum(axis=1, keepdims=True) / left)
    least = np.maximum(LEAST_DEVIATION, LEAST_SHARE * np.abs(kept).max(axis=1, keepdims=True, initial=0))
    return ((sums - mean) / np.maximum(deviation, least)).astype(np.float32)


def strongest(row_block: npt.NDArray[np.float32], width: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return the indices and values of the ``width`` weights of greatest magnitude in each row [rows, items]."""
    width = min(width, row_block.shape[1])
    chosen = np.argpartition(-np.abs(row_block), width - 1, axis=1)[:, :width]
    values = np.take_along_axis(row_block, chosen, axis=1)
    order = np.lexsort((chosen, -values), axis=1)
    chosen, values = np.take_along_axis(chosen, order, axis=1), np.take_along_axis(values, order, axis=1)
    return chosen.astype(np.int32), values.astype(np.float32)


def neighbours_of_matrix(weights: Floats, width: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the strongest outgoing neighbours in a dense matrix [items, items]."""
    blocks = [strongest(weights[start : start + BLOCK], width) for start in range(0, len(weights), BLOCK)]
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])


def neighbours_of_vectors(vectors: Floats, width: int) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return the strongest neighbours by inner product of vectors [items, dim], in blocks."""
    if len(vectors) > LARGE:
        themselves = sp.identity(len(vectors), np.float32, format="csr")
        return top_inner_products(vectors, vectors, width, themselves, by_magnitude=True)
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
