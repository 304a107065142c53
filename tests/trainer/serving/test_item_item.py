"""Tables, biases, neighbours and corrections, against hand calculations."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from trainer.serving import biases as biases_module
from trainer.serving.biases import fit_biases
from trainer.serving.item_item import (
    MOST_DEVIATIONS,
    Reranker,
    Table,
    popularity,
    standardised,
    weights_of_vectors,
)


def test_a_table_of_rows_leaves_their_arrays_as_they_are():
    neighbours = np.array([[2, 1], [0, 2], [0, 1]], np.int32)
    weights = np.array([[0.0, 0.5], [0.3, 0.2], [0.1, 0.4]], np.float32)
    given = neighbours.copy(), weights.copy()
    table = Table.of(*given, share=0.25)
    expected = [[0, 0.5, 0], [0.3, 0, 0.2], [0.1, 0.4, 0]]
    np.testing.assert_array_equal(table.matrix.toarray(), np.array(expected, np.float32))
    assert (table.matrix.nnz, table.matrix.dtype, table.share) == (5, np.float32, 0.25)
    assert table.matrix.has_sorted_indices
    for array, before in zip(given, (neighbours, weights), strict=True):
        np.testing.assert_array_equal(array, before)


def test_a_book_that_a_row_names_twice_has_the_sum():
    table = Table.of(np.array([[1, 1], [0, 0]], np.int32), np.array([[0.5, 0.25], [1, -1]], np.float32))
    np.testing.assert_array_equal(table.matrix.toarray(), [[0, 0.75], [0, 0]])
    assert table.matrix.nnz == 1


def test_a_rescaled_table_is_in_units_of_the_mean_readers_best_score():
    matrix = sp.csr_matrix(np.array([[0, 4, 2], [6, 0, 2], [1, 1, 0]], np.float32))
    shelves = sp.csr_matrix(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], np.float32))
    # The readers' best sums per book are 4, (6 / 2) and 0.
    scaled = Table(matrix, 0.5).rescaled(shelves)
    np.testing.assert_allclose(scaled.matrix.toarray(), matrix.toarray() / (7 / 3), rtol=1e-6)
    assert scaled.share == 0.5
    nothing = Table(matrix * 0)
    assert nothing.rescaled(shelves) is nothing


def test_deviations_are_those_of_the_books_that_count():
    sums = np.array([[1, 3, 100, 5], [2, 2, 7, 2]], np.float32)
    counted = np.array([[True, True, False, True], [True, True, False, True]])
    deviation = np.sqrt(8 / 3)
    expected = [[-2 / deviation, 0, 97 / deviation, 2 / deviation], [0, 0, 5 / 2e-3, 0]]
    np.testing.assert_allclose(standardised(sums, counted), expected, rtol=1e-5)
    nobody = np.zeros((1, 4), bool)
    assert np.isfinite(standardised(sums[:1], nobody)).all()


def test_residuals_share_no_array_with_the_stars():
    stars = sp.csr_matrix(np.array([[0, 5, 3], [1, 0, 0]], np.float32))
    residuals = fit_biases(stars, 1.0, 1.0).residuals(stars)
    assert not np.shares_memory(residuals.indices, stars.indices)
    assert not np.shares_memory(residuals.indptr, stars.indptr)


def test_biases_equal_a_hand_calculation(monkeypatch):
    monkeypatch.setattr(biases_module, "ROUNDS", 1)
    stars = sp.csr_matrix(np.array([[5, 3, 0], [4, 0, 0]], np.float32))
    biases = fit_biases(stars, item_shrinkage=1.0, user_shrinkage=1.0)
    np.testing.assert_allclose(biases.items, [1 / 3, -0.5, 0], atol=1e-6)
    users = [(2 / 3 - 0.5) / 3, (-1 / 3) / 2]
    np.testing.assert_allclose(biases.users(stars), users, atol=1e-6)
    monkeypatch.setattr(biases_module, "ROUNDS", 2)
    again = fit_biases(stars, item_shrinkage=1.0, user_shrinkage=1.0)
    np.testing.assert_allclose(again.items, [(1 - users[0] + 0 - users[1]) / 3, (-1 - users[0]) / 2, 0], atol=1e-6)


def test_biases_are_a_loop_over_items_and_users_by_turns():
    rng = np.random.default_rng(7)
    dense = (rng.integers(1, 11, (12, 9)) / 2 * (rng.random((12, 9)) < 0.4)).astype(np.float32)
    stars = sp.csr_matrix(dense)
    mean, of_items, of_users = dense[dense > 0].mean(), np.zeros(9), np.zeros(12)
    for _ in range(biases_module.ROUNDS):
        for item in range(9):
            rated = dense[:, item] > 0
            of_items[item] = (dense[rated, item] - mean - of_users[rated]).sum() / (rated.sum() + 3.0)
        for user in range(12):
            rated = dense[user] > 0
            of_users[user] = (dense[user, rated] - mean - of_items[rated]).sum() / (rated.sum() + 2.0)
    biases = fit_biases(stars, item_shrinkage=3.0, user_shrinkage=2.0)
    assert biases.mean == pytest.approx(mean)
    np.testing.assert_allclose(biases.items, of_items, atol=1e-5)
    np.testing.assert_allclose(biases.users(stars), of_users, atol=1e-5)


def test_without_stars_there_are_no_biases():
    biases = fit_biases(sp.csr_matrix((4, 3), dtype=np.float32), 5.0, 5.0)
    assert (biases.mean, biases.items.tolist()) == (3.5, [0, 0, 0])


def sorted_by_hand(vectors, targets, sources, width):
    """Return the weights of a loop over the targets, dense: what was not chosen is 0."""
    expected = np.zeros((len(vectors), len(vectors)), np.float32)
    for target in targets:
        products = [(abs(vectors[source] @ vectors[target]), source) for source in sources if source != target]
        for _, source in sorted(products, reverse=True)[:width]:
            expected[source, target] = vectors[source] @ vectors[target]
    return expected


@pytest.mark.parametrize(
    ("targets", "sources"),
    [
        (np.arange(50), np.arange(50)),
        (np.arange(0, 50, 3), np.arange(50)),
        (np.arange(50), np.arange(1, 50, 2)),
        (np.arange(0, 50, 2), np.arange(1, 50, 2)),
    ],
    ids=["all from all", "some from all", "all from some", "some from others"],
)
def test_each_book_is_predicted_from_the_sources_with_the_greatest_products_by_magnitude(targets, sources):
    vectors = np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)
    weights = weights_of_vectors(vectors, targets, sources, 5)
    np.testing.assert_allclose(weights.toarray(), sorted_by_hand(vectors, targets, sources, 5), atol=1e-5)
    # How many others a book helps to predict differs: it is the predicted ones that have so many each.
    np.testing.assert_array_equal(weights.getnnz(axis=0), np.where(np.isin(np.arange(50), targets), 5, 0))
    assert (weights.data < 0).any()


def test_more_neighbours_than_sources_are_all_sources_but_the_book_itself():
    vectors = np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32)
    sources = np.array([1, 3, 4])
    weights = weights_of_vectors(vectors, np.arange(6), sources, 10)
    np.testing.assert_allclose(weights.toarray(), sorted_by_hand(vectors, np.arange(6), sources, 10), atol=1e-6)
    assert not weights.diagonal().any()


@pytest.mark.parametrize(("targets", "sources"), [([], [0, 1]), ([0, 1], []), ([1], [1])])
def test_without_targets_or_other_sources_there_are_no_weights(targets, sources):
    vectors = np.ones((3, 2), np.float32)
    weights = weights_of_vectors(vectors, np.array(targets, np.int64), np.array(sources, np.int64), 5)
    assert (weights.shape, weights.nnz) == ((3, 3), 0)


def test_only_books_without_any_entry_have_no_popularity():
    values = popularity(np.array([2, 0, 2, 2], np.int32), 4)
    np.testing.assert_allclose(values, np.array([np.log(2), 0, np.log(4), 0]) / np.log(4), rtol=1e-6)
    assert not popularity(np.zeros(0, np.int32), 3).any()


# -- the reranker's numbers -------------------------------------------------------------------------------------------


def reranker_for(seen, seed=0, **changes):
    """Return one with random networks, for features like ``seen``."""
    blank = Reranker.blank(seen, networks=3, width=4, seed=1)
    rng = np.random.default_rng(seed)
    parts = {name: rng.normal(size=getattr(blank, name).shape).astype(np.float32) for name in ("bias", "out")}
    return replace(blank, **parts, **changes)


def test_corrections_are_the_mean_of_the_networks():
    rng = np.random.default_rng(3)
    seen = rng.normal(size=(30, 5)).astype(np.float32)
    reranker = reranker_for(seen)
    features = rng.normal(size=(2, 7, 5)).astype(np.float32) * 3
    held = np.clip(features, seen.min(axis=0), seen.max(axis=0))
    scaled = (held - seen.mean(axis=0)) / seen.std(axis=0)
    networks = zip(reranker.hidden, reranker.bias, reranker.out, strict=True)
    expected = np.mean([np.maximum(scaled @ hidden + bias, 0) @ out for hidden, bias, out in networks], axis=0)
    np.testing.assert_allclose(reranker.corrections(features, np.array([1, 500])), expected, atol=1e-4)
    untrained = Reranker.blank(seen, networks=3, width=4, seed=1)
    assert not untrained.corrections(features, np.array([1, 500])).any()


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e-20])
def test_what_never_varied_in_training_has_no_say(value):
    rng = np.random.default_rng(4)
    seen = rng.normal(size=(1000, 5)).astype(np.float32)
    seen[:, 2] = value
    reranker = reranker_for(seen)
    features = rng.normal(size=(1, 20, 5)).astype(np.float32)
    answers = []
    for other in (value, 0, 1, -1e6, 1e30):
        features[:, :, 2] = other
        answers.append(reranker.corrections(features, np.array([3])))
    assert np.isfinite(answers[0]).all()
    assert np.ptp(answers[0]) > 0
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_what_hardly_ever_varied_stays_within_some_deviations():
    seen = np.zeros((10_000, 2), np.float32)
    seen[:, 1] = np.random.default_rng(5).normal(size=10_000)
    seen[0, 0] = 4
    reranker = reranker_for(seen)
    scaled = reranker.scaled(np.array([[1e9, 0], [4, 0], [-1e9, 0]], np.float32))
    np.testing.assert_allclose(scaled[:, 0], [MOST_DEVIATIONS, MOST_DEVIATIONS, 0], atol=0.01)


def test_beyond_the_reach_corrections_shrink_with_the_number_of_books():
    rng = np.random.default_rng(6)
    seen = rng.normal(size=(30, 5)).astype(np.float32)
    sizes = np.array([0, 1, 10, 20, 40, 1000])
    features = np.broadcast_to(rng.normal(size=(1, 7, 5)).astype(np.float32), (len(sizes), 7, 5))
    whole = reranker_for(seen).corrections(features, sizes)
    np.testing.assert_array_equal(whole, np.broadcast_to(whole[:1], whole.shape))
    shrunken = reranker_for(seen, reach=10.0).corrections(features, sizes)
    expected = whole * np.array([1, 1, 1, 0.5, 0.25, 0.01])[:, None]
    np.testing.assert_allclose(shrunken, expected, rtol=1e-6)
