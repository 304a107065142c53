"""The served form of every linear model: sparse item-item weights, popularity, biases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from bookrec.recommender import Items
from bookrec.reordering.diversity import Diversity
from trainer.data.features import Facts
from trainer.serving.biases import Biases
from trainer.serving.topk import top_inner_products

Floats = npt.NDArray[np.float32]
RESCALING_READERS = 10_000
"""About so many readers suffice to estimate the mean reader's best score."""

LEAST_DEVIATION = np.float32(1e-6)
"""The least deviation: an empty shelf has none."""

LEAST_SHARE = np.float32(1e-3)
"""The least deviation as a part of the greatest sum: with one or two books left, it would be mere rounding."""

MOST_DEVIATIONS = 10
"""Greatest distance of a reranker's feature from the least to the greatest value, in its deviations."""

FEW = 5
"""A book that fewer readers have is rare."""

MASKED = np.float32(-1e30)
"""The score of a book on the shelf."""

SIMILAR_POPULARITY = 0.3
"""How much popularity counts in how similar books are, in units of the cosine: the most with which popular books are
similar to no more books than in item-kNN (``benchmarks/similar.py``)."""


@dataclass(frozen=True, slots=True)
class Table:
    """One model's item-item weights.

    Attributes:
        matrix: float32 CSR [items, items], without zeros: what a book on the shelf (row) adds to the scores of others
            (columns). Each book is predicted from about as many others, but popular books help to predict many more.
        share: the model's share in the blend.
    """

    matrix: sp.csr_matrix
    share: float = 1.0

    @staticmethod
    def of(neighbours: npt.NDArray[np.int32], weights: Floats, share: float = 1.0) -> Table:
        """Return the table in which book i adds ``weights[i, m]`` to book ``neighbours[i, m]``, both [items, M]."""
        items, width = neighbours.shape
        stored = (weights.ravel(), neighbours.ravel(), np.arange(0, items * width + 1, width))
        matrix = sp.csr_matrix(stored, shape=(items, items), copy=True)  # sorting would change the caller's arrays
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return Table(matrix, share)

    def rescaled(self, shelves: sp.csr_matrix) -> Table:
        """Return the table with weights in units of the mean reader's best score, so tables can be added."""
        some = shelves[:: max(1, shelves.shape[0] // RESCALING_READERS)]
        sizes = np.maximum(np.diff(some.indptr), 1)
        best = np.asarray((some @ self.matrix).max(axis=1).todense()).ravel() / sizes
        scale = float(best.astype(np.float32).mean()) if len(best) else 0.0
        return replace(self, matrix=(self.matrix / np.float32(scale)).tocsr()) if scale > 0 else self


@dataclass(frozen=True, slots=True)
class Reranker:
    """The reranker: a candidate's score is its blend plus the mean over networks of out · relu(hidden · x + bias).

    A single network varies with its random start by as much as reranking gains; the mean of several hardly does. On
    shelves of more than ``reach`` books the corrections shrink in proportion to the number of books: what helps small
    shelves most may harm large ones.

    Attributes:
        low, high: float32 [features], the range in training. x is clipped to it, so a feature that never varied has no
            influence.
        mean, deviation: float32 [features], for standardising x.
        hidden: float32 [networks, features, width].
        bias: float32 [networks, width].
        out: float32 [networks, width].
        reach: in books.
    """

    low: Floats
    high: Floats
    mean: Floats
    deviation: Floats
    hidden: Floats
    bias: Floats
    out: Floats
    reach: float = np.inf

    @staticmethod
    def blank(seen: Floats, networks: int, width: int, seed: int) -> Reranker:
        """Return an untrained reranker, which adds 0, for features like ``seen`` [candidates, features].

        Source: Glorot and Bengio (AISTATS 2010), eq. 16, for the random start.
        """
        features = seen.shape[1]
        limit = np.sqrt(6 / (features + width))
        hidden = np.random.default_rng(seed).uniform(-limit, limit, (networks, features, width)).astype(np.float32)
        none = np.zeros((networks, width), np.float32)
        low, high = seen.min(axis=0), seen.max(axis=0)
        mean = np.clip(seen.mean(axis=0), low, high)  # the mean of equal values may differ from them by rounding
        # A feature that hardly ever varies stays within some deviations all the same.
        deviation = np.maximum(seen.std(axis=0), (high - low) / MOST_DEVIATIONS)
        return Reranker(low, high, mean, np.where(deviation > 0, deviation, 1), hidden, none, none.copy())

    def joined(self) -> tuple[Floats, Floats, Floats]:
        """Return all networks as one: hidden [features, networks · width], bias and out [networks · width]."""
        networks, features, width = self.hidden.shape
        hidden = self.hidden.transpose(1, 0, 2).reshape(features, networks * width)
        return hidden, self.bias.ravel(), (self.out / np.float32(networks)).ravel()

    def scaled(self, features: Floats) -> Floats:
        """Return standardised features, float32 of the same shape [..., features]."""
        return ((np.clip(features, self.low, self.high) - self.mean) / self.deviation).astype(np.float32)

    def corrections(self, features: Floats, sizes: npt.NDArray[Any]) -> Floats:
        """Return the corrections to the blend, float32 [queries, C].

        Args:
            features: float32 [queries, C, features].
            sizes: [queries], the number of known books on each shelf.
        """
        hidden, bias, out = self.joined()
        corrections: Floats = np.maximum(self.scaled(features) @ hidden + bias, 0) @ out
        return corrections * self.weight(sizes)[:, None]

    def weight(self, sizes: npt.NDArray[Any]) -> Floats:
        """Return what corrections are multiplied by, float32 [queries], for shelves of ``sizes`` [queries] books."""
        return np.minimum(1, self.reach / np.maximum(sizes, 1)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class ServingModel:
    """The model in the exported file.

    Table k gives a shelf S the sum s_k[j] = Σ_{i∈S} weights_k[i, j]. With mean μ_k and deviation σ_k of s_k over the
    rated books that are not on the shelf, book j's blend is Σ_k share_k · (s_k[j] − μ_k) / σ_k + w · popularity[j]:
    two models add up reader by reader, however different their scales. The best candidates are reranked. Books without
    any entry ("unrated") have places of their own among the candidates, and ``unrated_offset`` is added to their
    scores: however many a catalogue has, the scores of rated books are the same. The predicted rating is mean + item
    bias + reader's bias + interaction · Σ_{i∈S rated} residual_i · Σ_k share_k · weights_k[i, j] / (n_rated + β),
    where β is the biases' shrinkage.

    Attributes:
        isbns: by item index, ascending.
        tables: the learned model's, and the local ridge's.
        vectors: float32 [items, embedding_dim], from the learned model, of length 1, or 0 if nothing is known.
        popularity: float32 [items], 0–1; 0 for unrated books alone.
        popularity_weight: w, in units of σ.
        interaction: 0 if the interaction does not help in validation.
        reranker: None if reranking does not help in validation.
        unrated_offset: at most 0, in units of the score.
        diversity: the strength with which near-duplicates move down in a list, in units of the score.
        rare: ascending, the items with fewer than ``FEW`` entries: exploration shows them.
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
    unrated_offset: float = 0.0
    diversity: float = 0.0
    rare: tuple[int, ...] = ()

    @property
    def items(self) -> Items:
        """What ``items.json`` says."""
        kin = (_shared(self.facts.series), _shared(self.facts.authors)) if self.diversity else ((), ())
        return Items(self.isbns, self.popular, Diversity(self.diversity, *kin), self.rare)

    @property
    def is_rated(self) -> npt.NDArray[np.bool_]:
        """Whether each book has an entry, bool [items]."""
        return self.popularity > 0

    @property
    def has_vector(self) -> npt.NDArray[np.bool_]:
        """Whether anything is known of each book, bool [items]: an entry, or metadata that another book shares."""
        return np.asarray((self.vectors != 0).any(axis=1))

    def similarities(self, items: npt.NDArray[Any], weight: float = SIMILAR_POPULARITY) -> Floats:
        """Return how similar all books are to some, float32 [queries, items].

        It is the cosine of the learned vectors + ``weight`` · popularity. Both readers and metadata are in a vector, so
        this holds for unrated books too. A book itself, and what has no vector, is ``MASKED``.

        Args:
            items: int [queries].
            weight: of the popularity, 0–1: a more popular book is more often what readers have too.
        """
        cosines = self.vectors[items] @ self.vectors.T
        scores = np.where(self.has_vector, cosines + np.float32(weight) * self.popularity, MASKED)
        scores[~self.has_vector[items]] = MASKED
        scores[np.arange(len(items)), items] = MASKED
        return scores.astype(np.float32)

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
        """Return the blend with the offset of unrated books, float32 [users, items]; books on a shelf are ``MASKED``.

        Args:
            shelves: CSR [users, items] of ones.
        """
        on_shelf = shelves.toarray() > 0
        counted = ~on_shelf & self.is_rated
        scores = np.broadcast_to(self.popularity * np.float32(self.popularity_weight), on_shelf.shape).copy()
        for table in self.tables:
            scores += np.float32(table.share) * standardised((shelves @ table.matrix).toarray(), counted)
        scores[:, ~self.is_rated] += np.float32(self.unrated_offset)
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


def _shared(groups: npt.NDArray[np.int32]) -> tuple[int, ...]:
    """Return groups, −1 for none, with the numbers from 1 for those of at least two books, and 0 for all others."""
    _, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
    is_shared = (counts[numbers] > 1) & (groups >= 0)
    return tuple(np.where(is_shared, numbers + 1, 0).tolist())


def standardised(sums: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    """Return each row of ``sums`` [users, items] in deviations from its mean over the books that are ``counted``."""
    count = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    kept = np.where(counted, sums, np.float32(0))
    mean = kept.sum(axis=1, keepdims=True) / count
    squares = np.where(counted, (sums - mean) ** 2, np.float32(0))
    deviation = np.sqrt(squares.sum(axis=1, keepdims=True) / count)
    least = np.maximum(LEAST_DEVIATION, LEAST_SHARE * np.abs(kept).max(axis=1, keepdims=True, initial=0))
    return ((sums - mean) / np.maximum(deviation, least)).astype(np.float32)


def weights_of_vectors(
    vectors: Floats, targets: npt.NDArray[np.int64], sources: npt.NDArray[np.int64], width: int
) -> sp.csr_matrix:
    """Return the weights of a model whose score is the inner product with the sum of the shelf's vectors.

    Args:
        vectors: float32 [items, embedding_dim].
        targets: int64 [targets], ascending: the books to be predicted.
        sources: int64 [sources], ascending: the books to predict from.
        width: number of sources per target, those with the greatest products by magnitude.

    Returns:
        float32 CSR [items, items].
    """
    shape = (len(vectors), len(vectors))
    themselves = sp.identity(len(vectors), np.float32, format="csr")[targets][:, sources]
    near, weights = top_inner_products(vectors[targets], vectors[sources], width, themselves, by_magnitude=True)
    places = (sources[near.ravel()], np.repeat(targets, near.shape[1]))
    matrix = sp.csr_matrix((weights.ravel(), places), shape=shape, dtype=np.float32)
    matrix.eliminate_zeros()
    return matrix


def rare(items: npt.NDArray[np.int32], count: int) -> tuple[int, ...]:
    """Return the items of ``count`` that have fewer than ``FEW`` entries, from the item indices of all entries."""
    return tuple(np.flatnonzero(np.bincount(items, minlength=count) < FEW).tolist())


def popularity(items: npt.NDArray[np.int32], count: int) -> Floats:
    """Return log popularity scaled to 0–1, float32 [count], from the item indices of all entries."""
    logs = np.log1p(np.bincount(items, minlength=count))
    return (logs / max(logs.max(), 1e-9)).astype(np.float32)
