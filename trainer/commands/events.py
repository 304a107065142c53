"""``events``: export what became of lists, for the app's owner."""

from __future__ import annotations

import argparse
from typing import Any

from trainer.command_line.connections import project_databases
from trainer.command_line.options import Done, declare
from trainer.command_line.progress import Progress


def add_parser(commands: Any) -> None:
    """Declare the command."""
    declare(
        commands,
        "events",
        "export events of lists to the bucket as Parquet, each day once",
        run,
        about="The functions collect them if LIST_EVENTS is 1. Days that have ended are written to\n"
        "events/date=YYYY-MM-DD/, read back, and removed from the database. Rows of readers who have left are\n"
        "removed instead. docs/events.md describes the fields.",
        examples=["", "--json | jq .rows"],
    )


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    with project_databases() as databases:
        from bookrec_database.concurrency import run_concurrently
        from bookrec_database.database import FirebaseDatabase
        from trainer.cloud import now_ms
        from trainer.publishing.bucket import CloudBucket
        from trainer.publishing.list_events import export

        instances = [FirebaseDatabase(node_at, run_concurrently) for _, node_at in databases.instances]
        with Progress("events", unit="files") as progress:
            done = export(instances, CloudBucket(databases.project), now_ms(), progress.step)
    total = sum(done.rows.values())
    removed = f"{done.left} of readers who left, {done.bad} bad, {done.late} late"
    text = f"{total} rows in {len(done.rows)} files; removed instead: {removed}"
    return Done(text, {"rows": done.rows, "left": done.left, "bad": done.bad, "late": done.late})
