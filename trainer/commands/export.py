"""``export``: copy the data that a model can be trained on out of the database."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainer.command_line.connections import project_databases
from trainer.command_line.options import Done, declare
from trainer.command_line.progress import Progress


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "export",
        "copy entries and catalogue out of the database, for the emulators or as CSV",
        run,
        about="The copy holds what training needs: each entry's reader, book, stars and time. With --anonymous, ids\n"
        "are replaced by a keyed hash whose key is thrown away; times are kept. Rejected entries, and those of\n"
        "readers who have left, are not copied. Only the folder's owner can read it.",
        examples=["--out out/export", "--out out/ratings --format csv --anonymous"],
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="a new folder for the copy")
    parser.add_argument(
        "--format",
        choices=("emulator", "csv"),
        default="emulator",
        help="for `firebase emulators:start --import`, or ratings.csv (userId,isbn,myRate) and books.csv",
    )
    parser.add_argument("--anonymous", action="store_true", help="replace all ids that lead to a reader's account")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    from trainer.data.exchange.new_folder import new_folder

    with new_folder(arguments.out) as folder, project_databases() as databases:
        from trainer.data.exchange.database_copy import anonymous, copy

        with Progress("export", unit="nodes") as progress:
            steps: list[str] = []

            def told(node: str, number: int) -> None:
                if node not in steps:
                    steps.append(node)
                    progress.step(f"/{node}")
                progress.advance(number)

            disguise = anonymous() if arguments.anonymous else None
            copied = copy(databases.database, folder, arguments.format, told, disguise, databases.project)
    left_out = ", ".join(f"{reason} {number}" for reason, number in sorted(copied.left_out.items()))
    text = f"{arguments.out}: {copied.entries} entries, {copied.books} books; left out: {left_out or 'none'}"
    result = {
        "folder": str(arguments.out),
        "format": arguments.format,
        "anonymous": arguments.anonymous,
        "entries": copied.entries,
        "books": copied.books,
        "leftOut": dict(copied.left_out),
    }
    return Done(text, result)
