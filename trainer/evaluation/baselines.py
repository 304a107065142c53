"""The models that the field would compare with, fitted to the same entries and scored in the same way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sp
from tqdm import tqdm

from bookrec.errors import BookrecError
from trainer.config import Config
from trainer.data.dataset import Ratings
from trainer.data.features import item_features
from trainer.evaluation.factor_baselines import bpr, elsa, ials
from trainer.evaluation.ranking_baselines import (
    Baseline,
    Options,
    ease_models,
    item_knn,
    popularity_models,
    rp3beta,
    slim,
)
from trainer.evaluation.rating_baselines import rating_baselines, surprise_baselines
from trainer.evaluation.tuning import Family, Parts, Stages, defaults, tune
from trainer.metrics import CUTOFF, list_metrics, relevant_items, summarise, user_metrics

log = logging.getLogger(__name__)

Made = TypeVar("Made")

BASELINES_LIMIT = 1_000_000
"""With more entries, only the baselines that cost little are fitted."""

EASE_LIMIT, EASE_BOOKS = 12_000, 8_000
"""In a larger catalogue, EASE is fitted to so many of its most rated books: it is cubic in their number."""

LARGE_CATALOGUE = 12_000
"""In a larger catalogue, ELSA has fewer dimensions and is trained for fewer epochs."""

KNN: Stages = ({"k": (30, 5, 10, 100, 300), "shrink": (10, 0, 50)},)
RP3BETA: Stages = (
    {"k": (50,), "alpha": (0.4, 0.7, 1.0, 1.4), "beta": (0.4, 0.2, 0.6), "by_target": (0, 1)},
    {"k": (50, 5, 10, 20, 100, 200), "by_target": (0, 1)},
)
IALS: Stages = (
    {
        "factors": (64,),
        "unobserved": (0.1, 0.03, 0.3),
        "regularisation": (0.01, 0.001, 0.003, 0.03),
        "frequency": (1,),
    },
    {"factors": (64, 128), "frequency": (1, 0.5, 0)},
)
ELSA: Stages = ({"dims": (512,), "epochs": (10, 5, 15)},)
ELSA_LARGE: Stages = ({"dims": (256,), "epochs": (6, 4, 8)},)
SLIM: Stages = ({"k": (100,), "l1": (1, 0.1, 3), "l2": (10, 30, 100, 300)}, {"k": (100, 50, 200)})
BPR: Stages = ({"factors": (64, 32), "rate": (0.01, 0.02), "regularisation": (0.01, 0.03)},)
EASE: Stages = ({"regularisation": (100, 30, 300, 800)},)
CEASE: Stages = ({"regularisation": (100,), "feature_weight": (5, 1, 3, 10)}, {"regularisation": (100, 30, 300)})


def ranking_baselines(ratings: Ratings, books: pd.DataFrame | None, config: Config) -> Sequence[Family]:
    """Return each ranking baseline that is to be fitted to ``ratings``, with the grids that it is tuned over.

    Without ``config.baselines``, and above ``BASELINES_LIMIT`` entries, it is popularity alone, which the gate needs:
    fitting the others would take longer than the model does.
    """
    families = [Family("popularity", popularity_models)]
    if not config.baselines or len(ratings.users) > BASELINES_LIMIT:
        return families
    is_large = len(ratings.isbns) > LARGE_CATALOGUE
    families += [
        Family("item-kNN", item_knn, KNN),
        Family("RP3beta", rp3beta, RP3BETA),
        Family("iALS", partial(ials, config.seed), IALS),
        Family("ELSA", partial(elsa, config.seed), ELSA_LARGE if is_large else ELSA),
        Family("SLIM", slim, SLIM),
        Family("BPR", partial(bpr, config.seed), BPR),
    ]
    cut = len(ratings.isbns) > EASE_LIMIT
    most, suffix = (EASE_BOOKS, f" of {EASE_BOOKS:,}") if cut else (len(ratings.isbns), "")
    families.append(Family(f"EASE{suffix}", partial(ease_models, None, most), EASE))
    features = item_features(ratings.isbns, books, config.features)
    features = features[:, features.getnnz(axis=0) > 1]  # what one book alone has says nothing of others
    if features.nnz:
        families.append(Family(f"CEASE{suffix}", partial(ease_models, features, most), CEASE))
    return families


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
    rows, lists, rated = [], [], set(train.items.tolist())
    for row, (_, group) in enumerate(groups):
        known = set(shelves[row].indices.tolist())
        relevant, liked = relevant_items(group, item_index, known)
        ranked = top[row][: len(train.isbns) - len(known)]  # books on the shelf are last
        lists.append([train.isbns[item] for item in ranked[:CUTOFF]])
        rows.append(user_metrics(ranked, relevant, liked, rated) if relevant else {})
    beyond = list_metrics(train, lists, features)
    return {"rows": rows, "metrics": {**summarise([row for row in rows if row], seed), **beyond}}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The baselines' figures.

    Attributes:
        models: by name each one's ``metrics``; ``rows`` where it ranks; ``choices``, its hyperparameters and how they
            were found, where it has any.
        left_out: why a baseline could not be fitted, by name.
    """

    models: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, str]

    @property
    def metrics(self) -> dict[str, Any]:
        """Each baseline's metrics, by name."""
        return {name: model["metrics"] for name, model in self.models.items()}

    @property
    def choices(self) -> dict[str, Any]:
        """Each tuned baseline's hyperparameters, its validation figure and its times, by name."""
        return {name: model["choices"] for name, model in self.models.items() if "choices" in model}


