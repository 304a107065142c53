"""The graph for one shelf: open and fixed sizes, unknown and repeated books, and the same answers as in NumPy."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.serving.batch.models import random_model
from trainer.serving import tflite
from trainer.serving.arrays import CHUNK, SIMILAR
from trainer.serving.batch.scoring import Scorer
from trainer.serving.item_item import Reranker, Table
from trainer.serving.tf_graph import Graph

BOOKS = 700


def with_unrated(serving, share=0.4, offset=-0.7):
    """Return a model in which some books are unrated: on no row of a table, and without popularity."""
    rng = np.random.default_rng(9)
    popularity = np.where(rng.random(len(serving.isbns)) < share, 0, serving.popularity + 0.01).astype(np.float32)
    rated = popularity > 0
    tables = []
    for table in serving.tables:
        matrix = table.matrix.multiply(rated[:, None]).tocsr().astype(np.float32)
        matrix.eliminate_zeros()
        tables.append(Table(matrix, table.share))
    return replace(serving, popularity=popularity, tables=tuple(tables), unrated_offset=offset)


def uneven(serving, seed=4):
    """Return a model whose tables' rows have very different lengths: from none to several chunks."""
    rng = np.random.default_rng(seed)
    tables = []
    for table in serving.tables:
        dense = table.matrix.toarray()
        kept = rng.random(dense.shape) < rng.choice([0, 0.1, 0.5, 1], len(dense))[:, None]
        long = rng.choice(len(dense), 5, replace=False)
        dense = dense * kept
        dense[long] = rng.normal(size=(5, len(dense))) * 0.1
        rows, columns = np.nonzero(dense)
        stored = (dense[rows, columns].astype(np.float32), (rows, columns))
        tables.append(Table(type(table.matrix)(stored, shape=dense.shape), table.share))
    return replace(serving, tables=tuple(tables))


@pytest.fixture(scope="module")
def serving():
    return with_unrated(uneven(random_model(BOOKS, seed=2)))


@pytest.fixture(scope="module")
def module(serving):
    return tflite.make_module(serving)


def answer(function, items, ratings):
    return {name: value.numpy() for name, value in function(items, ratings).items()}


def shelf(size, seed=0, books=BOOKS):
    rng = np.random.default_rng((seed, size))
    return rng.choice(books, size, replace=False).astype(np.int32), (rng.integers(0, 11, size) / 2).astype(np.float32)


def assert_same(actual, expected):
    np.testing.assert_allclose(actual["scores"], expected["scores"], rtol=1e-5, atol=1e-4)
    # Books with all but equal scores may change places.
    same = actual["indices"] == expected["indices"]
    for place in np.flatnonzero(~same):
        (other,) = np.flatnonzero(expected["indices"] == actual["indices"][place])
        assert abs(expected["scores"][other] - expected["scores"][place]) < 2e-4
    assert same[:10].all()
    np.testing.assert_allclose(actual["predicted_ratings"][same], expected["predicted_ratings"][same], atol=1e-4)
    assert (actual["because"][same] == expected["because"][same]).mean() > 0.99


@pytest.mark.parametrize("size", [1, 2, 3, 17, 100, tflite.FIXED_SIZE - 1, tflite.FIXED_SIZE])
def test_fixed_sizes_give_the_answers_of_open_ones(module, size):
    for seed in range(4):
        items, ratings = shelf(size, seed)
        expected = answer(module.recommend, items, ratings)
        assert_same(answer(module.recommend_fixed, *tflite.padded(items, ratings)), expected)


def test_fixed_sizes_have_places_for_the_longest_rows(serving, module):
    lengths = sum(np.diff(table.matrix.indptr) for table in serving.tables)
    items = np.argsort(-lengths, kind="stable")[: tflite.FIXED_SIZE].astype(np.int32)
    assert lengths[items[0]] > 20 * CHUNK
    ratings = np.full(len(items), 4.5, np.float32)
    assert_same(
        answer(module.recommend_fixed, *tflite.padded(items, ratings)), answer(module.recommend, items, ratings)
    )


