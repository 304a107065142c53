"""``python -m benchmarks.cost``: what an event, a sweep, a fan-out and similar books download, and how that grows.

The handlers run in this process over the real adapters, the database emulator and a published model of 10,000 books.
Each answer of the database counts with its headers. The sweep is a quiet one: all lists are right and nothing changes.
Only public handlers are used, so that the same file measures earlier commits.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import numpy as np
import requests

from benchmarks import random_model
from benchmarks.data import OUT, keep
from benchmarks.growth import exponent
from benchmarks.stage import Stage, stage
from benchmarks.synthetic import FIRST_MS
from bookrec import paths
from bookrec.push_keys import first_key
from local.processes import Processes

SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (1_000, 10_000)
EACH = 100
"""Entries on each shelf of the sweeps."""

FAN_OUTS, QUICK_FAN_OUTS = (1_000, 10_000, 100_000), (100, 1_000)
QUEUEING_MS = 480_000
FAN_OUT_EACH, SHARD = 10, 100
"""Entries on each shelf of a fan-out, and readers of one of its tasks."""

EVENTS, EVENT_SHELF = 40, 50
RUNS_A_DAY, REST_S = 288, 3_600
MOST_A_DAY, MOST_GROWTH = 1e9, 1.1
"""Bounds: bytes of a quiet day at the largest size, and the exponent of a sweep's bytes."""

CHUNK = 5_000
STATE = f"{paths.STATUS}/reconcile"
OURS = (
    paths.READERS,
    paths.CHANGES,
    paths.DIRTY,
    paths.REJECTED,
    paths.CONVERSIONS,
    paths.STATUS,
    "Recommender/writes",
)

Row = dict[str, Any]


