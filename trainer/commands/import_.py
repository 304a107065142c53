"""``import``: turn ratings into a database that the Emulator Suite imports."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainer.config import DEFAULTS


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("import", help="turn goodbooks-10k or a CSV of ratings into an emulator export")
    parser.add_argument("source", type=Path, help="CSV: userId,isbn,myRate; or a folder with ratings.csv and books.csv")
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors, for a CSV of ratings")
    parser.add_argument("--out", type=Path, required=True, help="folder for the export")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    from trainer.database_export import write_export
    from trainer.importer import import_ratings

    tree, dropped = import_ratings(arguments.source, arguments.books, arguments.seed)
    path = write_export(tree, arguments.out)
    sizes = ", ".join(f"{len(nodes)} in {name}" for name, nodes in tree.items())
    print(f"{path}: {sizes}; dropped: {dropped or 'none'}")
    return 0
