"""``python -m benchmarks.diversity``: NDCG@10 against the distance within a list, and a simulated week of exploration.

A model is fitted to each set as a run fits it: the strength is chosen inside the training data. Then the same lists are
made with each strength and compared on the test rows. What was fitted is kept in out/diversity/SET, and taken from
there the next time. It writes out/diversity/SET.svg and out/bench/diversity.json, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.data import LARGE, OUT, SMALL, catalogue_of, keep, quality_sets
from bookrec.catalogue import Book, Catalogue
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL
from bookrec.ranking import LIST_SIZE, Candidate, top_list
from bookrec.recommender import Recommender
from bookrec.reordering.exploration import explored
from bookrec.shelf import Shelf
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.data.features import item_features
from trainer.evaluation import plots
from trainer.metrics import CUTOFF, interval, list_metrics, ndcg
from trainer.model.diversity import MOST_LOST
from trainer.model.fit import fit
from trainer.serving import tflite
from trainer.serving.item_item import FEW

FOLDER = OUT / "diversity"

SETS = (LARGE, *SMALL, "devml", "dev380k", "dev100k_whole")

DAYS = 7

EXPLORED = "exploration"

STRENGTHS = (*DEFAULTS.diversities, 1.0, 2.0)
"""Beyond those to choose from, to see where the curve goes."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of the test rows: the shelf, the model's candidates for it, and the books to be found."""

    shelf: Shelf
    candidates: Sequence[Candidate]
    wanted: frozenset[str]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diversity")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"run only these: {', '.join(SETS)}")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="of the training; the splits are fixed")
    parser.add_argument("--again", action="store_true", help="fit again what was fitted before")
    arguments = parser.parse_args()
    known = quality_sets()
    unknown = set(arguments.sets) - set(known)
    if unknown:
        parser.error(f"unknown set {', '.join(sorted(unknown))}: choose from {', '.join(SETS)}")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    figures: dict[str, Any] = {}
    for name in arguments.sets or SETS:
        figures[name] = _measure(name, known[name].read(), arguments.seed, arguments.again)
        (FOLDER / f"{name}.svg").write_text(plots.trade_off(figures[name]["curve"], figures[name]["strength"], name))
        keep("diversity", {"seed": arguments.seed, "most_lost": MOST_LOST, "few": FEW, "sets": figures})
        print("\n".join(_told(name, figures[name])), flush=True)
    print(f"\nwritten: {OUT}/bench/diversity.json, {FOLDER}/*.svg")
    return 0


def _measure(
    name: str, data: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None], seed: int, again: bool
) -> dict[str, Any]:
    train, test, books = data
    ratings = dataset.build(dataset.clean(train, foreign=True)[0], books, foreign=True)
    model, choice = _fitted(FOLDER / f"{name}_{seed}", ratings, books, seed, again)
    readers = _readers(model, ratings, test)
    features = item_features(ratings.isbns, books, DEFAULTS.features)
    curve: list[dict[str, Any]] = []
    plain = np.zeros(0)
    for strength in STRENGTHS if model.kin else (0.0,):
        own = replace(model, items=replace(model.items, diversity=replace(model.items.diversity, strength=strength)))
        lists = [[one.isbn for one in islice(own.diversified(reader.candidates), CUTOFF)] for reader in readers]
        ndcgs = _ndcgs(lists, readers)
        plain = plain if len(plain) else ndcgs
        low, high = interval(ndcgs - plain, seed)
        row = {"strength": strength, "ndcg": float(ndcgs.mean()), "kept": float(ndcgs.mean() / plain.mean())}
        curve.append({**row, "low": low, "high": high, **list_metrics(ratings, lists, features)})
    chosen = replace(model.items.diversity, strength=choice["strength"])
    served = replace(model, items=replace(model.items, diversity=chosen))
    return {
        "readers": len(readers),
        **choice,
        "curve": curve,
        "exploration": _week(served, readers, _catalogue(ratings, books)),
    }


def _fitted(
    folder: Path, ratings: dataset.Ratings, books: pd.DataFrame | None, seed: int, again: bool
) -> tuple[Recommender, dict[str, Any]]:
    """Return the model, with the kin of all books, and what validation chose; fitted now or before."""
    kept = folder / "choice.json"
    if again or not kept.exists():
        began = time.monotonic()
        trained = fit(ratings, books, replace(DEFAULTS, seed=seed))
        serving = replace(trained.serving, diversity=1.0)  # so that items.json has the kin in any case
        tflite.write(tflite.export(serving), folder)
        choice = {"strength": trained.choices.diversity, "validation": trained.choices.figures["diversities"]}
        kept.write_text(json.dumps(choice))
        print(f"{folder.name}: fitted in {time.monotonic() - began:.0f} s", flush=True)
    files = {name: (folder / name).read_bytes() for name in (RECOMMEND_MODEL, ITEMS)}
    return tflite.load(files, folder.name), json.loads(kept.read_text())


