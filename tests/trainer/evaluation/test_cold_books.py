"""Cold books: what models see of them, and what is counted."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.small_ratings import clusters
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.data.features import item_features
from trainer.evaluation import cold_books as module
from trainer.evaluation.cold_books import COLD_SHARE, cold_books
from trainer.metrics import OURS


@pytest.fixture(scope="module")
def world():
    rows, books = clusters(readers=24, books=60)
    return dataset.build(dataset.clean(rows)[0], books), books


def removed(ratings, books, config):
    """Return the removed books, and what cold_books says if the model gives each book the same score."""
    seen = []

    def fit(part):
        seen.append(part)
        return lambda shelves: np.zeros(shelves.shape, np.float32)

    figures = cold_books(ratings, books, config, fit)
    (part,) = seen
    assert (part.isbns, part.user_ids) == (ratings.isbns, ratings.user_ids)
    return set(ratings.items.tolist()) - set(part.items.tolist()), part, figures


def test_a_fifth_of_the_books_is_removed_whole_and_the_rest_stays(world):
    ratings, books = world
    cold, part, figures = removed(ratings, books, DEFAULTS)
    assert len(cold) == figures["books"] == round(len(np.unique(ratings.items)) * COLD_SHARE)
    assert len(part.items) == np.count_nonzero(~np.isin(ratings.items, list(cold)))
    assert set(figures["models"]) == {OURS, "sum of cosines", "CEASE"}
    again, _, same = removed(ratings, books, DEFAULTS)
    assert (again, same) == (cold, figures)
    assert removed(ratings, books, replace(DEFAULTS, seed=7))[0] != cold


def test_only_removed_books_are_ranked_by_the_rest_of_the_shelf(world):
    ratings, books = world
    shelves_of = ratings.matrix().toarray() > 0

    def fit(part):
        cold = np.setdiff1d(ratings.items, part.items)

        def knows_everything(shelves):
            scores = np.full(shelves.shape, 100, np.float32)
            for row, shelf in enumerate(shelves.toarray() > 0):
                assert not shelf[cold].any()
                (reader,) = np.flatnonzero((part.matrix().toarray() > 0)[:, shelf].all(axis=1))[:1]
                scores[row, cold] = shelves_of[reader, cold]
            return scores

        return knows_everything

    figures = cold_books(ratings, books, DEFAULTS, fit)["models"]
    assert figures[OURS] == {"mean": 1, "low": 1, "high": 1}
    assert 0 < figures["sum of cosines"]["mean"] < 1


def test_metadata_tells_cold_books_apart(world):
    ratings, books = world
    features = item_features(ratings.isbns, books, DEFAULTS.features)
    figures = cold_books(
        ratings, books, DEFAULTS, lambda part: lambda shelves: (shelves @ features @ features.T).toarray()
    )["models"]
    assert figures[OURS] == figures["sum of cosines"]
    by_chance = removed(ratings, books, DEFAULTS)[2]["models"][OURS]["mean"]
    assert min(figures["sum of cosines"]["mean"], figures["CEASE"]["mean"]) > 1.3 * by_chance


def test_without_metadata_or_other_books_nothing_is_fitted(world):
    ratings, books = world
    assert cold_books(ratings, None, DEFAULTS, pytest.fail)["models"] == {}
    alone = ratings.select(ratings.items == ratings.items[0])
    assert cold_books(alone, books, DEFAULTS, pytest.fail)["models"] == {}


def test_a_catalogue_that_is_too_large_for_cease_says_so(world, monkeypatch):
    ratings, books = world
    monkeypatch.setattr(module, "DENSE_LIMIT", 10)
    figures = removed(ratings, books, DEFAULTS)[2]
    assert set(figures["models"]) == {OURS, "sum of cosines"}
    assert figures["left_out"] == {"CEASE": "more than 10 books"}
