"""The strength of diversity is chosen by what it surely keeps of NDCG@10."""

from dataclasses import replace

import numpy as np
import pytest

from bookrec.ranking import Candidate
from tests.trainer.serving.batch.models import random_model
from tests.trainer.small_ratings import clusters
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.model import diversity
from trainer.model.fit import fit
from trainer.model.validation import Validation
from trainer.serving import tflite

STRENGTHS = (0.0, 0.1, 0.5)


def judge(monkeypatch, readers):
    """Choose for readers of whom each has candidates of one series and others; ``readers``: the books held out."""
    names = [diversity._name(number) for number in range(20)]
    monkeypatch.setattr(diversity, "_kin", lambda serving: dict.fromkeys(names[:10], (1, 0)))
    candidates = [Candidate(name, 1.0 - number / 100, None, "personal") for number, name in enumerate(names)]
    ranked = [(number, candidates, frozenset(wanted)) for number, wanted in enumerate(readers)]
    monkeypatch.setattr(diversity, "_ranked", lambda *_: iter(ranked))
    return diversity.choose([(None, None, None)], STRENGTHS)


def test_diversity_is_off_if_readers_want_the_same_series_again(monkeypatch):
    strength, shares = judge(monkeypatch, [{3, 4, 5}] * 100)
    assert strength == 0
    assert shares["0"] == {"kept": 1, "least": 1}
    assert shares["0.1"]["kept"] < 1 - diversity.MOST_LOST


def test_the_greatest_strength_that_loses_nothing_is_chosen(monkeypatch):
    strength, shares = judge(monkeypatch, [{0, 12, 15}] * 100)
    assert strength == STRENGTHS[-1]
    assert shares["0.5"]["kept"] > 1


def test_what_helps_on_average_but_not_surely_is_not_chosen(monkeypatch):
    few = [{0, 12, 15}] * 13 + [{0, 3, 4}] * 9
    strength, shares = judge(monkeypatch, few)
    assert shares["0.1"]["kept"] >= 1 - diversity.MOST_LOST
    assert shares["0.1"]["least"] < 1 - diversity.MOST_LOST
    assert strength == 0


def test_too_few_readers_are_no_evidence(monkeypatch):
    assert judge(monkeypatch, [{0, 12, 15}] * (diversity.MINIMUM_READERS - 1)) == (0, {})


def test_readers_without_a_hit_are_no_evidence(monkeypatch):
    assert judge(monkeypatch, [{99}] * 100) == (0, {})


def test_books_without_metadata_have_no_diversity():
    serving = random_model(books=20)
    none = np.full(20, -1, np.int32)
    bare = replace(serving, facts=replace(serving.facts, series=none, authors=none))
    assert diversity.choose([(bare, None, None)], STRENGTHS) == (0, {})


def test_each_reader_is_ranked_once_a_fold():
    ratings, books = clusters(readers=40, books=60)
    built = dataset.build(dataset.clean(ratings)[0], books)
    held = dataset.holdout(built, 0.3, 1)
    validation = Validation(built.select(~held), built.select(held))
    serving = replace(random_model(books=60), isbns=built.isbns)
    readers = [reader for reader, *_ in validation.readers()]
    ranked = list(diversity._ranked(serving, validation, readers[::2]))
    assert sorted(reader for reader, *_ in ranked) == sorted(readers[::2])
    shelves = {reader: set(items.tolist()) for reader, items, *_ in validation.readers()}
    for reader, candidates, _ in ranked:
        assert len(candidates) == 60 - len(shelves[reader])
        assert not {int(candidate.isbn) for candidate in candidates} & shelves[reader]


@pytest.mark.parametrize("strengths", [(0.0,), (0.0, 0.2, 1.0)])
def test_what_is_chosen_is_in_the_model_and_its_file(strengths):
    ratings, books = clusters(readers=40, books=60)
    built = dataset.build(dataset.clean(ratings)[0], books)
    config = replace(
        DEFAULTS, embedding_dims=(("batch", 8),), epochs=1, patience=1, folds=1, reranker_epochs=(0, 1),
        reranker_folds=2, regularisations=(50.0,), shares=(0.5,), popularity_weights=(0.1,), diversities=strengths,
    )  # fmt: skip
    trained = fit(built, books, config)
    assert trained.choices.diversity in strengths
    assert trained.serving.diversity == trained.choices.diversity
    assert tflite.as_served(trained.serving, "v").items.diversity.strength == trained.choices.diversity
    assert set(trained.choices.figures["diversities"]) == {f"{strength:g}" for strength in strengths}
