"""``release``: let parked retraining continue."""

from __future__ import annotations

import argparse
from typing import Any

from trainer.command_line.connections import project_databases
from trainer.command_line.options import Done, declare


def add_parser(commands: Any) -> None:
    """Declare the command."""
    declare(
        commands,
        "release",
        "let retraining continue after too many failures in a row",
        run,
        about="Fix the cause first: `status` names it.",
        examples=[""],
    )


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    with project_databases() as databases:
        from bookrec_operations.release import release

        failures = release(databases.database)
    text = f"released after {failures} failures in a row; the next check starts a run" if failures else "not parked"
    return Done(text, {"failures": failures})
