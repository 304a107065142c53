"""Fitting: candidates are trained on one part of the entries and chosen on the other, then fitted to all."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from trainer.config import LOSS_WEIGHTS, Config, Negatives
from trainer.data.dataset import Ratings, holdout, sample_readers
from trainer.data.features import Facts, item_facts, item_features
from trainer.metrics import rmse
from trainer.model import distributed, reranker
from trainer.model.ease import ease
from trainer.model.train_loop import Steps, learn
from trainer.model.validation import Validation
from trainer.serving.biases import fit_biases
from trainer.serving.item_item import (
    Reranker,
    ServingModel,
    Table,
    neighbours_of_matrix,
    neighbours_of_vectors,
    popularity,
    standardised,
)

COMPARED_READERS = 5_000
"""The notebook's variants are compared on at most so many readers: their curves are for people."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What validation chose: with the configuration and the entries it makes the model.

    Attributes:
        negatives: of the retrieval task.
        epochs: of the multi-task model.
        share: of the learned model in the blend.
        popularity_weight: in the blend.
        interaction: in the predicted rating.
        reranker: the reranker, trained on the held-out entries; None where the blend's order was no worse.
        figures: the validation figures behind it.
    """

    negatives: Negatives
    epochs: int
    share: float
    popularity_weight: float
    interaction: float = 0.0
    reranker: Reranker | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without the network's weights."""
        names = ("negatives", "epochs", "share", "popularity_weight", "interaction")
        return {**{name: getattr(self, name) for name in names}, **self.figures}


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model and how it came about.

    Attributes:
        serving: what is exported.
        choices: what validation chose, with the figures.
        histories: by variant and by measure, a value an epoch: the notebook's curves of the configuration's variant,
            and with ``config.baselines`` of all three.
        steps: with which the same catalogue's model may be fitted to other entries.
    """

    serving: ServingModel
    choices: Choices
    histories: Mapping[str, Mapping[str, list[float]]]
    steps: Steps


def fit(ratings: Ratings, books: pd.DataFrame | None, config: Config) -> Trained:
    """Return the best model for ``ratings``: everything is tuned on a validation part of them.

    Args:
        ratings: the training entries.
        books: the catalogue's metadata, or None.
        config: options.
    """
    facts, count = item_facts(ratings.isbns, books), _fold_count(ratings, config)
    is_small = count > 1 and len(ratings.isbns) <= config.ease_limit
    steps = Steps(item_features(ratings.isbns, books, config.features), config, keep=is_small)
    folds = [_Fold(ratings, steps, fold) for fold in range(count)]
    choices = _choose_rating(folds, facts, _choose_blend(folds, config), config)
    choices = _train_reranker(folds, facts, choices, config)
    serving = _fitted(ratings, steps, facts, choices)
    return Trained(serving, choices, _histories(folds[0], steps), steps)


def refit(
    ratings: Ratings, books: pd.DataFrame | None, config: Config, choices: Choices, steps: Steps | None = None
) -> ServingModel:
    """Return the model that ``choices`` name, fitted to all of ``ratings``.

    ``steps``: of the same catalogue and options, if there are any.
    """
    steps = steps or Steps(item_features(ratings.isbns, books, config.features), config, keep=False)
    return _fitted(ratings, steps, item_facts(ratings.isbns, books), choices)


def _fitted(ratings: Ratings, steps: Steps, facts: Facts, choices: Choices) -> ServingModel:
    config = steps.config
    vectors = learn(ratings, steps, choices.negatives, None, choices.epochs).vectors
    tables = [_table_of_vectors(ratings, vectors, config), *_ease_tables(ratings, steps.features, config)]
    return _serving(ratings, tables, vectors, facts, choices, config)


def _histories(fold: _Fold, steps: Steps) -> dict[str, dict[str, list[float]]]:
    """Return the curves of the variants that are wanted, all with the same negatives and on not too many readers."""
    config, negatives = steps.config, steps.config.embedding_dims[0][0]
    histories: dict[str, dict[str, list[float]]] = {config.variant: fold.learned[negatives].history}
    if not config.baselines:
        return histories
    part, validation = fold.part, fold.validation
    readers = sample_readers(part, COMPARED_READERS, config.seed)
    if len(readers) < len(np.unique(part.users)):
        held = validation.held
        part = part.select(np.isin(part.users, readers))
        validation = Validation(part, held.select(np.isin(held.users, readers)))
        histories = {}
    for variant in LOSS_WEIGHTS:
        if variant not in histories:
            histories[variant] = learn(part, steps, negatives, validation, config.epochs, variant).history
    return histories


def _fold_count(ratings: Ratings, config: Config) -> int:
    return config.folds if len(ratings.users) < config.small else 1


class _Fold:
    """One split of the training entries, with every candidate fitted to its greater part."""

    def __init__(self, ratings: Ratings, steps: Steps, number: int) -> None:
        config = steps.config
        seed, by_time = config.seed + number, number == 0
        held = holdout(ratings, config.validation_fraction, seed, by_time=by_time)
        self.part = ratings.select(~held)
        self.validation = Validation(self.part, ratings.select(held))
        self.learned = {
            negatives: learn(self.part, steps, negatives, self.validation, config.epochs)
            for negatives, _ in config.embedding_dims
        }
        ease_tables = _ease_tables(self.part, steps.features, config)
        self.tables = {
            negatives: [_table_of_vectors(self.part, learned.vectors, config), *ease_tables]
            for negatives, learned in self.learned.items()
        }

    def serving(self, facts: Facts, choices: Choices, config: Config) -> ServingModel:
        """Return the model that ``choices`` name, fitted to the fold's greater part."""
        vectors = self.learned[choices.negatives].vectors
        return _serving(self.part, self.tables[choices.negatives], vectors, facts, choices, config)


