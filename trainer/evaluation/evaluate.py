"""Evaluation on held-out entries: the exported file ranks the full catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from tqdm import tqdm

from bookrec.ranking import Candidate
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf
from trainer.data.dataset import Ratings, shelves_of
from trainer.metrics import CUTOFF, list_metrics, relevant_items, rmse, rmse_interval, summarise, user_metrics


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's results on held-out entries.

    Attributes:
        metrics: by name, mean over users with a 95% interval; and ``rmse``, and what ``list_metrics`` returns.
        rows: each user's metrics, in the order of ``users``.
        users: the users with held-out entries, ascending.
        top: by user, the first ten candidates, the best first.
        ranked: by user, the ISBNs and float64 scores of all candidates, the best first.
        predicted: the predicted ratings of the held-out rows, in the same order.
    """

    metrics: Mapping[str, Any]
    rows: Sequence[Mapping[str, float]]
    users: Sequence[str]
    top: Mapping[str, Sequence[Candidate]]
    ranked: Mapping[str, tuple[Sequence[str], npt.NDArray[np.float64]]]
    predicted: Sequence[float]


def evaluate(
    model: Recommender, train: Ratings, held_out: pd.DataFrame, seed: int, features: sp.csr_matrix | None = None
) -> Evaluation:
    """Score held-out rows with an exported model.

    Args:
        model: the model, loaded from the exported files.
        train: the entries that the model was fitted to, which are also the shelves.
        held_out: columns ``userId, isbn, myRate`` (a float, 0 if not rated); users and books may be unknown.
        seed: seed of the bootstrap.
        features: the books' metadata as for ``list_metrics``; None leaves the distance within a list out.
    """
    shelves = shelves_of(train, set(held_out["userId"]))
    predicted = np.full(len(held_out), np.nan)
    rows, users, top, ranked = [], [], {}, {}
    rated_books = {train.isbns[item] for item in np.unique(train.items)}
    groups = held_out.reset_index(drop=True).groupby("userId", sort=True)
    for user_id, group in tqdm(groups, desc="evaluating", leave=False, mininterval=1, disable=None):
        shelf = shelves.get(str(user_id), Shelf(str(user_id), ()))
        candidates = list(model.diversified(model.candidates(shelf)))
        predicted[group.index] = model.predicted_ratings(shelf, list(group["isbn"]))
        users.append(str(user_id))
        top[str(user_id)] = candidates[:CUTOFF]
        # All candidates of all readers would be millions of objects.
        isbns = tuple(candidate.isbn for candidate in candidates)
        ranked[str(user_id)] = isbns, np.array([candidate.score for candidate in candidates], np.float64)
        rows.append(_user_row(candidates, group, shelf, rated_books))
    stars = held_out["myRate"].to_numpy(np.float64)
    rated = stars > 0
    lists = [[candidate.isbn for candidate in candidates] for candidates in top.values()]
    metrics: dict[str, Any] = summarise([row for row in rows if row], seed)
    metrics |= list_metrics(train, lists, features)
    metrics["rmse"] = rmse(predicted[rated], stars[rated])
    low, high = rmse_interval(predicted[rated], stars[rated], held_out["userId"].to_numpy()[rated], seed)
    metrics |= {"rmse_low": low, "rmse_high": high}
    return Evaluation(metrics, rows, users, top, ranked, predicted.tolist())


def _user_row(
    candidates: Sequence[Candidate], group: pd.DataFrame, shelf: Shelf, rated_books: Set[str]
) -> dict[str, float]:
    numbers: dict[str, int] = {}
    for isbn in [*(c.isbn for c in candidates), *group["isbn"]]:
        numbers.setdefault(isbn, len(numbers))
    known = {numbers[isbn] for isbn in shelf.ratings if isbn in numbers}
    relevant, liked = relevant_items(group, numbers, known)
    ranked = np.array([numbers[candidate.isbn] for candidate in candidates], np.int32)
    rated = {number for isbn, number in numbers.items() if isbn in rated_books}
    return user_metrics(ranked, relevant, liked, rated) if relevant else {}
