"""``python -m benchmarks.similar``: similar books compared with item-kNN, and the choice of the popularity's weight.

A pair is a book on a reader's shelf and a book of the same reader that was held out. It is a hit if the second is among
the ten books most similar to the first. The hit rate alone would choose ever more popular books, so it is shown with
the share of places that the 100 most popular books take, and the share of the catalogue that is similar to anything.
Choices are made on a part of the training rows (``--choose``); without it, the test rows are held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from benchmarks.data import Frames, keep, quality_sets
from bookrec.ranking import LIST_SIZE
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.data.dataset import Ratings
from trainer.evaluation.ranking_baselines import Baseline, item_knn
from trainer.model.fit import fit
from trainer.serving.item_item import SIMILAR_POPULARITY, ServingModel

SETS = ("dev1k_0_whole", "dev1k_1_whole", "devml", "dev100k", "dev380k")
PART = 0.25
"""Of the readers of the largest set."""

HELD_OUT = 0.2
WEIGHTS = (0.0, 0.2, 0.3, 0.35, 0.4, 0.5, 0.7)
SHRINKS = (0, 10, 50, 200)
MOST_PAIRS, MOST_BOOKS, BLOCK, TOP = 100_000, 3_000, 256, 100

Row = dict[str, Any]
Ints = npt.NDArray[np.int64]
Scores = Callable[[Ints], npt.NDArray[np.float32]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similar", description=__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"run only these; all are {', '.join(SETS)}")
    parser.add_argument("--choose", action="store_true", help="hold out training rows, and compare all weights")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    known = quality_sets()
    names = arguments.sets or list(SETS)
    if unknown := sorted(set(names) - known.keys()):
        parser.error(f"unknown set {', '.join(unknown)}: choose from {', '.join(known)}")
    figures = {}
    for name in names:
        figures[name] = measure(_part(known[name].read(), name, arguments.seed), arguments.choose, arguments.seed)
        show(name, figures[name])
    keep("similar", {"seed": arguments.seed, "choose": arguments.choose, "sets": figures, "targets": []})


def _part(frames: Frames, name: str, seed: int) -> Frames:
    """Return all of a set, or a part of the largest one's readers."""
    train, test, books = frames
    if name != "dev380k":
        return frames
    readers = np.sort(train["userId"].unique())
    kept = np.random.default_rng(seed).choice(readers, int(PART * len(readers)), replace=False)
    train, test = (rows[rows["userId"].isin(set(kept))].reset_index(drop=True) for rows in (train, test))
    return train, test, books


def measure(frames: Frames, is_choice: bool, seed: int) -> Mapping[str, Row]:
    """Return the figures by method: for books with entries, and for unrated ones, as far as there are pairs."""
    train, test, books = frames
    rows = [dataset.clean(frame, foreign=True)[0] for frame in (train, test)]
    whole = dataset.build(rows[0] if is_choice else pd.concat(rows, ignore_index=True), books, foreign=True)
    if is_choice:
        held = dataset.holdout(whole, HELD_OUT, seed)
    else:
        known = set(zip(rows[0]["userId"], rows[0]["isbn"], strict=True))
        pairs = zip(whole.users.tolist(), whole.items.tolist(), strict=True)
        held = np.array([(whole.user_ids[u], whole.isbns[i]) not in known for u, i in pairs], bool)
    model = fit(whole.select(~held), books, DEFAULTS).serving
    return compare(model, whole.select(~held), whole.select(held), is_choice, seed)


