"""Ranking and rating metrics per user, with bootstrap intervals over users."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from trainer.data.dataset import Ratings

CUTOFF = 10
ACCURACY_CUTOFFS = (1, 5, 10, 50, 100)

OURS = "this model"
"""The name of this project's model in tables and plots."""

LIKED = 4.0
"""A book with at least so many stars counts as liked."""

BEYOND: Mapping[str, tuple[str, str]] = {
    "coverage": ("coverage", "share of the catalogue on any list"),
    "gini": ("Gini", "how unevenly the lists use the catalogue"),
    "list_distance": ("distance", "mean distance between two books of a list, by metadata"),
    "unrated_share": ("unrated", "share of the lists taken by books that nobody has in the training data"),
    "popular_share": ("popular", "share of the lists taken by the most popular tenth of the books"),
}
"""The figures of ``list_metrics``, each with its name in tables and what it is."""

POPULAR_SHARE = 0.1
"""The most popular tenth of the books with ratings, for the share of popular books in the lists."""

DISCOUNTS = 1 / np.log2(np.arange(2, CUTOFF + 2))
"""Discounts of the first ten places in DCG."""

Floats = npt.NDArray[np.float64]


def user_metrics(
    ranked: npt.NDArray[np.int32], relevant: set[int], liked: set[int], rated: Set[int] | None = None
) -> dict[str, float]:
    """Return one user's metrics.

    NDCG has gain 1 for each held-out book, divided by the ideal for min(10, held-out books). ``top_k_accuracy``
    is the notebook's: the share of held-out books among the first k. ``ndcg_rated`` is NDCG on rated books only:
    the others are removed from the list, and those that were held out do not count.
    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002), eq. 1–3.

    Args:
        ranked: int32 [n], item indices, the best first, without the user's known books.
        relevant: the held-out items.
        liked: the held-out items with 4 stars or more.
        rated: the items that somebody has in the training data; None leaves ``ndcg_rated`` out.
    """
    hits = np.array([item in relevant for item in ranked], bool)
    places = np.flatnonzero(hits)
    metrics = {
        "ndcg": _ndcg(hits, len(relevant)),
        "recall": hits[:CUTOFF].sum() / len(relevant),
        "hit_rate": float(hits[:CUTOFF].any()),
        "mrr": 1.0 / (places[0] + 1) if len(places) else 0.0,
    }
    if liked:
        metrics["ndcg_liked"] = _ndcg(np.array([item in liked for item in ranked[:CUTOFF]], bool), len(liked))
    if rated is not None and relevant & rated:
        metrics["ndcg_rated"] = ndcg(np.array([i for i in ranked.tolist() if i in rated], np.int32), relevant & rated)
    for k in ACCURACY_CUTOFFS:
        metrics[f"top_{k}_accuracy"] = hits[:k].sum() / len(relevant)
    return metrics


def ndcg(ranked: npt.NDArray[np.int32], relevant: Set[int]) -> float:
    """Return what ``user_metrics`` calls ``ndcg``, alone."""
    return _ndcg(np.array([item in relevant for item in ranked[:CUTOFF].tolist()], bool), len(relevant))


def summarise(rows: Sequence[Mapping[str, float]], seed: int, resamples: int = 1000) -> dict[str, dict[str, float]]:
    """Return each metric's mean over users with a 95% interval.

    Source: Efron, "Bootstrap methods" (1979): users are drawn with replacement, percentile interval.
    """
    summary = {}
    for name in sorted({name for row in rows for name in row}):
        values = np.array([row[name] for row in rows if name in row], np.float64)
        low, high = interval(values, seed, resamples)
        summary[name] = {"mean": float(values.mean()), "low": low, "high": high}
    return summary


def interval(values: Floats, seed: int, resamples: int = 1000) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the mean of ``values`` [users]."""
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def rmse_interval(
    predicted: npt.ArrayLike, stars: npt.ArrayLike, users: npt.NDArray[Any], seed: int, resamples: int = 1000
) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the RMSE, drawing users with replacement; NaN without rows."""
    if not len(users):
        return float("nan"), float("nan")
    squares = (np.clip(np.asarray(predicted, np.float64), 0.5, 5.0) - np.asarray(stars, np.float64)) ** 2
    _, rows = np.unique(users, return_inverse=True)
    sums, counts = np.bincount(rows, weights=squares), np.bincount(rows)
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(sums), len(sums))
        errors.append(np.sqrt(sums[drawn].sum() / counts[drawn].sum()))
    low, high = np.percentile(errors, [2.5, 97.5])
    return float(low), float(high)


