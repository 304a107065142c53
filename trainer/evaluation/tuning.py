"""Hyperparameters of the baselines, chosen on a part of the training entries as the model's are."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.config import Config
from trainer.data.dataset import Ratings, holdout, sample_readers
from trainer.evaluation.ranking_baselines import Baseline, Fits, Options
from trainer.model.validation import Validation

log = logging.getLogger(__name__)

VALIDATION_FRACTION = 0.1
"""Of each reader's training entries, at random."""

TUNING_ENTRIES = 500_000
"""With more entries, hyperparameters are chosen on a random part of the readers with about so many.

With 380,000 entries over 22,000 books, no grid took more than five minutes on two cores.
"""

Key = tuple[tuple[str, float], ...]

Stages = Sequence[Mapping[str, Sequence[float]]]
"""Grids, tried in turn: values by option, the default first. Each stage keeps what the stages before it chose."""


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of ranking model.

    Attributes:
        name: as it is shown.
        fits: fits it with each of several options.
        stages: what is tried.
    """

    name: str
    fits: Fits
    stages: Stages = ()

    def fit(self, ratings: Ratings, options: Options) -> Baseline:
        """Return the model with ``options``, fitted to ``ratings``."""
        return next(self.fits(ratings, [options]))[1]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for one baseline, and how.

    Attributes:
        options: the hyperparameters.
        measure: of the validation figure: ``ndcg``, the greater the better, or ``rmse``.
        figure: the best mean figure on validation; NaN if nobody had an entry to hold out.
        tried: how many hyperparameters were compared.
        seconds: how long that took.
        readers: how many readers' entries it was done with.
    """

    options: Options
    measure: str
    figure: float
    tried: int
    seconds: float
    readers: int

    def to_json(self, fit_seconds: float) -> dict[str, Any]:
        """Return the JSON form, with the seconds of the fit to all entries."""
        return {
            "options": dict(self.options),
            f"validation_{self.measure}": self.figure,
            "tried": self.tried,
            "tuned_on_readers": self.readers,
            "tuning_seconds": self.seconds,
            "fit_seconds": fit_seconds,
        }


class Parts:
    """The training entries in two parts, to fit to and to choose by; several times if there are few entries."""

    def __init__(self, ratings: Ratings, config: Config) -> None:
        some = _sampled(ratings, config.seed)
        self.readers = len(np.unique(some.users))
        self.pairs: list[tuple[Ratings, Validation]] = []
        for fold in range(config.fold_count(len(ratings.users))):
            held = holdout(some, VALIDATION_FRACTION, config.seed + fold, by_time=False)
            part = some.select(~held)
            self.pairs.append((part, Validation(part, some.select(held))))


def _sampled(ratings: Ratings, seed: int) -> Ratings:
    count = len(ratings.users)
    if count <= TUNING_ENTRIES:
        return ratings
    readers = sample_readers(ratings, int(len(np.unique(ratings.users)) * TUNING_ENTRIES / count), seed)
    return ratings.select(np.isin(ratings.users, readers))


def tune(family: Family, parts: Parts) -> Choice:
    """Return the hyperparameters with the greatest mean NDCG@10 on validation; of equal ones the first."""

    def figures(grid: Sequence[Options]) -> Mapping[Key, float]:
        by_options: dict[Key, list[float]] = {key(options): [] for options in grid}
        for part, validation in parts.pairs:
            for options, baseline in family.fits(part, grid):
                by_options[key(options)].append(mean_ndcg(baseline, validation))
        return {which: float(np.mean(values)) if values else float("nan") for which, values in by_options.items()}

    return search(family.name, family.stages, figures, "ndcg", parts.readers)


def search(
    name: str,
    stages: Stages,
    figures: Callable[[Sequence[Options]], Mapping[Key, float]],
    measure: str,
    readers: int,
) -> Choice:
    """Return the best options by ``figures``, which are looked at stage by stage.

    Args:
        name: for the log.
        stages: what is tried.
        figures: from options to each one's figure, by ``key`` of the options.
        measure: ``ndcg`` or ``rmse``; the least error is the best.
        readers: for the result.
    """
    began, sign = time.monotonic(), -1 if measure == "rmse" else 1
    best, known = defaults(stages), dict[Key, float]()
    for stage in stages:
        grid = [{**best, **options} for options in combinations(stage)]
        new = [options for options in grid if key(options) not in known]
        known |= figures(new) if new else {}
        best = max(grid, key=lambda options: np.nan_to_num(sign * known[key(options)], nan=-np.inf))
    seconds = time.monotonic() - began
    figure, tried = known.get(key(best), float("nan")), len(known)
    log.info("%s: %d tried in %.1f s: %s, validation's %s %.4f", name, tried, seconds, best, measure, figure)
    return Choice(best, measure, figure, tried, seconds, readers)


def defaults(stages: Stages) -> dict[str, float]:
    """Return the first value of every option; of an option in several stages, its value in the first."""
    return {name: values[0] for stage in reversed(stages) for name, values in stage.items()}


def combinations(stage: Mapping[str, Sequence[float]]) -> Iterator[dict[str, float]]:
    """Yield every combination of a stage's values, the defaults first."""
    for values in itertools.product(*stage.values()):
        yield dict(zip(stage, values, strict=True))


def mean_ndcg(baseline: Baseline, validation: Validation) -> float:
    """Return the mean NDCG@10 of a fitted model; NaN if no reader has a held-out entry."""
    figures: list[float] = []
    for rows in validation.blocks():
        scores = np.array(baseline.scores(validation.shelves[rows]), np.float32)
        figures += validation.figures(rows, scores)
    return float(np.mean(figures)) if figures else float("nan")


def key(options: Options) -> Key:
    """Return what tells these options from others."""
    return tuple(sorted(options.items()))