def compare(model: ServingModel, train: Ratings, held: Ratings, is_choice: bool, seed: int) -> Mapping[str, Row]:
    """Return the figures of a fitted model and of item-kNN."""
    methods: dict[str, Scores] = {}
    for weight in WEIGHTS if is_choice else (SIMILAR_POPULARITY,):
        methods[f"cosine + {weight} popularity"] = partial(model.similarities, weight=weight)
    options = [{"k": len(train.isbns) - 1, "shrink": shrink} for shrink in SHRINKS]
    for chosen, knn in item_knn(train, options):
        methods[f"item-kNN, shrink {chosen['shrink']}"] = partial(_alone, knn, len(train.isbns))
    shelves, targets = _pairs(train, held, seed)
    is_known = model.is_rated[shelves]
    # The other way round, an unrated book is the one that was held out.
    unrated = ~model.is_rated[targets]
    asked = {"rated": (shelves[is_known], targets[is_known]), "unrated": (targets[unrated], shelves[unrated])}
    popular = np.zeros(len(model.isbns), bool)
    popular[np.argsort(-model.popularity, kind="stable")[:TOP]] = True
    return {
        f"{kind}: {name}": _figures(scores, *pair, popular, seed)
        for kind, pair in asked.items()
        if len(pair[0])
        for name, scores in methods.items()
    }


def _alone(baseline: Baseline, count: int, books: Ints) -> npt.NDArray[np.float32]:
    """Return a baseline's scores for shelves of one book each, float32 [books, count]."""
    places = (np.ones(len(books), np.float32), (np.arange(len(books)), books))
    return baseline.scores(sp.csr_matrix(places, shape=(len(books), count)))


def _pairs(train: Ratings, held: Ratings, seed: int) -> tuple[Ints, Ints]:
    """Return books on shelves, and the held-out ones of the same readers: all pairs, or ``MOST_PAIRS`` of them."""
    before, after = train.matrix(), held.matrix()
    shelves, targets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for reader in range(before.shape[0]):
        of_shelf, later = (matrix[reader].indices.astype(np.int64) for matrix in (before, after))
        shelves.append(np.repeat(of_shelf, len(later)))
        targets.append(np.tile(later, len(of_shelf)))
    pairs = np.concatenate(shelves), np.concatenate(targets)
    if len(pairs[0]) <= MOST_PAIRS:
        return pairs
    chosen = np.random.default_rng(seed).choice(len(pairs[0]), MOST_PAIRS, replace=False)
    return pairs[0][chosen], pairs[1][chosen]


def _figures(scores: Scores, books: Ints, targets: Ints, popular: npt.NDArray[np.bool_], seed: int) -> Row:
    """Return the hit rate with its standard error, and how concentrated the similar books are."""
    asked = np.unique(books)
    if len(asked) > MOST_BOOKS:
        asked = np.sort(np.random.default_rng(seed).choice(asked, MOST_BOOKS, replace=False))
        kept = np.isin(books, asked)
        books, targets = books[kept], targets[kept]
    near = np.concatenate([_nearest(scores, asked[at : at + BLOCK]) for at in range(0, len(asked), BLOCK)])
    hits = (near[np.searchsorted(asked, books)] == targets[:, None]).any(axis=1)
    there = near[near >= 0]
    return {
        "pairs": len(books),
        "hit_rate": float(hits.mean()),
        "standard_error": float(hits.std() / np.sqrt(len(hits))),
        "popular_share": float(popular[there].mean()) if len(there) else 0.0,
        "coverage": len(np.unique(there)) / len(popular),
    }


def _nearest(scores: Scores, books: Ints) -> Ints:
    """Return the ten best of each, int64 [books, 10], −1 where there is none: a score of 0 or below is not similar."""
    values = np.array(scores(books), np.float32)
    values[np.arange(len(books)), books] = -np.inf
    best = np.argpartition(-values, LIST_SIZE, axis=1)[:, :LIST_SIZE].astype(np.int64)
    best[np.take_along_axis(values, best, axis=1) <= 0] = -1
    return best


def show(name: str, figures: Mapping[str, Row]) -> None:
    """Print a set's figures."""
    print(f"\n{name}{'hit rate':>52}{'± error':>10}{'top 100':>9}{'coverage':>10}{'pairs':>9}")
    for method, row in figures.items():
        numbers: Sequence[str] = (
            f"{row['hit_rate']:>13.4f}",
            f"{row['standard_error']:>10.4f}",
            f"{row['popular_share']:>9.3f}",
            f"{row['coverage']:>10.3f}",
            f"{row['pairs']:>9,}",
        )
        print(f"{method:<44}{''.join(numbers)}", flush=True)


if __name__ == "__main__":
    main()
