"""``publish``: make a model live that ``train --out`` has put into a folder."""

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
        about="The gate must have let the model pass, every file must still have its SHA-256, and the live model must\n"
        "be the one that it was compared with. Like every publish, it takes the lease, uploads the files, reads them\n"
        "back, verifies them, and switches the pointer last.",
        examples=["out/candidate"],
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what `train --out FOLDER` has written")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    from trainer.candidate import WatchedBucket, publish, read_candidate

    read_candidate(arguments.folder)  # reject a folder without a candidate before connecting to anything
    with Progress("publishing") as progress, project_services() as services:
        watched = replace(services, bucket=WatchedBucket(services.bucket, progress.step))
        pointer = publish(watched, arguments.folder)
    return Done(f"version {pointer.version} is live", published(pointer))
