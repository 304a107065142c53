"""``rollback``: make a kept version live again."""

from __future__ import annotations

import argparse
from typing import Any

from bookrec.life_cycle.manifest import usable_pointer
from trainer.command_line.connections import project_databases, project_services
from trainer.command_line.options import Done, declare
from trainer.commands.run import published


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "rollback",
        "make an earlier version live again",
        run,
        about="It is a publish like any other: it takes the lease, is fenced and verified, and all lists follow.",
        examples=["", "20260102T030405Z-7"],
    )
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="one of the kept versions; without it, these are listed"
    )


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    if not arguments.version:
        return _kept()
    with project_services() as services:
        from bookrec.life_cycle import lease as leases
        from bookrec_operations.rollback import roll_back

        lease = services.lease(purpose=leases.ROLLBACK)
        pointer = roll_back(services.database, services.verify, lease, services.now_ms, arguments.version)
    return Done(pointer.version, published(pointer))


def _kept() -> Done:
    with project_databases() as databases:
        live = usable_pointer(databases.database.pointer())
    kept = sorted(live.kept, reverse=True) if live else []
    shown = [f"{version} (live)" if live and version == live.version else version for version in kept]
    return Done("\n".join(shown), {"live": live.version if live else None, "kept": kept})
