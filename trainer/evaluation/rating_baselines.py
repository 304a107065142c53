"""Baselines that predict stars: the global mean, biases, and Surprise's models."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trainer.config import Config
from trainer.data.dataset import Ratings
from trainer.evaluation.ranking_baselines import Options
from trainer.evaluation.tuning import Choice, Key, Parts, Stages, key, search
from trainer.metrics import rmse, rmse_interval
from trainer.serving.biases import fit_biases

BIASES: Stages = ({"item_shrinkage": (5, 1, 2.5, 10, 20), "user_shrinkage": (5, 1, 2.5, 10, 20)},)
SVD: Stages = ({"factors": (100, 20), "regularisation": (0.02, 0.05, 0.1, 0.2)},)

Predict = Callable[["Pairs"], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Readers and books whose stars are to be predicted.

    Attributes:
        users: int64 [pairs], user index, or −1 if unknown.
        items: int64 [pairs], item index, or −1 if unknown.
        stars: float64 [pairs].
    """

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    stars: npt.NDArray[np.float64]

    @staticmethod
    def of_frame(train: Ratings, rated: pd.DataFrame) -> Pairs:
        """Return the rows of ``userId, isbn, myRate``, with the indices of ``train``."""
        users = pd.Index(train.user_ids).get_indexer(pd.Index(rated["userId"].astype(str)))
        items = pd.Index(train.isbns).get_indexer(pd.Index(rated["isbn"].astype(str)))
        return Pairs(users.astype(np.int64), items.astype(np.int64), rated["myRate"].to_numpy(np.float64))

    @staticmethod
    def of_ratings(ratings: Ratings) -> Pairs:
        """Return the rated entries."""
        rated = ratings.select(ratings.stars > 0)
        return Pairs(rated.users.astype(np.int64), rated.items.astype(np.int64), rated.stars.astype(np.float64))


def rating_baselines(
    train: Ratings, held_out: pd.DataFrame, config: Config, tuned_on: Callable[[], Parts] | None
) -> dict[str, Any]:
    """Return the errors of the global mean and of the biases on the rated rows of ``held_out``.

    Args:
        train: what they are fitted to.
        held_out: as for ``rank``.
        config: gives the seed, and the shrinkages if they are not tuned.
        tuned_on: gives the parts to choose the shrinkages by, if there are stars; or None.
    """
    rated = held_out[held_out["myRate"] > 0]
    pairs = Pairs.of_frame(train, rated)
    options: Options = {"item_shrinkage": config.item_shrinkage, "user_shrinkage": config.user_shrinkage}
    stars = train.stars[train.stars > 0]
    choice = tune_rating("biases", bias_model, BIASES, tuned_on()) if tuned_on and len(stars) else None
    began = time.monotonic()
    predicted = bias_model(train, choice.options if choice else options)(pairs)
    choices = {"choices": choice.to_json(time.monotonic() - began)} if choice else {}
    mean = np.full(len(rated), float(stars.mean()) if len(stars) else 3.5)
    return {
        "mean": errors(mean, rated, config.seed),
        "biases": {**errors(predicted, rated, config.seed), **choices},
    }


def bias_model(train: Ratings, options: Options) -> Predict:
    """Return the bias model fitted to ``train``; an unknown reader or book has none. Source: see ``fit_biases``.

    Options: ``item_shrinkage`` and ``user_shrinkage``, in ratings.
    """
    stars = train.star_matrix()
    biases = fit_biases(stars, options["item_shrinkage"], options["user_shrinkage"])
    of_items, of_users = np.append(biases.items, 0), np.append(biases.users(stars), 0)  # index −1 is unknown
    return lambda pairs: biases.mean + of_items[pairs.items] + of_users[pairs.users]


def surprise_baselines(
    train: Ratings, held_out: pd.DataFrame, config: Config, *, tuned_on: Callable[[], Parts], every: bool
) -> Mapping[str, Callable[[], dict[str, Any]]]:
    """Return by name what gives the errors of each of Surprise's models on the rated rows; SVD is tuned.

    Source: Koren, "Factorization Meets the Neighborhood" (KDD 2008), by ``scikit-surprise``.

    Args:
        train: what they are fitted to; without a rated entry, there are no models.
        held_out: as for ``rank``.
        config: gives the seed.
        tuned_on: gives the parts to choose SVD's options by.
        every: also the slow ones.
    """
    if not (train.stars > 0).any():
        return {}

    def svd(part: Ratings, options: Options) -> Predict:
        named = {"n_factors": int(options["factors"]), "reg_all": options["regularisation"]}
        return _surprise("SVD", {**named, "random_state": config.seed}, part)

    def tuned() -> dict[str, Any]:
        return fitted(svd, tune_rating("SVD", svd, SVD, tuned_on()))

    def fitted(fit: Callable[[Ratings, Options], Predict], choice: Choice | None = None) -> dict[str, Any]:
        began = time.monotonic()
        rated = held_out[held_out["myRate"] > 0]
        predicted = fit(train, choice.options if choice else {})(Pairs.of_frame(train, rated))
        seconds = time.monotonic() - began
        choices = choice.to_json(seconds) if choice else {"fit_seconds": seconds}
        return {**errors(predicted, rated, config.seed), "choices": choices}

    kinds: dict[str, tuple[str, dict[str, Any]]] = {"BaselineOnly": ("BaselineOnly", {"verbose": False})}
    if every:
        kinds["SVD++"] = ("SVDpp", {"random_state": config.seed})
        kinds["KNNBaseline"] = ("KNNBaseline", {"sim_options": {"name": "pearson_baseline"}, "verbose": False})

    def plain(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
        return fitted(lambda part, _: _surprise(kind, options, part))

    return {"SVD": tuned, **{name: partial(plain, *model) for name, model in kinds.items()}}


def _surprise(kind: str, options: Mapping[str, Any], train: Ratings) -> Predict:
    import surprise

    rows = train.stars > 0
    frame = pd.DataFrame({"user": train.users[rows], "item": train.items[rows], "stars": train.stars[rows]})
    data = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(0.5, 5.0))).build_full_trainset()
    model = getattr(surprise, kind)(**options)
    model.fit(data)

    def predict(pairs: Pairs) -> npt.NDArray[np.float64]:
        both = zip(pairs.users.tolist(), pairs.items.tolist(), strict=True)
        return np.array([model.predict(user, item).est for user, item in both], np.float64)

    return predict


def tune_rating(name: str, fit: Callable[[Ratings, Options], Predict], stages: Stages, parts: Parts) -> Choice:
    """Return the options with the least mean RMSE on validation; of equal ones the first."""
    held = [(part, Pairs.of_ratings(validation.held)) for part, validation in parts.pairs]
    held = [(part, pairs) for part, pairs in held if len(pairs.stars)]

    def figures(grid: Sequence[Options]) -> Mapping[Key, float]:
        means = {}
        for options in grid:
            each = [rmse(fit(part, options)(pairs), pairs.stars) for part, pairs in held]
            means[key(options)] = float(np.mean(each)) if each else float("nan")
        return means

    return search(name, stages, figures, "rmse", parts.readers)


def errors(predicted: npt.NDArray[np.float64], rated: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the RMSE of predictions for ``rated``, with its interval, as ``metrics``."""
    stars = rated["myRate"].to_numpy(np.float64)
    low, high = rmse_interval(predicted, stars, rated["userId"].to_numpy(), seed)
    return {"metrics": {"rmse": rmse(predicted, stars), "rmse_low": low, "rmse_high": high}}
