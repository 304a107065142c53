"""Ranking and rating metrics per user, with bootstrap intervals over users."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trainer.data.dataset import Ratings

CUTOFF = 10
ACCURACY_CUTOFFS = (1, 5, 10, 50, 100)

OURS = "this model"
"""The name of this project's model in tables and plots."""

LIKED = 4.0
"""A book with at least so many stars counts as liked."""

POPULAR_SHARE = 0.1
"""The most popular tenth of the books with ratings, for the share of popular books in the lists."""

DISCOUNTS = 1 / np.log2(np.arange(2, CUTOFF + 2))
"""Discounts of the first ten places in DCG."""

Floats = npt.NDArray[np.float64]


def user_metrics(ranked: npt.NDArray[np.int32], relevant: set[int], liked: set[int]) -> dict[str, float]:
    """Return one user's metrics.

    NDCG has gain 1 for each held-out book, divided by the ideal for min(10, held-out books). ``top_k_accuracy``
    is the notebook's: the share of held-out books among the first k.
    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002), eq. 1–3.

    Args:
        ranked: int32 [n], item indices, the best first, without the user's known books.
        relevant: the held-out items.
        liked: the held-out items with 4 stars or more.
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


def list_metrics(train: Ratings, lists: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the share of the catalogue that lists of ISBNs cover, and the share of popular books in the lists."""
    shown = [isbn for isbns in lists for isbn in isbns]
    counts = np.bincount(train.items, minlength=len(train.isbns))
    ranked = np.argsort(-counts, kind="stable")[: max(1, int(np.count_nonzero(counts) * POPULAR_SHARE))]
    popular = {train.isbns[item] for item in ranked}
    return {
        "coverage": len(set(shown)) / len(train.isbns),
        "popular_share": sum(isbn in popular for isbn in shown) / max(len(shown), 1),
    }


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
