"""A model that is fitted to small data and exported, against oracles and known answers."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from bookrec.errors import BadModel
from bookrec.shelf import Shelf
from tests.trainer.serving.batch.models import random_model
from tests.trainer.small_ratings import clusters, split
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.evaluation.baselines import compare
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.gate import judge
from trainer.model.fit import fit
from trainer.serving import tflite
from trainer.serving.by_user import export_by_user, user_key
from trainer.serving.item_item import (
    MASKED,
    Reranker,
    standardised,
)
from trainer.serving.reranker_features import FEATURES
from trainer.serving.runtimes import Call

CONFIG = replace(DEFAULTS, epochs=12, folds=2, embedding_dims=(("batch", 32), ("catalogue", 32)), baselines=True)


@pytest.fixture(scope="module")
def small():
    ratings, books = clusters()
    train, test = split(ratings)
    built = dataset.build(dataset.clean(train)[0], books)
    trained = fit(built, books, CONFIG)
    held_out = test.assign(myRate=test["myRate"].astype(float))
    return built, held_out, trained, tflite.export(trained.serving)


def test_the_model_beats_popularity_where_readers_have_a_taste(small):
    built, held_out, trained, files = small
    _, books = clusters()
    result = evaluate(tflite.load(files, "v"), built, held_out, seed=1)
    baselines = compare(built, books, held_out, CONFIG).models
    assert result.metrics["ndcg"]["mean"] > 2 * baselines["popularity"]["metrics"]["ndcg"]["mean"]
    assert result.metrics["rmse"] < baselines["mean"]["metrics"]["rmse"]
    assert set(baselines) >= {"item-kNN", "RP3beta", "iALS", "ELSA", "SLIM", "BPR", "EASE", "CEASE", "SVD", "biases"}
    assert set(trained.histories) == {"rating", "retrieval", "joint"}
    verdict = judge(result.rows, {"popularity": baselines["popularity"]["rows"]}, seed=1)
    assert verdict.passed, verdict.reason
    lost = judge(baselines["popularity"]["rows"], {"the live model": result.rows}, seed=1)
    assert not lost.passed
    assert "loses to the live model" in lost.reason


def test_the_exported_file_gives_the_scores_of_the_formula(small):
    built, _, trained, _ = small
    serving = replace(trained.serving, reranker=None)
    model = tflite.load(tflite.export(serving), "v")
    scores, ratings = serving.blend(built.matrix()), serving.ratings(built.star_matrix())
    for user, (user_id, shelf) in enumerate(sorted(dataset.shelves_of(built).items())):
        assert built.user_ids[user] == user_id
        for candidate in model.candidates(shelf):
            item = built.isbns.index(candidate.isbn)
            # The file's weights are whole numbers of 1/32,767 of the greatest.
            assert candidate.score == pytest.approx(scores[user, item], abs=3e-3)
            assert candidate.predicted_rating == pytest.approx(ratings[user, item], abs=1e-3)
            assert scores[user, item] > MASKED


def test_the_reranker_adds_what_a_calculation_by_hand_gives(small):
    built, _, trained, _ = small
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((2, len(FEATURES), 5), (2, 5), (2, 5))]
    none, one = np.zeros(len(FEATURES), np.float32), np.ones(len(FEATURES), np.float32)
    ranges = (one * -np.inf, one * np.inf, none, one)
    serving = replace(trained.serving, reranker=Reranker(*ranges, *weights))
    model = tflite.load(tflite.export(serving), "v")
    shelf = dataset.shelves_of(built)["reader-07"]
    known = [built.isbns.index(isbn) for isbn in shelf.ratings]
    user = built.user_ids.index("reader-07")
    stars, shelves = built.star_matrix()[user], built.matrix()[user]
    for candidate in model.candidates(shelf)[:20]:
        item = built.isbns.index(candidate.isbn)
        seen = _features_by_hand(serving, known, stars.toarray().ravel()[known], shelves, item)
        networks = [out @ np.maximum(seen @ hidden + bias, 0) for hidden, bias, out in zip(*weights, strict=True)]
        expected = serving.blend(shelves)[0, item] + np.mean(networks)
        assert candidate.score == pytest.approx(expected, abs=0.05, rel=0.02)


def _features_by_hand(serving, known, stars, shelves, item):
    counted = (shelves.toarray() == 0) & serving.is_rated
    parts = [standardised((shelves @ table.matrix).toarray(), counted)[0, item] for table in serving.tables]
    likeness = serving.vectors[known] @ serving.vectors[item]
    residuals = np.where(stars > 0, stars - serving.biases.mean - serving.biases.items[known], 0)
    contributions = 0
    for table in serving.tables:
        sums = (shelves @ table.matrix).toarray()[counted]
        contributions += table.share / sums.std() * table.matrix.toarray()[known, item]
    facts, popular = serving.facts, serving.popularity
    series = (facts.series[known] == facts.series[item]) & (facts.series[item] >= 0)
    steps = facts.numbers[item] - facts.numbers[known]
    root = np.sqrt(len(known))
    values = {
        "blend": serving.blend(shelves)[0, item],
        "ridge": parts[1],
        "learned": parts[0],
        "popularity": popular[item],
        "unrated": popular[item] == 0,
        "closest": likeness.max(),
        "affinity": likeness.sum() / root,
        "taste": (likeness * residuals).sum() / root,
        "strongest": contributions.max(),
        "same_series": np.log1p(series.sum()),
        "next_in_series": (series & (steps == 1)).any(),
        "previous_in_series": (series & (steps == -1)).any(),
        "same_author": np.log1p((facts.authors[known] == facts.authors[item]).sum()),
        "shelf_popularity": popular[known].mean(),
        "popularity_difference": popular[item] - popular[known].mean(),
        "log_shelf": np.log1p(len(known)),
    }
    return [values[name] for name in FEATURES]


def test_an_empty_shelf_gets_the_popular_books_in_order(small):
    _, _, trained, files = small
    candidates = tflite.load(files, "v").candidates(Shelf("nobody", ()))
    assert [candidate.isbn for candidate in candidates[:10]] == list(trained.serving.popular[:10])
    assert all(candidate.source == "popular" for candidate in candidates)


def test_reasons_name_the_books_that_contributed_most(small):
    built, _, trained, files = small
    model, serving = tflite.load(files, "v"), trained.serving
    shelf = dataset.shelves_of(built)["reader-07"]
    known = [built.isbns.index(isbn) for isbn in shelf.ratings]
    left = np.setdiff1d(np.arange(len(built.isbns)), known)
    matrices = [table.matrix.toarray() for table in serving.tables]
    scales = [t.share / m[known].sum(axis=0)[left].std() for t, m in zip(serving.tables, matrices, strict=True)]
    for candidate in model.candidates(shelf)[:10]:
        item = built.isbns.index(candidate.isbn)
        given = {
            built.isbns[book]: sum(scale * m[book, item] for scale, m in zip(scales, matrices, strict=True))
            for book in known
        }
        best = sorted(given.values(), reverse=True)[:2]
        assert [given[isbn] for isbn in candidate.because] == pytest.approx([w for w in best if w > 0], abs=1e-4)


def test_two_tables_are_blended_reader_by_reader(small):
    built, _, trained, _ = small
    serving = trained.serving
    table = serving.tables[0]
    louder = replace(table, matrix=table.matrix * 100)
    one = replace(serving, tables=(replace(table, share=1.0),)).blend(built.matrix())
    two = replace(serving, tables=(replace(table, share=0.5), replace(louder, share=0.5))).blend(built.matrix())
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_the_runtimes_agree_with_tensorflow_also_for_odd_shelves(small, runtime):
    built, _, trained, files = small
    shelves = tflite.sample_shelves(trained.serving, 40, seed=2)
    every = np.arange(len(built.isbns), dtype=np.int32)
    shelves.append((every[:-3], np.full(len(every) - 3, 4.0, np.float32)))
    shelves.append((every, np.zeros(len(every), np.float32)))
    with_interaction = replace(trained.serving, interaction=0.5)
    assert tflite.verify(trained.serving, files, shelves, checked_in=runtime) == list(runtime)
    tflite.verify(with_interaction, tflite.export(with_interaction), shelves[:10], checked_in=runtime)
    (run,) = runtime.values()
    call = Call("recommend.tflite", "recommend", {"items": every, "ratings": np.ones(len(every), np.float32)})
    assert (run(files, [call])[0]["indices"] == -1).all()


def test_books_that_the_model_does_not_know_leave_the_ranking_as_it_is():
    serving = random_model(books=300, seed=5)
    module = tflite.make_module(serving)
    for first in range(0, 300, 10):  # two books each: nothing of a larger shelf is always below nothing
        items, ratings = np.array([first, 299 - first // 2], np.int32), np.array([4.5, 0], np.float32)
        expected = module.recommend(items, ratings)
        unknown = np.full(4, -1, np.int32)
        stars = np.array([0, 0.5, 5, 3], np.float32)
        found = module.recommend(np.concatenate([items, unknown]), np.concatenate([ratings, stars]))
        for name in ("scores", "predicted_ratings"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
        np.testing.assert_array_equal(found["indices"][:10], expected["indices"][:10])


def test_padding_changes_nothing_and_a_longer_shelf_counts_by_its_last_books(small, runtime):
    built, _, trained, files = small
    (run,) = runtime.values()
    targets, _ = tflite.padded(np.arange(len(built.isbns), dtype=np.int32), np.zeros(len(built.isbns), np.float32))
    calls = []
    for items, ratings in tflite.sample_shelves(trained.serving, 20, seed=4):
        for ending, (places, stars) in (("", (items, ratings)), (tflite.FIXED, tflite.padded(items, ratings))):
            shelf = {"items": places, "ratings": stars}
            calls.append(Call("recommend.tflite", f"rate{ending}", {**shelf, "targets": targets}))
            calls.append(Call("recommend.tflite", f"recommend{ending}", shelf))
    outputs = run(files, calls)
    for rated, listed, rated_fixed, listed_fixed in zip(*(outputs[n::4] for n in range(4)), strict=True):
        np.testing.assert_allclose(rated_fixed["predicted_ratings"], rated["predicted_ratings"], atol=1e-4)
        np.testing.assert_array_equal(listed_fixed["because"][:10], listed["because"][:10])
    long = np.tile(np.arange(len(built.isbns), dtype=np.int32), 9)[-(tflite.FIXED_SIZE + 3) :]
    places, stars = tflite.padded(long, np.ones(len(long), np.float32))
    np.testing.assert_array_equal(places, long[3:])
    assert (stars == 1).all()


def test_a_file_that_differs_from_tensorflow_is_a_bad_model(small, runtime):
    _, _, trained, files = small
    other = replace(trained.serving, popularity_weight=5.0, popularity=trained.serving.popularity[::-1].copy())
    with pytest.raises(BadModel, match=rf"{next(iter(runtime))}, shelf \d+: (TensorFlow ranks|the scores differ)"):
        tflite.verify(other, files, tflite.sample_shelves(other, 20, seed=3), checked_in=runtime)


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ([5, 3, 8, -1], True),
        ([3, 5, 8, -1], True),
        ([8, 5, 3, -1], False),
        ([5, 5, 8, -1], False),
        ([5, 3, 7, -1], False),
        ([5, 3, -1, -1], False),
    ],
)
def test_books_that_are_all_but_equal_may_change_places_and_no_others(found, same):
    indices, scores = np.array([5, 3, 8, -1], np.int32), np.array([2.0, 1.99995, 1.0, 0.0], np.float32)
    assert tflite.same_ranking(indices, scores, np.array(found, np.int32), 1e-4) == same


def test_only_builtin_operators_are_used(small):
    details = Interpreter(model_content=small[3]["recommend.tflite"])._get_ops_details()
    names = {op["op_name"] for op in details}
    assert names
    assert not [name for name in names if name.startswith("Flex") or name == "CUSTOM"]


def test_no_file_holds_a_readers_id(small):
    built, _, _, files = small
    for name, content in files.items():
        for user_id in built.user_ids:
            assert user_id.encode() not in content, name


def test_the_files_by_user_give_each_reader_the_list_and_the_rating_of_the_model(small, runtime):
    built, _, trained, _ = small
    serving = replace(trained.serving, interaction=0.5)
    model = tflite.load(tflite.export(serving), "v")
    by_user_files = export_by_user(serving, model, built, 20)
    shelf = dataset.shelves_of(built)["reader-07"]
    (run,) = runtime.values()

    def call(file, **inputs):
        texts = {name: np.array([text.encode()]) for name, text in inputs.items()}
        return run(by_user_files, [Call(file, "serving_default", texts)])[0]

    key = user_key("reader-07")
    listed = call("by_user.tflite", user_key=key)
    candidates = model.candidates(shelf)[:20]
    assert listed["output_2"].shape == (1, 20)
    assert [isbn.decode() for isbn in listed["output_2"][0]] == [candidate.isbn for candidate in candidates]
    np.testing.assert_allclose(listed["output_1"][0], [candidate.score for candidate in candidates], rtol=1e-6)
    for candidate in candidates[:5]:
        rating = call("rating.tflite", isbn=candidate.isbn, user_key=key)["output_1"]
        assert rating.shape == (1, 1)
        assert rating[0, 0] == pytest.approx(candidate.predicted_rating, abs=1e-3)
    stranger = call("by_user.tflite", user_key="nobody")["output_2"][0]
    assert [isbn.decode() for isbn in stranger] == list(serving.popular[:20])
    unknown = call("rating.tflite", isbn="no book", user_key="nobody")["output_1"]
    assert unknown[0, 0] == pytest.approx(serving.biases.mean, abs=1e-4)
    for content in by_user_files.values():
        assert not [user_id for user_id in built.user_ids if user_id.encode() in content]
