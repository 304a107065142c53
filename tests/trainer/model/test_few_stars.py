"""Readers who rate nothing, everything alike, or hardly anything: there is a model, whatever stars come later."""

from dataclasses import replace

import numpy as np
import pytest

from bookrec.shelf import Shelf
from tests.trainer.small_ratings import clusters
from tests.trainer.tiny import TINY
from trainer.data import dataset
from trainer.model import reranker
from trainer.model.fit import fit
from trainer.serving import tflite
from trainer.serving.batch.scoring import Scorer
from trainer.serving.item_item import MOST_DEVIATIONS
from trainer.serving.reranker_features import FEATURES

EPOCHS = 20
TASTE = FEATURES.index("taste")


def nobody(stars):
    return np.zeros_like(stars)


def all_five(stars):
    return np.full_like(stars, 5)


def one(stars):
    few = np.zeros_like(stars)
    few[300] = 4.5
    return few


def three_of_seven_hundred(stars):
    few = np.zeros_like(stars)
    few[[10, 300, 600]] = 5, 1, 4
    return few


def as_they_are(stars):
    return stars


@pytest.fixture(scope="module")
def fitted():
    """Return a function that gives the entries with changed stars and their model, always with a reranker."""
    models = {}

    def model_of(change):
        if change not in models:
            rows, books = clusters(readers=60, books=60)
            entries = dataset.build(dataset.clean(rows)[0], books)
            entries = replace(entries, stars=change(entries.stars))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(reranker, "choose", lambda examples, networks: (EPOCHS, np.inf, {}))
                config = replace(TINY, embedding_dims=(("catalogue", 16),))
                models[change] = entries, fit(entries, books, config).serving
        return models[change]

    return model_of


def moved(serving):
    """Return by how much the stars of shelves move their books' scores, at most."""
    scorer, rng, moves = Scorer(serving), np.random.default_rng(1), []
    books = len(serving.isbns)
    for size in (1, 2, 5, 12, 30):
        items = np.stack([rng.choice(books, size, replace=False) for _ in range(30)]).astype(np.int32)
        without = scorer.recommend(items, np.zeros(items.shape, np.float32))
        for stars in (0.5, 5.0, None):
            given = rng.integers(1, 11, items.shape) / 2 if stars is None else np.full(items.shape, stars)
            listed = scorer.recommend(items, given.astype(np.float32))
            for reader in range(len(items)):
                scores = [
                    dict(zip(answers["indices"][reader].tolist(), answers["scores"][reader].tolist(), strict=True))
                    for answers in (without, listed)
                ]
                moves += [abs(scores[1][book] - score) for book, score in scores[0].items() if book in scores[1]]
    return max(moves)


CASES = [nobody, all_five, one, three_of_seven_hundred]


@pytest.mark.parametrize("change", CASES)
def test_the_model_can_be_exported_and_agrees_with_tensorflow(fitted, change, runtime):
    entries, serving = fitted(change)
    files = tflite.export(serving)
    shelves = tflite.sample_shelves(serving, 30, seed=3)
    assert any(stars.any() for _, stars in shelves)
    assert tflite.verify(serving, files, shelves, checked_in=runtime) == list(runtime)
    for shelf in (Shelf("nobody", ()), dataset.shelves_of(entries)["reader-07"]):
        for candidate in tflite.load(files, "v").candidates(shelf):
            assert np.isfinite(candidate.score)
            assert 0.5 <= candidate.predicted_rating <= 5


@pytest.mark.parametrize("change", [nobody, all_five, one])
def test_a_taste_that_never_varied_has_no_say(fitted, change):
    serving = fitted(change)[1]
    assert serving.reranker.low[TASTE] == serving.reranker.high[TASTE] == 0
    assert serving.reranker.out.any()  # the other features have one
    assert moved(serving) == 0


@pytest.mark.parametrize("change", [three_of_seven_hundred, as_they_are])
def test_a_taste_that_varied_has_its_say_within_the_range_that_it_had(fitted, change):
    serving = fitted(change)[1]
    reranker = serving.reranker
    assert reranker.low[TASTE] < 0 < reranker.high[TASTE]
    reach = (reranker.high[TASTE] - reranker.low[TASTE]) / reranker.deviation[TASTE]
    assert reach <= MOST_DEVIATIONS * 1.001
    most = reach * (np.abs(reranker.hidden[:, TASTE]) * np.abs(reranker.out)).sum(axis=1).mean()
    assert 0 < moved(serving) <= most


def test_ratings_without_stars_are_the_mean_of_the_scale(fitted):
    _, serving = fitted(nobody)
    assert serving.biases.mean == 3.5
    assert not serving.biases.items.any()
    assert fitted(all_five)[1].biases.mean == 5