@dataclass
class Meter:
    """Counts answers of the database, and the bytes that are sent to it as content."""

    requests: int = 0
    bytes: int = 0
    sent: int = 0

    @contextmanager
    def reading(self, address: str) -> Iterator[None]:
        """Count the answers that come from an address."""
        send = requests.Session.send

        def counted(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
            answer = send(session, request, **how)
            if urlsplit(str(request.url)).netloc == address:
                headers = sum(len(name) + len(value) + 4 for name, value in answer.headers.items())
                self.requests += 1
                self.sent += len(request.body or b"")
                self.bytes += len(answer.content) + headers + len("HTTP/1.1 200 OK\r\n\r\n")
            return answer

        with mock.patch.object(requests.Session, "send", counted):
            yield


def cost_of(address: str, work: Callable[[], object]) -> Row:
    """Return requests, bytes and seconds of a piece of work."""
    meter = Meter()
    with meter.reading(address):
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
    return {"requests": meter.requests, "bytes": meter.bytes, "sent": meter.sent, "seconds": round(seconds, 3)}


class Pages:
    """Queues tasks, and keeps those of similar books."""

    def __init__(self, tasks: Any) -> None:
        self._tasks, self.kept = tasks, list[Mapping[str, Any]]()

    def enqueue(self, function: str, payload: Mapping[str, Any], *more: Any) -> None:
        """Implement ``backend.ports.TaskQueue``."""
        if function == "similar":
            self.kept.append(payload)
        else:
            self._tasks.enqueue(function, payload, *more)


def measure(seed: int, quick: bool, sizes: Sequence[int] = (), fan_outs: Sequence[int] = ()) -> Row:
    """Return the figures of all parts, and the targets.

    Args:
        seed: of the shelves.
        quick: whether the default sizes are the small ones.
        sizes: entries of each quiet sweep; empty for the default.
        fan_outs: readers of each fan-out; empty for the default.
    """
    sizes = sizes or (QUICK_SIZES if quick else SIZES)
    fan_outs = fan_outs or (QUICK_FAN_OUTS if quick else FAN_OUTS)
    processes, folder = Processes(), OUT / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as afterwards, stage(seed, processes, folder) as ready:
            *backends, pages = afterwards.enter_context(_backends(ready))
            result: Row = {"event": _event(ready, backends[0], seed)}
            if hasattr(backends[0], "similar_books"):
                result["similar"] = _similar(ready, backends[0], pages)
            result["fan_outs"] = []
            for readers in fan_outs:
                uids = _shelve(ready, seed, readers, FAN_OUT_EACH)
                result["fan_outs"].append({"readers": readers, **_fan_out(ready, backends[0], uids)})
                print(f"a fan-out: {result['fan_outs'][-1]}", flush=True)
            result["sweeps"] = []
            for entries in sizes:
                result["sweeps"].append({"entries": entries, **_sweep(ready, backends, seed, entries)})
                print(f"a quiet sweep: {result['sweeps'][-1]}", flush=True)
    finally:
        processes.stop(patience_s=5)
    result["exponents"] = {name: round(float(exponent(result["sweeps"], name)), 3) for name in ("bytes", "requests")}
    last, growth = result["sweeps"][-1], result["exponents"]["bytes"]
    day = f"bytes of a quiet day, {last['entries']:,} entries"
    targets = [
        {"name": day, "measured": last["day_bytes"], "bound": MOST_A_DAY, "met": last["day_bytes"] < MOST_A_DAY},
        {"name": "growth of a sweep's bytes", "measured": growth, "bound": MOST_GROWTH, "met": growth <= MOST_GROWTH},
    ]
    return result | {"seed": seed, "quick": quick, "targets": targets}


@contextmanager
def _backends(ready: Stage) -> Iterator[tuple[Any, Any, Pages]]:
    """Yield the functions' handlers twice, whose sweeps begin at once and whose sweeps rest; and the queued pages."""
    from backend.composition import build, connect
    from backend.parameters import read_settings
    from bookrec_database.connection import disconnect

    # Tasks run side by side in a deployment, and one after the other here: none pauses for the others' share.
    with mock.patch.dict(os.environ, ready.environment), mock.patch("backend.adapters.system.SystemClock.sleep"):
        settings = read_settings()
        services = connect(settings)
        pages = Pages(services.tasks)
        services = replace(services, tasks=pages)
        try:
            if hasattr(settings, "sweep_rest_s"):
                restless = replace(settings, sweep_rest_s=0)
                yield build(restless, services), build(replace(settings, sweep_rest_s=REST_S), services), pages
            else:
                yield build(settings, services), build(settings, services), pages
        finally:
            disconnect()


def _shelve(ready: Stage, seed: int, readers: int, each: int) -> list[str]:
    """Replace all readers by some who wrote in turns, long ago, and who have no list; return their ids."""
    for path in (paths.USER_BOOK, paths.USERS, *OURS):
        ready.request("DELETE", path)
    rng, isbns = np.random.default_rng((seed, 4)), random_model.isbns()
    uids = [f"reader{number:022}" for number in range(readers)]
    order = rng.permutation(np.repeat(np.arange(readers), each))
    entries: dict[str, Row] = {}
    for number, reader in enumerate(order.tolist()):
        key = first_key(FIRST_MS + number * 1_000) + f"{number:012}"
        isbn, stars = isbns[int(rng.integers(len(isbns)))], int(rng.integers(0, 11)) / 2
        entries[key] = {"userId": uids[reader], "bookId": f"-N{number:018}", "isbn": isbn, "myRate": stars}
    for path, nodes in ((paths.USER_BOOK, entries), (paths.USERS, {uid: _profile(uid) for uid in uids})):
        keys = list(nodes)
        for start in range(0, len(keys), CHUNK):
            part = {key: nodes[key] for key in keys[start : start + CHUNK]}
            ready.request("PATCH", path, part, print="silent")
    # The lists are made by a fan-out; the watermark has nothing new to look at.
    ready.request("PUT", f"{STATE}/watermark", max(entries))
    return uids


def _profile(uid: str) -> Row:
    return {"id": uid, "firstname": "A", "lastname": "Reader", "mobile": "", "image": ""}


def _fan_out(ready: Stage, backend: Any, uids: list[str]) -> Row:
    """Make all readers' lists with the live model, as its publication does; return the costs, also for one reader."""
    backend.model_published()
    publication = ready.request("GET", f"{paths.STATUS}/fanout/publication")

    def tasks() -> None:
        for shard in range(0, len(uids), SHARD):
            backend.fanout(publication, shard // SHARD, uids[shard : shard + SHARD])

    cost = cost_of(ready.database, tasks)
    return {
        **cost,
        **{f"{name}_a_reader": round(cost[name] / len(uids), 5) for name in ("requests", "bytes", "seconds")},
    }


def _similar(ready: Stage, backend: Any, pages: Pages) -> Row:
    """Return the cost of a publication's similar books: of the first one, and of one that changes nothing."""

    def run() -> None:
        pages.kept.clear()
        backend.similar_books(QUEUEING_MS, rests=False)
        for page in pages.kept:
            names = ("publication", "attempt", "page", "after", "last")
            backend.similar_books.page(*(page[name] for name in names))

    first = cost_of(ready.database, run)
    ready.request("DELETE", f"{paths.STATUS}/similar")
    tasks = len(pages.kept)
    return {"books": random_model.BOOKS, "tasks": tasks, "first": first, "unchanged": cost_of(ready.database, run)}


def _sweep(ready: Stage, backends: Sequence[Any], seed: int, entries: int) -> Row:
    """Return the cost of a run with a whole sweep over lists that are right, of a run that rests, and of a day."""
    restless, resting = backends
    uids = _shelve(ready, seed, max(entries // EACH, 1), EACH)
    _fan_out(ready, restless, uids)
    _until_swept(ready, restless)  # what it repairs is not measured
    swept = ready.request("GET", f"{STATE}/sweeps")
    runs: list[Row] = []
    while ready.request("GET", f"{STATE}/sweeps") == swept:
        runs.append(cost_of(ready.database, restless.reconcile))
    repaired = ready.request("GET", f"{STATE}/repaired")
    if repaired:
        raise RuntimeError(f"the sweep was not a quiet one: {repaired}")
    cost = {name: round(sum(run[name] for run in runs), 3) for name in ("requests", "bytes", "seconds")}
    resting.reconcile()  # a new instance reads the catalogue
    idle = cost_of(ready.database, resting.reconcile)
    sweeps_a_day = 86_400 / REST_S if idle["bytes"] < cost["bytes"] / 2 else RUNS_A_DAY / len(runs)
    day = sweeps_a_day * cost["bytes"] + max(RUNS_A_DAY - sweeps_a_day * len(runs), 0) * idle["bytes"]
    return {"readers": len(uids), **cost, "runs": len(runs), "resting": idle, "day_bytes": int(day)}


def _until_swept(ready: Stage, backend: Any) -> None:
    swept = ready.request("GET", f"{STATE}/sweeps")
    while ready.request("GET", f"{STATE}/sweeps") == swept:
        backend.reconcile()


def _event(ready: Stage, backend: Any, seed: int) -> Row:
    """Return the mean cost of an event: a reader with a shelf of ``EVENT_SHELF`` changes a rating."""
    from backend.handlers.entry_written import EntryWritten

    uids = _shelve(ready, seed, 4, EVENT_SHELF)
    nodes: Mapping[str, Row] = ready.request("GET", paths.USER_BOOK)
    mine = {uid: sorted(key for key, node in nodes.items() if node["userId"] == uid) for uid in uids}
    rows: list[Row] = []
    for number in range(EVENTS + 4):
        uid = uids[number % len(uids)]
        key = mine[uid][number % EVENT_SHELF]
        after = {**nodes[key], "myRate": number % 10 / 2 + 0.5}
        ready.request("PUT", f"{paths.USER_BOOK}/{key}", after)
        now = int(time.time() * 1000)
        event = EntryWritten(f"e{number}", key, nodes[key], after, uid, now)
        rows.append(cost_of(ready.database, lambda event=event: backend.entry_written(event)))  # type: ignore[misc]
    measured = rows[4:]  # the first ones load the model and make the first lists
    mean = {
        name: round(float(np.mean([row[name] for row in measured])), 5) for name in ("requests", "bytes", "seconds")
    }
    print(f"an event: {mean}", flush=True)
    return {"shelf": EVENT_SHELF, **mean}


def show(figures: Row) -> None:
    """Print the figures as tables."""
    event = figures["event"]
    print(f"\nan event, a shelf of {event['shelf']}: {_line(event)}")
    if similar := figures.get("similar"):
        print(f"\nsimilar books of {similar['books']:,} books, {similar['tasks']} tasks")
        for name in ("first", "unchanged"):
            print(f"{name:>9}: {_line(similar[name])}; {similar[name]['sent'] / 1e6:.4f} MB sent")
    print("\na fan-out")
    for row in figures["fan_outs"]:
        print(f"{row['readers']:9,} readers: {_line(row)}; {row['bytes_a_reader']:,.0f} bytes a reader")
    print(f"\na quiet sweep: bytes ~ entries^{figures['exponents']['bytes']:.2f}")
    for row in figures["sweeps"]:
        rest, day = row["resting"]["bytes"], row["day_bytes"] / 1e9
        print(f"{row['entries']:9,} entries: {_line(row)}; a run that rests {rest:,} bytes; a day {day:.3f} GB")


def _line(row: Row) -> str:
    return f"{row['requests']:8,.0f} requests {row['bytes'] / 1e6:10,.4f} MB {row['seconds']:8.3f} s"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to ten thousand entries")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--entries", type=int, nargs="+", default=[], help="entries of each sweep")
    parser.add_argument("--readers", type=int, nargs="+", default=[], help="readers of each fan-out")
    arguments = parser.parse_args()
    figures = measure(arguments.seed, arguments.quick, arguments.entries, arguments.readers)
    show(figures)
    keep("cost", figures)


if __name__ == "__main__":
    main()
