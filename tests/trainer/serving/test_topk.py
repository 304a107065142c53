"""Exact top k by inner product, compared with sorting everything."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.small_ratings import clusters
from trainer.data import dataset
from trainer.model.validation import Validation
from trainer.serving import item_item, topk
from trainer.serving.topk import first_of_best, top_inner_products


def whole(rng, shape):
    """Return small whole numbers: their products are exact in any order of summation, and there are many ties."""
    return rng.integers(-2, 3, shape).astype(np.float32)


def by_sorting(queries, items, k, excluded=None, by_magnitude=False):
    products = queries @ items.T
    if excluded is not None:
        products[excluded.nonzero()] = 0 if by_magnitude else -np.inf
    worth = np.abs(products) if by_magnitude else products
    best = np.sort(np.argsort(-worth, axis=1, kind="stable")[:, :k], axis=1)
    values = np.take_along_axis(products, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    return np.where(values == -np.inf, -1, np.take_along_axis(best, order, axis=1)), values


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 40),
    items=st.integers(1, 700),
    k=st.integers(1, 20),
    density=st.sampled_from([0.0, 0.05, 0.999]),
    by_magnitude=st.booleans(),
)
def test_it_equals_sorting_with_ties_and_exclusions(seed, queries, items, k, density, by_magnitude):
    rng = np.random.default_rng(seed)
    asked, known = whole(rng, (queries, 3)), whole(rng, (items, 3))
    excluded = sp.random_array((queries, items), density=density, format="csr", rng=rng, dtype=np.float32)
    k = min(k, items)
    best = top_inner_products(asked, known, k, excluded, by_magnitude=by_magnitude)
    for one, other in zip(best, by_sorting(asked, known, k, excluded, by_magnitude), strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_blocks_of_queries_and_items_give_the_result_of_one(monkeypatch):
    rng = np.random.default_rng(3)
    queries, items = whole(rng, (100, 8)), whole(rng, (5000, 8))
    at_once = top_inner_products(queries, items, 10)
    monkeypatch.setattr(topk, "ITEMS", 640)
    monkeypatch.setattr(topk, "BLOCK_BYTES", 4 * 5000 * 7)
    for one, other in zip(top_inner_products(queries, items, 10), at_once, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_query_of_zeros_gets_the_first_items():
    indices, products = top_inner_products(np.zeros((2, 4), np.float32), np.ones((3000, 4), np.float32), 3)
    assert indices.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert not products.any()


@pytest.mark.parametrize(("queries", "items"), [(0, 5), (5, 0)])
def test_no_queries_or_no_items_give_no_results(queries, items):
    indices, products = top_inner_products(np.ones((queries, 2), np.float32), np.ones((items, 2), np.float32), 3)
    assert indices.shape == products.shape == (queries, min(3, items))


def test_ties_go_to_the_first():
    assert first_of_best(np.array([[1, 2, 2, 2, 0], [5, 1, 1, 9, 1]], np.float32), 3).tolist() == [[1, 2, 3], [0, 1, 3]]


def test_a_validation_figure_is_the_same_from_vectors_and_from_all_scores():
    ratings = dataset.build(dataset.clean(clusters()[0])[0], None)
    held = dataset.holdout(ratings, 0.3, seed=1)
    validation = Validation(ratings.select(~held), ratings.select(held))
    vectors = np.random.default_rng(1).standard_normal((len(ratings.isbns), 16)).astype(np.float32)
    readers = validation.shelves @ vectors
    by_sorting = [validation.figures(rows, readers[rows] @ vectors.T) for rows in validation.blocks()]
    expected = np.mean(np.concatenate(by_sorting))
    assert 0 < expected == pytest.approx(validation.ndcg_of_vectors(vectors), abs=1e-12)


def test_catalogues_of_many_blocks_have_the_same_weights_as_small_ones(monkeypatch):
    vectors = np.random.default_rng(2).standard_normal((400, 24)).astype(np.float32)
    every = np.arange(400)
    at_once = item_item.weights_of_vectors(vectors, every, every, 20)
    monkeypatch.setattr(topk, "QUERIES", 32)
    monkeypatch.setattr(topk, "ITEMS", 64)
    in_blocks = item_item.weights_of_vectors(vectors, every, every, 20)
    assert at_once.nnz == 400 * 20
    np.testing.assert_array_equal(in_blocks.indptr, at_once.indptr)
    np.testing.assert_array_equal(in_blocks.indices, at_once.indices)
    np.testing.assert_allclose(in_blocks.data, at_once.data, atol=1e-5)
