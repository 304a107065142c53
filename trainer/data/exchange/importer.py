"""Turns other data sets into databases: goodbooks-10k, and plain CSV files of ratings."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bookrec.entries import parse_isbn
from bookrec.errors import BadData
from trainer.data.dataset import clean
from trainer.data.exchange.database_export import ShelfRow, make_tree
from trainer.data.sources import BOOKS, RATINGS, read_csv

FIRST_MS = 1_672_531_200_000  # 2023-01-01; the data sets have an order but no times
STEP_MS = 60_000


def import_ratings(source: Path, books: Path | None, seed: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a database tree, and the number of dropped rows by reason.

    Args:
        source: a CSV file with ``userId,isbn,myRate``, or a folder with goodbooks-10k's ``ratings.csv`` and
            ``books.csv`` (ISBNs as they are there, or padded to ten characters).
        books: a CSV file with ``isbn,title,authors``; a folder has its own.
        seed: seed of the generated keys.

    Raises:
        SourceError: naming the file and what is wrong with it.
    """
    if source.is_dir():
        catalogue_frame = _goodbooks_books(read_csv(source / "books.csv", BOOKS))
        rows = _with_isbns(
            read_csv(source / "ratings.csv", {k: v for k, v in RATINGS.items() if k != "isbn"}), catalogue_frame
        )
    else:
        catalogue_frame = read_csv(books, BOOKS) if books else pd.DataFrame({"isbn": []})
        rows = read_csv(source, RATINGS)
    catalogue, dropped = _catalogue(catalogue_frame)
    usable, rejected = clean(rows)
    dropped.update(rejected)
    for isbn in usable["isbn"]:
        catalogue.setdefault(isbn, {})  # the app shows a recommendation only if the catalogue has it
    rng = random.Random(seed)
    return make_tree(_rows(usable), catalogue, rng, FIRST_MS), dict(dropped)


def _rows(usable: pd.DataFrame) -> Iterator[ShelfRow]:
    table = zip(usable["userId"], usable["isbn"], usable["myRate"], strict=True)
    for number, (user, isbn, stars) in enumerate(table):
        yield ShelfRow(user, isbn, float(stars), FIRST_MS + number * STEP_MS)


def _goodbooks_books(books: pd.DataFrame) -> pd.DataFrame:
    """Restore the leading zeros that ISBNs lack in goodbooks-10k; a book without an ISBN stays without."""
    return books.assign(isbn=[isbn.zfill(10) if isbn else "" for isbn in books["isbn"]])


def _with_isbns(ratings: pd.DataFrame, books: pd.DataFrame) -> pd.DataFrame:
    """Return ratings with a column ``isbn``: the original identifies a book by its ``book_id``."""
    if "isbn" in ratings:
        return ratings
    isbn_of = dict(zip(books["book_id"], books["isbn"], strict=True))
    return ratings.assign(isbn=[isbn_of.get(book, "") for book in ratings["book_id"]])


def _catalogue(books: pd.DataFrame) -> tuple[dict[str, Mapping[str, str]], Counter[str]]:
    catalogue: dict[str, Mapping[str, str]] = {}
    dropped: Counter[str] = Counter()
    for book in books.to_dict("records"):
        try:
            isbn = parse_isbn(book["isbn"])
        except BadData as problem:
            dropped[f"book:{problem.reason}"] += 1
            continue
        year = str(book.get("original_publication_year", book.get("year", ""))).removesuffix(".0")
        catalogue.setdefault(
            isbn,
            {
                "title": str(book.get("title", "")),
                "author": str(book.get("authors", "")),
                "rating": str(book.get("average_rating", "")),
                "genre": str(book.get("genre", "")),
                "description": str(book.get("description", "")),
                "publishedYear": year,
                "image": str(book.get("image_url", "")),
            },
        )
    return catalogue, dropped
