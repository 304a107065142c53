"""The models that the field would compare with, fitted to the same entries and scored in the same way."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from tqdm import tqdm

from bookrec.errors import BookrecError
from trainer.config import Config
from trainer.data.dataset import Ratings
from trainer.data.features import item_features
from trainer.metrics import list_metrics, relevant_items, rmse, rmse_interval, summarise, user_metrics
from trainer.model.ease import ease
from trainer.serving.biases import Biases, fit_biases
from trainer.serving.item_item import MASKED, popularity

log = logging.getLogger(__name__)

Made = TypeVar("Made")

Floats = npt.NDArray[np.float32]

BASELINES_LIMIT = 1_000_000
"""With more entries, only the baselines that cost little are fitted."""

DEPTH = 100
BLOCK = 256
REGULARISATION = 100.0
FEATURE_WEIGHT = 5.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """A fitted ranking model that takes any shelves, also those of readers whom it has never seen.

    Attributes:
        name: as it is shown.
        scores: from shelves, CSR [users, items] of ones, to scores, float32 [users, items].
    """

    name: str
    scores: Callable[[sp.csr_matrix], Floats]

    def top(self, shelves: sp.csr_matrix, depth: int = DEPTH) -> npt.NDArray[np.int32]:
        """Return the best items that are not on the shelves, int32 [users, depth], the best first, ties by index."""
        blocks = []
        for start in range(0, shelves.shape[0], BLOCK):
            block = shelves[start : start + BLOCK]
            scores = np.array(self.scores(block), np.float32)
            scores[block.nonzero()] = MASKED
            blocks.append(np.argsort(-scores, axis=1, kind="stable")[:, :depth].astype(np.int32))
        return np.concatenate(blocks) if blocks else np.zeros((0, depth), np.int32)


def popularity_baseline(ratings: Ratings) -> Baseline:
    """Return the baseline that gives everybody the most popular books."""
    prior = popularity(ratings.items, len(ratings.isbns))
    return Baseline("popularity", lambda shelves: np.broadcast_to(prior, shelves.shape))


def item_knn(ratings: Ratings, neighbours: int = 50) -> Baseline:
    """Return item-based neighbourhoods by cosine. Source: Sarwar et al. (WWW 2001), section 3.1, by ``implicit``."""
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=neighbours, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of a matrix that it made itself
        model.fit(ratings.matrix(), show_progress=False)
    likeness = model.similarity.astype(np.float32).tocsr()
    return Baseline("item-kNN", lambda shelves: (shelves @ likeness).toarray())


def ials(ratings: Ratings, seed: int, factors: int = 128) -> Baseline:
    """Return implicit ALS with fold-in. Source: Hu et al. (ICDM 2008), eq. 4, by ``implicit``."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=factors, regularization=0.01, alpha=1.0, random_state=seed)
        model.fit(ratings.matrix(), show_progress=False)

    def scores(shelves: sp.csr_matrix) -> Floats:
        with threadpool_limits(1, "blas"):
            readers = np.atleast_2d(model.recalculate_user(np.arange(shelves.shape[0]), shelves))
            scored: Floats = readers @ model.item_factors.T
        return scored

    return Baseline("iALS", scores)


def ease_baseline(ratings: Ratings, features: sp.csr_matrix | None, name: str) -> Baseline:
    """Return EASE, or with the books' features CEASE, as they were published."""
    nothing = sp.csr_matrix((len(ratings.isbns), 1), dtype=np.float32)
    weight = 0.0 if features is None else FEATURE_WEIGHT
    weights = ease(ratings.matrix(), nothing if features is None else features, REGULARISATION, weight)
    return Baseline(name, lambda shelves: shelves @ weights)


