"""Reading the database for training: a backup into Parquet, only what has changed, and several ranges at a time."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks import synthetic
from benchmarks.data import keep
from bookrec import paths
from bookrec_database.concurrency import run_concurrently
from bookrec_database.connection import connect, disconnect
from bookrec_database.database import FirebaseDatabase
from local.database_emulator import DatabaseEmulator, running
from trainer.data.ingest.folders import LocalFolder
from trainer.data.ingest.increments import Snapshots
from trainer.data.ingest.pages import PAGE_SIZE, Reading, pages, parallel_pages

MEMORY_MB = 400.0
"""What the process may hold that turns a backup of any size into Parquet."""

ENTRIES_A_SECOND = 50_000.0
INCREMENT_SHARE = 0.25
"""Of the time that a full read takes, for what a hundredth of the readers changed."""

RANGES_FACTOR = 3.0
"""How many times faster ranges side by side are than page after page, where each request takes ``LATENCY_MS``."""

LATENCY_MS = 40
CHANGED = 0.01
NAMESPACE = "demo-bookrec-default-rtdb"
ADMIN = {"Authorization": "Bearer owner"}
RULES = Path("database.rules.json")

Figures = dict[str, Any]


def measure(seed: int, quick: bool) -> Figures:
    """Return the figures; the memory is that of a process of its own, from its first instruction on."""
    sizes = [150_000, 300_000] if quick else [10_000_000, 20_000_000]
    backups = [backup(entries, seed) for entries in sizes]
    with database_emulator(10_000 if quick else 100_000, seed) as (emulator, synthetic_data):
        increments = increment(emulator, synthetic_data)
        ranges = side_by_side(emulator)
    targets = [
        target(f"peak memory of {row['entries']:,} entries, MB", row["peak_mb"], MEMORY_MB, at_most=True)
        for row in backups
    ]
    targets += [
        target("entries a second from a backup", min(r["entries_a_second"] for r in backups), ENTRIES_A_SECOND),
        target("time of an increment as a share of a full read's", increments["share"], INCREMENT_SHARE, at_most=True),
        target("ranges side by side, times faster than page by page", ranges["factor"], RANGES_FACTOR),
    ]
    return {
        "seed": seed, "quick": quick, "backups": backups, "increment": increments, "ranges": ranges, "targets": targets,
    }  # fmt: skip


def target(name: str, measured: float, bound: float, at_most: bool = False) -> Figures:
    """Return a target and whether it is met."""
    return {
        "name": name,
        "measured": measured,
        "bound": bound,
        "met": measured <= bound if at_most else measured >= bound,
    }


def backup(entries: int, seed: int) -> Figures:
    """Read a backup into Parquet in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "2026-01-01T00:00:00Z_demo_data.json.gz"
        # Making it takes memory for all of it: another process does that, so that this one stays small.
        run("write", str(entries), str(seed), str(file))
        figures: Figures = json.loads(run("ingest", str(file), str(Path(folder) / "snapshot")))
        assert figures["rows"] == entries, figures
        parquet = sum(path.stat().st_size for path in (Path(folder) / "snapshot").iterdir())
        return {"entries": entries, "backup_mb": file.stat().st_size / 1e6, "parquet_mb": parquet / 1e6, **figures}


def run(*words: str) -> str:
    """Run this module in a process of its own; return what it prints."""
    command = [sys.executable, "-m", "benchmarks.ingest", *words]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "PYTHONPATH": path()}
    )
    return done.stdout


def path() -> str:
    """Return where this project's packages are."""
    return os.pathsep.join(["functions", *filter(None, [os.environ.get("PYTHONPATH")])])


def ingest(file: str, folder: str) -> Figures:
    """Make the base of a snapshot from a backup; return its rows, time, and the greatest memory of this process."""
    began, cpu = time.monotonic(), time.process_time()
    state = Snapshots(LocalFolder(Path(folder)))._from_backup(file, ())
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "rows": state.rows,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "entries_a_second": state.rows / seconds,
        "peak_mb": peak,
    }


@contextmanager
def database_emulator(entries: int, seed: int) -> Iterator[tuple[DatabaseEmulator, synthetic.Synthetic]]:
    """Run the database emulator with invented entries and the project's rules."""
    made = synthetic.make(entries, seed)
    with running() as emulator:
        put(emulator, ".settings/rules", RULES.read_text())
        for part in synthetic.nodes(made):
            put(emulator, paths.USER_BOOK, json.dumps(part), "PATCH")
        yield emulator, made


def put(emulator: DatabaseEmulator, node: str, body: str, method: str = "PUT") -> None:
    """Write to the emulator as an admin."""
    url = f"http://{emulator.address}/{node}.json"
    requests.request(method, url, params={"ns": NAMESPACE}, headers=ADMIN, data=body, timeout=300).raise_for_status()


