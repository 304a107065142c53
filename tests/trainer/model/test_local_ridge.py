"""The local ridge, compared with one dense solution per book."""

import numpy as np
import pytest
import scipy.sparse as sp

from trainer.model import local_ridge
from trainer.model.local_ridge import LocalRidge, observations

READERS, BOOKS = 60, 40


def shelves_of(seed=0, readers=READERS, books=BOOKS, density=0.25):
    rng = np.random.default_rng(seed)
    return sp.csr_matrix((rng.random((readers, books)) < density).astype(np.float32))


def features_of(seed=1, books=BOOKS, features=12):
    rng = np.random.default_rng(seed)
    dense = rng.random((books, features)) * (rng.random((books, features)) < 0.3)
    return sp.csr_matrix((dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)).astype(np.float32))


def gram_of(shelves, features, feature_weight, reader_norm):
    """Return XᵀD²X + w²·FFᵀ, float64."""
    x, f = shelves.toarray().astype(np.float64), features.toarray().astype(np.float64)
    sizes = np.maximum(x.sum(axis=1), 1)
    d = (sizes / sizes.mean()) ** -reader_norm
    return (x * d[:, None]).T @ (x * d[:, None]) + feature_weight**2 * f @ f.T


def solved_by_hand(gram, targets, sources, k, regularisation, dropout):
    """Return each book's weights of a system of its own, dense [items, items]."""
    expected = np.zeros(gram.shape)
    norms = np.sqrt(np.diag(gram))
    for book in targets:
        others = [source for source in sources if source != book]
        cosines = {source: gram[source, book] / max(norms[source], 1e-9) for source in others}
        near = sorted(others, key=lambda source: (-cosines[source], source))[:k]
        system = gram[np.ix_(near, near)].copy()
        system += np.diag(regularisation + dropout / (1 - dropout) * np.diag(system))
        expected[near, book] = np.linalg.solve(system, gram[near, book])
    return expected


def test_observations_have_the_gram_matrix_of_ratings_and_metadata():
    keep = sp.diags((np.arange(READERS) != 3).astype(np.float32))  # a reader without books
    shelves, features = (keep @ shelves_of()).tocsr(), features_of()
    shelves.eliminate_zeros()
    columns = observations(shelves, features, 3.0, 0.25)
    assert (columns.format, columns.dtype, columns.shape) == ("csc", np.float32, (READERS + 12, BOOKS))
    np.testing.assert_allclose((columns.T @ columns).toarray(), gram_of(shelves, features, 3.0, 0.25), atol=1e-4)


EVERY, EVEN, ODD = np.arange(BOOKS), np.arange(0, BOOKS, 2), np.arange(1, BOOKS, 2)


@pytest.mark.parametrize(
    ("targets", "sources"),
    [(EVERY, EVERY), (EVEN, EVERY), (EVERY, ODD), (EVEN, ODD), (EVEN[:7], EVEN)],
    ids=["all", "some books", "some sources", "other sources", "some of some"],
)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_weights_are_those_of_a_system_per_book(targets, sources, dropout):
    shelves, features = shelves_of(), features_of()
    ridge = LocalRidge(observations(shelves, features, 2.0, 0.3), targets, sources, 10)
    assert ridge.width == 10
    gram = gram_of(shelves, features, 2.0, 0.3)
    for neighbours, regularisation in ((10, 5.0), (10, 0.5), (4, 5.0), (1, 5.0), (30, 5.0)):
        weights = ridge.weights(regularisation, dropout, neighbours)
        expected = solved_by_hand(gram, targets, sources, min(neighbours, 10), regularisation, dropout)
        np.testing.assert_allclose(weights.toarray(), expected, atol=1e-5)
        assert (weights.format, weights.dtype, weights.shape) == ("csr", np.float32, (BOOKS, BOOKS))
        assert not weights.diagonal().any()


def test_a_ridge_on_metadata_alone_predicts_other_books():
    features = features_of()
    ridge = LocalRidge(features.T.tocsc(), EVEN, ODD, 6)
    gram = (features @ features.T).toarray().astype(np.float64)
    expected = solved_by_hand(gram, EVEN, ODD, 6, 2.0, 0.0)
    weights = ridge.weights(2.0, 0.0, 6)
    np.testing.assert_allclose(weights.toarray(), expected, atol=1e-5)
    assert not weights[EVEN].nnz
    assert not weights[:, ODD].nnz


@pytest.mark.parametrize("sources", [ODD[:1], ODD[:3]], ids=len)
def test_books_that_are_no_sources_are_predicted_from_every_source(sources):
    features = features_of()
    ridge = LocalRidge(features.T.tocsc(), EVEN, sources, 6)
    assert ridge.width == len(sources)
    gram = (features @ features.T).toarray().astype(np.float64)
    expected = solved_by_hand(gram, EVEN, sources, len(sources), 2.0, 0.0)
    assert expected.any()
    np.testing.assert_allclose(ridge.weights(2.0, 0.0, 6).toarray(), expected, atol=1e-5)


