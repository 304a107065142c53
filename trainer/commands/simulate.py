"""``simulate``: seeded histories of the real handlers under faults, in a checkout of the repository."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bookrec.errors import BadInput
from trainer.command_line.options import DONE, FAILED, Done, declare
from trainer.command_line.progress import Progress

ROOT = Path(__file__).resolve().parents[2]

SHOWN = 20
"""How many violations are shown."""


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "simulate",
        "run seeded histories under faults, and check every promise after each",
        run,
        about="It needs a checkout of the repository: its histories are among the tests, which the container lacks.\n"
        "Exit code 1 means that a promise was broken. docs/simulation.md says how it works.",
        examples=["", "--seeds 10000", "--seed 17 --trace"],
    )
    parser.add_argument("--seeds", type=_positive, metavar="N", default=1_000, help="number of histories")
    parser.add_argument("--first", type=int, metavar="N", default=0, help="seed of the first one")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="number of processes; without it, one per core")
    parser.add_argument("--seed", type=int, metavar="N", help="replay only the history with this seed")
    parser.add_argument("--trace", action="store_true", help="with --seed: show all its events")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    if arguments.trace and arguments.seed is None:
        raise BadInput("--trace shows one history: select it with --seed N")
    simulation = _simulation()
    logging.disable()
    try:
        return _replay(simulation, arguments) if arguments.seed is not None else _explore(simulation, arguments)
    finally:
        logging.disable(logging.NOTSET)


def _simulation() -> Any:
    """Import the simulation by name: nothing else in the trainer depends on the tests."""
    if not (ROOT / "tests" / "simulation" / "world.py").exists():
        raise BadInput(
            "the histories are among the repository's tests, which are missing here (the container has none): "
            "run this in a checkout, after `make setup`"
        )
    for folder in (str(ROOT), str(ROOT / "functions")):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    return importlib.import_module("tests.simulation.__main__")


def _replay(simulation: Any, arguments: argparse.Namespace) -> Done:
    world = simulation.World(arguments.seed, trace=True)
    violations = [{"seed": arguments.seed, "invariant": number, "what": what} for number, what in world.run()]
    events = list(map(str, world.scheduler.trace)) if arguments.trace else []
    result = {"seed": arguments.seed, "turns": world.scheduler.steps, "violations": violations}
    lines = [*events, f"seed {arguments.seed}: {world.scheduler.steps} turns, {len(violations)} violations"]
    if arguments.trace:
        result["events"] = events
    return _ended(lines, violations, result)


def _explore(simulation: Any, arguments: argparse.Namespace) -> Done:
    from multiprocessing import Pool

    seeds = range(arguments.first, arguments.first + arguments.seeds)
    violations: list[dict[str, Any]] = []
    with Pool(arguments.jobs, _leave_alone) as pool, Progress("simulating", len(seeds), "histories") as progress:
        for seed, broken in pool.imap(simulation.explore, seeds, chunksize=8):
            violations += [{"seed": seed, "invariant": number, "what": what} for number, what in broken]
            progress.advance()
    failed = sorted({violation["seed"] for violation in violations})
    by_invariant = Counter(str(violation["invariant"]) for violation in violations)
    result = {
        "histories": len(seeds),
        "first": arguments.first,
        "failed": failed,
        "byInvariant": dict(sorted(by_invariant.items())),
        "violations": violations[:SHOWN],
    }
    lines = [f"{len(seeds)} histories, {len(failed)} failed"]
    if failed:
        lines.append(f"to replay one: simulate --seed {failed[0]} --trace")
    return _ended(lines, violations, result)


def _ended(lines: list[str], violations: list[dict[str, Any]], result: dict[str, Any]) -> Done:
    shown = [f"seed {v['seed']}: invariant {v['invariant']}: {v['what']}" for v in violations[:SHOWN]]
    return Done("\n".join([*lines, *shown]), result, FAILED if violations else DONE)


def _leave_alone() -> None:
    """Ignore Ctrl-C in a worker: the main process ends its workers."""
    logging.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number
