"""``python -m benchmarks.events``: from an event to the list in the database, through the functions as they are hosted.

functions-framework under gunicorn as on Cloud Run, the database emulator with its triggers, fake-gcs-server with a
published model of 10,000 books, and shelves of 50. All time that a handler does not wait for the database counts as own
code, including libraries. ``--profile`` shows the time by part.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from benchmarks.data import OUT, keep
from benchmarks.stage import ADMIN, FUNCTIONS, NAMESPACE, PATIENCE_S, PROJECT, PYTHON, ROOT, Stage, shelve, stage
from benchmarks.stage import wait_for as wait_for_answer
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL
from bookrec.shelf import build_shelf, sort_out
from local.processes import Processes

TRIGGER = f"projects/{PROJECT}/locations/us-central1/triggers/us-central1-on_user_book_written-0"
EVENTS, QUICK_EVENTS = 500, 200
WARM_UP = 40
READERS, WRITES_EACH = 50, 8
OWN_CODE_MS = 10.0

Shelves = dict[str, dict[str, dict[str, Any]]]


class Lists:
    """Listens to all lists through the database's REST stream, until the database stops."""

    def __init__(self, address: str) -> None:
        self._arrived: dict[tuple[str, str], float] = {}
        self._changed = threading.Condition()
        host, port = address.split(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=600)
        self._connection.request("GET", f"/Users.json?ns={NAMESPACE}", headers={**ADMIN, "Accept": "text/event-stream"})
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def await_list(self, uid: str, digest: str, patience_s: float = PATIENCE_S) -> float:
        """Return when the list of a shelf arrived.

        Raises:
            TimeoutError: it did not arrive.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: (uid, digest) in self._arrived, patience_s):
                raise TimeoutError(f"no list for the current shelf after {patience_s:.0f} s")
            return self._arrived[uid, digest]

    def close(self) -> None:
        """Wait until the stream, and with it the connection, ends."""
        self._thread.join(PATIENCE_S)

    def _listen(self) -> None:
        with closing(self._connection), closing(self._answer), suppress(OSError, http.client.HTTPException):
            while line := self._answer.readline():
                if line.startswith(b"data: {"):
                    self._take(json.loads(line[6:]), time.perf_counter())

    def _take(self, event: dict[str, Any], now: float) -> None:
        uid, _, rest = event["path"].strip("/").partition("/")
        if rest == "recommendations" and event["data"]:
            with self._changed:
                self._arrived.setdefault((uid, event["data"]["basedOn"]["digest"]), now)
                self._changed.notify_all()


class Reader:
    """A reader with the app, who knows what the shelf should contain."""

    def __init__(
        self, stage: Stage, afterwards: ExitStack, uid: str, entries: Mapping[str, dict[str, Any]], seed: int
    ) -> None:
        self.uid, self.entries = uid, {key: dict(entry) for key, entry in entries.items()}
        self._stage, self._rng = stage, np.random.default_rng((seed, 3))
        self._session = afterwards.enter_context(requests.Session())

    @property
    def digest(self) -> str:
        """The digest of the shelf as it should be."""
        return build_shelf(self.uid, sort_out(self.entries)[0]).digest

    def rate(self) -> None:
        """Change the rating of a book on the shelf."""
        key = sorted(self.entries)[int(self._rng.integers(len(self.entries)))]
        rating = (self.entries[key]["myRate"] * 2 + 1) % 11 / 2
        self.entries[key]["myRate"] = rating
        self._write(f"{key}/myRate", rating)

    def act(self, number: int) -> None:
        """Rate, shelve or remove a book, in turn."""
        if number % 4 == 1:
            key = f"-P{self.uid[-6:]}{number:012}"
            book = int(self._rng.integers(10_000))
            self.entries[key] = {"userId": self.uid, "bookId": key, "isbn": f"0978{book:010}", "myRate": 4.5}
            self._write(key, self.entries[key])
        elif number % 4 == 3:
            key = sorted(self.entries)[0]
            del self.entries[key]
            self._write(key, None)
        else:
            self.rate()

    def _write(self, path: str, value: object) -> None:
        url = f"http://{self._stage.database}/{paths.USER_BOOK}/{path}.json"
        query = {"ns": NAMESPACE, "print": "silent"}
        self._session.put(
            url, params=query, data=json.dumps(value), headers=ADMIN, timeout=PATIENCE_S
        ).raise_for_status()


def measure(seed: int, quick: bool) -> dict[str, Any]:
    """Run the functions and send them events: first one by one, then from many readers concurrently."""
    processes, folder = Processes(), OUT / "bench"
    try:
        with ExitStack() as afterwards, stage(seed, processes, folder) as ready:
            shelves = shelve(ready, seed, READERS)
            times, host = _start_functions(ready, processes, folder)
            lists = afterwards.enter_context(closing(Lists(ready.database)))
            readers = [Reader(ready, afterwards, uid, entries, seed) for uid, entries in shelves.items()]
            result: dict[str, Any] = {"books": len(ready.catalogue), "shelf": len(readers[0].entries)}
            result |= _one_by_one(readers, lists, times, host, QUICK_EVENTS if quick else EVENTS)
            result |= _all_at_once(ready, readers, lists, times, host)
    finally:
        processes.stop(patience_s=5)
    own, wrong = result["own_code_ms"]["p50"], result["readers"] - result["right"]
    targets = [
        {"name": "own code, p50 ms", "measured": own, "bound": OWN_CODE_MS, "met": own < OWN_CODE_MS},
        {"name": "readers whose list is wrong in the end", "measured": wrong, "bound": 0, "met": wrong == 0},
    ]
    return result | {"seed": seed, "quick": quick, "targets": targets}


def _start_functions(stage: Stage, processes: Processes, folder: Path) -> tuple[Path, psutil.Process]:
    """Start the functions as Cloud Run does, with a stopwatch; register their trigger."""
    times = (folder / "events-times.jsonl").resolve()
    times.write_text("")
    host, port = stage.functions.split(":")
    environment = {**stage.environment, "BENCH_TIMES": str(times), "PYTHONPATH": f"{FUNCTIONS}:{ROOT}"}
    command = [str(PYTHON), "-m", "functions_framework", "--host", host, "--port", port]
    source = str(ROOT / "benchmarks" / "timed_functions.py")
    started = processes.start([*command, "--source", source], cwd=FUNCTIONS, env=environment,
                              log=folder / "functions.log")  # fmt: skip
    wait_for_answer(f"http://{stage.functions}/")
    trigger = {"name": TRIGGER, "path": "User_Book/{entryId}", "event": "google.firebase.database.ref.v1.written"}
    url = f"http://{stage.database}/.settings/functionTriggers.json"
    requests.post(url, json={**trigger, "namespacePattern": "*"}, headers=ADMIN, timeout=30).raise_for_status()
    return times, psutil.Process(started.pid)


def _one_by_one(readers: list[Reader], lists: Lists, times: Path, host: psutil.Process, events: int) -> dict[str, Any]:
    latencies: list[float] = []
    for number in range(WARM_UP + events):
        _settled(times, number)  # an event checks the shelf again after its list
        if number == WARM_UP:
            cpu_s = _cpu_s(host)
        reader = readers[number % len(readers)]
        began = time.perf_counter()
        reader.rate()
        latencies.append(lists.await_list(reader.uid, reader.digest) - began)
    _settled(times, WARM_UP + events)
    cpu_ms = (_cpu_s(host) - cpu_s) / events * 1000
    rows = [json.loads(line) for line in times.read_text().splitlines()[WARM_UP:]]
    waits = [united(row["waits"]) for row in rows]
    own = [row["list"] - waited for row, waited in zip(rows, waits, strict=True)]
    return {
        "events": events,
        "write_to_list_ms": _percentiles(latencies[WARM_UP:]),
        "event_to_list_ms": _percentiles([row["list"] for row in rows]),
        "own_code_ms": _percentiles(own),
        "database_ms": _percentiles(waits),
        "own_share": round(sum(own) / sum(row["list"] for row in rows), 3),
        "whole_event_ms": _percentiles([row["whole"] for row in rows]),
        "cpu_ms_an_event": round(cpu_ms, 2),
    }


def _all_at_once(
    stage: Stage, readers: list[Reader], lists: Lists, times: Path, host: psutil.Process
) -> dict[str, Any]:
    """Let all readers write as fast as they can; wait for their lists, and compare these with the expected ones."""
    before, cpu_s, began = len(times.read_text().splitlines()), _cpu_s(host), time.perf_counter()

    def write(reader: Reader) -> None:
        for number in range(WRITES_EACH):
            reader.act(number)

    with ThreadPoolExecutor(len(readers)) as pool:
        list(pool.map(write, readers))
    written_s = time.perf_counter() - began
    ended = max(lists.await_list(reader.uid, reader.digest) for reader in readers)
    events = len(readers) * WRITES_EACH
    _settled(times, before + events)
    cpu_ms = (_cpu_s(host) - cpu_s) / events * 1000
    return {
        "readers": len(readers),
        "events_at_once": events,
        "events_handled": len(times.read_text().splitlines()) - before,
        "written_in_s": round(written_s, 2),
        "events_a_second": round(events / (ended - began), 1),
        "cpu_ms_an_event_at_once": round(cpu_ms, 2),
        "tasks_queued": len(stage.tasks),
        "right": sum(is_right(stage, reader) for reader in readers),
    }


def is_right(stage: Stage, reader: Reader) -> bool:
    """Return whether the list in the database is the model's list for the shelf that the reader has written."""
    from backend.adapters.tflite_model import load_recommender
    from backend.list_writes import make_list

    model = load_recommender("bench", stage.files[RECOMMEND_MODEL], stage.files[ITEMS])
    shelf = build_shelf(reader.uid, sort_out(reader.entries)[0])
    stored = stage.request("GET", paths.recommendations(reader.uid))
    made = make_list(shelf, model, parse_catalogue(stage.catalogue)[0])
    listed = tuple(item["isbn"] for item in stored["items"])
    return bool(stored["basedOn"]["digest"] == shelf.digest and listed == made.isbns)


def _settled(times: Path, events: int) -> None:
    """Wait until this many events were handled completely, or until the patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while len(times.read_text().splitlines()) < events and time.monotonic() < deadline:
        time.sleep(0.002)


def united(intervals: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of intervals, sorted by start: threads wait concurrently."""
    total, reached = 0.0, 0.0
    for start, end in intervals:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _cpu_s(host: psutil.Process) -> float:
    used = [process.cpu_times() for process in (host, *host.children(recursive=True))]
    return float(sum(times.user + times.system for times in used))


def _percentiles(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EVENTS} events instead of {EVENTS}")
    parser.add_argument("--profile", action="store_true", help="measure the time of an event by part, in one thread")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    if arguments.profile:
        from benchmarks.event_profile import profile

        result, name = profile(arguments.seed, QUICK_EVENTS if arguments.quick else EVENTS), "event_profile"
    else:
        result, name = measure(arguments.seed, arguments.quick), "events"
    print(json.dumps(result, indent=1))
    keep(name, result)


if __name__ == "__main__":
    main()
