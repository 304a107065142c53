"""``release``: let retraining go on that was parked."""

from __future__ import annotations

import argparse
from typing import Any

from trainer.commands.common import Done, declare
from trainer.commands.services import project_databases


def add_parser(commands: Any) -> None:
    """Declare the command."""
    declare(
        commands,
        "release",
        "let retraining go on after too many failures in a row",
        run,
        about="Mend the cause first: `status` names it.",
        examples=[""],
    )


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    with project_databases() as found:
        from trainer.operate import release

        failures = release(found.database)
    text = f"released after {failures} failures in a row; the next check starts a run" if failures else "not parked"
    return Done(text, {"failures": failures})
