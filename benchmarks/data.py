"""The real ratings that the benchmarks run on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from trainer.data.sources import BOOKS, RATINGS, read_csv

DATA = Path(os.environ.get("BENCH_DATA") or Path(__file__).parents[2] / "shared" / "data" / "goodbooks")
"""A folder with ``books.csv`` and ``splits/NAME.train.csv`` and ``NAME.test.csv``."""

OUT = Path("out")


def read_split(name: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the training rows, the test rows, and the catalogue: the books of the split.

    Raises:
        FileNotFoundError: the data is missing; the message says what to set.
    """
    if not (DATA / "splits" / f"{name}.train.csv").exists():
        raise FileNotFoundError(
            f"{DATA / 'splits'}: no {name}.train.csv; set BENCH_DATA to a folder with books.csv and splits/"
        )
    train, test = (read_csv(DATA / "splits" / f"{name}.{part}.csv", RATINGS) for part in ("train", "test"))
    books = read_csv(DATA / "books.csv", BOOKS)
    return train, test, books[books["isbn"].isin({*train["isbn"], *test["isbn"]})].reset_index(drop=True)


def keep(name: str, figures: dict[str, Any]) -> Path:
    """Write a benchmark's figures where ``make bench`` looks for them; return the file."""
    path = OUT / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1))
    return path