@contextmanager
def database(emulator: DatabaseEmulator) -> Iterator[FirebaseDatabase]:
    """Connect to the emulator as the trainer does."""
    os.environ["FIREBASE_DATABASE_EMULATOR_HOST"] = emulator.address
    try:
        yield FirebaseDatabase(connect("demo", f"http://{emulator.address}?ns={NAMESPACE}"), run_concurrently)
    finally:
        disconnect()


def increment(emulator: DatabaseEmulator, made: synthetic.Synthetic) -> Figures:
    """Read all, then what a hundredth of the readers changed."""
    with tempfile.TemporaryDirectory() as folder, database(emulator) as connected:
        snapshots = Snapshots(LocalFolder(Path(folder)))
        full = timed(lambda: len(snapshots.read(connected, connected.server_time()).ratings))
        readers = made.user_ids[:: round(1 / CHANGED)]
        connected.shelf_nodes(readers[:1])  # the first query makes the emulator's index: the backend's own, usually
        marks = {f"{paths.DIRTY}/{reader}": {"at": 1} for reader in readers}
        put(emulator, "", json.dumps(marks), "PATCH")
        changed = timed(lambda: len(snapshots.read(connected, connected.server_time()).ratings))
        assert full["result"] == changed["result"] == len(made.at)
        names = {path.name for path in Path(folder).glob("*-0000.parquet")}
        shelves = json.loads((Path(folder) / "snapshot.json").read_text())["deltas"][0]["parts"]
    assert len(names) == 2
    return {
        "entries": len(made.at),
        "readers": made.readers,
        "changed_readers": len(readers),
        "full_seconds": full["seconds"],
        "full_rows": full["result"],
        "increment_seconds": changed["seconds"],
        "increment_rows": sum(part["rows"] for part in shelves),
        "share": changed["seconds"] / full["seconds"],
    }


def side_by_side(emulator: DatabaseEmulator) -> Figures:
    """Read all entries page by page and in ranges side by side, where each request takes a while."""
    rule = {"path": paths.USER_BOOK, "methods": ["GET"], "stall_ms": [LATENCY_MS, LATENCY_MS]}
    put(emulator, ".settings/faults", json.dumps({"rules": [rule]}))
    size = PAGE_SIZE // 10  # of few entries many pages
    with database(emulator) as connected:
        serial = timed(lambda: sum(map(len, pages(connected, paths.USER_BOOK, size))))
        parallel = timed(lambda: sum(map(len, parallel_pages(connected, paths.USER_BOOK, size, Reading(spans=32)))))
    assert serial["result"] == parallel["result"]
    return {
        "latency_ms": LATENCY_MS,
        "page_size": size,
        "entries": serial["result"],
        "page_by_page_seconds": serial["seconds"],
        "side_by_side_seconds": parallel["seconds"],
        "workers": Reading().workers,
        "factor": serial["seconds"] / parallel["seconds"],
    }


def timed(work: Any) -> Figures:
    """Return what ``work`` returns, and how long it took."""
    began = time.monotonic()
    result = work()
    return {"result": result, "seconds": time.monotonic() - began}


def show(figures: Figures) -> None:
    """Print the figures."""
    print(f"Invented entries (benchmarks/synthetic.py), seed {figures['seed']}\n")
    heads = ("entries", "backup MB", "Parquet MB", "seconds", "of CPU", "entries/s", "peak MB")
    print(*(f"{head:>{width}}" for head, width in zip(heads, (12, 12, 12, 10, 10, 12, 10), strict=True)), sep="")
    for row in figures["backups"]:
        print(
            f"{row['entries']:12,}{row['backup_mb']:12.0f}{row['parquet_mb']:12.0f}{row['seconds']:10.1f}{row['cpu_seconds']:10.1f}"
            f"{row['entries_a_second']:12,.0f}{row['peak_mb']:10.0f}"
        )
    row = figures["increment"]
    print(f"\nemulator, {row['entries']:,} entries: all in {row['full_seconds']:.2f} s; of {row['readers']} readers")
    print(f"{row['changed_readers']} ({row['increment_rows']:,} rows) changed: in {row['increment_seconds']:.2f} s")
    row = figures["ranges"]
    print(f"\nemulator, {row['latency_ms']} ms a request, pages of {row['page_size']}, {row['entries']:,} entries:")
    print(
        f"page by page {row['page_by_page_seconds']:.2f} s, "
        f"by {row['workers']} at a time {row['side_by_side_seconds']:.2f} s"
    )
    for row in figures["targets"]:
        print(f"{'met' if row['met'] else 'MISSED':8}{row['name']}: {row['measured']:,.2f} (bound {row['bound']:,.2f})")


def main() -> None:
    """Measure, print and keep the figures; or do a part of it for another process."""
    if sys.argv[1:2] == ["write"]:
        synthetic.write_backup(synthetic.make(int(sys.argv[2]), int(sys.argv[3])), Path(sys.argv[4]))
        return
    if sys.argv[1:2] == ["ingest"]:
        print(json.dumps(ingest(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds' worth")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    figures = measure(arguments.seed, arguments.quick)
    show(figures)
    keep("ingest", figures)


if __name__ == "__main__":
    main()
