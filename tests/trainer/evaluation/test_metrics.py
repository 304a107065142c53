"""Metrics, against a hand calculation."""

import numpy as np
import pytest
import scipy.sparse as sp

from trainer.data.dataset import Ratings
from trainer.metrics import gini, list_metrics, rmse, user_metrics


def test_metrics_of_a_known_ranking():
    metrics = user_metrics(np.array([7, 3, 9, 1]), relevant={3, 1, 50}, liked={1})
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert metrics["ndcg"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["mrr"] == 0.5
    assert metrics["ndcg_liked"] == pytest.approx(1 / np.log2(5))
    assert (metrics["top_1_accuracy"], metrics["top_5_accuracy"]) == (0, pytest.approx(2 / 3))
    assert rmse([9.0, 0.0], [4.0, 0.5]) == pytest.approx(np.sqrt(0.5))


def test_ndcg_on_rated_books_ignores_all_others():
    ranked = np.array([7, 3, 9, 1])
    metrics = user_metrics(ranked, relevant={3, 1, 50}, liked=set(), rated={3, 9, 1})
    alone = user_metrics(np.array([3, 9, 1]), relevant={3, 1}, liked=set())
    assert metrics["ndcg_rated"] == alone["ndcg"] > metrics["ndcg"]
    assert "ndcg_rated" not in user_metrics(ranked, relevant={50}, liked=set(), rated={3, 9, 1})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([3, 3, 3, 3], 0.0), ([0, 0, 0, 8], 1.0), ([1, 0, 0, 1], 2 / 3), ([0, 0], 0.0), ([5], 0.0)],
)
def test_the_gini_index_goes_from_equal_use_to_one_book_alone(counts, expected):
    assert gini(np.array(counts)) == pytest.approx(expected)


@pytest.fixture
def train():
    """Four books: the first is on two shelves, the second and third on one, and nobody has the last."""
    users, items = np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 2], np.int32)
    return Ratings(("u", "v"), ("a", "b", "c", "d"), users, items, np.ones(4, np.float32), np.full(4, -1))


def test_figures_of_the_lists_against_a_hand_calculation(train):
    # Cosines: a and b .6, a and d 0, b and d .8; c has no metadata.
    features = sp.csr_matrix(np.array([[1, 0], [0.6, 0.8], [0, 0], [0, 1]], np.float32))
    metrics = list_metrics(train, [["b", "d"], ["a", "b", "d"], ["c", "a"]], features)
    assert metrics["coverage"] == 1
    assert metrics["gini"] == pytest.approx(gini(np.array([2, 2, 1, 2])))
    assert metrics["unrated_share"] == pytest.approx(2 / 7)
    assert metrics["popular_share"] == pytest.approx(2 / 7)
    assert metrics["list_distance"] == pytest.approx(np.mean([0.2, (0.4 + 1 + 0.2) / 3]))


def test_without_metadata_there_is_no_distance_and_without_lists_nothing_is_covered(train):
    empty = sp.csr_matrix((4, 1), dtype=np.float32)
    assert "list_distance" not in list_metrics(train, [["a", "b"]], empty)
    assert "list_distance" not in list_metrics(train, [["a", "b"]])
    none = list_metrics(train, [])
    assert none == {"coverage": 0, "gini": 0, "unrated_share": 0, "popular_share": 0}
