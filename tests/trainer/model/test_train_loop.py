"""Training, and training again with what was compiled for it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.small_ratings import clusters
from tests.trainer.tiny import TINY
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.data.features import item_features
from trainer.model.train_loop import Steps, learn


@pytest.mark.parametrize(("negatives", "optimiser"), [("batch", "adam"), ("batch", "adamw"), ("catalogue", "adam")])
def test_a_model_trained_again_with_the_same_steps_is_that_of_new_ones(negatives, optimiser):
    config = replace(TINY, optimiser=optimiser)
    rows, books = clusters(readers=24, books=40)
    ratings = dataset.build(dataset.clean(rows)[0], books)
    features = item_features(ratings.isbns, books, TINY.features)
    part = ratings.select(np.arange(len(ratings.users)) % 3 > 0)

    def vectors(steps, entries):
        return learn(entries, steps, negatives, None, 3).vectors

    used = Steps(features, config)
    first, other, again = (vectors(used, entries) for entries in (ratings, part, ratings))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(other, vectors(Steps(features, config), part))
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize(("readers", "epochs"), [(0, 40), (40, 40), (12_000, 12), (33_000, 4), (10**7, 4)])
def test_many_readers_are_passed_over_less_often(readers, epochs):
    assert DEFAULTS.most_epochs(readers) == epochs
