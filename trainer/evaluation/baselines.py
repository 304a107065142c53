"""The models that the field would compare with, fitted to the same entries and scored in the same way."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from tqdm import tqdm

from trainer.config import Config
from trainer.data.dataset import Ratings
from trainer.data.features import item_features
from trainer.metrics import list_metrics, relevant_items, rmse, rmse_interval, summarise, user_metrics
from trainer.model.ease import ease
from trainer.serving.biases import Biases, fit_biases
from trainer.serving.item_item import MASKED, popularity

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

BASELINES_LIMIT = 1_000_000
"""Of more entries, only what costs little is fitted beside the model."""

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
            found: Floats = readers @ model.item_factors.T
        return found

    return Baseline("iALS", scores)


def ease_baselines(ratings: Ratings, books: pd.DataFrame | None, config: Config) -> list[Baseline]:
    """Return EASE and, where there is metadata, CEASE, as they were published; none for too large a catalogue."""
    if len(ratings.isbns) > config.ease_limit:
        return []
    shelves, features = ratings.matrix(), item_features(ratings.isbns, books, config.features)
    nothing = sp.csr_matrix((features.shape[0], 1), dtype=np.float32)
    baselines = [_item_item("EASE", ease(shelves, nothing, REGULARISATION, 0.0))]
    if features.nnz:
        baselines.append(_item_item("CEASE", ease(shelves, features, REGULARISATION, FEATURE_WEIGHT)))
    return baselines


def ranking_baselines(ratings: Ratings, books: pd.DataFrame | None, config: Config) -> list[Baseline]:
    """Return all ranking baselines, fitted to ``ratings``; without ``implicit``'s where it cannot be loaded.

    Above ``BASELINES_LIMIT`` entries it is popularity alone, which the gate needs: fitting the others would take longer
    than the model does.
    """
    baselines = [popularity_baseline(ratings)]
    if len(ratings.users) > BASELINES_LIMIT:
        return baselines
    try:
        baselines += [item_knn(ratings), ials(ratings, config.seed)]
    except ImportError as problem:  # a comparison is no reason to train nothing
        log.warning("item-kNN and iALS are left out: %s (on Debian: apt-get install libgomp1)", problem)
    return [*baselines, *ease_baselines(ratings, books, config)]


def rank(baseline: Baseline, train: Ratings, held_out: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return a baseline's ``rows`` (each reader's metrics, in the order of the user ids) and ``metrics``.

    Args:
        baseline: fitted to ``train``.
        train: the entries that make the shelves.
        held_out: columns ``userId, isbn, myRate``; users and books may be unknown.
        seed: of the bootstrap.
    """
    item_index = {isbn: item for item, isbn in enumerate(train.isbns)}
    user_index = {user: row for row, user in enumerate(train.user_ids)}
    groups = [(str(user), group) for user, group in held_out.groupby("userId", sort=True)]
    # A reader without a shelf is a row past the last.
    shelves = sp.vstack([train.matrix(), sp.csr_matrix((1, train.shape[1]), dtype=np.float32)]).tocsr()
    shelves = shelves[[user_index.get(user, train.shape[0]) for user, _ in groups]]
    top = baseline.top(shelves)
    rows = []
    for row, (_, group) in enumerate(groups):
        known = set(shelves[row].indices.tolist())
        relevant, liked = relevant_items(group, item_index, known)
        rows.append(user_metrics(top[row][: len(train.isbns) - len(known)], relevant, liked) if relevant else {})
    lists = [[train.isbns[item] for item in found[:10]] for found in top]
    return {"rows": rows, "metrics": {**summarise([row for row in rows if row], seed), **list_metrics(train, lists)}}


def rating_baselines(train: Ratings, held_out: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Return the errors of the global mean and of the biases on the rated rows of ``held_out``."""
    biases = fit_biases(train.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    rated = held_out[held_out["myRate"] > 0]
    mean = np.full(len(rated), biases.mean)
    predicted = {"mean": mean, "biases": mean + _bias(biases, train, rated)}
    return {name: _errors(values, rated, config.seed) for name, values in predicted.items()}


def surprise_baselines(train: Ratings, held_out: pd.DataFrame, config: Config, *, every: bool) -> dict[str, Any]:
    """Return the errors of Surprise's models, with its own settings, on the rated rows of ``held_out``.

    Source: Koren, "Factorization Meets the Neighborhood" (KDD 2008), by ``scikit-surprise``. None above
    ``BASELINES_LIMIT`` entries.

    Args:
        train: what they are fitted to.
        held_out: as for ``rank``.
        config: gives the seed.
        every: also the slow ones.
    """
    rows = train.stars > 0
    if not rows.any() or len(rows) > BASELINES_LIMIT:
        return {}
    from surprise import SVD, BaselineOnly, Dataset, KNNBaseline, Reader, SVDpp

    frame = pd.DataFrame({"user": train.users[rows], "item": train.items[rows], "stars": train.stars[rows]})
    data = Dataset.load_from_df(frame, Reader(rating_scale=(0.5, 5.0))).build_full_trainset()
    models = {"SVD": SVD(random_state=config.seed), "BaselineOnly": BaselineOnly(verbose=False)}
    if every:
        models["SVD++"] = SVDpp(random_state=config.seed)
        models["KNNBaseline"] = KNNBaseline(sim_options={"name": "pearson_baseline"}, verbose=False)
    rated = held_out[held_out["myRate"] > 0]
    users = {user: row for row, user in enumerate(train.user_ids)}
    items = {isbn: item for item, isbn in enumerate(train.isbns)}
    found = {}
    for name, model in models.items():
        model.fit(data)
        predicted = [
            model.predict(users.get(user), items.get(isbn)).est
            for user, isbn in zip(rated["userId"], rated["isbn"], strict=True)
        ]
        found[name] = _errors(np.array(predicted), rated, config.seed)
    return found


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


def _item_item(name: str, weights: Floats) -> Baseline:
    return Baseline(name, lambda shelves: shelves @ weights)


def compare(
    train: Ratings, books: pd.DataFrame | None, held_out: pd.DataFrame, config: Config, *, every: bool = False
) -> Mapping[str, Any]:
    """Return every baseline's ``metrics`` (and ``rows`` where it ranks), by name, fitted to ``train``.

    Args:
        train: the entries.
        books: the catalogue's metadata, or None.
        held_out: what is to be found and predicted.
        config: options.
        every: also Surprise's slow ones.
    """
    ranked = {
        baseline.name: rank(baseline, train, held_out, config.seed)
        for baseline in tqdm(ranking_baselines(train, books, config), desc="baselines", leave=False, disable=None)
    }
    return {
        **ranked,
        **rating_baselines(train, held_out, config),
        **surprise_baselines(train, held_out, config, every=every),
    }
