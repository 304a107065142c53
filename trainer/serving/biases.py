"""Rating by biases: the mean, a book's deviation from it, and a reader's deviation from both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Biases:
    """A fitted bias model.

    Attributes:
        mean: mean of all ratings, in stars.
        items: float32 [items], a book's shrunken deviation from the mean; 0 without ratings.
        user_shrinkage: shrinkage of a reader's bias, in numbers of ratings.
    """

    mean: float
    items: Floats
    user_shrinkage: float

    def users(self, stars: sp.csr_matrix) -> Floats:
        """Return each reader's bias, computed from the shelf, float32 [users]; 0 without ratings."""
        residuals = self.residuals(stars)
        rated = np.diff(stars.indptr)
        return (np.asarray(residuals.sum(axis=1)).ravel() / (rated + self.user_shrinkage)).astype(np.float32)

    def residuals(self, stars: sp.csr_matrix) -> sp.csr_matrix:
        """Return stars minus mean and item bias, with the sparsity of ``stars`` [users, items]."""
        data = stars.data - self.mean - self.items[stars.indices]
        return sp.csr_matrix((data.astype(np.float32), stars.indices, stars.indptr), shape=stars.shape, copy=True)


def fit_biases(stars: sp.csr_matrix, item_shrinkage: float, user_shrinkage: float) -> Biases:
    """Return the biases of a star matrix [users, items] that stores rated entries only.

    Source: Koren, "Factor in the neighbors" (2010), section 2.1: first items, then users, both shrunken.
    """
    mean = float(stars.data.mean()) if stars.nnz else 3.5
    rated = np.bincount(stars.indices, minlength=stars.shape[1])
    sums = np.bincount(stars.indices, weights=stars.data - mean, minlength=stars.shape[1])
    return Biases(mean, (sums / (rated + item_shrinkage)).astype(np.float32), user_shrinkage)
