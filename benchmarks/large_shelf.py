"""Time and memory of one list by the size of the shelf: why a limited number of a reader's entries counts.

``python -m benchmarks.large_shelf FOLDER``, with a model's ``recommend.tflite`` and ``items.json`` in the folder. Each
size is measured in a process of its own, without the limit; more books than the model knows are unknown to it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from backend.adapters.tflite_model import load_recommender
from bookrec.entries import Entry
from bookrec.shelf import MAX_SHELF, Shelf

SIZES = (50, 500, MAX_SHELF, 5_000, 20_000, 50_000)


def measure(folder: Path, size: int) -> dict[str, float]:
    """Return the CPU seconds of one list, and by how many MB the process has grown at most."""
    model = load_recommender("v", (folder / "recommend.tflite").read_bytes(), (folder / "items.json").read_bytes())
    isbns = model.items.isbns
    shelf = Shelf("u", tuple(Entry(f"k{n:09d}", "u", (*isbns[n : n + 1], f"X{n}")[0], 4.0) for n in range(size)))
    before, began = _peak_mb(), time.process_time()
    model.candidates(shelf)
    return {"entries": size, "seconds": time.process_time() - began, "mb": _peak_mb() - before}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Measure all sizes, or the one that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    if arguments.size:
        print(json.dumps(measure(arguments.folder, arguments.size)))
        return 0
    for size in SIZES:
        command = [sys.executable, "-m", "benchmarks.large_shelf", str(arguments.folder), "--size", str(size)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
