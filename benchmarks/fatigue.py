"""Fatigue in a simulated week: how many books a reader is shown, and how many of those are taken.

``python -m benchmarks.fatigue`` runs readers of dev100k against their own held-out books, with the formula and the
memory that the functions use, and lists from an EASE model: the question is the order, not the model.

The week. A reader has some sessions a day. In each, the list is shown. The reader looks at place p with the probability
1 / log2(p + 1); a held-out book that is looked at is taken with the probability ``TAKES``. With the probability
``ELSEWHERE``, the reader also shelves a held-out book found elsewhere. The list is made again if the shelf has changed,
and once a day, as after a publish. A list that stays the same is shown again, but counts as one showing, as in the
rules. All half-lives have the same readers and the same random numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.data import keep, read_split
from bookrec.ranking import LIST_SIZE, Candidate, by_score
from bookrec.reordering.fatigue import reorder
from bookrec.usage.showings import Seen, Showing, after

HALF_LIVES = (0, 20, 10, 5, 3, 1)
DAYS, SESSIONS = 7, 4
TAKES, ELSEWHERE = 0.5, 0.2
CANDIDATES = 100
REGULARISATION = 300.0
DAY_MS = 86_400_000
Floats = npt.NDArray[np.float32]


def ease(entries: npt.NDArray[np.int64], readers: int, books: int) -> Floats:
    """Return EASE's item-item weights [books, books]. Source: Steck, "Embarrassingly Shallow Autoencoders" (2019).

    Args:
        entries: rows of reader and book.
    """
    shelves = np.zeros((readers, books), np.float32)
    shelves[entries[:, 0], entries[:, 1]] = 1
    inverse = np.linalg.inv(shelves.T @ shelves + REGULARISATION * np.eye(books, dtype=np.float32))
    weights: Floats = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights


@dataclass
class Week:
    """One reader's week.

    Attributes:
        distinct: the books that were shown.
        shown: how many books were shown in all sessions.
        taken: how many books were taken from lists.
    """

    distinct: set[int] = field(default_factory=set)
    shown: int = 0
    taken: int = 0


def week(weights: Floats, shelf: Sequence[int], wanted: Sequence[int], half_life: float, seed: int) -> Week:
    """Return a reader's week.

    Args:
        wanted: the held-out books.
    """
    rng, result, seen = np.random.default_rng(seed), Week(), Seen()
    listed, last = list[int](), list[int]()
    left, scores, owned = set(wanted), weights[list(shelf)].sum(axis=0), set(shelf)
    for day in range(DAYS):
        listed = []
        for session in range(SESSIONS):
            at = (day * SESSIONS + session + 1) * DAY_MS // SESSIONS
            if not listed:
                listed = _list(scores, owned, seen, half_life)
                if listed != last:
                    seen = after(seen, Showing("list", at), "v", [f"{book:05}" for book in listed]) or seen
                last = listed
            result.distinct.update(listed)
            result.shown += len(listed)
            looks, takes = rng.random(LIST_SIZE), rng.random(LIST_SIZE)
            chance, which = rng.random(2)
            places = 1 / np.log2(np.arange(len(listed)) + 2)
            taken = [
                book for n, book in enumerate(listed) if book in left and looks[n] < places[n] and takes[n] < TAKES
            ]
            result.taken += len(taken)
            others = sorted(left - set(taken))
            elsewhere = [others[int(which * len(others))]] if others and chance < ELSEWHERE else []
            for book in (*taken, *elsewhere):
                left.discard(book)
                owned.add(book)
                scores = scores + weights[book]
                listed = []
    return result


def _list(scores: Floats, owned: set[int], seen: Seen, half_life: float) -> list[int]:
    free = scores.copy()
    free[list(owned)] = -np.inf
    best = np.argsort(-free, kind="stable")[:CANDIDATES]
    candidates = [Candidate(f"{book:05}", float(free[book]), None, "personal") for book in best]
    return [int(book.isbn) for book in by_score(reorder(candidates, seen.books, half_life))[:LIST_SIZE]]


def run(train: pd.DataFrame, test: pd.DataFrame, readers: int, seed: int) -> list[dict[str, Any]]:
    """Return a row of figures for each half-life; differences are those to no fatigue, with their standard errors."""
    books = {isbn: number for number, isbn in enumerate(sorted({*train["isbn"], *test["isbn"]}))}
    people = {user: number for number, user in enumerate(sorted(train["userId"].unique()))}
    entries = np.column_stack([train["userId"].map(people), train["isbn"].map(books)])
    weights = ease(entries, len(people), len(books))
    shelves, wanted = (_by_reader(frame, books) for frame in (train, test))
    chosen = np.random.default_rng(seed).permutation(sorted(shelves.keys() & wanted.keys()))[:readers]
    rows: list[dict[str, Any]] = []
    base: npt.NDArray[np.float64] | None = None
    for half_life in HALF_LIVES:
        weeks = [week(weights, shelves[user], wanted[user], half_life, seed + n) for n, user in enumerate(chosen)]
        figures = np.array([(len(one.distinct), one.taken, one.shown) for one in weeks], float)
        base = figures if base is None else base
        difference = figures[:, 1] - base[:, 1]
        rows.append({
            "half_life": half_life,
            "readers": len(weeks),
            "distinct": round(float(figures[:, 0].mean()), 2),
            "taken": round(float(figures[:, 1].mean()), 3),
            "hit_rate": round(float(figures[:, 1].sum() / figures[:, 2].sum()), 5),
            "taken_difference": round(float(difference.mean()), 3),
            "standard_error": round(float(difference.std(ddof=1) / np.sqrt(len(weeks))), 3),
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def _by_reader(frame: pd.DataFrame, books: Mapping[str, int]) -> dict[str, list[int]]:
    grouped = frame.groupby("userId")["isbn"]
    return {str(user): sorted({books[isbn] for isbn in isbns}) for user, isbns in grouped}


def main() -> int:
    """Run the benchmark and write ``out/bench/fatigue.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fatigue", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer readers")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    train, test, _ = read_split("dev100k")
    keep("fatigue", {"rows": run(train, test, 50 if arguments.quick else 500, arguments.seed), "targets": []})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
