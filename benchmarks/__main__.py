"""``make bench``: every benchmark of speed and growth, each in a process of its own; one file of figures, and plots."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import matplotlib as mpl

from benchmarks.data import OUT

PARTS = ("events", "cold_start", "lists", "training", "ingest", "growth")
FOLDER = OUT / "bench"


def main() -> int:
    """Run all parts, write ``out/bench.json`` and the plots, and say which targets were missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small data; under five minutes on two cores")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"seed": arguments.seed, "quick": arguments.quick, "parts": {}}
    for part in arguments.parts or PARTS:
        print(f"\n==== {part}", flush=True)
        found["parts"][part] = _run(part, arguments.seed, arguments.quick)
        (OUT / "bench.json").write_text(json.dumps(found, indent=1))
    _plot_targets(found["parts"])
    return _summary(found["parts"])


def _run(part: str, seed: int, quick: bool) -> dict[str, Any]:
    """Return what a part has written; a part that fails is recorded as failed, and the others are run."""
    words = [sys.executable, "-m", f"benchmarks.{part}", f"--seed={seed}", *(["--quick"] if quick else [])]
    written = FOLDER / f"{part}.json"
    written.unlink(missing_ok=True)
    began = time.monotonic()
    code = subprocess.run(words, check=False).returncode
    seconds = time.monotonic() - began
    if not written.exists():
        return {"failed": f"it ended with {code} and wrote nothing", "bench_seconds": seconds, "targets": []}
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
    """Draw what was measured as a share of each target's bound."""
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
