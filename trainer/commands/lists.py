"""``lists``: make all readers' lists with Apache Beam, on this machine or on another of Beam's runners."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainer.command_line.options import Done, declare
from trainer.command_line.progress import Progress


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "lists",
        "make all readers' lists with Apache Beam, as shards",
        run,
        about="All other options are passed to Beam: --runner, --direct_num_workers, --temp_location and so on.",
        examples=[
            "--input out/export --model lists/VERSION/model.npz --version VERSION --output out/lists",
        ],
    )
    parser.add_argument(
        "--input",
        required=True,
        help="an export or a backup of the database; or a pattern for Parquet files with key, userId, isbn and myRate",
    )
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors,year, for Parquet files")
    parser.add_argument("--model", required=True, help="lists/VERSION/model.npz of a run with --lists")
    parser.add_argument("--version", required=True, help="the model's name")
    parser.add_argument("--output", required=True, help="folder for the shards and their index")
    parser.set_defaults(rest=[])


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    with Progress("lists"):
        import apache_beam as beam

        from trainer.data.sources import BOOK_COLUMNS, BOOKS, SourceError, read_csv, read_files
        from trainer.serving.batch import pipeline

        if arguments.input.endswith(".parquet"):
            if arguments.books is None:
                raise SourceError("Parquet files have entries only: give the catalogue with --books")
            books = read_csv(arguments.books, BOOKS).reindex(columns=BOOK_COLUMNS, fill_value="")
            rows: beam.PTransform = beam.io.ReadFromParquet(arguments.input, columns=pipeline.COLUMNS)
        else:
            snapshot = read_files(arguments.input, None)
            books, rows = snapshot.books, pipeline.rows_of(snapshot.ratings)
        pipeline.run(rows, books, arguments.model, arguments.version, arguments.output, arguments.rest)
    return Done(arguments.output, {"output": arguments.output, "version": arguments.version})
