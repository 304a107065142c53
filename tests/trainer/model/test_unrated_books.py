"""Books that nobody has: however many a catalogue lists, the model of the others is the same."""

import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.trainer.small_ratings import clusters
from tests.trainer.tiny import TINY
from trainer.data import dataset
from trainer.model.fit import fit
from trainer.model.local_ridge import LocalRidge
from trainer.model.train_loop import learn
from trainer.serving import tflite
from trainer.serving.arrays import Quantised
from trainer.serving.batch.scoring import Scorer

INVENTED = 5_000


def invented(count):
    """Return books that nobody has, with the authors and words of those that readers have, and with others."""
    return pd.DataFrame(
        {
            "isbn": [f"{'09779' if n % 2 else '09781'}{n:04}" for n in range(count)],  # before and after all others
            "title": [f"Tale{n % 9} of number{n % 300} word{n}" for n in range(count)],
            "authors": [f"Author{n % 50}" for n in range(count)],
        }
    )


@pytest.fixture(scope="module")
def worlds():
    """Return the entries and the model with the books that readers have, and with the invented ones too."""
    ratings, books = clusters(readers=40, books=60)
    rows = dataset.clean(ratings)[0]
    config = replace(TINY, embedding_dims=(("catalogue", 16),))
    made = []
    for more in (0, INVENTED):
        catalogue = pd.concat([invented(more), books], ignore_index=True)
        built = dataset.build(rows, catalogue)
        made.append((built, fit(built, catalogue, config)))
    return made


def both(worlds):
    """Return each world's entries and model, and the places of its rated books."""
    return [(built, trained, np.unique(built.items)) for built, trained in worlds]


def test_the_catalogue_has_the_invented_books(worlds):
    (few, _, rated), (many, trained, also_rated) = both(worlds)
    assert len(many.isbns) == len(few.isbns) + INVENTED
    assert [few.isbns[item] for item in rated] == [many.isbns[item] for item in also_rated]
    np.testing.assert_array_equal(np.flatnonzero(trained.serving.is_rated), also_rated)


def test_the_choices_are_the_same(worlds):
    choices = [trained.choices for _, trained in worlds]
    assert choices[0].to_json() == choices[1].to_json()
    assert (choices[0].reranker is None) == (choices[1].reranker is None)
    if choices[0].reranker is not None:
        for name in ("low", "high", "mean", "deviation", "hidden", "bias", "out", "reach"):
            np.testing.assert_array_equal(*(getattr(choice.reranker, name) for choice in choices))
    assert worlds[0][1].histories == worlds[1][1].histories


def test_vectors_weights_and_biases_of_rated_books_are_the_same(worlds):
    (_, few, rated), (_, many, also_rated) = both(worlds)
    models = few.serving, many.serving
    places = rated, also_rated
    for name in ("vectors", "popularity"):
        np.testing.assert_array_equal(*(getattr(m, name)[at] for m, at in zip(models, places, strict=True)))
    np.testing.assert_array_equal(*(m.biases.items[at] for m, at in zip(models, places, strict=True)))
    assert not many.serving.biases.items[~many.serving.is_rated].any()
    for one, other in zip(few.serving.tables, many.serving.tables, strict=True):
        assert one.share == other.share
        np.testing.assert_array_equal(
            one.matrix[rated][:, rated].toarray(), other.matrix[also_rated][:, also_rated].toarray()
        )
        assert not other.matrix[~many.serving.is_rated].nnz  # an unrated book says nothing
    stored = [Quantised(model).tables for model in models]
    for one, other in zip(*stored, strict=True):
        assert one.unit == other.unit


def test_scores_and_ratings_of_rated_books_are_the_same(worlds):
    (few, _, rated), (many, _, also_rated) = both(worlds)
    models = [trained.serving for _, trained in worlds]
    scores = [
        model.blend(built.matrix())[:, places]
        for model, built, places in zip(models, (few, many), (rated, also_rated), strict=True)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6, atol=1e-6)
    ratings = [
        model.ratings(built.star_matrix())[:, places]
        for model, built, places in zip(models, (few, many), (rated, also_rated), strict=True)
    ]
    np.testing.assert_allclose(ratings[0], ratings[1], rtol=0, atol=1e-6)


def rated_ones(model, listed):
    """Return ISBN, score and predicted rating of the rated books in an answer, in its order."""
    rows = zip(*(listed[name].tolist() for name in ("indices", "scores", "predicted_ratings")), strict=True)
    return [(model.isbns[item], *values) for item, *values in rows if item >= 0 and model.is_rated[item]]


def test_lists_have_the_rated_books_in_the_same_order_with_the_same_scores(worlds):
    (few, one, _), (many, other, _) = both(worlds)
    exported = [tflite.as_served(trained.serving, "v") for trained in (one, other)]
    scorers = [Scorer(trained.serving) for trained in (one, other)]
    for user in range(0, len(few.user_ids), 4):
        answers = []
        for trained, built, model, scorer in zip((one, other), (few, many), exported, scorers, strict=True):
            entries = built.users == user
            items, stars = built.items[entries], built.stars[entries]
            asked = {name: values[0] for name, values in scorer.recommend(items[None], stars[None]).items()}
            answers.append(
                [rated_ones(trained.serving, a) for a in (model.recommend(items=items, ratings=stars), asked)]
            )
        for without, with_others in zip(*answers, strict=True):
            assert without
            # Unrated books may take places of the last ones.
            shorter = without[: len(with_others)]
            assert len(with_others) >= min(len(without), 50)
            assert [row[0] for row in with_others] == [row[0] for row in shorter]
            np.testing.assert_allclose([row[1:] for row in with_others], [row[1:] for row in shorter], atol=1e-5)


def test_one_rated_book_leads_to_the_unrated_ones_that_are_like_it():
    books = pd.DataFrame(
        {"isbn": [f"book{n:03}" for n in range(200)], "authors": [f"Author{n % 40}" for n in range(200)]}
    )
    rows = pd.DataFrame([(f"reader{n}", "book007", 4.0) for n in range(3)], columns=["userId", "isbn", "myRate"])
    built = dataset.build(dataset.clean(rows, foreign=True)[0], books, foreign=True)
    serving = fit(built, books, TINY).serving
    items, stars = np.array([7], np.int32), np.array([4], np.float32)
    for listed in (
        tflite.as_served(serving, "v").recommend(items=items, ratings=stars),
        {name: values[0] for name, values in Scorer(serving).recommend(items[None], stars[None]).items()},
    ):
        assert listed["indices"][:4].tolist() == [47, 87, 127, 167]
        assert listed["scores"][3] > listed["scores"][4]
        assert np.isfinite(listed["scores"]).all()


def test_the_folds_keep_the_weights_of_the_local_ridge_and_not_its_systems(monkeypatch):
    made = []

    class Watched(LocalRidge):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(weakref.ref(self))

    def watch(*arguments, **named):
        assert made
        assert not [ridge for ridge in made if ridge() is not None]
        return learn(*arguments, **named)

    monkeypatch.setattr("trainer.model.assembly.LocalRidge", Watched)
    monkeypatch.setattr("trainer.model.fold.learn", watch)
    monkeypatch.setattr("trainer.model.fit.learn", watch)
    ratings, books = clusters(readers=25, books=30, per_reader=8)
    fit(dataset.build(dataset.clean(ratings)[0], books), books, replace(TINY, folds=2, reranker_epochs=(0,)))
    assert len(made) == 2 * 2 + 2  # in each fold and for all entries, one for rated and one for unrated books
