"""``experiment``: an A/B split between the live model and a kept version."""

from __future__ import annotations

import argparse
from typing import Any

from bookrec.errors import BadInput
from trainer.command_line.connections import Databases, project_databases, services_of
from trainer.command_line.options import PROGRAM, Done, declare

NONE = "no experiment runs"


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "experiment",
        "give a share of the readers another version's lists, and see which is better",
        run,
        about="`start VERSION` starts one: arm A has the live model, arm B that version, one of those that `rollback`\n"
        "lists. `end` ends it. Without an action, it is shown with the hit rates of both arms.",
        examples=["", "start 20260102T030405Z-7 --share 0.5", "end"],
    )
    parser.add_argument("action", nargs="?", choices=("show", "start", "end"), default="show", help="what to do")
    parser.add_argument("version", nargs="?", metavar="VERSION", help="for `start`: the version of arm B")
    parser.add_argument(
        "--share", type=float, default=0.5, help="share of the readers who get arm B: more than 0, less than 1"
    )


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    if (arguments.action == "start") != (arguments.version is not None):
        raise BadInput("give a VERSION to start, and none to show or end: `experiment start VERSION`")
    if arguments.action == "start":
        return _start(arguments.version, arguments.share)
    with project_databases() as databases:
        return _end(databases) if arguments.action == "end" else _show(databases)


def _start(version: str, share: float) -> Done:
    from bookrec.life_cycle.experiment import is_share

    if not is_share(share):
        raise BadInput("--share: give more than 0 and less than 1")
    with project_databases() as databases:
        from bookrec_operations.experiment import start_experiment

        services = services_of(databases)
        begun = start_experiment(databases.database, services.verify, version, share, services.now_ms())
    text = f"experiment {begun.id}: {share:.0%} of the readers get the lists of {version}"
    return Done(f"{text}\nend it with: {PROGRAM} experiment end", {"experiment": begun.to_node()})


def _end(databases: Databases) -> Done:
    from bookrec_operations.experiment import end_experiment

    ended = end_experiment(databases.database)
    text = f"experiment {ended.id} is over: all readers get the live model's lists" if ended else NONE
    return Done(text, {"experiment": None, "ended": ended.to_node() if ended else None})


def _show(databases: Databases) -> Done:
    from trainer.cloud import now_ms
    from trainer.commands.status import hit_rates
    from trainer.publishing.status import age, look

    facts = look(databases.instances, now_ms()).facts
    experiment = facts["experiment"]
    if not experiment:
        return Done(NONE, {"experiment": None})
    live, label = facts["live"]["version"], experiment["id"]
    counted = facts["quality"].get(label, {})
    shown = [
        f"experiment {label}, for {age(facts['at'] - experiment['startedAt'])}",
        f"arm a: {1 - experiment['share']:.0%} of the readers, version {live}",
        f"arm b: {experiment['share']:.0%} of the readers, version {experiment['version']}",
        *(text for _, text in hit_rates(label, counted)),
    ]
    return Done("\n".join(shown), {"experiment": {**experiment, "live": live}, "quality": counted})
