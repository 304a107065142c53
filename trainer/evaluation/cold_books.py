"""Cold books: how well books that nobody has yet are ranked, from their metadata and the rest of each shelf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from trainer.config import Config
from trainer.data.dataset import Ratings
from trainer.data.features import item_features
from trainer.evaluation.baselines import attempt
from trainer.evaluation.ease import ease
from trainer.metrics import CUTOFF, OURS, interval, ndcg

COLD_SHARE = 0.2
"""Of the books with a training entry, so many are removed."""

MOST_READERS = 2_000
"""More readers would make the figures no clearer."""

DENSE_LIMIT = 13_000
"""With more books, CEASE is left out: it is cubic in them."""

REGULARISATION, FEATURE_WEIGHT = 100.0, 5.0
"""CEASE's options, as they were published."""

BLOCK = 256

Floats = npt.NDArray[np.float32]
Scores = Callable[[sp.csr_matrix], Floats]
"""From shelves, CSR [users, items] of ones, to scores, float32 [users, items]."""


def cold_books(
    ratings: Ratings, books: pd.DataFrame | None, config: Config, fit: Callable[[Ratings], Scores]
) -> Mapping[str, Any]:
    """Return NDCG@10 by model, for books that no model has seen an entry of.

    A fifth of the books with entries is removed whole. All models are fitted to the other entries; the catalogue and
    its metadata stay. Only the removed books are ranked, for each reader by the rest of the shelf; the reader's
    entries of them are the positives. Readers with no such entry, or nothing else on the shelf, are left out.

    Args:
        ratings: the training entries.
        books: the catalogue's metadata, or None.
        config: options; gives the seed, and the weights of the features that the baselines use.
        fit: fits the model to the other entries; returns its scores, of which only those of removed books are used.

    Returns:
        ``books`` and ``readers`` (how many are ranked, and for how many), ``left_out`` (why a baseline is missing, by
        name), and ``models``: by name ``mean``, ``low`` and ``high``. Without metadata or readers, no models.
    """
    features = item_features(ratings.isbns, books, config.features)
    rng = np.random.default_rng(config.seed)
    known = rng.permutation(np.unique(ratings.items))
    cold = np.sort(known[: round(len(known) * COLD_SHARE)])
    is_cold = np.isin(ratings.items, cold)
    others = ratings.select(~is_cold)
    shelves, wanted = others.matrix(), ratings.select(is_cold).matrix()
    able = np.flatnonzero((np.diff(shelves.indptr) > 0) & (np.diff(wanted.indptr) > 0))
    readers = np.sort(rng.permutation(able)[:MOST_READERS])
    result: dict[str, Any] = {"books": len(cold), "readers": len(readers), "models": {}, "left_out": {}}
    if not features.nnz or not len(readers):
        return result
    shelves = shelves[readers]
    positives = [frozenset(row.indices.tolist()) for row in wanted[readers]]
    fits: dict[str, Callable[[], Scores]] = {"sum of cosines": lambda: _sum_of_cosines(features)}
    if len(ratings.isbns) <= DENSE_LIMIT:
        fits["CEASE"] = lambda: _cease(others, features)
    else:
        result["left_out"]["CEASE"] = f"more than {DENSE_LIMIT:,} books"
    baselines, missing = attempt(fits)
    result["left_out"] |= missing
    for name, scores in {OURS: fit(others), **baselines}.items():
        figures = _figures(scores, shelves, cold, positives)
        low, high = interval(figures, config.seed)
        result["models"][name] = {"mean": float(figures.mean()), "low": low, "high": high}
    return result


def _sum_of_cosines(features: sp.csr_matrix) -> Scores:
    return lambda shelves: np.asarray((shelves @ features @ features.T).toarray(), np.float32)


def _cease(others: Ratings, features: sp.csr_matrix) -> Scores:
    weights = ease(others.matrix(), features, REGULARISATION, FEATURE_WEIGHT)
    return lambda shelves: np.asarray(shelves @ weights, np.float32)


def _figures(
    scores: Scores, shelves: sp.csr_matrix, cold: npt.NDArray[np.int32], positives: list[frozenset[int]]
) -> npt.NDArray[np.float64]:
    """Return each reader's NDCG@10 with only the books ``cold`` ranked, ties by index."""
    figures = []
    for start in range(0, shelves.shape[0], BLOCK):
        scored = scores(shelves[start : start + BLOCK])[:, cold]
        best = np.argsort(-scored, axis=1, kind="stable")[:, :CUTOFF]
        figures += [ndcg(cold[row], positives[start + place]) for place, row in enumerate(best)]
    return np.array(figures, np.float64)
