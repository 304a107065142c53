"""The baselines' hyperparameters: chosen on a part of the training entries, and used wherever they are fitted again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.small_ratings import clusters, split
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.evaluation import baselines, tuning
from trainer.evaluation.cold_start import cold_start
from trainer.evaluation.ranking_baselines import Baseline
from trainer.evaluation.rating_baselines import BIASES, Pairs, bias_model, tune_rating
from trainer.evaluation.tuning import Family, Parts, search, tune
from trainer.metrics import rmse
from trainer.serving.biases import ROUNDS

ASKED = replace(DEFAULTS, baselines=True, folds=2)


@pytest.fixture(scope="module")
def data():
    ratings, books = clusters(readers=40, books=40)
    train, test = split(ratings)
    return dataset.build(dataset.clean(train)[0], books), books, test.assign(myRate=test["myRate"].astype(float))


def entries(ratings):
    return set(zip(ratings.users.tolist(), ratings.items.tolist(), strict=True))


def planted(ratings, seen):
    """Return a family that ranks first, if its option is 2, what readers have in ``ratings``, as if it had seen it."""
    shelves = ratings.matrix()

    def fits(part, grid):
        seen.append(part)
        for options in grid:
            own = {part.matrix()[user].indices.tobytes(): user for user in range(part.shape[0])}

            def scores(asked, own=own, sign=1 if options["truth"] == 2 else -1):
                return sign * shelves[[own[row.indices.tobytes()] for row in asked]].toarray()

            yield options, Baseline("planted", scores)

    return Family("planted", fits, ({"truth": (1, 2, 3)},))


def test_the_best_on_validation_is_chosen_and_every_fit_is_on_the_greater_part(data):
    ratings, _, _ = data
    seen, parts = [], Parts(ratings, ASKED)
    choice = tune(planted(ratings, seen), parts)
    assert choice.options == {"truth": 2}
    assert choice.figure == pytest.approx(1)
    assert (choice.tried, choice.readers) == (3, 40)
    assert len(seen) == 2
    for part, (same, validation) in zip(seen, parts.pairs, strict=True):
        assert part is same
        assert entries(part) | entries(validation.held) == entries(ratings)
        assert not entries(part) & entries(validation.held)
        assert len(validation.held.users) == pytest.approx(len(ratings.users) / 10, rel=0.3)
    assert entries(seen[0]) != entries(seen[1])


def test_much_data_is_one_part_and_is_tuned_on_some_of_the_readers(data, monkeypatch):
    ratings, _, _ = data
    monkeypatch.setattr(tuning, "TUNING_ENTRIES", len(ratings.users) // 2)
    parts = Parts(ratings, replace(ASKED, fold_entries=1))
    ((part, validation),) = parts.pairs
    assert parts.readers == 20
    assert len(np.unique(part.users)) == 20
    assert set(validation.users.tolist()) <= set(part.users.tolist())


def test_a_stage_keeps_what_the_stages_before_it_chose_and_tries_nothing_twice():
    looked = []

    def figures(grid):
        looked.extend(grid)
        return {tuning.key(o): -abs(o["a"] - 3) - abs(o["b"] - 2) - abs(o["c"] - 1) for o in grid}

    stages = ({"a": (1, 2, 3), "b": (1,), "c": (0, 1)}, {"b": (1, 2, 3)})
    choice = search("planted", stages, figures, "ndcg", 7)
    assert choice.options == {"a": 3, "b": 2, "c": 1}
    assert choice.figure == 0
    assert choice.tried == len(looked) == 8
    assert all(looked.count(options) == 1 for options in looked)


def test_of_equal_choices_and_without_a_figure_the_first_is_taken():
    for value in (0.5, float("nan")):
        choice = search(
            "planted", ({"a": (5, 1, 9)},), lambda grid, v=value: dict.fromkeys(map(tuning.key, grid), v), "ndcg", 1
        )
        assert choice.options == {"a": 5}


def test_the_biases_shrinkage_with_the_least_error_is_chosen(data):
    ratings, _, _ = data
    parts = Parts(ratings, ASKED)
    choice = tune_rating("biases", bias_model, BIASES, parts)
    by_options = {}
    for options in tuning.combinations(BIASES[0]):
        each = []
        for part, validation in parts.pairs:
            held = Pairs.of_ratings(validation.held)
            each.append(rmse(bias_model(part, options)(held), held.stars))
        by_options[tuning.key(options)] = np.mean(each)
    assert choice.figure == pytest.approx(min(by_options.values()))
    assert by_options[tuning.key(choice.options)] == pytest.approx(choice.figure)


def test_biases_are_least_squares_of_books_and_readers_by_turns(data):
    ratings, _, held_out = data
    predicted = bias_model(ratings, {"item_shrinkage": 2, "user_shrinkage": 3})
    rated = ratings.stars > 0
    users, items, stars = ratings.users[rated], ratings.items[rated], ratings.stars[rated]
    mean = stars.mean()
    of_users = np.zeros(ratings.shape[0] + 1)  # the last is for an unknown reader, or book
    for _ in range(ROUNDS):
        rests = stars - mean - of_users[users]
        of_items = [rests[items == i].sum() / ((items == i).sum() + 2) for i in range(ratings.shape[1])]
        of_items = np.array([*of_items, 0])
        rests = stars - mean - of_items[items]
        of_users = np.array([rests[users == u].sum() / ((users == u).sum() + 3) for u in range(ratings.shape[0])] + [0])
    rows = held_out.iloc[:20].copy()
    rows.iloc[0, rows.columns.get_loc("userId")] = "nobody"
    rows.iloc[1, rows.columns.get_loc("isbn")] = "no book"
    pairs = Pairs.of_frame(ratings, rows)
    assert (pairs.users[0], pairs.items[1]) == (-1, -1)
    np.testing.assert_allclose(
        predicted(pairs), mean + of_items[pairs.items] + of_users[pairs.users], rtol=1e-4, atol=1e-4
    )


def without_times(choices):
    kept = {name: {k: v for k, v in own.items() if not k.endswith("seconds")} for name, own in choices.items()}
    return json.loads(json.dumps(kept))


def test_choices_do_not_depend_on_the_test_part_and_are_told(data, small_grids):
    ratings, books, held_out = data
    compared = baselines.compare(ratings, books, held_out, ASKED)
    other = baselines.compare(ratings, books, held_out.iloc[:25].assign(myRate=1.0), ASKED)
    assert compared.left_out == {}
    assert without_times(compared.choices) == without_times(other.choices)
    names = {"item-kNN", "RP3beta", "iALS", "ELSA", "SLIM", "BPR", "EASE", "CEASE"}
    assert all(0 < compared.choices[name]["validation_ndcg"] <= 1 for name in names)
    assert all(compared.choices[name]["fit_seconds"] >= 0 for name in names)
    assert all(0 < compared.choices[name]["validation_rmse"] < 2 for name in ("biases", "SVD"))
    assert compared.models["SLIM"]["choices"] == compared.choices["SLIM"]
    assert "choices" not in compared.models["popularity"]


def test_the_test_part_is_scored_once_by_what_is_fitted_to_all_entries(data, monkeypatch):
    ratings, books, held_out = data
    seen, ranked = [], []
    families = [Family("popularity", baselines.popularity_models), planted(ratings, seen)]
    monkeypatch.setattr(baselines, "ranking_baselines", lambda *_: families)
    monkeypatch.setattr(baselines, "rank", lambda model, *_: ranked.append(model.name) or {"rows": [], "metrics": {}})
    baselines.compare(ratings, books, held_out, ASKED)
    assert sorted(ranked) == ["planted", "popularity"]
    assert seen[-1] is ratings
    assert all(entries(part) < entries(ratings) for part in seen[:-1])


def test_a_large_catalogue_has_ease_over_its_most_rated_books_and_says_so(data, small_grids, monkeypatch):
    ratings, books, held_out = data
    monkeypatch.setattr(baselines, "EASE_LIMIT", 30)
    monkeypatch.setattr(baselines, "EASE_BOOKS", 20)
    compared = baselines.compare(ratings, books, held_out, ASKED)
    assert {"EASE of 20", "CEASE of 20"} <= set(compared.metrics)
    assert not {"EASE", "CEASE"} & set(compared.metrics)
    assert compared.metrics["EASE of 20"]["coverage"] <= 0.5


def test_the_cold_start_curve_uses_what_was_chosen_and_tunes_nothing(data, monkeypatch):
    ratings, books, _ = data
    fitted = []

    def fits(part, grid):
        for options in grid:
            fitted.append(options)
            yield options, Baseline("planted", lambda shelves: np.zeros(shelves.shape, np.float32))

    families = [Family("planted", fits, ({"a": (1, 2)},)), Family("untuned", fits, ({"b": (7, 8)},))]
    monkeypatch.setattr("trainer.evaluation.cold_start.ranking_baselines", lambda *_: families)
    monkeypatch.setattr("trainer.evaluation.cold_start.tflite.as_served", lambda *_: Empty())
    curve = cold_start(ratings, books, replace(ASKED, seed=1), lambda part: None, {"planted": {"options": {"a": 2}}})
    assert fitted == [{"a": 2}, {"b": 7}]
    assert set(curve["models"]) >= {"planted", "untuned"}


class Empty:
    """A model without candidates."""

    diversified = staticmethod(iter)

    def candidates(self, shelf):
        return []
