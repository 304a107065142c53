"""``run``: train on the database and publish; what the container job and the functions start."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from trainer.commands.services import project_services
from trainer.config import DEFAULTS, Variant


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="train on the database and publish the model, if the gate lets it pass")
    parser.add_argument("--source", type=Path, help="train on an export or a CSV of ratings instead of the database")
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors, for a CSV of ratings")
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
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    from trainer.product import make
    from trainer.run import run as train
    from trainer.sources import read_files

    config = replace(DEFAULTS, variant=arguments.variant, seed=arguments.seed, by_user=arguments.by_user)
    read = partial(read_files, arguments.source, arguments.books) if arguments.source else None
    with project_services() as services:
        pointer = train(services, partial(make, config), arguments.run_id, arguments.fence, read)
    print(pointer.version)
    return 0
