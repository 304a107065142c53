"""The strength of diversity: the greatest that surely loses next to nothing of NDCG@10 on held-out entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def choose(by_fold: Sequence[tuple[ServingModel, Validation]], strengths: Sequence[float]) -> tuple[float, list[float]]:
    """Return a strength, and for each of ``strengths`` that was tried the share of NDCG@10 that it keeps.

    Strengths are tried in ascending order until one may lose more than ``MOST_LOST``: the lower 95% bound of the mean
    over readers of NDCG@10 − (1 − ``MOST_LOST``) · NDCG@10 without diversity is then below 0. Since each is tested only
    if all smaller ones passed, one that loses too much is chosen in at most 5% of all cases. Source: Maurer, Hothorn
    and Lehmacher, "Multiple comparisons in drug clinical trials" (1995), on tests in a fixed order.

    The reranker was trained on the same entries, so it ranks them a little too well: diversity seems to cost more than
    it does.

    Args:
        by_fold: of each fold the model, and the entries that it was not fitted to.
        strengths: ascending after 0.
    """
    # Rows of NDCG@10 by strength, by fold and reader: folds share readers, who count once.
    of_readers: dict[int, list[list[float]]] = {}
    kin = _kin(by_fold[0][0])
    if not kin:
        return 0.0, []
    for serving, validation in by_fold:
        for reader, candidates, wanted in _ranked(serving, validation):
            row = [_figure(candidates, kin, strength, wanted) for strength in strengths]
            of_readers.setdefault(reader, []).append(row)
    if len(of_readers) < MINIMUM_READERS:
        return 0.0, []
    figures = np.array([np.mean(rows, axis=0) for rows in of_readers.values()])
    plain = figures[:, 0]
    if not plain.any():
        return 0.0, []
    chosen, kept = 0.0, []
    for strength, of_strength in zip(strengths, figures.T, strict=True):
        kept.append(float(of_strength.mean() / plain.mean()))
        left = of_strength - (1 - MOST_LOST) * plain
        if left.mean() - SURE * left.std(ddof=1) / np.sqrt(len(left)) < 0:
            break
        chosen = strength
    return chosen, kept


def _kin(serving: ServingModel) -> dict[str, Kin]:
    """Return the kin of the model's books, with their indices in place of the ISBNs."""
    diversity = replace(serving, diversity=1.0).items.diversity
    return diversity.kin(map(str, range(len(serving.isbns))))


def _ranked(serving: ServingModel, validation: Validation) -> Iterator[Ranked]:
    scorer, of_size = Scorer(serving), dict[int, list[tuple[int, Ints, Floats, frozenset[int]]]]()
    for one in validation.readers():
        if len(one[1]):
            of_size.setdefault(len(one[1]), []).append(one)
    for readers in of_size.values():
        answer = scorer.recommend(np.stack([one[1] for one in readers]), np.stack([one[2] for one in readers]))
        for (reader, _, _, wanted), indices, scores in zip(readers, answer["indices"], answer["scores"], strict=True):
            pairs = zip(indices.tolist(), scores.tolist(), strict=True)
            candidates = [Candidate(str(index), score, None, "personal") for index, score in pairs if index != UNKNOWN]
            yield reader, candidates, wanted


def _figure(candidates: Sequence[Candidate], kin: dict[str, Kin], strength: float, wanted: frozenset[int]) -> float:
    first = islice(diversified(candidates, kin, strength), CUTOFF)
    return ndcg(np.array([int(candidate.isbn) for candidate in first], np.int32), wanted)
