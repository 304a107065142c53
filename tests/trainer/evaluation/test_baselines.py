"""The baselines, and runs on machines that lack their libraries."""

import logging
import sys
from dataclasses import replace

import pandas as pd
import pytest

from bookrec.errors import BookrecError
from tests.trainer.small_ratings import clusters, split
from trainer import pipeline
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.evaluation import report
from trainer.evaluation.baselines import attempt, compare, rank
from trainer.evaluation.ranking_baselines import popularity_models

OWN = {"popularity", "mean", "biases"}
ASKED = replace(DEFAULTS, baselines=True)


@pytest.fixture(scope="module")
def data():
    ratings, books = clusters(readers=20, books=30, per_reader=8)
    train, test = split(ratings)
    return dataset.build(dataset.clean(train)[0], books), books, test.assign(myRate=test["myRate"].astype(float))


@pytest.fixture
def without_libraries(monkeypatch):
    for name in ("implicit", "implicit.bpr", "surprise"):
        monkeypatch.setitem(sys.modules, name, None)


def test_a_run_that_is_not_asked_for_baselines_needs_none_of_their_libraries(data, without_libraries):
    built, books, held_out = data
    found = compare(built, books, held_out, DEFAULTS)
    assert set(found.metrics) == OWN
    assert found.left_out == {}


def test_a_missing_library_leaves_its_baselines_out_and_says_so(data, without_libraries, small_grids, caplog):
    built, books, held_out = data
    with caplog.at_level(logging.WARNING):
        found = compare(built, books, held_out, ASKED, every=True)
    assert set(found.metrics) == {*OWN, "item-kNN", "RP3beta", "iALS", "ELSA", "SLIM", "EASE", "CEASE"}
    assert set(found.left_out) == {"BPR", "SVD", "BaselineOnly", "SVD++", "KNNBaseline"}
    assert "surprise" in found.left_out["SVD"]
    for name in found.left_out:
        assert f"{name} is left out" in caplog.text


def test_a_library_that_is_broken_leaves_its_baseline_out_and_names_no_reader(data, small_grids, monkeypatch, caplog):
    def fit(*_, **__):
        raise KeyError("reader-07")

    monkeypatch.setattr("trainer.evaluation.baselines.ials", fit)
    built, books, held_out = data
    found = compare(built, books, held_out, ASKED)
    assert found.left_out == {"iALS": "KeyError"}
    assert "item-kNN" in found.metrics
    assert "reader-07" not in caplog.text


def test_what_ends_a_run_is_not_left_out():
    def lost():
        raise BookrecError("worker 1 is gone")

    with pytest.raises(BookrecError):
        attempt({"iALS": lost})


def test_cold_figures_that_fail_leave_the_run_and_its_report_as_they_are(monkeypatch, data):
    built, books, held_out = data

    def fail(*_):
        raise ZeroDivisionError

    for part in ("cold_start", "cold_books"):
        monkeypatch.setattr(pipeline, part, fail)
    shown = pipeline._cold_start(built, books, ASKED, None, {"SVD": "No module named 'surprise'"})
    assert (shown["coldStart"], shown["coldBooks"]) == (None, None)
    assert shown["baselinesLeftOut"] == {
        "SVD": "No module named 'surprise'",
        "the cold-start curve": "ZeroDivisionError",
        "the cold books": "ZeroDivisionError",
    }
    figures = compare(built, books, held_out, DEFAULTS).metrics
    details = {
        "createdAt": "2026-01-01",
        "data": {"fingerprint": "f" * 64, "entries": 1, "users": 1, "items": 1},
        "choices": {"epochs": 1, "negatives": "batch", "share": 0.5},
        "verifiedIn": ["LiteRT"],
        "metrics": {"model": figures["popularity"] | figures["biases"], "baselines": figures, **shown},
    }
    page = report.render(details, {"joint": {"ndcg": [0.1]}}, [])
    assert "Left out: SVD (No module named &#39;surprise&#39;)" in page
    for part in ("the cold-start curve", "the cold books"):
        assert f"Left out: {part} (ZeroDivisionError)" in page


def test_a_list_for_a_reader_who_has_nearly_every_book_counts_none_of_the_shelf():
    isbns = [f"book{n:02}" for n in range(15)]
    rows = [("most", isbn, 4.0) for isbn in isbns[:13]] + [("few", isbn, 4.0) for isbn in isbns[:1]]
    built = dataset.build(pd.DataFrame(rows, columns=["userId", "isbn", "myRate"]).assign(at=-1), None, foreign=True)
    built = replace(built, isbns=tuple(isbns))
    held_out = pd.DataFrame([("most", isbns[14], 4.0)], columns=["userId", "isbn", "myRate"])
    popular = next(popularity_models(built, [{}]))[1]
    metrics = rank(popular, built, held_out, seed=1)["metrics"]
    assert (metrics["coverage"], metrics["unrated_share"], metrics["popular_share"]) == (2 / 15, 1.0, 0.0)
