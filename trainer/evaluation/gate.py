"""The gate: decides whether a model is good enough to replace the live one, and gives its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test

from trainer.metrics import interval

METRIC = "ndcg"

LEVEL, DRAWS, DRAWS_AT_A_TIME = 0.025, 999, 50
"""The level of the one-sided test; its random draws; how many of them, times the readers, are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision and its reason."""

    passed: bool
    reason: str

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"passed": self.passed, "reason": self.reason}


def judge(
    model: Sequence[Mapping[str, float]],
    baselines: Mapping[str, Sequence[Mapping[str, float]]],
    seed: int,
) -> Verdict:
    """Return whether a model may be published: it must not lose to any baseline beyond noise.

    The difference in NDCG@10 is taken reader by reader; the model loses if a randomisation test says at level 2.5%
    that the mean difference is below 0. The test is valid with any number of readers: where only five differ at all,
    none has lost. A bootstrap interval is too narrow then, and is shown for people alone.
    Source: Smucker, Allan and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation" (CIKM 2007).

    Args:
        model: each reader's metrics.
        baselines: by name (``popularity``, and ``the live model`` if there is one), the same readers' metrics.
        seed: seed of the random draws.
    """
    won = []
    for name, rows in baselines.items():
        pairs = [(m[METRIC], p[METRIC]) for m, p in zip(model, rows, strict=True) if METRIC in m and METRIC in p]
        if not pairs:
            won.append(f"no held-out readers to compare with {name}")
            continue
        ours, theirs = np.array(pairs, np.float64).T
        low, high = interval(ours - theirs, seed)
        figures = f"NDCG@10 {ours.mean():.4f} against {theirs.mean():.4f}, difference {low:+.4f} to {high:+.4f}"
        if _is_less(ours - theirs, seed):
            return Verdict(False, f"it loses to {name} on {len(pairs)} held-out readers: {figures}")
        won.append(f"not worse than {name} ({figures})")
    return Verdict(True, "; ".join(won))


def _is_less(differences: npt.NDArray[np.float64], seed: int) -> bool:
    changed = differences[differences != 0]  # the signs of zeros say nothing; fewer than ten are tested exactly
    if len(changed) < 2:
        return False
    test = permutation_test(
        (changed,),
        np.mean,
        permutation_type="samples",
        alternative="less",
        n_resamples=DRAWS,
        batch=DRAWS_AT_A_TIME,
        rng=seed,
    )
    return bool(test.pvalue <= LEVEL)
