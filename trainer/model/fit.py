"""Fitting: candidates are trained on one part of the entries and chosen on the other, then fitted to all.

Only books with entries are learned from. All others come in at the end, by their metadata alone, so however many books
a catalogue has that nobody has rated, the model of the rated ones is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainer.config import LOSS_WEIGHTS, Config
from trainer.data.dataset import Ratings, sample_readers
from trainer.model import assembly, reranker
from trainer.model.assembly import Choices
from trainer.model.catalogue import Catalogue
from trainer.model.choosing import (
    choose_biases,
    choose_blend,
    choose_diversity,
    choose_rating,
    choose_ridge,
    train_reranker,
)
from trainer.model.fold import Fold
from trainer.model.train_loop import learn
from trainer.model.validation import Validation
from trainer.serving.item_item import ServingModel

COMPARED_READERS = 5_000
"""The notebook's variants are compared on at most so many readers: their curves are for people."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model and how it came about.

    Attributes:
        serving: what is exported.
        choices: what validation chose, with the figures.
        histories: by variant and by measure, a value an epoch: the notebook's curves of the configuration's variant,
            and with ``config.baselines`` of all three.
        catalogue: with which a model of the same books may be fitted to other entries.
    """

    serving: ServingModel
    choices: Choices
    histories: Mapping[str, Mapping[str, list[float]]]
    catalogue: Catalogue


def fit(ratings: Ratings, books: pd.DataFrame | None, config: Config, catalogue: Catalogue | None = None) -> Trained:
    """Return the best model for ``ratings``: everything is tuned on a validation part of them.

    Args:
        ratings: the training entries.
        books: the catalogue's metadata, or None.
        config: options.
        catalogue: of a run to which these entries belong; None if they are all.
    """
    catalogue = catalogue or Catalogue(ratings, books, config)
    own = catalogue.of_learned(ratings)
    folds = [Fold(own, catalogue, fold) for fold in range(config.fold_count(len(ratings.users)))]
    choices = choose_ridge(folds, config)
    for fold in folds:
        fold.settle(choices)
    choices = choose_biases(folds, choose_blend(folds, choices, config), config)
    choices = choose_rating(folds, choices, config)
    networks = reranker.Networks(config)
    choices = choose_diversity(folds, train_reranker(folds, choices, config, networks), config, networks)
    histories = _histories(folds[0])
    folds.clear()  # the model for all entries needs the memory
    return Trained(refit(ratings, catalogue, choices), choices, histories, catalogue)


def refit(ratings: Ratings, catalogue: Catalogue, choices: Choices) -> ServingModel:
    """Return the model that ``choices`` name, fitted to all of ``ratings``, for all books of the catalogue."""
    config = catalogue.config
    learned = learn(catalogue.of_learned(ratings), catalogue.steps, choices.negatives, None, choices.epochs)
    shared_features = catalogue.shared(catalogue.features)
    vectors = assembly.vectors_by_metadata(learned, shared_features)
    vectors[catalogue.learned] = learned.vectors
    ridge = assembly.ridge_systems(ratings, shared_features, config, choices.ridge_neighbours)
    weights = ridge.weights(choices.regularisation, config.dropout, choices.ridge_neighbours)
    del ridge  # the systems of unrated books need the memory
    of_learned = assembly.learned_part(ratings, vectors, config)
    of_ridge = assembly.ridge_part(ratings, weights, catalogue.features, config)
    return assembly.serving(ratings, (of_learned, of_ridge), vectors, catalogue.facts, choices)


def _histories(fold: Fold) -> dict[str, dict[str, list[float]]]:
    """Return the curves of the variants that are wanted, all with the same negatives and on not too many readers."""
    steps = fold.catalogue.steps
    config = steps.config
    negatives = next(iter(fold.learned))
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
    epochs = config.most_epochs(len(readers))
    for variant in LOSS_WEIGHTS:
        if variant not in histories:
            histories[variant] = learn(part, steps, negatives, validation, epochs, variant).history
    return histories
