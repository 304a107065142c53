"""``import``: turn ratings into a database that the Emulator Suite imports."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainer.command_line.options import Done, declare
from trainer.command_line.progress import Progress
from trainer.config import DEFAULTS


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "import",
        "turn goodbooks-10k or a CSV of ratings into an emulator export",
        run,
        about="It writes a folder for `firebase emulators:start --import FOLDER`, and no database. Only the folder's\n"
        "owner can read it.",
        examples=["ratings.csv --books books.csv --out out/import", "goodbooks-10k --out out/import"],
    )
    parser.add_argument("source", type=Path, help="CSV: userId,isbn,myRate; or a folder with ratings.csv and books.csv")
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors, for a CSV of ratings")
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="a new folder for the export")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="seed of the generated keys")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    from trainer.data.exchange.new_folder import new_folder

    with new_folder(arguments.out) as folder, Progress("import", 2, "steps") as progress:
        from trainer.data.exchange.database_export import write_export
        from trainer.data.exchange.importer import import_ratings

        tree, dropped = import_ratings(arguments.source, arguments.books, arguments.seed)
        progress.advance()
        path = arguments.out / write_export(tree, folder).relative_to(folder)
        progress.advance()
    sizes = ", ".join(f"{len(nodes)} in {name}" for name, nodes in tree.items())
    result = {"file": str(path), "nodes": {name: len(nodes) for name, nodes in tree.items()}, "dropped": dict(dropped)}
    return Done(f"{path}: {sizes}; dropped: {dropped or 'none'}", result)
