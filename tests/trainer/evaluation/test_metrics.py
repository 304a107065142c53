"""Metrics, against a hand calculation."""

import numpy as np
import pytest

from trainer.metrics import rmse, user_metrics


def test_metrics_of_a_known_ranking():
    metrics = user_metrics(np.array([7, 3, 9, 1]), relevant={3, 1, 50}, liked={1})
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert metrics["ndcg"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["mrr"] == 0.5
    assert metrics["ndcg_liked"] == pytest.approx(1 / np.log2(5))
    assert (metrics["top_1_accuracy"], metrics["top_5_accuracy"]) == (0, pytest.approx(2 / 3))
    assert rmse([9.0, 0.0], [4.0, 0.5]) == pytest.approx(np.sqrt(0.5))
