"""``publish``: make a model that ``train --out`` has put into a folder the live one."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.command_line.connections import project_services
from trainer.command_line.options import Done, declare
from trainer.command_line.progress import Progress
from trainer.commands.run import published


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "publish",
        "publish a model that `train --out` has put into a folder",
        run,
        about="The gate must have let it pass, every file must still have its SHA-256, and the live model must be the\n"
        "one it was compared with. It goes the way of every publish: under the lease, fenced, uploaded, read back,\n"
        "verified, and the pointer last.",
        examples=["out/candidate"],
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what `train --out FOLDER` has written")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    from trainer.candidate import WatchedBucket, publish, read_candidate

    read_candidate(arguments.folder)  # what is no candidate is said before anything is connected to
    with Progress("publishing") as progress, project_services() as services:
        watched = replace(services, bucket=WatchedBucket(services.bucket, progress.step))
        pointer = publish(watched, arguments.folder)
    return Done(f"version {pointer.version} is live", published(pointer))
