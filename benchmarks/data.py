"""The real ratings that the benchmarks run on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bookrec.catalogue import Book, Catalogue
from trainer.data.files.formats import BOOKS, RATINGS
from trainer.data.files.reading import time_of
from trainer.data.files.table import Needed, read_table

DATA = Path(os.environ.get("BENCH_DATA") or Path(__file__).parents[2] / "shared" / "data" / "goodbooks")
"""A folder with ``books.csv`` and ``splits/NAME.train.csv`` and ``NAME.test.csv``; other sites' are in its siblings."""

OUT = Path("out")

SMALL = ("dev1k_0", "dev1k_1", "dev1k_2", "dev1k_3")
LARGE = "dev100k"

FEW, MANY = 500, 12_500
"""Catalogue sizes of the sets that are cut and enlarged."""

Frames = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]
"""The training rows, the test rows, and the catalogue or None."""


@dataclass(frozen=True, slots=True)
class Set:
    """One set of ratings with a catalogue.

    Attributes:
        name: its name on the command line.
        read: returns it.
        group: sets of one group share a target, which their mean has to reach.
        target: least NDCG@10, as a multiple of the best baseline's.
        aim: what is hoped for beyond the target; 0 for nothing.
        like: another group: NDCG@10 on rated books may be at most 1% below that group's; "" for none.
        biases: whether the RMSE may be at most the biases'.
        cold_target: least NDCG@10 of cold books among all ratings, training and test rows together, and that of the sum
            of cosines for the same books, where both were measured; the level differs between draws of the
            books by more than 5%, the ratio less. None for no target.
        with_notebook: whether the notebook's model is compared too.
    """

    name: str
    read: Callable[[], Frames]
    group: str
    target: float
    aim: float = 0.0
    like: str = ""
    biases: bool = False
    cold_target: tuple[float, float] | None = None
    with_notebook: bool = False


def read_split(name: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the training rows, the test rows, and the catalogue: the books of the split.

    Raises:
        FileNotFoundError: the data is missing; the message says what to set.
    """
    train, test = _rows(DATA / "splits", name)
    books = _table(DATA / "books.csv", BOOKS)
    return train, test, books[books["isbn"].isin({*train["isbn"], *test["isbn"]})].reset_index(drop=True)


def read_whole(name: str) -> Frames:
    """Return a split with all books of the site as its catalogue, with descriptions where there are some."""
    train, test = _rows(DATA / "splits", name)
    books = _table(DATA / "books.csv", BOOKS)
    if (DATA / "descriptions.csv").exists():
        descriptions = _table(DATA / "descriptions.csv", {**BOOKS, "description": ("description",)})
        books = books.merge(descriptions.drop_duplicates("isbn"), on="isbn", how="left")
        books["description"] = books["description"].fillna("")
    return train, test, books


def read_other(folder: str, name: str) -> Frames:
    """Return a split of another site, which has no catalogue."""
    return (*_rows(DATA.parent / folder, name), None)


def read_cut(name: str, count: int = FEW) -> Frames:
    """Return a split cut to the books with the most training entries; ties by ISBN."""
    train, test, books = read_split(name)
    counts = train["isbn"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    kept = set(counts.index[:count])
    train, test, books = (frame[frame["isbn"].isin(kept)].reset_index(drop=True) for frame in (train, test, books))
    return train, test, books


def read_enlarged(name: str, count: int = MANY, seed: int = 42) -> Frames:
    """Return a split with invented books that nobody has, until the catalogue has ``count`` books.

    Titles and authors are words of real ones, drawn as often as they occur; the other columns are a real book's.
    """
    train, test, books = read_split(name)
    rng = np.random.default_rng(seed)
    real = {*books["isbn"], *train["isbn"], *test["isbn"]}
    missing = max(0, count - len(real))
    invented = books.iloc[rng.integers(0, len(books), missing)].reset_index(drop=True)
    invented["isbn"] = [f"invented{number:06}" for number in range(missing)]
    for column in ("title", "authors"):
        words = np.array(" ".join(books[column]).split(), object)
        lengths = [max(1, len(text.split())) for text in books[column]]
        invented[column] = [" ".join(rng.choice(words, length)) for length in rng.choice(lengths, missing)]
    return train, test, pd.concat([books, invented], ignore_index=True)


def quality_sets() -> Mapping[str, Set]:
    """Return the sets of ``make bench-quality`` with their targets, by name, the smallest first."""
    sets = [
        *(Set(name, partial(read_split, name), "dev1k", 1.3, with_notebook=True) for name in SMALL),
        *(Set(f"{name}_whole", partial(read_whole, name), "dev1k_whole", 1.15) for name in SMALL),
        Set("dev100k_500", partial(read_cut, LARGE), "dev100k_500", 1.0),
        Set("devml", partial(read_other, "movielens", "devml"), "devml", 1.0, aim=1.03, biases=True),
        Set(LARGE, partial(read_split, LARGE), LARGE, 1.09, with_notebook=True),
        Set("dev100k_whole", partial(read_whole, LARGE), "dev100k_whole", 1.09, like=LARGE, cold_target=(0.460, 0.359)),
        Set("dev100k_12500", partial(read_enlarged, LARGE), "dev100k_12500", 1.0, like=LARGE),
        Set("dev380k", partial(read_other, "polimi2023", "dev380k"), "dev380k", 1.2),
    ]
    return {one.name: one for one in sets}


def keep(name: str, figures: dict[str, Any]) -> Path:
    """Write a benchmark's figures where ``make bench`` looks for them; return the file."""
    path = OUT / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1))
    return path


def _rows(folder: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    if not (folder / f"{name}.train.csv").exists():
        raise FileNotFoundError(
            f"{folder}: no {name}.train.csv; set BENCH_DATA to a folder with books.csv and splits/; "
            "the other sites' folders movielens/ and polimi2023/ belong next to it"
        )
    train, test = (_table(folder / f"{name}.{part}.csv", RATINGS) for part in ("train", "test"))
    return train, test


def catalogue_of(books: pd.DataFrame) -> Catalogue:
    """Return the catalogue of a set's books, with ISBN, title and authors."""
    rows = zip(books["isbn"], books["title"], books["authors"], strict=True)
    return Catalogue(Book(isbn, title, authors, "") for isbn, title, authors in rows)


def _table(path: Path, needed: Needed) -> pd.DataFrame:
    """Return a table as it is: nothing is mended, since other sites have other scales and ISBNs."""
    frame = read_table(path, needed).reset_index(drop=True)
    return frame.assign(at=[time_of(text) for text in frame["at"]]) if "at" in frame else frame
