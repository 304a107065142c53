"""``run``: train on the database and publish; what the container job and the functions start."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trainer.commands.services import project_services
from trainer.config import DEFAULTS, Variant

if TYPE_CHECKING:
    from trainer.run import Read


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="train on the database and publish the model, if the gate lets it pass")
    parser.add_argument(
        "--source", help="train on a backup or an export (a path or gs://BUCKET/NAME) or a CSV instead of the database"
    )
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors, for a CSV of ratings")
    parser.add_argument(
        "--snapshots",
        metavar="URI",
        default=os.environ.get("SNAPSHOTS") or None,
        help="read only what has changed since the snapshot in this folder or gs://BUCKET/PREFIX, and bring it up to "
        "date; a --source is what it begins with (default: $SNAPSHOTS, or read everything)",
    )
    parser.add_argument("--full", action="store_true", help="read everything all the same, for a new snapshot")
    parser.add_argument("--full-every", type=float, metavar="HOURS", default=24, help="as --full after so long")
    parser.add_argument("--run-id", default="", help="holder of the lease that was taken for this run")
    parser.add_argument("--fence", type=int, default=None, help="that lease's fencing number")
    parser.add_argument("--variant", choices=get_args(Variant), default=DEFAULTS.variant, help="the learned candidate")
    parser.add_argument(
        "--by-user",
        type=int,
        metavar="K",
        default=int(os.environ.get("BY_USER") or 0),
        help="also publish by_user.tflite with K books a reader, and rating.tflite (default: $BY_USER, or not)",
    )
    parser.add_argument(
        "--lists",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("BATCH_LISTS", "") not in ("", "0"),
        help="make all readers' lists too, as shards that the functions publish (default: $BATCH_LISTS, or not)",
    )
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    from trainer import cluster
    from trainer.product import help_out, make
    from trainer.run import run as train

    chosen = {name: getattr(arguments, name) for name in ("variant", "seed", "by_user", "lists")}
    config = replace(DEFAULTS, **chosen)
    cluster.strategy()  # workers meet before anything else
    if not cluster.is_chief():
        help_out(config)
        return 0
    read = _reader(arguments)
    with project_services() as services:
        pointer = train(services, partial(make, config), arguments.run_id, arguments.fence, read)
    print(pointer.version)
    return 0


def _reader(arguments: argparse.Namespace) -> Read:
    """Return what reads what the arguments say."""
    from trainer.ingest.folders import open_folder
    from trainer.ingest.increments import Snapshots
    from trainer.sources import SourceError, read_database, read_files

    source, is_csv = arguments.source, (arguments.source or "").endswith(".csv")
    if source and not is_csv and os.environ.get("DATABASES"):
        raise SourceError(f"{source} holds one of several databases ($DATABASES): leave --source out")
    if arguments.snapshots and not is_csv:
        every_ms = int(arguments.full_every * 3_600_000)
        folder = open_folder(arguments.snapshots)
        return Snapshots(folder, full_every_ms=every_ms, is_full=arguments.full, backup=source).read
    if source:
        return lambda database, taken: read_files(source, arguments.books)
    return lambda database, taken: read_database(database)
