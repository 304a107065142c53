"""The strength of diversity: the greatest that surely loses next to nothing of NDCG@10 on held-out entries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from bookrec.ranking import Candidate
from bookrec.recommender import UNKNOWN
from bookrec.reordering.diversity import Kin, diversified
from trainer.metrics import CUTOFF, ndcg
from trainer.model.validation import Validation
from trainer.serving.batch.scoring import Scorer
from trainer.serving.item_item import ServingModel

MOST_LOST = 0.005
"""So much of NDCG@10 may be lost."""

SURE = 1.645
"""Deviations of a mean from its 95% bound on one side."""

MINIMUM_READERS = 20
"""Fewer readers are no evidence that nothing is lost."""

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

Ranked = tuple[int, list[Candidate], frozenset[int]]
"""A reader, the candidates, whose ISBNs are their indices, and the held-out books."""


Judged = tuple[ServingModel, Validation, Collection[int] | None]


def choose(judged: Sequence[Judged], strengths: Sequence[float]) -> tuple[float, dict[str, dict[str, float]]]:
    """Return a strength, and for each one the share of NDCG@10 that it keeps (``kept``) and its bound (``least``).

    Strengths are tried in ascending order until one may lose more than ``MOST_LOST``: the lower 95% bound of the mean
    over readers of NDCG@10 − (1 − ``MOST_LOST``) · NDCG@10 without diversity is then below 0. Since each is tested only
    if all smaller ones passed, one that loses too much is chosen in at most 5% of all cases. Source: Maurer, Hothorn
    and Lehmacher, "Multiple comparisons in drug clinical trials" (1995), on tests in a fixed order.

    Args:
        judged: models, the entries that they were not fitted to, and the readers who are ranked by them, None for all.
        strengths: ascending after 0.
    """
    # Rows of NDCG@10 by strength: folds share readers, who count once.
    of_readers: dict[int, list[list[float]]] = {}
    kin = _kin(judged[0][0]) if judged else {}
    if not kin:
        return 0.0, {}
    for serving, validation, readers in judged:
        for reader, candidates, wanted in _ranked(serving, validation, readers):
            row = [_figure(candidates, kin, strength, wanted) for strength in strengths]
            of_readers.setdefault(reader, []).append(row)
    figures = np.array([np.mean(rows, axis=0) for rows in of_readers.values()])
    if len(figures) < MINIMUM_READERS or not figures[:, 0].any():
        return 0.0, {}
    plain, shares = figures[:, 0], dict[str, dict[str, float]]()
    passed = []
    for strength, of_strength in zip(strengths, figures.T, strict=True):
        left = of_strength - (1 - MOST_LOST) * plain
        bound = left.mean() - SURE * left.std(ddof=1) / np.sqrt(len(left))
        passed.append(bool(bound >= 0))
        kept, least = of_strength.mean() / plain.mean(), 1 - MOST_LOST + bound / plain.mean()
        shares[f"{strength:g}"] = {"kept": float(kept), "least": float(least)}
    first_failed = passed.index(False) if False in passed else len(passed)
    return strengths[max(first_failed - 1, 0)], shares


def _kin(serving: ServingModel) -> dict[str, Kin]:
    """Return the kin of the model's books, with their indices in place of the ISBNs."""
    diversity = replace(serving, diversity=1.0).items.diversity
    return diversity.kin(map(_name, range(len(serving.isbns))))


def _name(index: int) -> str:
    """Return an ISBN for an index, in the same order."""
    return f"{index:09}"


def _ranked(serving: ServingModel, validation: Validation, wanted_readers: Collection[int] | None) -> Iterator[Ranked]:
    scorer, of_size = Scorer(serving), dict[int, list[tuple[int, Ints, Floats, frozenset[int]]]]()
    for one in validation.readers():
        if len(one[1]) and (wanted_readers is None or one[0] in wanted_readers):
            of_size.setdefault(len(one[1]), []).append(one)
    for readers in of_size.values():
        answer = scorer.recommend(np.stack([one[1] for one in readers]), np.stack([one[2] for one in readers]))
        for (reader, _, _, wanted), indices, scores in zip(readers, answer["indices"], answer["scores"], strict=True):
            pairs = zip(indices.tolist(), scores.tolist(), strict=True)
            candidates = [
                Candidate(_name(index), score, None, "personal") for index, score in pairs if index != UNKNOWN
            ]
            yield reader, candidates, wanted


def _figure(candidates: Sequence[Candidate], kin: dict[str, Kin], strength: float, wanted: frozenset[int]) -> float:
    first = islice(diversified(candidates, kin, strength), CUTOFF)
    return ndcg(np.array([int(candidate.isbn) for candidate in first], np.int32), wanted)
