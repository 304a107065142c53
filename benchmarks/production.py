"""``python -m benchmarks production``: a run over the emulator data, as the container job makes it.

It is ``python -m trainer run`` in a process of its own, against the database emulator and Cloud Storage on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from benchmarks.data import OUT, keep
from benchmarks.stage import ADMIN, BUCKET, NAMESPACE, PROJECT, ROOT, start_storage
from bookrec import paths
from local.database_emulator import running
from local.processes import Processes, free_port
from trainer.config import DEFAULTS

TARGET_S = 30.0
"""From the start of the process to its end, on two idle cores."""

STARTING = "starting"
"""The step before the first that a run records: Python, imports, connections, the lease."""

POLL_S = 0.05


def measure(seed: int, quick: bool) -> dict[str, Any]:
    """Return the run's seconds, in all and by the step that its record names, and the processor's."""
    processes, logs = Processes(), OUT / "bench"
    try:
        with running() as emulator:
            url, storage = f"http://{emulator.address}", free_port()
            start_storage(processes, storage, logs)
            entries = _fill(url)
            environment = {
                **os.environ,
                "GOOGLE_CLOUD_PROJECT": PROJECT,
                "FIREBASE_DATABASE_EMULATOR_HOST": emulator.address,
                "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{storage}",
                "MODEL_BUCKET": BUCKET,
            }
            words = [sys.executable, "-m", "trainer", "run", f"--seed={seed}"]
            run = _run(words, environment, url, logs / "production.log")
    finally:
        processes.stop(patience_s=5)
    name = f"a run over {entries:,} entries, seconds"
    row = {"name": name, "measured": run["seconds"], "bound": TARGET_S, "met": run["seconds"] <= TARGET_S}
    return {"seed": seed, "quick": quick, "entries": entries, **run, "targets": [row]}


def _fill(url: str) -> int:
    """Put rules and the emulator data into the database; return how many entries there are."""
    rules = (ROOT / "database.rules.json").read_bytes()
    _ask("PUT", f"{url}/.settings/rules.json", data=rules)
    (export,) = (ROOT / "emulator-data" / "database_export").glob("*.json")
    data = json.loads(export.read_text())
    _ask("PUT", f"{url}/.json", json=data, print="silent")
    return len(data[paths.USER_BOOK])


def _run(words: list[str], environment: dict[str, str], url: str, log: Path) -> dict[str, Any]:
    """Run a command, and note when the step changes that it records."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    steps, step, since = dict[str, float](), STARTING, began
    with log.open("w") as output:
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=output, stderr=output)
    while process.poll() is None:
        record = _ask("GET", f"{url}/{paths.STATUS}/training/run.json") or {}
        now = time.monotonic()
        if record.get("step", step) != step:
            steps[step], step, since = now - since, record["step"], now
        time.sleep(POLL_S)
    ended = time.monotonic()
    steps[step] = ended - since
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise RuntimeError(f"the run ended with {process.returncode}: {log.read_text()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": ended - began, "cpu_seconds": cpu, "steps": steps}


def _ask(method: str, url: str, *, json: Any = None, data: bytes | None = None, **query: str) -> Any:
    answer = requests.request(
        method, url, params={"ns": NAMESPACE, **query}, json=json, data=data, headers=ADMIN, timeout=60
    )
    answer.raise_for_status()
    return answer.json() if answer.content else None


def show(figures: dict[str, Any]) -> None:
    """Print the seconds by step."""
    print(f"\n== A production run over the emulator data ({figures['entries']:,} entries), seed {figures['seed']}")
    for name, seconds in figures["steps"].items():
        print(f"{name:>10}: {seconds:6.2f} s")
    (row,) = figures["targets"]
    verdict = "met" if row["met"] else "MISSED"
    print(f"{'in all':>10}: {row['measured']:6.2f} s (target {row['bound']:.0f}): {verdict}")
    print(f"{'processor':>10}: {figures['cpu_seconds']:6.2f} s, user and system")


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.production", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="changes nothing: the data are small")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    arguments = parser.parse_args()
    figures = measure(arguments.seed, arguments.quick)
    show(figures)
    print(f"\nwritten: {keep('production', figures)}")


if __name__ == "__main__":
    main()