def ranking_baselines(
    ratings: Ratings, books: pd.DataFrame | None, config: Config
) -> Mapping[str, Callable[[], Baseline]]:
    """Return by name what fits each ranking baseline to ``ratings``.

    Without ``config.baselines``, and above ``BASELINES_LIMIT`` entries, it is popularity alone, which the gate needs:
    fitting the others would take longer than the model does.
    """
    fits: dict[str, Callable[[], Baseline]] = {"popularity": partial(popularity_baseline, ratings)}
    if not config.baselines or len(ratings.users) > BASELINES_LIMIT:
        return fits
    fits |= {"item-kNN": partial(item_knn, ratings), "iALS": partial(ials, ratings, config.seed)}
    if len(ratings.isbns) <= config.ease_limit:
        fits["EASE"] = partial(ease_baseline, ratings, None, "EASE")
        features = item_features(ratings.isbns, books, config.features)
        if features.nnz:
            fits["CEASE"] = partial(ease_baseline, ratings, features, "CEASE")
    return fits


def attempt(work: Mapping[str, Callable[[], Made]]) -> tuple[dict[str, Made], dict[str, str]]:
    """Return by name what could be made, and why the rest could not: no run fails because a comparison does.

    Unless a library cannot be imported, the reason is the kind of the error alone: its message might name a reader.

    Raises:
        BookrecError: what ends a run.
    """
    made: dict[str, Made] = {}
    left_out: dict[str, str] = {}
    for name, make in tqdm(work.items(), desc="baselines", leave=False, disable=None if work else True):
        try:
            made[name] = make()
        except BookrecError:
            raise
        except Exception as problem:
            reason = str(problem) if isinstance(problem, ImportError) else ""
            left_out[name] = reason or type(problem).__name__
            hint = " (on Debian: apt-get install libgomp1)" if "libgomp" in reason else ""
            if isinstance(problem, ModuleNotFoundError):
                hint = " (pip install -r trainer/requirements-baselines.txt)"
            log.warning("%s is left out of the comparison: %s%s", name, left_out[name], hint)
    return made, left_out


def rank(
    baseline: Baseline, train: Ratings, held_out: pd.DataFrame, seed: int, features: sp.csr_matrix | None = None
) -> dict[str, Any]:
    """Return a baseline's ``rows`` (each reader's metrics, in the order of the user ids) and ``metrics``.

    Args:
        baseline: fitted to ``train``.
        train: the entries that make the shelves.
        held_out: columns ``userId, isbn, myRate``; users and books may be unknown.
        seed: of the bootstrap.
        features: the books' metadata as for ``list_metrics``; None leaves the distance within a list out.
    """
    item_index = {isbn: item for item, isbn in enumerate(train.isbns)}
    user_index = {user: row for row, user in enumerate(train.user_ids)}
    groups = [(str(user), group) for user, group in held_out.groupby("userId", sort=True)]
    # A reader without a shelf is a row past the last.
    shelves = sp.vstack([train.matrix(), sp.csr_matrix((1, train.shape[1]), dtype=np.float32)]).tocsr()
    shelves = shelves[[user_index.get(user, train.shape[0]) for user, _ in groups]]
    top = baseline.top(shelves)
    rows, rated = [], set(train.items.tolist())
    for row, (_, group) in enumerate(groups):
        known = set(shelves[row].indices.tolist())
        relevant, liked = relevant_items(group, item_index, known)
        ranked = top[row][: len(train.isbns) - len(known)]
        rows.append(user_metrics(ranked, relevant, liked, rated) if relevant else {})
    lists = [[train.isbns[item] for item in items[:10]] for items in top]
    beyond = list_metrics(train, lists, features)
    return {"rows": rows, "metrics": {**summarise([row for row in rows if row], seed), **beyond}}


