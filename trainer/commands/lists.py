"""``lists``: make all readers' lists with Apache Beam, on this machine or on another of Beam's runners."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("lists", help="make all readers' lists with Apache Beam, as shards")
    parser.add_argument(
        "--input",
        required=True,
        help="an export or a backup of the database; or Parquet files, a pattern, with key, userId, isbn and myRate",
    )
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors,year, for Parquet files")
    parser.add_argument("--model", required=True, help="lists/VERSION/model.npz of a run with --lists")
    parser.add_argument("--version", required=True, help="the model's name")
    parser.add_argument("--output", required=True, help="folder for the shards and their index")
    parser.epilog = "All other options are Beam's own: --runner, --direct_num_workers, --temp_location and so on."
    parser.set_defaults(run=run, rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    import apache_beam as beam

    from trainer.lists import pipeline
    from trainer.sources import BOOK_COLUMNS, BOOKS, SourceError, read_csv, read_files

    if arguments.input.endswith(".parquet"):
        if arguments.books is None:
            raise SourceError("Parquet files hold entries only: name the catalogue with --books")
        books = read_csv(arguments.books, BOOKS).reindex(columns=BOOK_COLUMNS, fill_value="")
        rows: beam.PTransform = beam.io.ReadFromParquet(arguments.input, columns=pipeline.COLUMNS)
    else:
        snapshot = read_files(arguments.input, None)
        books, rows = snapshot.books, pipeline.rows_of(snapshot.ratings)
    pipeline.run(rows, books, arguments.model, arguments.version, arguments.output, arguments.rest)
    print(arguments.output)
    return 0
