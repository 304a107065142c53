"""EASE, against its definition."""

import numpy as np
import scipy.sparse as sp

from trainer.evaluation.ease import ease


def test_ease_equals_its_definition():
    rng = np.random.default_rng(0)
    shelves = sp.csr_matrix((rng.random((30, 8)) < 0.4).astype(np.float32))
    features = sp.csr_matrix(rng.random((8, 3)).astype(np.float32))
    gram = (shelves.T @ shelves).toarray() + 4 * (features @ features.T).toarray() + 10 * np.eye(8)
    inverse = np.linalg.inv(gram)
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(ease(shelves, features, 10.0, 2.0), expected, atol=1e-4)
