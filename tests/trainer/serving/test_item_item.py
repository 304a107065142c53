"""Tables, biases and neighbours, against hand calculations."""

import numpy as np
import scipy.sparse as sp

from trainer.serving.biases import fit_biases
from trainer.serving.item_item import (
    Table,
    neighbours_of_matrix,
    neighbours_of_vectors,
)


def test_a_table_keeps_its_rows_when_its_matrix_is_asked_for():
    neighbours = np.array([[1, 2], [0, 2], [0, 1]], np.int32)
    weights = np.array([[0.5, 0.0], [0.3, 0.2], [0.1, 0.4]], np.float32)
    table = Table(neighbours.copy(), weights.copy())
    expected = [[0, 0.5, 0], [0.3, 0, 0.2], [0.1, 0.4, 0]]
    for _ in range(2):
        assert np.allclose(table.matrix.toarray(), expected)
        assert table.matrix.nnz == 5
    shelves = sp.csr_matrix(np.eye(3, dtype=np.float32))
    scaled = table.rescaled(shelves)
    assert np.allclose(scaled.weights / scaled.weights[0, 0], weights / weights[0, 0])
    assert np.array_equal(table.neighbours, neighbours)
    assert np.array_equal(table.weights, weights)


def test_residuals_share_no_array_with_the_stars():
    stars = sp.csr_matrix(np.array([[0, 5, 3], [1, 0, 0]], np.float32))
    residuals = fit_biases(stars, 1.0, 1.0).residuals(stars)
    assert not np.shares_memory(residuals.indices, stars.indices)
    assert not np.shares_memory(residuals.indptr, stars.indptr)


def test_biases_equal_a_hand_calculation():
    stars = sp.csr_matrix(np.array([[5, 3, 0], [4, 0, 0]], np.float32))
    biases = fit_biases(stars, item_shrinkage=1.0, user_shrinkage=1.0)
    np.testing.assert_allclose(biases.items, [1 / 3, -0.5, 0], atol=1e-6)
    np.testing.assert_allclose(biases.users(stars), [(2 / 3 - 0.5) / 3, (-1 / 3) / 2], atol=1e-6)


def test_the_strongest_neighbours_are_those_of_a_full_sort():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(50, 6)).astype(np.float32)
    products = vectors @ vectors.T
    np.fill_diagonal(products, 0)
    neighbours, weights = neighbours_of_vectors(vectors, 5)
    from_matrix = neighbours_of_matrix(products, 5)
    for row in range(50):
        strongest = sorted(products[row], key=abs)[-5:]
        np.testing.assert_allclose(np.sort(weights[row]), np.sort(strongest), atol=1e-5)
    np.testing.assert_array_equal(neighbours, from_matrix[0])