def test_all_sources_but_the_book_itself_give_the_whole_regression():
    shelves, none = shelves_of(), sp.csr_matrix((BOOKS, 1), dtype=np.float32)
    ridge = LocalRidge(observations(shelves, none, 5.0, 0.0), EVERY, EVERY, 1000)
    assert ridge.width == BOOKS - 1
    inverse = np.linalg.inv(gram_of(shelves, none, 5.0, 0.0) + 20 * np.eye(BOOKS))
    ease = inverse / -np.diag(inverse)
    np.fill_diagonal(ease, 0)
    np.testing.assert_allclose(ridge.weights(20.0, 0.0, 1000).toarray(), ease, atol=1e-5)


@pytest.mark.parametrize("block", [1, 7, BOOKS])
def test_the_size_of_blocks_does_not_matter(block, monkeypatch):
    columns = observations(shelves_of(), features_of(), 2.0, 0.3)
    at_once = LocalRidge(columns, EVERY, ODD, 8).weights(5.0, 0.2, 8)
    monkeypatch.setattr(local_ridge, "BLOCK", block)
    in_blocks = LocalRidge(columns, EVERY, ODD, 8).weights(5.0, 0.2, 8)
    np.testing.assert_allclose(in_blocks.toarray(), at_once.toarray(), atol=1e-6)


def test_the_systems_stay_within_their_bytes(monkeypatch):
    columns = observations(shelves_of(), features_of(), 2.0, 0.3)
    monkeypatch.setattr(local_ridge, "SYSTEM_BYTES", 4 * BOOKS * 6**2)
    ridge = LocalRidge(columns, EVERY, EVERY, 10)
    assert ridge.width == 6
    assert ridge._systems.nbytes == local_ridge.SYSTEM_BYTES
    gram = gram_of(shelves_of(), features_of(), 2.0, 0.3)
    expected = solved_by_hand(gram, EVERY, EVERY, 6, 5.0, 0.0)
    np.testing.assert_allclose(ridge.weights(5.0, 0.0, 10).toarray(), expected, atol=1e-5)
    monkeypatch.setattr(local_ridge, "SYSTEM_BYTES", 4 * BOOKS * 6**2 - 1)
    assert LocalRidge(columns, EVERY, EVERY, 10).width == 5
    # With fewer books the same bytes are enough for more neighbours.
    assert LocalRidge(columns, EVEN, EVERY, 10).width == 8
    monkeypatch.setattr(local_ridge, "SYSTEM_BYTES", 0)
    assert LocalRidge(columns, EVERY, EVERY, 10).weights(5.0, 0.0, 10).nnz == 0


def test_forty_thousand_books_have_at_most_81_neighbours():
    assert int((local_ridge.SYSTEM_BYTES / (4 * 40_000)) ** 0.5) == 81


@pytest.mark.parametrize(("targets", "sources"), [([3], [3]), ([], [1, 2, 3]), ([1, 2, 3], []), ([], [])], ids=str)
def test_without_another_book_there_are_no_weights(targets, sources):
    columns = observations(shelves_of(), features_of(), 2.0, 0.3)
    ridge = LocalRidge(columns, np.array(targets, np.int64), np.array(sources, np.int64), 5)
    weights = ridge.weights(5.0, 0.2, 5)
    assert (weights.shape, weights.nnz) == ((BOOKS, BOOKS), 0)


def test_two_rated_books_predict_each_other():
    columns = observations(
        sp.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0]], np.float32)), sp.csr_matrix((3, 1)), 5.0, 0.0
    )
    rated = np.array([0, 1])
    weights = LocalRidge(columns, rated, rated, 5).weights(2.0, 0.0, 5)
    np.testing.assert_allclose(weights.toarray(), [[0, 2 / 5, 0], [2 / 4, 0, 0], [0, 0, 0]], rtol=1e-6)


def test_books_without_any_observation_change_nothing_and_get_nothing():
    shelves = shelves_of()
    shelves = sp.hstack([shelves, sp.csr_matrix((READERS, 3))]).tocsr()
    columns = observations(shelves, sp.csr_matrix((BOOKS + 3, 1), dtype=np.float32), 5.0, 0.25)
    every = np.arange(BOOKS + 3)
    weights = LocalRidge(columns, every, every, BOOKS + 2).weights(5.0, 0.2, BOOKS + 2)
    alone = LocalRidge(columns[:, :BOOKS], EVERY, EVERY, BOOKS - 1).weights(5.0, 0.2, BOOKS - 1)
    np.testing.assert_allclose(weights.toarray()[:BOOKS, :BOOKS], alone.toarray(), atol=1e-6)
    assert np.isfinite(weights.data).all()
    assert weights[BOOKS:].nnz == weights[:, BOOKS:].nnz == 0
