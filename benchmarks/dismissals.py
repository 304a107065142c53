"""Weak negatives in a simulation: what lists gain if books like the dismissed ones lose some score.

Real ratings have no dismissals. So a reader's books with at most ``BAD`` stars in the training rows count as dismissed,
and the others are the shelf. What is wanted are the held-out books with at least ``GOOD`` stars. The strength is chosen
on one half of the readers, and its gain is reported on the other half.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import LARGE, SMALL, catalogue_of, keep, read_split
from benchmarks.diversity import ndcg_of
from bookrec.catalogue import Catalogue
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL
from bookrec.ranking import Candidate, top_list
from bookrec.recommender import Recommender
from bookrec.reordering.dismissals import lowered
from bookrec.shelf import Shelf
from trainer.config import DEFAULTS, Config
from trainer.data.dataset import build, clean, shelves_of
from trainer.metrics import interval
from trainer.model.fit import fit
from trainer.serving import tflite

BAD, GOOD = 2.0, 4.0
"""Stars up to which a book counts as dismissed, and from which it is wanted."""

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
"""What validation chooses from."""

FEW = 1_000
"""Readers of a quick benchmark."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader with dismissals: the candidates of the shelf, and what is wanted."""

    shelf: Shelf
    candidates: Sequence[Candidate]
    disliked: Sequence[Candidate]
    wanted: frozenset[str]


QUICK = replace(
    DEFAULTS,
    folds=1,
    shares=(0.0,),
    embedding_dims=(("batch", 16),),
    epochs=1,
    reranker_epochs=(0, 2),
    reranker_folds=2,
)
"""Options that fit a worse model soon."""


def readers_of(name: str, config: Config, folder: Path | None) -> tuple[list[Reader], Catalogue]:
    """Return the readers of a set who have both dismissals and wanted books, with the candidates of a fitted model.

    Args:
        folder: has the files of a model that was fitted to the set's training rows; None to fit one now.
    """
    train, test, books = read_split(name)
    ratings = build(clean(train)[0], books)
    if folder is None:
        files = tflite.export(fit(ratings, books, config).serving)
    else:
        files = {name: (folder / name).read_bytes() for name in (RECOMMEND_MODEL, ITEMS)}
    model = tflite.load(files, "v")
    liked = test[test["myRate"].astype(float) >= GOOD].groupby("userId")["isbn"].agg(frozenset)
    readers = []
    for user_id, shelf in shelves_of(ratings).items():
        dismissed = tuple(sorted(isbn for isbn, stars in shelf.ratings.items() if 0 < stars <= BAD))
        kept = tuple(entry for entry in shelf.entries if entry.isbn not in dismissed)
        if dismissed and kept and user_id in liked:
            readers.append(_reader(model, Shelf(user_id, kept, dismissed), shelf, liked[user_id]))
    return readers, catalogue_of(books)


def _reader(model: Recommender, shelf: Shelf, whole: Shelf, wanted: frozenset[str]) -> Reader:
    gone = set(shelf.dismissed)
    candidates = [candidate for candidate in model.candidates(shelf) if candidate.isbn not in gone]
    disliked = Shelf(shelf.user_id, tuple(entry for entry in whole.entries if entry.isbn in gone))
    return Reader(shelf, candidates, model.candidates(disliked), wanted)


def ndcg(reader: Reader, candidates: Sequence[Candidate], catalogue: Catalogue) -> float:
    """Return NDCG@10 of the list that these candidates give."""
    return ndcg_of(top_list(reader.shelf, "v", candidates, (), catalogue).isbns, reader.wanted)


def by_model(reader: Reader, strength: float) -> Sequence[Candidate]:
    """Return the candidates, those that the model recommends for a shelf of the dismissed books with lower scores."""
    scores = np.array([candidate.score for candidate in reader.disliked])
    if not strength or len(scores) < 2 or len(reader.candidates) < 2:
        return reader.candidates
    unit = strength * float(np.std([candidate.score for candidate in reader.candidates]))
    ranks = {candidate.isbn: 1 - place / len(scores) for place, candidate in enumerate(reader.disliked)}
    return [replace(one, score=one.score - unit * ranks.get(one.isbn, 0.0)) for one in reader.candidates]


def measure(name: str, seed: int, quick: bool, folder: Path | None = None) -> dict[str, Any]:
    """Return the figures of one set: NDCG@10 by way and strength on the half that chooses, and on the other half."""
    began = time.perf_counter()
    readers, catalogue = readers_of(name, QUICK if quick else DEFAULTS, folder)
    order = np.random.default_rng(seed).permutation(len(readers))[: FEW if quick else None]
    halves = {"chosen on": order[0::2], "reported on": order[1::2]}
    ways: Mapping[str, Callable[[Reader, float], Sequence[Candidate]]] = {
        "author": lambda reader, strength: lowered(reader.candidates, reader.shelf, catalogue, strength),
        "model": by_model,
    }
    figures: dict[str, Any] = {}
    for way, lower in ways.items():
        each = {s: np.array([ndcg(one, lower(one, s), catalogue) for one in readers]) for s in STRENGTHS}
        by_half = {half: {str(s): float(each[s][rows].mean()) for s in STRENGTHS} for half, rows in halves.items()}
        best = max(STRENGTHS, key=lambda s: (by_half["chosen on"][str(s)], -s))
        gains = each[best][halves["reported on"]] - each[0.0][halves["reported on"]]
        figures[way] = {**by_half, "strength": best, "gain": float(gains.mean()), "interval": interval(gains, seed)}
    counts = {"readers": len(order), "dismissals": float(np.mean([len(one.shelf.dismissed) for one in readers]))}
    return {"set": name, "seed": seed, **counts, "ways": figures, "seconds": time.perf_counter() - began}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dismissals", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--quick", action="store_true", help="a small set of ratings, and a worse model")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a model of these training rows; default: fit one")
    arguments = parser.parse_args()
    figures = measure(SMALL[0] if arguments.quick else LARGE, arguments.seed, arguments.quick, arguments.model)
    keep("dismissals", figures)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
