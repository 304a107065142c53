"""EASE with metadata: item-item weights from ratings and metadata together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp


def ease(
    shelves: sp.csr_matrix,
    features: sp.csr_matrix,
    regularisation: float,
    feature_weight: float,
) -> npt.NDArray[np.float32]:
    """Return item-item weights B, float32 [items, items], diagonal 0: a shelf's scores are the sum of its books' rows.

    B = −P / diag(P) with P = (XᵀX + w²·FFᵀ + λI)⁻¹. Cubic in the number of items, quadratic in memory.
    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019), eq. 8, with metadata as
    further rows of X: Jeunen et al., "Closed-Form Models for Collaborative Filtering with Side-Information"
    (RecSys 2020), section 3.

    Args:
        shelves: X, CSR [users, items] of ones.
        features: F, CSR [items, features], rows L2-normalised.
        regularisation: λ.
        feature_weight: w.
    """
    gram = (shelves.T @ shelves + np.float32(feature_weight**2) * (features @ features.T)).toarray(order="F")
    gram[np.diag_indices_from(gram)] += regularisation
    factor, info = scipy.linalg.lapack.spotrf(gram, lower=0, overwrite_a=1)
    if info != 0:
        raise ValueError(f"the Gram matrix is not positive definite: raise the regularisation above {regularisation}")
    inverse, _ = scipy.linalg.lapack.spotri(factor, lower=0, overwrite_c=1)
    _mirror(inverse)
    weights: npt.NDArray[np.float32] = inverse.T  # symmetric and stored by columns: the transpose is stored by rows
    weights /= -np.diag(weights).copy()
    np.fill_diagonal(weights, 0)
    return weights


def _mirror(matrix: npt.NDArray[np.float32], block: int = 512) -> None:
    """Copy the upper triangle to the lower one in place: with 10,000 books, another copy would take 400 MB."""
    for start in range(0, len(matrix), block):
        end = start + block
        matrix[end:, start:end] = matrix[start:end, end:].T
        corner = matrix[start:end, start:end]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