def list_metrics(
    train: Ratings, lists: Sequence[Sequence[str]], features: sp.csr_matrix | None = None
) -> dict[str, float]:
    """Return what lists say about the catalogue, each figure from 0 to 1.

    ``coverage`` is the share of the catalogue that is on any list. ``gini`` is how unevenly the lists use the whole
    catalogue (0: each book equally often; 1: one book alone). ``unrated_share`` and ``popular_share`` are the shares of
    the lists' places taken by books without a training entry, and by the most popular tenth. ``list_distance`` is the
    mean distance between two books of a list, 1 − cosine of their metadata, over the lists in which at least two books
    have metadata; without any such list it is left out.
    Sources: Shani and Gunawardana, "Evaluating Recommendation Systems" (Recommender Systems Handbook, 2011), section
    8.3.3, for coverage and the Gini index; Zhang and Hurley, "Avoiding Monotony" (RecSys 2008), for the distance.

    Args:
        train: the entries that the model was fitted to.
        lists: ISBNs, each list the best first.
        features: CSR [items, features], as ``item_features`` returns them for the whole catalogue; or None.
    """
    index = {isbn: item for item, isbn in enumerate(train.isbns)}
    listed = [np.array([index[isbn] for isbn in isbns if isbn in index], np.int64) for isbns in lists]
    shown = np.concatenate(listed) if listed else np.zeros(0, np.int64)
    counts = np.bincount(train.items, minlength=len(train.isbns))
    popular = np.argsort(-counts, kind="stable")[: max(1, int(np.count_nonzero(counts) * POPULAR_SHARE))]
    places = max(len(shown), 1)
    metrics = {
        "coverage": len(np.unique(shown)) / len(train.isbns),
        "gini": gini(np.bincount(shown, minlength=len(train.isbns))),
        "unrated_share": float(np.count_nonzero(counts[shown] == 0)) / places,
        "popular_share": float(np.isin(shown, popular).sum()) / places,
    }
    distances = [] if features is None or not features.nnz else _list_distances(features, listed)
    return {**metrics, "list_distance": float(np.mean(distances))} if distances else metrics


def gini(counts: npt.NDArray[np.integer[Any]]) -> float:
    """Return the Gini index of ``counts`` [books]: 0 if all are equal, or if there is nothing to compare."""
    total, books = int(counts.sum()), len(counts)
    if not total or books < 2:
        return 0.0
    return float((2 * np.arange(1, books + 1) - books - 1) @ np.sort(counts)) / ((books - 1) * total)


def _list_distances(features: sp.csr_matrix, listed: Sequence[npt.NDArray[np.int64]]) -> list[float]:
    """Return the mean distance between two books of each list that has two with metadata."""
    described = np.diff(features.indptr) > 0
    distances = []
    for items in listed:
        rows = features[items[described[items]]]
        count = rows.shape[0]
        if count > 1:
            # The squared length of the sum holds each pair's cosine twice, and each book's own.
            total = np.asarray(rows.sum(axis=0), np.float64)
            own = float(rows.multiply(rows).sum())
            distances.append(1 - (float((total**2).sum()) - own) / (count * (count - 1)))
    return distances


def relevant_items(group: pd.DataFrame, index: Mapping[str, int], known: set[int]) -> tuple[set[int], set[int]]:
    """Return a user's held-out books, and the liked ones among them; an unknown book still counts as missed.

    Args:
        group: the user's held-out rows, ``isbn`` and ``myRate``.
        index: item indices by ISBN.
        known: items on the user's shelf, which do not count.
    """
    relevant, liked = set(), set()
    for position, (isbn, stars) in enumerate(zip(group["isbn"], group["myRate"], strict=True)):
        item = index.get(isbn, -1 - position)
        if item not in known:
            relevant.add(item)
            if stars >= LIKED:
                liked.add(item)
    return relevant, liked


def rmse(predicted: npt.ArrayLike, stars: npt.ArrayLike) -> float:
    """Return the root mean squared error of ratings, with predictions clipped to 0.5–5."""
    difference = np.clip(np.asarray(predicted, np.float64), 0.5, 5.0) - np.asarray(stars, np.float64)
    return float(np.sqrt(np.mean(difference**2))) if difference.size else float("nan")


def finite(value: Any) -> Any:
    """Return a JSON value with NaN (no rated row, for example) replaced by null: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ndcg(hits: npt.NDArray[np.bool_], relevant: int) -> float:
    gained = hits[:CUTOFF]
    return float(DISCOUNTS[: len(gained)][gained].sum() / DISCOUNTS[: min(CUTOFF, relevant)].sum())