@pytest.mark.parametrize("unknown", [[-1], [BOOKS], [-1, BOOKS + 7, -5]], ids=str)
@pytest.mark.parametrize("signature", ["recommend", "recommend_fixed"])
def test_unknown_books_say_nothing(module, signature, unknown):
    items, ratings = shelf(12)
    expected = answer(module.recommend, items, ratings)
    more = np.append(items, unknown).astype(np.int32), np.append(ratings, [5.0] * len(unknown)).astype(np.float32)
    given = tflite.padded(*more) if signature.endswith("fixed") else more
    assert_same(answer(getattr(module, signature), *given), expected)


@pytest.mark.parametrize("signature", ["recommend", "recommend_fixed"])
def test_a_shelf_of_unknown_books_gets_the_popular_ones(serving, module, signature):
    items, ratings = np.array([-1, BOOKS], np.int32), np.array([5, 0], np.float32)
    given = tflite.padded(items, ratings) if signature.endswith("fixed") else (items, ratings)
    listed = answer(getattr(module, signature), *given)
    popular = [int(isbn) for isbn in serving.popular[:40]]
    assert listed["indices"][:40].tolist() == popular
    assert (listed["because"] == -1).all()


@pytest.mark.parametrize("signature", ["recommend", "recommend_fixed"])
@pytest.mark.parametrize("size", [2, 100, tflite.FIXED_SIZE])
def test_repeated_books_are_answered(serving, module, signature, size):
    longest = int(np.argmax(np.diff(serving.tables[0].matrix.indptr)))
    items, ratings = np.full(size, longest, np.int32), np.full(size, 4, np.float32)
    given = tflite.padded(items, ratings) if signature.endswith("fixed") else (items, ratings)
    listed = answer(getattr(module, signature), *given)
    for values in listed.values():
        assert np.isfinite(values).all()
    assert longest not in listed["indices"]
    assert len(set(listed["indices"].tolist())) == len(listed["indices"])


def test_blocks_give_the_answers_of_the_graph_with_unrated_books_among_them(serving, module):
    scorer = Scorer(serving)
    unrated = np.flatnonzero(~serving.is_rated)
    for size in (1, 5, 60):
        items, ratings = shelf(size, seed=5)
        expected = answer(module.recommend, items, ratings)
        assert np.isin(expected["indices"], unrated).any()
        listed = scorer.recommend(items[None], ratings[None])
        assert_same({name: values[0] for name, values in listed.items()}, expected)


def test_the_offset_is_added_to_the_scores_of_unrated_books_alone(serving):
    items, ratings = shelf(20)
    plain = replace(serving, reranker=None, unrated_offset=0.0)
    shifted = replace(plain, unrated_offset=-1.5)
    unrated = set(np.flatnonzero(~serving.is_rated).tolist())
    scores = []
    for model in (plain, shifted):
        listed = answer(Graph(model).recommend, items, ratings)
        scores.append(dict(zip(listed["indices"].tolist(), listed["scores"].tolist(), strict=True)))
    both = scores[0].keys() & scores[1].keys()
    assert both & unrated
    assert both - unrated
    for book in both:
        assert scores[1][book] == pytest.approx(scores[0][book] - 1.5 * (book in unrated), abs=1e-5)


def varied(serving, feature, low, high):
    """Return a model whose reranker has seen the feature between ``low`` and ``high`` only."""
    parts = {"low": serving.reranker.low.copy(), "high": serving.reranker.high.copy()}
    parts["low"][feature], parts["high"][feature] = low, high
    parts["mean"] = serving.reranker.mean.copy()
    parts["mean"][feature] = (low + high) / 2
    return replace(serving, reranker=replace(serving.reranker, **parts))


