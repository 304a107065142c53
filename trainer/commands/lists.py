"""``lists``: make all readers' lists with Apache Beam, on this machine or on another of Beam's runners."""

from __future__ import annotations

import argparse
import re
import zipfile
from pathlib import Path
from typing import Any

from bookrec.errors import BadInput
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

        from trainer.data.files.reading import read_catalogue
        from trainer.data.sources import BOOK_COLUMNS, SourceError, read_files
        from trainer.serving.batch import pipeline

        snapshot = None
        if arguments.input.lower().endswith(".parquet"):
            if arguments.books is None:
                raise SourceError("Parquet files have entries only: give the catalogue with --books")
            books = read_catalogue(arguments.books).reindex(columns=BOOK_COLUMNS, fill_value="")
        else:
            snapshot = read_files(arguments.input, None)
            books = snapshot.books
        check_model(arguments.model)
        try:
            rows: beam.PTransform = (
                beam.io.ReadFromParquet(arguments.input, columns=pipeline.COLUMNS)
                if snapshot is None
                else pipeline.rows_of(snapshot.ratings)
            )
            pipeline.run(rows, books, arguments.model, arguments.version, arguments.output, arguments.rest)
        except Exception as problem:
            line = cause_of(problem)
            if line is None:
                raise
            raise PipelineError(f"{arguments.input}: {line}") from problem
    return Done(arguments.output, {"output": arguments.output, "version": arguments.version})


class PipelineError(BadInput):
    """Beam could not do its work; the message says which step, and why."""


EXPECTED = frozenset(
    {
        "ArrowInvalid", "BadModel", "BeamIOError", "ConnectionError", "FileExistsError", "FileNotFoundError",
        "IsADirectoryError", "NotADirectoryError", "OSError", "PermissionError", "SourceError", "ValueError",
    }
)  # fmt: skip
"""Names of exceptions that input or the environment causes; all others are bugs, and keep their traceback."""

_WRAPPED = re.compile(r"(?:[\w.]+\.)?(\w+): (.*?)(?: \[while running '([^']*)'\])?")


def cause_of(problem: BaseException) -> str | None:
    """Return what went wrong in a pipeline, and in which step, in one line; None if it is a bug.

    Beam raises what a step has raised as a ``RuntimeError`` that has the cause, or its whole traceback, as text.
    """
    lines = [line for line in str(problem).splitlines() if line.strip()] or [""]
    match = _WRAPPED.fullmatch(lines[-1].strip())
    name, text, step = match.groups() if match else ("", lines[-1], None)
    if isinstance(problem, KeyError) and re.search(r"\[while running '(good|by reader)'\]", str(problem)):
        return "Beam: the Parquet files lack a column: they need key, userId, isbn and myRate"
    if name not in EXPECTED:
        kinds = {kind.__name__ for kind in type(problem).__mro__}
        if type(problem) is RuntimeError or not kinds & EXPECTED:
            return None
        text, _, step = lines[-1].rstrip("]'").partition(" [while running '")
    return f"Beam: {text}{f' (step {step})' if step else ''}"


def check_model(path: str) -> None:
    """Check that a file is a model: without it, each of Beam's workers would fail, and name no file.

    Raises:
        SourceError: if it is not, or cannot be read.
    """
    from apache_beam.io.filesystems import FileSystems

    from trainer.data.sources import SourceError
    from trainer.serving.batch import model_file

    try:
        with FileSystems.open(path) as file:
            content = file.read()
    except Exception as problem:  # Beam's file systems have no common class for it
        reason = getattr(problem, "strerror", None) or cause_of(problem) or type(problem).__name__
        raise SourceError(
            f"{path}: cannot be read ({reason}); give lists/VERSION/model.npz of a run with --lists"
        ) from problem
    try:
        model_file.from_bytes(content)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise SourceError(f"{path}: is not a model; give lists/VERSION/model.npz of a run with --lists") from problem
