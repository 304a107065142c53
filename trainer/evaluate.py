"""Evaluation: full ranking by the exported file on held-out entries, beside popularity and biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from bookrec.entries import Entry
from bookrec.ranking import Candidate
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf
from trainer.dataset import Ratings
from trainer.metrics import rmse, summarise, user_metrics
from trainer.serving import ServingModel, popularity

LIKED = 4.0
"""Stars from which a reader counts as having liked a book."""

POPULAR_SHARE = 0.1
"""The most popular tenth of the books with ratings, for the share of popular books in the lists."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model does on held-out entries.

    Attributes:
        metrics: by name, mean over users with a 95% interval; and ``coverage``, ``popular_share``, ``rmse``.
        rows: each user's metrics, in the order of ``users``.
        users: the users with held-out entries, ascending.
        top: by user, the candidates in order.
        predicted: the predicted rating of each held-out row, in its order.
    """

    metrics: Mapping[str, Any]
    rows: Sequence[Mapping[str, float]]
    users: Sequence[str]
    top: Mapping[str, Sequence[Candidate]]
    predicted: Sequence[float]


def shelves_of(ratings: Ratings) -> dict[str, Shelf]:
    """Return every user's shelf, as the functions would read it."""
    entries: dict[str, list[Entry]] = {}
    for row, (user, item, stars) in enumerate(zip(ratings.users, ratings.items, ratings.stars, strict=True)):
        user_id = ratings.user_ids[user]
        entry = Entry(f"{row:09d}", user_id, ratings.isbns[item], float(stars))
        entries.setdefault(user_id, []).append(entry)
    return {user_id: Shelf(user_id, tuple(found)) for user_id, found in entries.items()}


def evaluate(model: Recommender, train: Ratings, held_out: pd.DataFrame, seed: int) -> Evaluation:
    """Score held-out rows with an exported model.

    Args:
        model: loaded from the exported files.
        train: the entries that the model was fitted to; they make the shelves.
        held_out: columns ``userId, isbn, myRate`` (a float, 0 for not rated); users and books may be unknown.
        seed: of the bootstrap.
    """
    shelves = shelves_of(train)
    predicted = np.full(len(held_out), np.nan)
    rows, users, top = [], [], {}
    groups = held_out.reset_index(drop=True).groupby("userId", sort=True)
    for user_id, group in tqdm(groups, desc="evaluating", leave=False, mininterval=1, disable=None):
        shelf = shelves.get(str(user_id), Shelf(str(user_id), ()))
        candidates = model.candidates(shelf)
        predicted[group.index] = model.predicted_ratings(shelf, list(group["isbn"]))
        users.append(str(user_id))
        top[str(user_id)] = candidates
        rows.append(_user_row(model, candidates, group, shelf))
    stars = held_out["myRate"].to_numpy(np.float64)
    rated = stars > 0
    metrics = {**summarise([row for row in rows if row], seed), **list_metrics(model, train, top)}
    metrics["rmse"] = rmse(predicted[rated], stars[rated])
    return Evaluation(metrics, rows, users, top, predicted.tolist())


def list_metrics(model: Recommender, train: Ratings, top: Mapping[str, Sequence[Candidate]]) -> dict[str, float]:
    """Return how much of the catalogue the top tens cover, and how much of them is popular."""
    shown = [candidate.isbn for candidates in top.values() for candidate in candidates[:10]]
    counts = np.bincount(train.items, minlength=len(train.isbns))
    ranked = np.argsort(-counts, kind="stable")[: max(1, int(np.count_nonzero(counts) * POPULAR_SHARE))]
    popular = {train.isbns[item] for item in ranked}
    return {
        "coverage": len(set(shown)) / len(model.items.isbns),
        "popular_share": sum(isbn in popular for isbn in shown) / max(len(shown), 1),
    }


def baselines(serving: ServingModel, train: Ratings, held_out: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the figures of popularity (ranking), and of the mean and the biases (rating)."""
    index = {isbn: item for item, isbn in enumerate(train.isbns)}
    ranking = np.argsort(-popularity(train.items, len(train.isbns)), kind="stable")
    shelves = train.matrix()
    user_index = {user: row for row, user in enumerate(train.user_ids)}
    rows = []
    for user_id, group in held_out.groupby("userId", sort=True):
        user = user_index.get(str(user_id))
        known = set(shelves.indices[shelves.indptr[user] : shelves.indptr[user + 1]]) if user is not None else set()
        relevant, liked = _relevant(group, index, known)
        ranked = [item for item in ranking[: 100 + len(known)] if item not in known][:100]
        rows.append(user_metrics(np.array(ranked, np.int32), relevant, liked) if relevant else {})
    biases = serving.biases
    user_bias = biases.users(train.star_matrix())
    rated = held_out[held_out["myRate"] > 0]
    by_bias = [
        biases.mean
        + (biases.items[index[isbn]] if isbn in index else 0.0)
        + (user_bias[user_index[user]] if user in user_index else 0.0)
        for user, isbn in zip(rated["userId"], rated["isbn"], strict=True)
    ]
    stars = rated["myRate"].to_numpy(np.float64)
    return {
        "popularity": {"rows": rows, "metrics": summarise([row for row in rows if row], seed)},
        "mean": {"metrics": {"rmse": rmse(np.full(len(stars), biases.mean), stars)}},
        "biases": {"metrics": {"rmse": rmse(by_bias, stars)}},
    }


def _user_row(
    model: Recommender, candidates: Sequence[Candidate], group: pd.DataFrame, shelf: Shelf
) -> dict[str, float]:
    numbers: dict[str, int] = {}
    for isbn in [*(c.isbn for c in candidates), *group["isbn"]]:
        numbers.setdefault(isbn, len(numbers))
    known = {numbers[isbn] for isbn in shelf.ratings if isbn in numbers}
    relevant, liked = _relevant(group, numbers, known)
    ranked = np.array([numbers[candidate.isbn] for candidate in candidates], np.int32)
    return user_metrics(ranked, relevant, liked) if relevant else {}


def _relevant(group: pd.DataFrame, index: Mapping[str, int], known: set[int]) -> tuple[set[int], set[int]]:
    """Return the held-out books of a user and those liked; a book that nobody knows still counts as missed."""
    relevant, liked = set(), set()
    for position, (isbn, stars) in enumerate(zip(group["isbn"], group["myRate"], strict=True)):
        item = index.get(isbn, -1 - position)
        if item not in known:
            relevant.add(item)
            if stars >= LIKED:
                liked.add(item)
    return relevant, liked
