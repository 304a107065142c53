"""Growth of each stage of a retraining with the number of entries: seconds, peak memory, bytes, and exponents.

The stages are those of ``trainer run --lists`` on a backup: the backup into a snapshot, an epoch with each kind of
negatives, and all readers' lists as shards. Each is measured in a separate process on synthetic entries
(``benchmarks/synthetic.py``), with a hundred per reader and books by Heaps' law.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks import ingest, synthetic, training
from benchmarks.data import OUT, keep
from trainer.config import DEFAULTS

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
QUICK_SIZES = (1_000, 10_000)

DECADES = 2
"""Exponents are fitted to the largest sizes, within this many powers of ten: below, start-up takes most of the time."""

LISTS, BACKUP = "lists into shards", "backup into a snapshot"
EPOCHS = {f"an epoch, {kind} negatives": kind for kind, _ in DEFAULTS.embedding_dims}
DIM = max(dim for _, dim in DEFAULTS.embedding_dims)

Figures = dict[str, Any]


def measure(seed: int, quick: bool) -> Figures:
    """Return a row for each stage and size, and the exponents of seconds and megabytes."""
    sizes = QUICK_SIZES if quick else SIZES
    stages: dict[str, list[Figures]] = {BACKUP: [], **{name: [] for name in EPOCHS}, LISTS: []}
    for entries in sizes:
        print(f"{entries:,} entries", flush=True)
        for stage, rows in stages.items():
            rows.append({"entries": entries, **_row(stage, entries, seed)})
            print(f"  {stage}: {_line(rows[-1])}", flush=True)
    exponents = {
        stage: {name: exponent(rows, name) for name in ("seconds", "peak_mb")} for stage, rows in stages.items()
    }
    return {"seed": seed, "quick": quick, "stages": stages, "exponents": exponents, "targets": []}


def exponent(rows: list[Figures], name: str) -> float:
    """Return the exponent with which a figure grows with the number of entries over the last ``DECADES``.

    It is the slope of the least-squares line through the logarithms of both.
    """
    largest = max(row["entries"] for row in rows)
    last = [row for row in rows if row["entries"] * 10**DECADES >= largest]
    slope: float = np.polyfit(np.log([row["entries"] for row in last]), np.log([row[name] for row in last]), 1)[0]
    return slope


def _row(stage: str, entries: int, seed: int) -> Figures:
    if stage == BACKUP:
        row = ingest.backup(entries, seed)
        read = {"read_mb": row["backup_mb"], "written_mb": row["parquet_mb"]}
        return {"seconds": row["seconds"], "peak_mb": row["peak_mb"], **read}
    if stage in EPOCHS:
        row = training.in_process(EPOCHS[stage], f"synthetic-{entries}", seed, quick=True)
        return {"seconds": row["epoch_seconds"], "peak_mb": row["peak_mb"]}
    words = [sys.executable, "-m", "benchmarks.growth", "--lists-of", str(entries), "--seed", str(seed)]
    output = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    row = json.loads(output.splitlines()[-1])
    return dict(row)


def lists_of(entries: int, seed: int) -> Figures:
    """Compute all readers' lists with a model of random weights, and write the shards to a folder."""
    from benchmarks.lists import VERSION, Folder, make_world
    from trainer.data.sources import Snapshot
    from trainer.serving.batch.shards import publish_lists

    readers, books = synthetic.shape_of(entries)
    world = make_world(seed, readers, books, DIM)
    snapshot = Snapshot(world.ratings, world.books, {}, "synthetic")
    with tempfile.TemporaryDirectory() as folder:
        bucket = Folder(Path(folder) / "bucket")
        began = time.perf_counter()
        publish_lists(world.serving, VERSION, snapshot, bucket)
        seconds = time.perf_counter() - began
        written = sum(path.stat().st_size for path in bucket.path.glob("*.gz"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "written_mb": written / 1e6, "readers": readers, "books": books}


def show(figures: Figures) -> None:
    """Print the figures as tables."""
    for stage, rows in figures["stages"].items():
        exponents = figures["exponents"][stage]
        print(f"\n{stage}: seconds ~ entries^{exponents['seconds']:.2f}, memory ~ entries^{exponents['peak_mb']:.2f}")
        for row in rows:
            print(f"{row['entries']:12,}{_line(row)}")


def _line(row: Figures) -> str:
    sizes = "".join(f", {name[:-3]} {row[name]:,.1f} MB" for name in ("read_mb", "written_mb") if name in row)
    return f"{row['seconds']:10.2f} s{row['peak_mb']:8,.0f} MB at most{sizes}"


def draw(figures: Figures, path: Path) -> None:
    """Draw seconds, memory and bytes over the number of entries."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = {"seconds": "seconds", "peak_mb": "peak memory, MB", "written_mb": "written, MB"}
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 4), layout="constrained")
    for axis, (name, label) in zip(axes, panels.items(), strict=True):
        for stage, rows in figures["stages"].items():
            if name in rows[0]:
                axis.loglog([row["entries"] for row in rows], [row[name] for row in rows], marker="o", label=stage)
        axis.set_xlabel("entries")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Measure, print and draw, or compute the lists for another process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to ten thousand entries")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.add_argument("--lists-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.lists_of:
        print(json.dumps(lists_of(arguments.lists_of, arguments.seed)))
        return
    figures = measure(arguments.seed, arguments.quick)
    show(figures)
    keep("growth", figures)
    draw(figures, OUT / "bench" / "growth.png")


if __name__ == "__main__":
    main()