def rating_baselines(train: Ratings, held_out: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Return the errors of the global mean and of the biases on the rated rows of ``held_out``."""
    biases = fit_biases(train.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    rated = held_out[held_out["myRate"] > 0]
    mean = np.full(len(rated), biases.mean)
    predicted = {"mean": mean, "biases": mean + _bias(biases, train, rated)}
    return {name: _errors(values, rated, config.seed) for name, values in predicted.items()}


def surprise_baselines(
    train: Ratings, held_out: pd.DataFrame, config: Config, *, every: bool
) -> Mapping[str, Callable[[], dict[str, Any]]]:
    """Return by name what gives the errors of each of Surprise's models, with its own settings, on the rated rows.

    Source: Koren, "Factorization Meets the Neighborhood" (KDD 2008), by ``scikit-surprise``. None without
    ``config.baselines``, nor above ``BASELINES_LIMIT`` entries.

    Args:
        train: what they are fitted to.
        held_out: as for ``rank``.
        config: gives the seed.
        every: also the slow ones.
    """
    rows = train.stars > 0
    if not config.baselines or not rows.any() or len(rows) > BASELINES_LIMIT:
        return {}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "SVD": ("SVD", {"random_state": config.seed}),
        "BaselineOnly": ("BaselineOnly", {"verbose": False}),
    }
    if every:
        kinds["SVD++"] = ("SVDpp", {"random_state": config.seed})
        kinds["KNNBaseline"] = ("KNNBaseline", {"sim_options": {"name": "pearson_baseline"}, "verbose": False})
    return {name: partial(_surprise, *model, train, held_out, config.seed) for name, model in kinds.items()}


def _surprise(
    kind: str, options: Mapping[str, Any], train: Ratings, held_out: pd.DataFrame, seed: int
) -> dict[str, Any]:
    import surprise

    rows = train.stars > 0
    frame = pd.DataFrame({"user": train.users[rows], "item": train.items[rows], "stars": train.stars[rows]})
    data = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(0.5, 5.0))).build_full_trainset()
    model = getattr(surprise, kind)(**options)
    model.fit(data)
    rated = held_out[held_out["myRate"] > 0]
    users = {user: row for row, user in enumerate(train.user_ids)}
    items = {isbn: item for item, isbn in enumerate(train.isbns)}
    predicted = [
        model.predict(users.get(user), items.get(isbn)).est
        for user, isbn in zip(rated["userId"], rated["isbn"], strict=True)
    ]
    return _errors(np.array(predicted), rated, seed)


def _errors(predicted: npt.NDArray[np.float64], rated: pd.DataFrame, seed: int) -> dict[str, Any]:
    stars = rated["myRate"].to_numpy(np.float64)
    low, high = rmse_interval(predicted, stars, rated["userId"].to_numpy(), seed)
    return {"metrics": {"rmse": rmse(predicted, stars), "rmse_low": low, "rmse_high": high}}


def _bias(biases: Biases, train: Ratings, rated: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return item and user bias of each row, 0 where the book or the reader is unknown."""
    by_isbn = dict(zip(train.isbns, biases.items.tolist(), strict=True))
    by_user = dict(zip(train.user_ids, biases.users(train.star_matrix()).tolist(), strict=True))
    pairs = zip(rated["userId"], rated["isbn"], strict=True)
    return np.array([by_isbn.get(isbn, 0.0) + by_user.get(user, 0.0) for user, isbn in pairs], np.float64)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The baselines' figures.

    Attributes:
        models: by name each one's ``metrics``, and ``rows`` where it ranks.
        left_out: why a baseline could not be fitted, by name.
    """

    models: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, str]

    @property
    def metrics(self) -> dict[str, Any]:
        """Each baseline's metrics, by name."""
        return {name: model["metrics"] for name, model in self.models.items()}


def compare(
    train: Ratings, books: pd.DataFrame | None, held_out: pd.DataFrame, config: Config, *, every: bool = False
) -> Comparison:
    """Return the figures of the baselines, fitted to ``train``: popularity, mean and biases, and what is asked for.

    Args:
        train: the entries.
        books: the catalogue's metadata, or None.
        held_out: what is to be found and predicted.
        config: options; ``baselines`` asks for the models of the field.
        every: among these, also Surprise's slow ones.
    """
    features = item_features(train.isbns, books, config.features)

    def ranked(fit: Callable[[], Baseline]) -> dict[str, Any]:
        return rank(fit(), train, held_out, config.seed, features)

    rankers = dict(ranking_baselines(train, books, config))
    popularity_alone = {"popularity": ranked(rankers.pop("popularity"))}
    raters = surprise_baselines(train, held_out, config, every=every)
    others, missing = attempt({name: partial(ranked, fit) for name, fit in rankers.items()})
    rated, missing_too = attempt(raters)
    own = rating_baselines(train, held_out, config)
    return Comparison({**popularity_alone, **others, **own, **rated}, {**missing, **missing_too})
