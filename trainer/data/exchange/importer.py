"""Turns other data sets into databases: goodbooks-10k, tables of ratings, and readers' libraries."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bookrec.entries import parse_isbn
from bookrec.errors import BadData
from trainer.data.exchange.database_export import ShelfRow, make_tree
from trainer.data.files.reading import AS_IT_IS, How, read_tables
from trainer.data.files.report import Report

FIRST_MS = 1_672_531_200_000  # 2023-01-01; the data sets have an order but no times
STEP_MS = 60_000


def import_ratings(source: Path, books: Path | None, seed: int, how: How = AS_IT_IS) -> tuple[dict[str, Any], Report]:
    """Return a database tree, and what was mended and dropped.

    Args:
        source: a table of ratings, a reader's library, or a folder with goodbooks-10k's ``ratings.csv`` and
            ``books.csv`` (ISBNs as they are there, or padded to ten characters).
        books: a table of the catalogue; a folder and a library have their own.
        seed: seed of the generated keys.
        how: how they are read.

    Raises:
        SourceError: naming the file and what is wrong with it; also if there is no usable rating.
    """
    tables = read_tables(source, books, replace(how, all_entries=True))
    catalogue = _catalogue(tables.books, tables.report) if tables.books is not None else {}
    for isbn in tables.usable["isbn"]:
        catalogue.setdefault(isbn, {})  # the app shows a recommendation only if the catalogue has it
    rng = random.Random(seed)
    return make_tree(_rows(tables.usable), catalogue, rng, FIRST_MS), tables.report


def _rows(usable: pd.DataFrame) -> Iterator[ShelfRow]:
    table = zip(*(usable[name].tolist() for name in ("userId", "isbn", "myRate", "at")), strict=True)
    for number, (user, isbn, stars, at) in enumerate(table):
        yield ShelfRow(user, isbn, stars, at if at >= 0 else FIRST_MS + number * STEP_MS)


def _catalogue(books: pd.DataFrame, report: Report) -> dict[str, Mapping[str, str]]:
    catalogue: dict[str, Mapping[str, str]] = {}
    for line, book in zip(books.index.tolist(), books.to_dict("records"), strict=True):
        try:
            isbn = parse_isbn(book["isbn"])
        except BadData as problem:
            report.drop(f"book:{problem.reason}", 1, line, problem.message)
            continue
        catalogue.setdefault(
            isbn,
            {
                "title": str(book.get("title", "")),
                "author": str(book.get("authors", "")),
                "rating": str(book.get("average_rating", "")),
                "genre": str(book.get("genre", "")),
                "description": str(book.get("description", "")),
                "publishedYear": str(book.get("year", "")).removesuffix(".0"),
                "image": str(book.get("image_url", "")),
            },
        )
    return catalogue
