"""The simulated week: with fatigue readers see more books, and the same seed gives the same week."""

import numpy as np
import pandas as pd

from benchmarks import fatigue
from benchmarks.fatigue import run, week


def frames():
    rng = np.random.default_rng(1)
    rows = [(f"u{user}", f"b{book:03}") for user in range(40) for book in rng.permutation(60)[:20]]
    frame = pd.DataFrame(rows, columns=["userId", "isbn"])
    is_test = np.arange(len(frame)) % 5 == 0
    return frame[~is_test].reset_index(drop=True), frame[is_test].reset_index(drop=True)


def test_a_strong_fatigue_shows_more_books_than_none():
    rows = run(*frames(), readers=10, seed=1)
    assert [row["half_life"] for row in rows] == list(fatigue.HALF_LIVES)
    assert rows[-1]["distinct"] > rows[0]["distinct"]
    assert all(row["readers"] == 10 for row in rows)


def test_a_week_repeats():
    weights = fatigue.ease(np.array([(0, 0), (0, 1), (1, 1), (1, 2)]), 2, 30)
    assert week(weights, [0], [2, 5], 1, 7) == week(weights, [0], [2, 5], 1, 7)
