"""``python -m benchmarks.cold_start``: a new instance's first list, compared with one that imports TensorFlow.

A separate process, in the environment that is deployed, creates the app as the host does and handles one event, for
which it reads catalogue and model (10,000 books each). TensorFlow comes from the trainer's environment. Times are from
the process's start to the imported app, and to the list in the database; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from contextlib import ExitStack, closing
from functools import cache
from typing import Any

import numpy as np

from benchmarks.data import OUT, keep
from benchmarks.events import Lists, Reader
from benchmarks.stage import FUNCTIONS, NAMESPACE, PATIENCE_S, PYTHON, ROOT, Stage, shelve, stage
from local.processes import Processes

RUNS, QUICK_RUNS = 9, 3
RATIO = 5.0

OURS, WITH_TENSORFLOW = "without TensorFlow", "with TensorFlow"
TRAINERS = ROOT / ".venv" / "bin" / "python"
CHILD = """
import json, sys, time
if sys.argv[1] == "with TensorFlow":
    sys.path.append(sys.argv[3])
    import tensorflow
    import tensorflow_recommenders
from functions_framework import create_app
app = create_app("on_user_book_written", "main.py", "cloudevent")
imported = time.time() - float(sys.argv[2])
headers = {"content-type": "application/cloudevents+json"}
answer = app.test_client().post("/", data=sys.stdin.read(), headers=headers)
assert answer.status_code == 200, answer.data
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"import_s": imported, "peak_mb": int(peak.split()[1]) / 1024, "cpu_s": time.process_time()}))
"""


def measure(seed: int, quick: bool) -> dict[str, Any]:
    """Start each kind of process in turn, several times; return the medians."""
    processes, runs = Processes(), QUICK_RUNS if quick else RUNS
    runs_of: dict[str, list[dict[str, float]]] = {kind: [] for kind in (OURS, WITH_TENSORFLOW)}
    try:
        with ExitStack() as afterwards, stage(seed, processes, OUT / "bench") as ready:
            ((uid, entries),) = shelve(ready, seed, 1).items()
            lists = afterwards.enter_context(closing(Lists(ready.database)))
            reader = Reader(ready, afterwards, uid, entries, seed)
            for turn in range(runs + 1):
                for kind in runs_of:
                    run = _first_list(ready, reader, lists, kind)
                    runs_of[kind] += [run] if turn else []  # the first run of each kind reads its files from the disk
    finally:
        processes.stop(patience_s=5)
    medians = {kind: {name: _median(rows, name) for name in rows[0]} for kind, rows in runs_of.items()}
    targets = [
        _target("times faster to import than with TensorFlow", medians, "import_s"),
        _target("times faster to the first list than with TensorFlow", medians, "seconds"),
        _target("times smaller than with TensorFlow", medians, "peak_mb"),
    ]
    return {"seed": seed, "runs": runs, "medians": medians, "targets": targets}


def _first_list(stage: Stage, reader: Reader, lists: Lists, kind: str) -> dict[str, float]:
    reader.rate()
    key, entry = next(iter(reader.entries.items()))
    event = json.dumps(_event(key, {**entry, "myRate": 0}, entry))
    environment = {**stage.environment, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    began, started = time.perf_counter(), time.time()
    child = subprocess.Popen(
        [PYTHON, "-c", CHILD, kind, str(started), _packages()], cwd=FUNCTIONS, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    output, _ = child.communicate(event, PATIENCE_S)
    seconds = lists.await_list(reader.uid, reader.digest, 5) - began
    measured: dict[str, float] = json.loads(output.splitlines()[-1])
    return {"seconds": seconds, **measured}


@cache
def _packages() -> str:
    """Return the folder of the packages in the trainer's environment."""
    command = [str(TRAINERS), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _event(key: str, before: object, after: object) -> dict[str, object]:
    """Return an event in the form in which the platform delivers it."""
    return {
        "specversion": "1.0", "id": "first", "type": "google.firebase.database.ref.v1.written",
        "source": "//firebasedatabase.googleapis.com/projects/_/locations/us-central1/instances/" + NAMESPACE,
        "subject": f"refs/User_Book/{key}", "ref": f"User_Book/{key}", "instance": NAMESPACE, "location": "us-central1",
        "time": "2026-01-02T03:04:05.678Z", "datacontenttype": "application/json", "firebasedatabasehost": "localhost",
        "data": {
            "@type": "type.googleapis.com/google.events.firebase.database.v1.ReferenceEventData",
            "data": before, "delta": after,
        },
    }  # fmt: skip


def _median(rows: list[dict[str, float]], name: str) -> float:
    return round(float(np.median([row[name] for row in rows])), 3)


def _target(name: str, medians: dict[str, dict[str, float]], figure: str) -> dict[str, object]:
    ratio = round(medians[WITH_TENSORFLOW][figure] / medians[OURS][figure], 2)
    return {"name": name, "measured": ratio, "bound": RATIO, "met": ratio >= RATIO}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs of each kind instead of {RUNS}")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    result = measure(arguments.seed, arguments.quick)
    print(json.dumps(result, indent=1))
    keep("cold_start", result)


if __name__ == "__main__":
    main()
