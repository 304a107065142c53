"""``import``: turn ratings into a database that the Emulator Suite imports."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainer.command_line.options import READING, Done, add_reading, declare, reading
from trainer.command_line.progress import Progress
from trainer.config import DEFAULTS


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "import",
        "turn a table of ratings, goodbooks-10k or a reader's library into an emulator export",
        run,
        about="It writes a folder for `firebase emulators:start --import FOLDER`, and no database. Only the folder's\n"
        "owner can read it. The output says what was mended and dropped, and which books have no title; without a\n"
        "usable rating, nothing is written and the exit code is 2.\n\n" + READING,
        examples=[
            "ratings.csv --books books.csv --out out/import",
            "goodbooks-10k --out out/import",
            "goodreads_library_export.csv --user READER --out out/import",
        ],
    )
    parser.add_argument(
        "source",
        type=Path,
        help="CSV: userId,isbn,myRate; a folder with ratings.csv and books.csv; or a reader's library as Goodreads or "
        "StoryGraph exports it",
    )
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors, for a CSV of ratings")
    add_reading(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="a new folder for the export")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="seed of the generated keys")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    from trainer.data.exchange.new_folder import new_folder

    with new_folder(arguments.out) as folder, Progress("import", 2, "steps") as progress:
        from trainer.data.exchange.database_export import write_export
        from trainer.data.exchange.importer import import_ratings

        tree, report = import_ratings(arguments.source, arguments.books, arguments.seed, reading(arguments))
        progress.advance()
        path = arguments.out / write_export(tree, folder).relative_to(folder)
        progress.advance()
    sizes = ", ".join(f"{len(nodes)} in {name}" for name, nodes in tree.items())
    nodes = {name: len(nodes) for name, nodes in tree.items()}
    lines = [f"{path}: {sizes}; dropped: {report.reasons() or 'none'}", *report.told()]
    lines += [f"warning: {line}" for line in report.warnings()]
    return Done("\n".join(lines), {"file": str(path), "nodes": nodes, **report.to_json()})
