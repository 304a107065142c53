"""The gate: decides whether a model is good enough to replace the live one, and gives its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.metrics import interval

METRIC = "ndcg"


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

    The difference in NDCG@10 is taken reader by reader; the model loses if the whole 95% interval of the mean
    difference is below 0.

    Args:
        model: each reader's metrics.
        baselines: by name (``popularity``, and ``the live model`` if there is one), the same readers' metrics.
        seed: seed of the bootstrap.
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
        if high < 0:
            return Verdict(False, f"it loses to {name} on {len(pairs)} held-out readers: {figures}")
        won.append(f"not worse than {name} ({figures})")
    return Verdict(True, "; ".join(won))
