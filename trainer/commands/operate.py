"""``rollback`` and ``release``: what an operator does by hand. The runbook is ``docs/operations.md``."""

from __future__ import annotations

import argparse
from typing import Any

from trainer.commands.services import project_services


def add_parser(commands: Any) -> None:
    """Declare the commands."""
    parser = commands.add_parser("rollback", help="make an earlier version live again")
    parser.add_argument("version", nargs="?", help="one of the kept versions; without it, they are listed")
    parser.set_defaults(run=run_rollback)
    parser = commands.add_parser("release", help="let retraining go on after too many failures in a row")
    parser.set_defaults(run=run_release)


def run_rollback(arguments: argparse.Namespace) -> int:
    """Roll back, or list what can be rolled back to; return the exit code."""
    from trainer.operate import rollback

    with project_services() as services:
        if arguments.version:
            print(rollback(services, arguments.version).version)
            return 0
        live = services.database.pointer()
        for version in sorted(live.kept, reverse=True) if live else ():
            print(version, "(live)" if live and version == live.version else "")
    return 0


def run_release(arguments: argparse.Namespace) -> int:
    """Release a parked retraining; return the exit code."""
    from trainer.operate import release

    with project_services() as services:
        failures = release(services.database)
    print(f"released after {failures} failures in a row; the next check starts a run" if failures else "not parked")
    return 0