def _choose_blend(folds: Sequence[_Fold], config: Config) -> Choices:
    """Choose the negatives, the learned model's share and popularity's weight by the mean figure that they reach."""
    means: dict[tuple[Negatives, float, float], float] = {}
    for negatives, _ in config.embedding_dims:
        figures = [_blend_figures(fold, negatives, config) for fold in folds]
        means |= {(negatives, *choice): float(np.mean([part[choice] for part in figures])) for choice in figures[0]}
    ranked = sorted(means, key=lambda choice: (means[choice], choice))
    best = ranked[int(distributed.agree(len(ranked) - 1 if distributed.is_chief() else 0))]
    epochs = max(1, round(float(np.mean([fold.learned[best[0]].epochs for fold in folds]))))
    return Choices(best[0], epochs, best[1], best[2], figures={"blend_ndcg": means[best]})


def _blend_figures(fold: _Fold, negatives: Negatives, config: Config) -> dict[tuple[float, float], float]:
    """Return the mean validation figure by share and popularity weight, a block of readers at a time."""
    validation, tables = fold.validation, fold.tables[negatives]
    prior = popularity(fold.part.items, len(fold.part.isbns))
    matrices = [table.matrix for table in tables]
    shares = config.shares if len(tables) == 2 else (1.0,)
    figures: dict[tuple[float, float], list[float]] = {
        choice: [] for choice in itertools.product(shares, config.popularity_weights)
    }
    for rows in validation.blocks():
        shelves = validation.shelves[rows]
        on_shelf = shelves.toarray() > 0
        parts = [standardised((shelves @ matrix).toarray(), on_shelf) for matrix in matrices]
        for share in shares:
            blended = sum(np.float32(w) * p for w, p in zip((share, 1 - share), parts, strict=False))
            for weight in config.popularity_weights:
                scores: npt.NDArray[np.float32] = blended + np.float32(weight) * prior
                figures[share, weight] += validation.figures(rows, scores)
    return {choice: float(np.mean(values)) if values else 0.0 for choice, values in figures.items()}


def _choose_rating(folds: Sequence[_Fold], facts: Facts, choices: Choices, config: Config) -> Choices:
    """Choose the interaction's scale by the least validation error."""
    errors: dict[float, list[float]] = {scale: [] for scale in config.interaction_scales}
    for fold in folds:
        rows, items, stars = fold.validation.held_stars()
        if not len(stars):
            continue
        serving = replace(fold.serving(facts, choices, config), interaction=1.0)
        likeness, biases = serving.likeness, serving.biases
        interactions = np.empty(len(stars))
        for block in fold.validation.blocks():
            here = (rows >= block.start) & (rows < block.stop)
            summed = serving.interactions(fold.validation.stars[block], likeness)
            interactions[here] = summed[rows[here] - block.start, items[here]]
        base = biases.mean + biases.items[items] + biases.users(fold.validation.stars)[rows]
        for scale, of_scale in errors.items():
            of_scale.append(rmse(np.clip(base + scale * interactions, 0.5, 5.0), stars))
    if not errors[config.interaction_scales[0]]:
        return choices
    means = {scale: float(np.mean(of_scale)) for scale, of_scale in errors.items()}
    chosen = min(means, key=lambda scale: (means[scale], scale))
    return replace(choices, interaction=chosen, figures={**choices.figures, "rmse": means[chosen]})


def _train_reranker(folds: Sequence[_Fold], facts: Facts, choices: Choices, config: Config) -> Choices:
    """Train the reranker on the held-out entries, where cross-validation over readers says that it helps."""
    from trainer.serving.tf_graph import Graph

    examples = []
    for fold in folds:
        readers = list(fold.validation.readers())
        if readers:
            asked = reranker.queries(readers, config.reranker_sizes, config.reranker_parts, config.seed)
            examples.append(reranker.examples(Graph(fold.serving(facts, choices, config)), asked))
    if not examples:
        return choices
    networks = reranker.Networks(config)
    epochs, figures = reranker.choose_epochs(examples, networks)
    trained = reranker.train(examples, networks, [epochs])[0][1] if epochs else None
    return replace(choices, reranker=trained, figures={**choices.figures, "ranking_epochs": epochs, "ndcg": figures})


def _ease_tables(ratings: Ratings, features: sp.csr_matrix, config: Config) -> list[Table]:
    """Return one table, or none where the catalogue is too large for EASE with metadata."""
    if len(ratings.isbns) > config.ease_limit:
        return []
    weights = ease(
        ratings.matrix(),
        features,
        config.regularisation,
        config.feature_weight,
        config.dropout,
        config.reader_norm,
    )
    return [Table(*neighbours_of_matrix(weights, config.neighbours)).rescaled(ratings.matrix())]


def _table_of_vectors(ratings: Ratings, vectors: npt.NDArray[np.float32], config: Config) -> Table:
    return Table(*neighbours_of_vectors(vectors, config.neighbours)).rescaled(ratings.matrix())


def _serving(
    ratings: Ratings,
    tables: Sequence[Table],
    vectors: npt.NDArray[np.float32],
    facts: Facts,
    choices: Choices,
    config: Config,
) -> ServingModel:
    shares = (choices.share, 1 - choices.share)
    return ServingModel(
        ratings.isbns,
        tuple(replace(table, share=share) for table, share in zip(tables, shares, strict=False)),
        vectors,
        popularity(ratings.items, len(ratings.isbns)),
        fit_biases(ratings.star_matrix(), config.item_shrinkage, config.user_shrinkage),
        facts,
        choices.popularity_weight,
        choices.interaction,
        choices.reranker,
    )
