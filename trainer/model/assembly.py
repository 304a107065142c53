"""From fitted candidates, and what validation chose, to the served model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.config import Config, Negatives
from trainer.data.dataset import Ratings
from trainer.data.features import Facts
from trainer.model.local_ridge import LocalRidge, observations
from trainer.model.pool import Blend
from trainer.model.train_loop import Learned
from trainer.serving.biases import fit_biases
from trainer.serving.item_item import Reranker, ServingModel, Table, popularity, rare, weights_of_vectors

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Choices:
    """What validation chose; with the configuration and the entries, it determines the model.

    Attributes:
        regularisation: λ of the local ridge.
        ridge_neighbours: k of the local ridge.
        negatives: of the retrieval task.
        epochs: of the multi-task model.
        blend: of the learned model's table, the first, and the local ridge's.
        scale: factor that makes the blend the logarithm of a book's odds, to which the reranker adds.
        unrated_seen: mean number of unrated books in the folds; if a catalogue has more, their scores are lower.
        item_shrinkage, user_shrinkage: of the biases, in ratings.
        interaction: in the predicted rating.
        reranker: the reranker, trained on the held-out entries; None where the blend's order was no worse.
        diversity: the strength with which near-duplicates move down in a list.
        figures: the validation figures behind it.
    """

    regularisation: float
    ridge_neighbours: int
    negatives: Negatives
    epochs: int
    blend: Blend
    scale: float = 1.0
    unrated_seen: float = 0.0
    item_shrinkage: float = 5.0
    user_shrinkage: float = 5.0
    interaction: float = 0.0
    reranker: Reranker | None = None
    diversity: float = 0.0
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without the network's weights."""
        left_out = ("blend", "reranker", "figures")
        chosen = {name: getattr(self, name) for name in self.__slots__ if name not in left_out}
        return {**chosen, **asdict(self.blend), **self.figures}


@dataclass(frozen=True, slots=True)
class Part:
    """The weights of a table in units of the mean reader's best score: for rated books, and for unrated ones.

    Both are float32 CSR [items, items]; the latter are as long, book by book, as the former are on average, or as they
    come if no rated book says anything about another: metadata are then all that there is to go by.
    """

    rated: sp.csr_matrix
    unrated: sp.csr_matrix

    @staticmethod
    def of(rated: sp.csr_matrix, unrated: sp.csr_matrix, shelves: sp.csr_matrix) -> Part:
        """Return the part, rescaled, of raw weights and the shelves that they are fitted to."""
        rescaled = Table(rated).rescaled(shelves).matrix
        lengths = [np.sqrt(np.asarray(part.multiply(part).sum(axis=0)).ravel()) for part in (rescaled, unrated)]
        means = [float(of_part[of_part > 0].mean()) if (of_part > 0).any() else 0.0 for of_part in lengths]
        return Part(rescaled, unrated * np.float32(means[0] / means[1] if all(means) else 1))

    def table(self, strength: float, share: float) -> Table:
        """Return the table for the blend."""
        matrix = (self.rated + self.unrated * np.float32(strength)).tocsr()
        matrix.eliminate_zeros()
        return Table(matrix, share)


def ridge_systems(ratings: Ratings, features: sp.csr_matrix, config: Config, neighbours: int) -> LocalRidge:
    """Return the local ridge's systems for the rated books."""
    rated = _rated(ratings)
    columns = observations(ratings.matrix(), features, config.feature_weight, config.reader_norm)
    return LocalRidge(columns, rated, rated, neighbours)


def ridge_part(ratings: Ratings, weights: sp.csr_matrix, features: sp.csr_matrix, config: Config) -> Part:
    """Return the local ridge's part, from its weights; those of unrated books are a ridge on the metadata alone."""
    rated = _rated(ratings)
    unrated = np.setdiff1d(np.arange(len(ratings.isbns)), rated)
    by_metadata = LocalRidge(features.T.tocsc(), unrated, rated, config.unrated_neighbours)
    return Part.of(
        weights,
        by_metadata.weights(config.unrated_regularisation, 0.0, config.unrated_neighbours),
        ratings.matrix(),
    )


def learned_part(ratings: Ratings, vectors: Floats, config: Config) -> Part:
    """Return the learned model's part, from its vectors [items, embedding_dim]."""
    rated = _rated(ratings)
    unrated = np.setdiff1d(np.arange(len(ratings.isbns)), rated)
    of_rated, of_unrated = (
        weights_of_vectors(vectors, targets, rated, config.neighbours) for targets in (rated, unrated)
    )
    return Part.of(of_rated, of_unrated, ratings.matrix())


def vectors_by_metadata(learned: Learned, features: sp.csr_matrix) -> Floats:
    """Return the vectors that books have by their metadata alone, float32 [items, embedding_dim]; 0 without any."""
    vectors = np.asarray(features @ learned.feature_vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, np.float32(1e-12))


def serving(
    ratings: Ratings,
    parts: tuple[Part, Part],
    vectors: Floats,
    facts: Facts,
    choices: Choices,
) -> ServingModel:
    """Return the served model of the learned model's part and the local ridge's, blended as was chosen.

    Args:
        ratings: the entries that the parts are fitted to.
        parts: the learned model's, and the local ridge's.
        vectors: float32 [items, embedding_dim], from the learned model.
        facts: what the reranker knows of each item.
        choices: what validation chose.
    """
    blend, unrated = choices.blend, len(ratings.isbns) - len(_rated(ratings))
    # Of n times as many unrated books, each is n times less likely to be the next; scores are logarithms of odds.
    more = unrated / max(choices.unrated_seen, 1.0)
    shares = (choices.scale * blend.share, choices.scale * (1 - blend.share))
    return ServingModel(
        ratings.isbns,
        tuple(part.table(*values) for part, *values in zip(parts, blend.strengths, shares, strict=True)),
        vectors,
        popularity(ratings.items, len(ratings.isbns)),
        fit_biases(ratings.star_matrix(), choices.item_shrinkage, choices.user_shrinkage),
        facts,
        choices.scale * blend.popularity_weight,
        choices.interaction / choices.scale,
        choices.reranker,
        choices.scale * blend.offset - float(np.log(max(more, 1.0))),
        choices.diversity,
        rare(ratings.items, len(ratings.isbns)),
    )


def _rated(ratings: Ratings) -> npt.NDArray[np.int64]:
    return np.unique(ratings.items).astype(np.int64)
