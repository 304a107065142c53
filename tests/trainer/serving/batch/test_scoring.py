"""Scores in blocks, compared with the exported file's, reader by reader."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.serving.batch.models import random_model
from tests.trainer.small_ratings import clusters
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.model.fit import fit
from trainer.serving import tflite
from trainer.serving.batch import retrieval, scoring
from trainer.serving.batch.scoring import Scorer

SIZES = (0, 1, 2, 10, 50, 200)
TOLERANCE = 1e-4


def trained_model():
    ratings, books = clusters(readers=80, books=240, per_reader=16)
    config = replace(DEFAULTS, epochs=3, folds=1, embedding_dims=(("batch", 32),))
    return fit(dataset.build(dataset.clean(ratings)[0], books), books, config).serving


def shelves(books, size, count, seed):
    """Return items int32 [count, n] and stars [count, n]; with more than two items, the first is an unknown book."""
    rng = np.random.default_rng((seed, size))
    if size == 0:
        return np.full((count, 1), -1, np.int32), np.zeros((count, 1), np.float32)
    items = np.stack([rng.choice(books, size, replace=False) for _ in range(count)]).astype(np.int32)
    if size > 2:
        items[:, 0] = -1
    return items, (rng.integers(0, 11, items.shape) / 2).astype(np.float32)


def compare(expected, answer):
    """Compare one reader's answers; return how many of the ten best have swapped places with an equal one."""
    np.testing.assert_allclose(answer["scores"], expected["scores"], rtol=0, atol=TOLERANCE)
    same = answer["indices"] == expected["indices"]
    for place in np.flatnonzero(~same[:10]):
        others = np.flatnonzero(expected["indices"] == answer["indices"][place])
        assert len(others) == 1  # it is among the candidates, with the score at its place
        assert abs(expected["scores"][others[0]] - expected["scores"][place]) <= TOLERANCE
    np.testing.assert_allclose(answer["predicted_ratings"][same], expected["predicted_ratings"][same], atol=TOLERANCE)
    assert (answer["because"][same] == expected["because"][same]).all()
    return int((~same[:10]).sum())


@pytest.mark.parametrize(
    "make",
    [
        trained_model,
        random_model,
        lambda: random_model(books=210, seed=1, levels=3),
        lambda: random_model(books=300, seed=2, tables=1, popularity_weight=0.0),
        lambda: replace(random_model(books=400, seed=3), reranker=None, interaction=0.0),
    ],
    ids=["trained", "random", "few books, many ties", "one table, no popularity", "no reranker"],
)
def test_a_block_gives_each_reader_the_answer_of_the_exported_file(make):
    serving = make()
    exported, scorer = tflite.load(tflite.export(serving), "v"), Scorer(serving)
    books, swapped, readers = len(serving.isbns), 0, 0
    for size in SIZES:
        items, ratings = shelves(books, size, 40 if make is not random_model else 168, seed=7)
        answers = scorer.recommend(items, ratings)
        for reader in range(len(items)):
            expected = exported.recommend(items=items[reader], ratings=ratings[reader])
            swapped += compare(expected, {name: values[reader] for name, values in answers.items()})
            readers += 1
    print(f"{readers} shelves: {swapped} of {10 * readers} places are swapped with equal scores")  # noqa: T201, a figure
    assert swapped <= readers // 100


def test_the_size_of_blocks_does_not_matter(monkeypatch):
    serving = random_model(books=600)
    items, ratings = shelves(600, 10, 60, seed=1)
    at_once = Scorer(serving).recommend(items, ratings)
    monkeypatch.setattr(scoring, "PAIRS", 10 * 200 * 7)
    monkeypatch.setattr(retrieval, "CELLS", 601 * 5)
    for name, values in Scorer(serving).recommend(items, ratings).items():
        np.testing.assert_array_equal(values, at_once[name])


def test_any_books_ratings_are_those_of_the_exported_file():
    serving = random_model(books=300)
    exported, scorer = tflite.load(tflite.export(serving), "v"), Scorer(serving)
    items, ratings = shelves(300, 10, 20, seed=3)
    targets = np.array([5, -1, 299, 5, 0, -1, *items[0]], np.int32)
    for shelf, stars in zip(items, ratings, strict=True):
        expected = exported.rate(items=shelf, ratings=stars, targets=targets)["predicted_ratings"]
        np.testing.assert_allclose(scorer.rate(shelf, stars, targets)["predicted_ratings"], expected, atol=TOLERANCE)
