"""``make bench``: all benchmarks of speed and growth, each in a separate process; writes figures and plots."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import matplotlib as mpl

from benchmarks.data import OUT

PARTS = ("events", "cost", "cold_start", "production", "lists", "training", "ingest", "growth")
FOLDER = OUT / "bench"


def main() -> int:
    """Run all parts, write ``out/bench.json`` and the plots, and print which targets were missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data; under five minutes on two cores")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"run only these: {', '.join(PARTS)}")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"seed": arguments.seed, "quick": arguments.quick, "parts": {}}
    for part in arguments.parts or PARTS:
        print(f"\n==== {part}", flush=True)
        figures["parts"][part] = _run(part, arguments.seed, arguments.quick)
        (OUT / "bench.json").write_text(json.dumps(figures, indent=1))
    _plot_targets(figures["parts"])
    return _summary(figures["parts"])


def _run(part: str, seed: int, quick: bool) -> dict[str, Any]:
    """Return the figures that a part has written. A part that fails is recorded as failed, and the others still run."""
    words = [sys.executable, "-m", f"benchmarks.{part}", f"--seed={seed}", *(["--quick"] if quick else [])]
    written = FOLDER / f"{part}.json"
    written.unlink(missing_ok=True)
    began = time.monotonic()
    code = subprocess.run(words, check=False).returncode
    seconds = time.monotonic() - began
    if not written.exists():
        return {"failed": f"exit code {code}, no figures written", "bench_seconds": seconds, "targets": []}
    return {**json.loads(written.read_text()), "bench_seconds": seconds}


def _summary(parts: dict[str, Any]) -> int:
    print("\n==== Targets")
    for part, result in parts.items():
        if "failed" in result:
            print(f"FAILED {part}: {result['failed']}")
        for row in result["targets"]:
            verdict = "met   " if row["met"] else "MISSED"
            print(f"{verdict} {part}: {row['name']}: {row['measured']:,.4g} (target {row['bound']:,.4g})")
    print(f"\nwritten: {OUT}/bench.json and plots in {FOLDER}")
    return int(any("failed" in result for result in parts.values()))


def _plot_targets(parts: dict[str, Any]) -> None:
    """Draw each measurement as a share of its target."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = [(part, row) for part, result in parts.items() for row in result["targets"] if row["bound"]]
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(10, 0.4 * len(rows) + 1.5), layout="constrained")
    shares = [row["measured"] / row["bound"] for _, row in rows]
    axes.barh(
        [f"{part}: {row['name']}" for part, row in rows],
        shares,
        color=["tab:blue" if row["met"] else "tab:orange" for _, row in rows],
    )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("measured / target (orange: missed)")
    figure.savefig(FOLDER / "targets.png", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
