"""One split of the training entries: every candidate is fitted to the greater part and judged by the rest."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.config import Config, Negatives
from trainer.data.dataset import Ratings, holdout
from trainer.model import assembly
from trainer.model.assembly import Choices
from trainer.model.catalogue import Catalogue
from trainer.model.pool import Pool, pool_of
from trainer.model.train_loop import learn
from trainer.model.validation import Validation
from trainer.serving.item_item import ServingModel, popularity

Floats = npt.NDArray[np.float32]


class Fold:
    """One split of the training entries, with every candidate fitted to its greater part.

    Books whose entries are all held out are unrated here: the choices for unrated books are judged by them.
    """

    def __init__(self, ratings: Ratings, catalogue: Catalogue, number: int) -> None:
        config, self.catalogue = catalogue.config, catalogue
        seed, by_time = config.seed + number, number == 0
        held = holdout(ratings, config.validation_fraction, seed, by_time=by_time)
        self.part = ratings.select(~held)
        self.validation = Validation(self.part, ratings.select(held))
        self.features = catalogue.features[catalogue.learned]
        self.shared_features = catalogue.shared(self.features)
        self.popularity = popularity(self.part.items, len(self.part.isbns))
        self.is_rated = self.popularity > 0
        self.ridges = self._ridges(config)
        epochs = config.most_epochs(len(ratings.user_ids))
        few = len(ratings.users) <= config.batch_negatives_limit
        self.learned = {
            negatives: learn(self.part, catalogue.steps, negatives, self.validation, epochs)
            for negatives, _ in config.embedding_dims
            if few or negatives != "batch" or len(config.embedding_dims) == 1
        }
        self.parts: dict[Negatives, tuple[assembly.Part, assembly.Part]] = {}

    def neighbours(self, config: Config) -> list[int]:
        """Return the values of k to choose from, ascending."""
        least, greatest = config.ridge_neighbours
        return sorted({least, min(max(config.ridge_weights // len(self.is_rated), least), greatest)})

    def _ridges(self, config: Config) -> dict[tuple[float, int], sp.csr_matrix]:
        """Return the local ridge's weights by λ and k: a hundredth of the systems, which would be 1 GB a fold."""
        options = list(itertools.product(config.regularisations, self.neighbours(config)))
        ridge = assembly.ridge_systems(self.part, self.shared_features, config, max(self.neighbours(config)))
        return {option: ridge.weights(option[0], config.dropout, option[1]) for option in options}

    def settle(self, choices: Choices) -> None:
        """Make the tables' parts, with the local ridge that was chosen, and forget the others."""
        config = self.catalogue.config
        weights = self.ridges[choices.regularisation, choices.ridge_neighbours]
        ridge = assembly.ridge_part(self.part, weights, self.features, config)
        self.parts = {
            negatives: (assembly.learned_part(self.part, self.vectors(negatives), config), ridge)
            for negatives in self.learned
        }
        self.ridges = {}

    def pool(self, negatives: Negatives) -> Pool:
        """Return the pool on which blends of the tables are tried."""
        parts = self.parts[negatives]
        rated, unrated = [part.rated for part in parts], [part.unrated for part in parts]
        return pool_of(self.validation, rated, unrated, self.popularity)

    def vectors(self, negatives: Negatives) -> Floats:
        """Return the learned vectors, those of unrated books by their metadata alone."""
        learned = self.learned[negatives]
        vectors = assembly.vectors_by_metadata(learned, self.shared_features)
        vectors[self.is_rated] = learned.vectors[self.is_rated]
        return vectors

    def serving(self, choices: Choices) -> ServingModel:
        """Return the model that ``choices`` name, fitted to the fold's greater part."""
        parts, vectors = self.parts[choices.negatives], self.vectors(choices.negatives)
        return assembly.serving(self.part, parts, vectors, self.catalogue.facts_of_learned, choices)
