"""The cold-start curve: how good the lists are for readers whom training has not seen, after few entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from bookrec.entries import Entry
from bookrec.shelf import Shelf
from trainer.config import Config
from trainer.data.dataset import Ratings
from trainer.evaluation.baselines import attempt, fit_again, ranking_baselines
from trainer.metrics import CUTOFF, OURS, interval, user_metrics
from trainer.model.catalogue import Catalogue
from trainer.model.fit import fit
from trainer.serving import tflite
from trainer.serving.item_item import ServingModel

SIZES = (0, 1, 2, 3, 5, 10)
"""Entries on the shelf."""

UNSEEN_SHARE = 0.2
"""Readers whom training does not see."""

MOST_UNSEEN = 1_000
"""More readers would make the curve no clearer."""

Ints = npt.NDArray[np.int32]


def fit_to_others(ratings: Ratings, books: pd.DataFrame | None, config: Config) -> Callable[[Ratings], ServingModel]:
    """Return the ``fit`` of ``cold_start``: it chooses and trains everything again, by the given readers alone.

    What validation chose on all readers, and above all the reranker that it trained on their held-out entries, has seen
    the readers who are taken out.

    Args:
        ratings: all entries; the books that have one are the model's.
        books: the catalogue's metadata, or None.
        config: options.
    """
    alone = replace(config, baselines=False)  # the curves of the variants are drawn from the whole fit
    return lambda part: fit(part, books, alone, Catalogue(ratings, books, alone)).serving


def cold_start(
    ratings: Ratings,
    books: pd.DataFrame | None,
    config: Config,
    fit: Callable[[Ratings], ServingModel],
    choices: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Return NDCG@10 by model and number of entries, for readers that no model was fitted to.

    A fifth of the readers with more than 10 entries, at most ``MOST_UNSEEN``, are taken out. Of each, the oldest
    entries (random ones where times are unknown) make the shelf; everything else that the reader has is to be found.
    The same for all models.
    Source: Liang et al., "Variational Autoencoders for Collaborative Filtering" (WWW 2018), section 4.2, which
    calls it strong generalisation.

    Args:
        ratings: all entries.
        books: the catalogue's metadata, or None.
        config: options; gives the seed.
        fit: fits the model to the other readers' entries, with nothing that was learned or chosen by all readers'.
        choices: the baselines' hyperparameters, as ``Comparison.choices``; others have their first values.

    Returns:
        ``sizes``, ``readers`` (how many were taken out), and ``models``: by name, for each size ``mean``, ``low``
        and ``high``. Without readers to take out, no models.
    """
    rng = np.random.default_rng(config.seed)
    counts = np.bincount(ratings.users, minlength=len(ratings.user_ids))
    able = rng.permutation(np.flatnonzero(counts > max(SIZES)))
    unseen = np.sort(able[: min(round(len(able) * UNSEEN_SHARE), MOST_UNSEEN)])
    result: dict[str, Any] = {"sizes": list(SIZES), "readers": len(unseen), "models": {}}
    if not len(unseen):
        return result
    others = ratings.select(~np.isin(ratings.users, unseen))
    histories = [_history(ratings, user, rng) for user in unseen]
    serving = fit(others)
    model = tflite.as_served(serving, "cold start")
    index = {isbn: item for item, isbn in enumerate(ratings.isbns)}

    def ours(shelf: tuple[Ints, npt.NDArray[np.float32]]) -> Ints:
        pairs = enumerate(zip(*shelf, strict=True))
        entries = tuple(Entry(f"{n}", "reader", ratings.isbns[item], float(stars)) for n, (item, stars) in pairs)
        listed = islice(model.diversified(model.candidates(Shelf("reader", entries))), CUTOFF)
        return np.array([index[candidate.isbn] for candidate in listed], np.int32)

    tops = {OURS: [[ours((items[:n], stars[:n])) for items, stars in histories] for n in SIZES]}
    fits = fit_again(ranking_baselines(others, books, config), others, choices or {})
    for name, baseline in attempt(fits)[0].items():
        tops[name] = [list(baseline.top(_shelves(histories, n, ratings.shape[1]), CUTOFF)) for n in SIZES]
    result["models"] = {name: _curve(own, histories, config.seed) for name, own in tops.items()}
    return result


def _history(ratings: Ratings, user: int, rng: np.random.Generator) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Return a reader's items and stars, the oldest first."""
    start, end = np.searchsorted(ratings.users, [user, user + 1])
    rows = rng.permutation(np.arange(start, end))
    rows = rows[np.argsort(ratings.at[rows], kind="stable")]
    return ratings.items[rows], ratings.stars[rows]


def _shelves(histories: list[tuple[Ints, npt.NDArray[np.float32]]], size: int, items: int) -> sp.csr_matrix:
    rows = np.repeat(np.arange(len(histories)), size)
    columns = np.concatenate([books[:size] for books, _ in histories]) if size else np.zeros(0, np.int32)
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(histories), items))


def _curve(
    tops: list[list[Ints]], histories: list[tuple[Ints, npt.NDArray[np.float32]]], seed: int
) -> list[dict[str, float]]:
    curve = []
    for size, of_size in zip(SIZES, tops, strict=True):
        figures = np.array(
            [
                user_metrics(top, set(items[size:].tolist()), set())["ndcg"]
                for top, (items, _) in zip(of_size, histories, strict=True)
            ]
        )
        low, high = interval(figures, seed)
        curve.append({"mean": float(figures.mean()), "low": low, "high": high})
    return curve
