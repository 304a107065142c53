"""``train``: does what ``run`` does, for people: it shows progress, and publishes nothing with ``--out``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bookrec.errors import BadInput
from trainer.command_line.connections import project_services
from trainer.command_line.options import PROGRAM, Done, declare
from trainer.command_line.progress import Progress
from trainer.commands.run import add_options, config_of, is_helper, published, reader_of

if TYPE_CHECKING:
    from trainer.run import Make, Order, Product

STEPS = ("reading", "judging", "fitting", "exporting", "uploading", "verifying")


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "train",
        "train on the database, judge, and publish if the gate lets the model pass",
        run,
        about="With --out the model goes into a new folder instead, for review; `publish` makes it live later. No\n"
        "lease is taken meanwhile, and nothing live changes. For a refused model, the folder holds the gate's reason.",
        examples=["", "--out out/candidate", "--source ratings.csv --books books.csv --out out/candidate"],
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a new folder for the model; publish nothing")
    add_options(parser)
    parser.set_defaults(lists_by_default=parser.get_default("lists"), lists=None)


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    if arguments.out and arguments.lists:
        raise BadInput("--lists: no lists are made with --out; publish the folder, and the functions make them")
    if arguments.lists is None:
        arguments.lists = arguments.lists_by_default and not arguments.out
    config = config_of(arguments)
    if is_helper(config):
        return Done()
    with Progress("training", len(STEPS), "steps") as progress, project_services() as services:
        from trainer.pipeline import make

        read = reader_of(arguments)
        told = Told(progress)
        if arguments.out:
            from trainer.candidate import RECORD, train

            candidate = train(services, partial(make, config), read, arguments.out, told.step)
            text = (
                f"{arguments.out}: the gate lets it pass: {candidate.reason}\nnext: {PROGRAM} publish {arguments.out}"
            )
            shown = {name: value for name, value in candidate.to_json().items() if name not in ("schema", "details")}
            return Done(text, {"outcome": "exported", "folder": str(arguments.out), "record": RECORD, **shown})
        from trainer.candidate import WatchedBucket
        from trainer.run import run as train_and_publish

        told.step("reading")
        watched = replace(services, bucket=WatchedBucket(services.bucket, told.step))
        pointer = train_and_publish(watched, told.making(partial(make, config)), read=read)
    return Done(f"version {pointer.version} is live", published(pointer))


class Told:
    """Passes the names of steps to a progress display."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._is_first = progress, True

    def step(self, name: str) -> None:
        """Name the step that begins; the one before it is done."""
        self._progress.advance(0 if self._is_first else 1)
        self._progress.step(name)
        self._is_first = False

    def making(self, make: Make) -> Make:
        """Return ``make`` with its steps passed on too."""

        def told(order: Order, step: Callable[[str], None]) -> Product:
            def both(name: str) -> None:
                self.step(name)
                step(name)

            return make(order, both)

        return told
