"""The report, the model card and the cold-start curve, on a model fitted to small data."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.small_ratings import clusters, split
from tests.trainer.tiny import TINY
from trainer import pipeline
from trainer.commands.evaluate import evaluate_split
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.data.features import item_features
from trainer.evaluation import baselines, report
from trainer.evaluation.cold_books import cold_books
from trainer.evaluation.cold_start import SIZES, cold_start
from trainer.evaluation.evaluate import evaluate
from trainer.metrics import BEYOND
from trainer.model.catalogue import Catalogue
from trainer.model.fit import fit, refit
from trainer.model.fold import Fold
from trainer.serving import tflite

CONFIG = replace(DEFAULTS, epochs=6, folds=1, embedding_dims=(("batch", 32), ("catalogue", 32)), baselines=True)

TUNED = {"item-kNN", "RP3beta", "iALS", "ELSA", "SLIM", "BPR", "EASE", "CEASE"}


@pytest.fixture(scope="module")
def run():
    ratings, books = clusters()
    train, test = split(ratings)
    built = dataset.build(dataset.clean(train)[0], books)
    trained = fit(built, books, CONFIG)
    files = tflite.export(trained.serving)
    held_out = test.assign(myRate=test["myRate"].astype(float))
    features = item_features(built.isbns, books, CONFIG.features)
    result = evaluate(tflite.load(files, "v"), built, held_out, 1, features)
    compared = baselines.compare(built, books, held_out, CONFIG, every=True)
    curve = cold_start(built, books, CONFIG, lambda part: refit(part, trained.catalogue, trained.choices))
    cold = cold_books(built, books, CONFIG, lambda part: refit(part, trained.catalogue, trained.choices).blend)
    details = {
        "version": "20260101T000000Z-1",
        "createdAt": "2026-01-01T00:00:00+00:00",
        "data": {"fingerprint": built.fingerprint(), "entries": len(built.users), "users": 60, "items": 80},
        "choices": trained.choices.to_json(),
        "verifiedIn": ["LiteRT", "tflite-runtime"],
        "gate": {"passed": True, "reason": "not worse than <popularity>"},
        "metrics": {
            "model": result.metrics,
            "baselines": compared.metrics,
            "coldStart": curve,
            "coldBooks": cold,
        },
    }
    return built, books, trained, files, result, details


def test_the_report_is_one_file_with_every_model_and_no_reader_id(run):
    built, books, trained, _, result, details = run
    shown = report.examples(result.top, built, books, seed=1)
    changed = report.changes(result.top, result.top, "the-live-one", books)
    page = report.render(details, trained.histories, shown, changed)
    for name in ("this model", "popularity", "item-kNN", "iALS", "EASE", "CEASE", "SVD", "SVD++", "biases"):
        assert f"<td>{name}</td>" in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)  # nothing is fetched; SVG refers to itself by #
    assert page.count("<svg") == 7
    assert "not worse than &lt;popularity&gt;" in page
    assert page.count("A reader with") == 10
    assert "because of Tale" in page
    assert not [user_id for user_id in built.user_ids if user_id in page]
    assert "10.0 of the ten books stay" in page.replace("\n", " ")


def test_report_and_model_card_show_what_is_on_every_models_lists(run):
    _, _, trained, files, _, details = run
    rows = {"this model": details["metrics"]["model"], **details["metrics"]["baselines"]}
    ranking = {name: row for name, row in rows.items() if "ndcg" in row}
    assert set(ranking) == {"this model", "popularity", *TUNED}
    page, card = report.render(details, trained.histories, []), report.model_card(details, files)
    table = page[page.index("What is on the lists") :]
    for name, row in ranking.items():
        shown = [f"{row[measure]:.3f}" for measure in BEYOND]
        cells = "</td><td>".join(shown)
        assert re.search(rf"<td>{re.escape(name)}</td>\s*<td>{cells}</td>", table), name
        bold = f"**{name}**" if name == "this model" else name
        assert f"| {bold} | {' | '.join(shown)} |\n" in card
        assert f"{row['ndcg_rated']['mean']:.3f}" in page


def test_report_and_model_card_show_the_cold_books(run):
    _, _, trained, files, _, details = run
    cold = details["metrics"]["coldBooks"]
    assert set(cold["models"]) == {"this model", "sum of cosines", "CEASE"}
    page, card = report.render(details, trained.histories, []), report.model_card(details, files)
    assert f"{cold['books']} of them, was left out of training" in page
    for name, row in cold["models"].items():
        assert f"{row['mean']:.3f} ({name})" in card
    plain = {**details, "metrics": {**details["metrics"], "coldBooks": None}}
    assert "the books have no metadata" in report.render(plain, trained.histories, [])
    assert "New books" not in report.model_card(plain, files)


def test_changes_count_the_books_that_come_and_go(run):
    *_, result, _ = run
    popular = {user: items[10:20] for user, items in result.top.items()}
    changed = report.changes(result.top, popular, "v0", None)
    assert changed["kept"] == 0
    assert changed["same"] == 0
    assert all(row["after"] > row["before"] for row in changed["more"])
    assert all(row["after"] < row["before"] for row in changed["less"])


def test_the_model_card_lists_files_and_figures(run):
    *_, files, _, details = run
    card = report.model_card(details, files)
    assert "| **this model** |" in card
    assert f"`recommend.tflite` | {len(files['recommend.tflite']):,} |" in card
    assert details["data"]["fingerprint"] in card


def test_report_and_model_card_say_which_runtime_the_files_were_not_checked_in(run):
    _, _, trained, files, _, details = run
    for checked, missing in ((["LiteRT", "tflite-runtime"], False), (["LiteRT"], True)):
        told = {**details, "verifiedIn": checked}
        for text in (report.render(told, trained.histories, []), report.model_card(told, files)):
            assert f"agree with TensorFlow in {' and '.join(checked)}" in text
            assert ("not checked in tflite-runtime" in text.replace("\n", " ")) == missing


def test_the_cold_start_curve_removes_readers_and_gives_all_models_the_same_shelves(run):
    trained = run[2]
    ratings, books = clusters(books=160, per_reader=24)
    built = dataset.build(dataset.clean(ratings)[0], books)
    catalogue = Catalogue(built, books, CONFIG)
    curve = cold_start(built, books, CONFIG, lambda part: refit(part, catalogue, trained.choices))
    assert curve["sizes"] == list(SIZES)
    assert 0 < curve["readers"] < len(built.user_ids)
    assert set(curve["models"]) == {"this model", "popularity", *TUNED}
    at_nothing = {name: points[0]["mean"] for name, points in curve["models"].items()}
    assert at_nothing["this model"] == at_nothing["popularity"]
    ours = [point["mean"] for point in curve["models"]["this model"]]
    assert ours[-1] > ours[0]
    assert all(point["low"] <= point["mean"] <= point["high"] for point in curve["models"]["this model"])


def test_nothing_of_the_model_of_the_cold_start_curve_has_seen_the_readers_that_were_taken_out(monkeypatch, tmp_path):
    """Neither the tables nor what validation chose, and not the reranker: in a run, and in ``evaluate``."""
    ratings, books = clusters(readers=60, books=40)
    built = dataset.build(dataset.clean(ratings)[0], books)
    taken = np.arange(0, len(built.user_ids), 5)
    begin, seen, is_curve = Fold.__init__, [], [False]

    def curve(entries, books, config, fit, choices=None):
        is_curve[0] = True
        fit(entries.select(~np.isin(entries.users, taken)))
        is_curve[0] = False
        return {"sizes": [], "readers": len(taken), "models": {}}

    def recorded(self, entries, *arguments):
        if is_curve[0]:
            seen.append(set(entries.users.tolist()))
        begin(self, entries, *arguments)

    monkeypatch.setattr(Fold, "__init__", recorded)  # validation and the reranker learn from folds alone
    monkeypatch.setattr(pipeline, "cold_start", curve)
    monkeypatch.setattr(pipeline, "cold_books", lambda *_: {})
    trained = fit(built, books, TINY)
    pipeline._cold_start(built, books, TINY, trained, {})
    assert len(seen) == 1

    compare = baselines.compare
    monkeypatch.setattr(baselines, "compare", lambda *data, every: compare(*data[:3], TINY))
    monkeypatch.setattr("trainer.evaluation.cold_start.cold_start", curve)
    monkeypatch.setattr("trainer.evaluation.cold_books.cold_books", lambda *_: None)
    train, test = split(ratings)
    evaluate_split(dataset.clean(train)[0], test, books, replace(TINY, baselines=True), tmp_path)
    assert len(seen) == 2
    assert all(readers and not readers & set(taken.tolist()) for readers in seen)


def test_too_few_entries_give_an_empty_curve():
    ratings, books = clusters(readers=5, books=40, per_reader=6)
    built = dataset.build(dataset.clean(ratings)[0], books)
    assert cold_start(built, books, CONFIG, pytest.fail)["models"] == {}