def compare(
    train: Ratings, books: pd.DataFrame | None, held_out: pd.DataFrame, config: Config, *, every: bool = False
) -> Comparison:
    """Return the figures of the baselines, fitted to ``train``: popularity, mean and biases, and what is asked for.

    Their hyperparameters are chosen on a part of ``train``; ``held_out`` is scored once by each.

    Args:
        train: the entries.
        books: the catalogue's metadata, or None.
        held_out: columns ``userId, isbn, myRate``: the books to be ranked first, and the stars to be predicted.
        config: options; ``baselines`` asks for the models of the field.
        every: among these, also Surprise's slow ones.
    """
    features = item_features(train.isbns, books, config.features)
    parts = cache(lambda: Parts(train, config))

    def ranked(family: Family) -> dict[str, Any]:
        choice = tune(family, parts()) if family.stages else None
        began = time.monotonic()
        baseline = family.fit(train, choice.options if choice else {})
        seconds = time.monotonic() - began
        log.info("%s: fitted in %.1f s", family.name, seconds)
        choices = {"choices": choice.to_json(seconds)} if choice else {}
        return {**rank(baseline, train, held_out, config.seed, features), **choices}

    popular, *families = ranking_baselines(train, books, config)
    asked = config.baselines and len(train.users) <= BASELINES_LIMIT
    raters = surprise_baselines(train, held_out, config, tuned_on=parts, every=every) if asked else {}
    others, missing = attempt({family.name: partial(ranked, family) for family in families})
    rated, missing_too = attempt(raters)
    own = rating_baselines(train, held_out, config, parts if asked else None)
    return Comparison({popular.name: ranked(popular), **others, **own, **rated}, {**missing, **missing_too})


def fit_again(
    families: Sequence[Family], ratings: Ratings, choices: Mapping[str, Any]
) -> Mapping[str, Callable[[], Baseline]]:
    """Return by name what fits each baseline to other entries with what ``choices`` (``Comparison.choices``) names.

    A baseline without a choice has the first value of each grid.
    """

    def options(family: Family) -> Options:
        chosen: Options = choices[family.name]["options"] if family.name in choices else defaults(family.stages)
        return chosen

    return {family.name: partial(family.fit, ratings, options(family)) for family in families}