def _readers(model: Recommender, ratings: dataset.Ratings, test: pd.DataFrame) -> list[Reader]:
    shelves = dataset.shelves_of(ratings, set(test["userId"]))
    readers = []
    for user_id, group in test.groupby("userId", sort=True):
        shelf = shelves.get(str(user_id), Shelf(str(user_id), ()))
        wanted = frozenset(group["isbn"]) - shelf.ratings.keys()
        if wanted:
            readers.append(Reader(shelf, model.candidates(shelf), wanted))
    return readers


def _ndcgs(lists: Sequence[Sequence[str]], readers: Sequence[Reader]) -> npt.NDArray[np.float64]:
    return np.array([ndcg_of(isbns, reader.wanted) for isbns, reader in zip(lists, readers, strict=True)])


def ndcg_of(isbns: Sequence[str], wanted: Set[str]) -> float:
    """Return NDCG@10 of a list of books."""
    numbers = {isbn: number for number, isbn in enumerate({*isbns, *wanted})}
    return ndcg(np.array([numbers[isbn] for isbn in isbns], np.int32), {numbers[isbn] for isbn in wanted})


def _catalogue(ratings: dataset.Ratings, books: pd.DataFrame | None) -> Catalogue:
    if books is None:
        return Catalogue(Book(isbn, "", "", "") for isbn in ratings.isbns)
    return catalogue_of(books)


def _week(model: Recommender, readers: Sequence[Reader], catalogue: Catalogue) -> dict[str, Any]:
    """Let every reader get a new list on each of ``DAYS`` days, without and with exploration; shelves stay as they are.

    Returns:
        The number of rare books; the shares of them, and of all books, that any reader ever had on the list; NDCG@10,
        the mean over the days; how often the rare books were shown, and how often that would be with equal chances.
    """
    rare = model.rare
    plain = [
        top_list(one.shelf, model.version, model.in_order(one.shelf, one.candidates, catalogue), (), catalogue)
        for one in readers
    ]
    week = [[explored(made, rare, day, catalogue, lambda isbn: 0.0) for made in plain] for day in range(DAYS)]
    shown = Counter(made.isbns[-1] for day in week for made in day if made.items and made.items[-1].source == EXPLORED)
    ndcgs = [_ndcgs([made.isbns for made in lists], readers).mean() for lists in (plain, *week)]
    counts = np.array([shown[isbn] for isbn in rare])
    before, after = {i for made in plain for i in made.isbns}, {i for day in week for made in day for i in made.isbns}
    return {
        "books": len(catalogue),
        "rare": len(rare),
        "rare_shown": [len(before & set(rare)) / max(len(rare), 1), len(after & set(rare)) / max(len(rare), 1)],
        "books_shown": [len(before) / len(catalogue), len(after) / len(catalogue)],
        "expected_share": 1 - (1 - 1 / max(len(rare), 1)) ** int(counts.sum()),
        "ndcg": [float(ndcgs[0]), float(np.mean(ndcgs[1:]))],
        "shown": {"places": int(counts.sum()), "mean": float(counts.mean()), "variance": float(counts.var())},
        "full": float(np.mean([len(made.items) == LIST_SIZE for made in plain])),
    }


def _told(name: str, figures: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n== {name}, {figures['readers']} readers; chosen in validation: {figures['strength']}"
    heads = ("strength", "kept in validation", "at least", "NDCG@10", "kept", "distance", "coverage", "Gini")
    yield " ".join(f"{head:>{max(len(head), 8)}}" for head in heads)
    for row in figures["curve"]:
        judged = figures["validation"].get(f"{row['strength']:g}", {})
        cells = (judged.get("kept"), judged.get("least"), row["ndcg"], row["kept"], row.get("list_distance"))
        values = (row["strength"], *cells, row["coverage"], row["gini"])
        told = ("–" if value is None else f"{value:.4f}" for value in values)
        line = " ".join(f"{text:>{max(len(head), 8)}}" for head, text in zip(heads, told, strict=True))
        yield line + (" chosen" if row["strength"] == figures["strength"] else "")
    chosen = next(row for row in figures["curve"] if row["strength"] == figures["strength"])
    verdict = "met   " if chosen["kept"] >= 1 - MOST_LOST else "MISSED"
    yield f"{verdict} {name}: NDCG@10 kept on the test rows {chosen['kept']:.4f} (target {1 - MOST_LOST})"
    week = figures["exploration"]
    kept = week["ndcg"][1] / week["ndcg"][0] if week["ndcg"][0] else 1.0
    yield (
        f"a week of exploration by all readers: of {week['rare']} books with fewer than {FEW} entries, "
        f"{week['rare_shown'][0]:.1%} are shown without it and {week['rare_shown'][1]:.1%} with it (equal chances: "
        f"{week['expected_share']:.1%}); of all books {week['books_shown'][0]:.1%} and {week['books_shown'][1]:.1%}; "
        f"NDCG@10 {week['ndcg'][0]:.4f} and {week['ndcg'][1]:.4f} ({kept:.4f})"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
