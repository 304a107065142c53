"""``run``: train on the database and publish; the container job and the functions start it."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bookrec.environment import whole
from trainer.command_line.connections import project_services
from trainer.command_line.options import Done, add_learned, add_reading, declare, learned, reading
from trainer.config import DEFAULTS, Config

if TYPE_CHECKING:
    from bookrec.life_cycle.manifest import Pointer
    from trainer.run import Read


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "run",
        "train and publish, as the functions and the container job start it",
        run,
        about="For people there is `train`, which does the same and shows its progress.",
        examples=["", "--run-id run-7 --fence 7"],
    )
    add_options(parser)
    lease = parser.add_argument_group("the lease that the functions took for this run")
    lease.add_argument("--run-id", default="", help="holder of the lease under which it runs")
    lease.add_argument(
        "--fence", type=int, default=None, help="fencing number of that lease; without it, a lease is taken"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``run`` and ``train`` have in common."""
    data = parser.add_argument_group("training data")
    data.add_argument(
        "--source", help="train on a backup or an export (a path or gs://BUCKET/NAME) or a CSV instead of the database"
    )
    data.add_argument("--books", type=Path, help="CSV: isbn,title,authors, for a CSV of ratings")
    add_reading(data)
    data.add_argument(
        "--snapshots",
        metavar="URI",
        default=os.environ.get("SNAPSHOTS") or None,
        help="read only what has changed since the snapshot in this folder or gs://BUCKET/PREFIX, and bring it up to "
        "date; it starts from --source if given (default: $SNAPSHOTS, or read everything)",
    )
    data.add_argument("--full", action="store_true", help="read everything, for a new snapshot")
    data.add_argument("--full-every", type=float, metavar="HOURS", default=24, help="use --full after so long")
    model = parser.add_argument_group("the model and its files")
    add_learned(model, DEFAULTS)
    model.add_argument(
        "--by-user",
        type=int,
        metavar="K",
        help="also publish by_user.tflite with K books per reader, and rating.tflite (default: $BY_USER, or not)",
    )
    model.add_argument(
        "--lists",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("BATCH_LISTS", "") not in ("", "0"),
        help="also make all readers' lists, as shards that the functions publish (default: $BATCH_LISTS, or not)",
    )
    model.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("BASELINES", "") not in ("", "0"),
        help="also compute the field's baselines, the notebook's variants, and figures for new readers and cold books, "
        "for the report (default: $BASELINES, or not)",
    )
    model.add_argument("--seed", type=int, default=DEFAULTS.seed, help="random seed")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    config = config_of(arguments)
    if is_helper(config):
        return Done()
    with project_services() as services:
        from trainer.pipeline import make
        from trainer.run import run as train

        read = reader_of(arguments)
        pointer = train(services, partial(make, config), arguments.run_id, arguments.fence, read)
    return Done(pointer.version, published(pointer))


def config_of(arguments: argparse.Namespace) -> Config:
    """Return the configuration that the options name.

    Raises:
        BadSetting: if ``BY_USER`` is needed and is not a number.
    """
    options = {name: getattr(arguments, name) for name in ("seed", "by_user", "lists", "baselines")}
    if arguments.by_user is None:
        options["by_user"] = whole("BY_USER", os.environ.get("BY_USER"), DEFAULTS.by_user, least=0)
    return replace(DEFAULTS, **learned(arguments), **options)


def is_helper(config: Config) -> bool:
    """Take part in the training if this is one of several workers but not their chief; return whether it is.

    If so, its work is done when this returns.
    """
    from trainer.model import distributed

    if len(distributed.workers()) <= 1:
        return False
    distributed.strategy()  # workers meet before anything else
    if distributed.is_chief():
        return False
    from trainer.pipeline import help_out

    help_out(config)
    return True


def published(pointer: Pointer) -> dict[str, Any]:
    """Return what ``--json`` prints about a publish."""
    return {"outcome": "published", "version": pointer.version, "fence": pointer.fence}


def reader_of(arguments: argparse.Namespace) -> Read:
    """Return the function that reads the source named by the arguments."""
    from trainer.data.files.reading import is_table
    from trainer.data.ingest.folders import open_folder
    from trainer.data.ingest.increments import Snapshots
    from trainer.data.sources import SourceError, read_database, read_files

    source = arguments.source
    is_csv = bool(source) and is_table(source)
    if source and not is_csv and os.environ.get("DATABASES"):
        raise SourceError(f"{source} holds one of several databases ($DATABASES): leave --source out")
    if arguments.snapshots and not is_csv:
        every_ms = int(arguments.full_every * 3_600_000)
        folder = open_folder(arguments.snapshots)
        return Snapshots(folder, full_every_ms=every_ms, is_full=arguments.full, backup=source).read
    if source:
        return lambda database, taken: read_files(source, arguments.books, reading(arguments))
    return lambda database, taken: read_database(database)
