"""``rollback`` and ``release``: what an operator does by hand. The runbook is ``docs/operations.md``."""

from __future__ import annotations

import argparse
from typing import Any

from trainer.commands.common import Done, declare
from trainer.commands.services import project_databases, project_services


def add_parser(commands: Any) -> None:
    """Declare the commands."""
    parser = declare(
        commands,
        "rollback",
        "make an earlier version live again",
        run_rollback,
        about="It is a publish like any other: under the lease, fenced, verified, and all lists follow.",
        examples=["", "20260102T030405Z-7"],
    )
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="one of the kept versions; without it, they are listed"
    )
    declare(
        commands,
        "release",
        "let retraining go on after too many failures in a row",
        run_release,
        about="Mend the cause first: `status` names it.",
        examples=[""],
    )


def run_rollback(arguments: argparse.Namespace) -> Done:
    """Roll back, or list what can be rolled back to."""
    if not arguments.version:
        return _kept()
    from trainer.operate import rollback

    with project_services() as services:
        pointer = rollback(services, arguments.version)
    return Done(pointer.version, {"outcome": "published", "version": pointer.version, "fence": pointer.fence})


def _kept() -> Done:
    with project_databases() as found:
        live = found.database.pointer()
    kept = sorted(live.kept, reverse=True) if live else []
    shown = [f"{version} (live)" if live and version == live.version else version for version in kept]
    return Done("\n".join(shown), {"live": live.version if live else None, "kept": kept})


def run_release(arguments: argparse.Namespace) -> Done:
    """Release a parked retraining."""
    from trainer.operate import release

    with project_databases() as found:
        failures = release(found.database)
    text = f"released after {failures} failures in a row; the next check starts a run" if failures else "not parked"
    return Done(text, {"failures": failures})