def test_what_never_varied_in_training_has_no_say_in_serving():
    from trainer.serving.reranker_features import FEATURES

    taste = FEATURES.index("taste")
    serving = replace(varied(random_model(300, seed=6), taste, 0.0, 0.0), interaction=0.0)
    free = varied(serving, taste, -1e3, 1e3)
    items, stars = shelf(30, books=300)
    none = np.zeros_like(stars)
    for rank in (
        lambda model, s: answer(Graph(model).recommend, items, s),
        lambda model, s: Scorer(model).recommend(items[None], s[None]),
    ):
        np.testing.assert_allclose(rank(serving, stars)["scores"], rank(serving, none)["scores"], atol=1e-5)
        assert np.abs(rank(free, stars)["scores"] - rank(free, none)["scores"]).max() > 0.01


@pytest.mark.parametrize("size", [1, 10, 20, 200])
def test_corrections_shrink_beyond_the_reach_in_the_graph_and_in_blocks(size):
    serving = random_model(400, seed=8)
    items, stars = shelf(size, books=400)
    items, stars = np.append(items, np.int32(-1)), np.append(stars, np.float32(5))  # an unknown book does not count
    scores = {}
    for name, model in (
        ("none", replace(serving, reranker=None)),
        ("whole", serving),
        ("reach", replace(serving, reranker=replace(serving.reranker, reach=10.0))),
    ):
        listed = answer(Graph(model).recommend, items, stars)
        in_block = Scorer(model).recommend(items[None], stars[None])
        np.testing.assert_allclose(in_block["scores"][0], listed["scores"], rtol=1e-5, atol=1e-4)
        scores[name] = dict(zip(listed["indices"].tolist(), listed["scores"].tolist(), strict=True))
    compared = set.intersection(*(set(of_model) for of_model in scores.values()))
    assert len(compared) > 10
    for book in compared:
        whole, reach = (scores[name][book] - scores["none"][book] for name in ("whole", "reach"))
        assert reach == pytest.approx(whole * min(1, 10 / size), abs=1e-3)


def test_an_empty_shelf_gets_no_corrections():
    serving = random_model(400, seed=8)
    items, stars = np.array([-1], np.int32), np.zeros(1, np.float32)
    scores = [
        answer(Graph(model).recommend, items, stars)["scores"] for model in (serving, replace(serving, reranker=None))
    ]
    np.testing.assert_array_equal(*scores)
    assert isinstance(serving.reranker, Reranker)


def test_similar_books_are_those_with_the_nearest_vectors_and_popular_ones_first(serving, module):
    items = np.arange(0, BOOKS, 37)
    for item, scores in zip(items, serving.similarities(items), strict=True):
        out = {name: value.numpy() for name, value in module.similar(np.array([item], np.int32)).items()}
        assert item not in out["indices"]
        np.testing.assert_allclose(out["scores"], np.sort(scores)[::-1][: len(out["scores"])], atol=0.02)
        np.testing.assert_allclose(out["scores"], scores[out["indices"]], atol=0.02)


def test_of_two_books_that_are_equally_near_the_more_popular_one_comes_first(serving):
    vectors = np.zeros_like(serving.vectors)
    vectors[:, 0] = 1
    popularity = np.linspace(1, 0, BOOKS, dtype=np.float32)
    twins = tflite.make_module(replace(serving, vectors=vectors, popularity=popularity))
    out = twins.similar(np.array([3], np.int32))["indices"].numpy()
    assert out.tolist() == [0, 1, 2, *range(4, SIMILAR + 1)]


def test_an_unknown_book_and_one_without_a_vector_are_similar_to_none(serving):
    vectors = serving.vectors.copy()
    vectors[[5, 9]] = 0
    module = tflite.make_module(replace(serving, vectors=vectors))
    for item in (-1, BOOKS, 5):
        out = module.similar(np.array([item], np.int32))
        assert (out["indices"].numpy() == -1).all()
        assert (out["scores"].numpy() == 0).all()
    near = np.concatenate([module.similar(np.array([item], np.int32))["indices"].numpy() for item in range(20, 60)])
    assert not {5, 9} & set(near.tolist())


def test_with_few_books_all_others_are_similar():
    small = tflite.make_module(random_model(4, seed=1))
    out = small.similar(np.array([2], np.int32))["indices"].numpy()
    assert sorted(out.tolist()) == [-1, 0, 1, 3]
