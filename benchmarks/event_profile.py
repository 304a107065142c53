"""The time of one event by part: the handler in this process, in one thread, with the real adapters."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import requests
from firebase_admin import db

from backend import composition, list_writes, lists
from backend.adapters import tflite_model
from backend.handlers.entry_written import EntryWritten
from backend.parameters import read_settings
from benchmarks.data import OUT
from benchmarks.stage import Stage, shelve, stage
from bookrec import paths
from bookrec.ranking import RecommendationList
from bookrec.recommender import Recommender
from bookrec.shelf import Shelf
from bookrec_database import concurrency, database
from local.processes import Processes

READERS = 20
REST = "everything else"
"""The whole event without its parts."""

WARM_UP = 20


class Stopwatch:
    """Adds up the time of parts; a part's time does not include that of parts it calls.

    Attributes:
        cpu_s: processor time by part.
        wall_s: time by part.
        calls: number of calls of each part.
    """

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = defaultdict(float)
        self.wall_s: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._running: list[str] = []
        self._since = (0.0, 0.0)

    def clear(self) -> None:
        """Start again from zero."""
        for figures in (self.cpu_s, self.wall_s, self.calls):
            figures.clear()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time counted for a part, in calls within ``REST`` only."""

        def run(*given: Any, **named: Any) -> Any:
            if not self._running and part != REST:
                return function(*given, **named)
            self._turn()
            self._running.append(part)
            self.calls[part] += 1
            try:
                return function(*given, **named)
            finally:
                self._turn()
                self._running.pop()

        return run

    def _turn(self) -> None:
        now = (time.thread_time(), time.perf_counter())
        if self._running:
            self.cpu_s[self._running[-1]] += now[0] - self._since[0]
            self.wall_s[self._running[-1]] += now[1] - self._since[1]
        self._since = now


PARTS: tuple[tuple[str, Any, str], ...] = (
    ("waiting for the database", http.client.HTTPConnection, "send"),
    ("waiting for the database", http.client.HTTPConnection, "getresponse"),
    ("HTTP libraries (firebase-admin, requests, urllib3)", db._Client, "request"),
    ("JSON of requests and answers", json, "dumps"),
    ("JSON of requests and answers", requests.models.Response, "json"),
    ("firebase-admin's sorting of a query's answer", db._Sorter, "__init__"),
    ("parsing entries and readers", lists, "sort_out"),
    ("parsing entries and readers", lists, "build_shelf"),
    ("parsing entries and readers", database, "parse_reader"),
    ("the shelf's digest", Shelf, "digest"),
    ("candidates, list and its node", Recommender, "candidates"),
    ("candidates, list and its node", list_writes, "top_list"),
    ("candidates, list and its node", RecommendationList, "to_node"),
)


@contextmanager
def _watching(watch: Stopwatch) -> Iterator[None]:
    """Wrap every part with the stopwatch."""
    with ExitStack() as patches:
        for part, owner, name in PARTS:
            member = getattr(owner, name)
            timed = watch.timed(part, getattr(member, "fget", member))
            replacement = property(timed) if isinstance(member, property) else timed
            patches.enter_context(mock.patch.object(owner, name, replacement))
        locked = tflite_model._locked
        run = lambda runner, lock: watch.timed("the model (TFLite)", locked(runner, lock))  # noqa: E731
        patches.enter_context(mock.patch.object(tflite_model, "_locked", run))
        yield


def profile(seed: int, events: int) -> dict[str, Any]:
    """Return milliseconds per event by part, for the whole event: up to the list, and the check afterwards.

    Requests are sent one by one here, to measure each part's processor time. In an instance, the requests of one
    round are concurrent.
    """
    processes, watch = Processes(), Stopwatch()
    try:
        with stage(seed, processes, OUT / "bench") as ready, mock.patch.dict(os.environ, ready.environment):
            shelves = shelve(ready, seed, READERS)
            with _watching(watch):
                _run(ready, shelves, watch, events)
    finally:
        processes.stop(patience_s=5)
    parts = {
        part: {
            "cpu_ms": round(watch.cpu_s[part] / events * 1000, 3),
            "wall_ms": round(watch.wall_s[part] / events * 1000, 3),
            "calls": round(watch.calls[part] / events, 1),
        }
        for part in sorted(watch.cpu_s, key=lambda part: -watch.cpu_s[part])
    }
    total = round(sum(part["cpu_ms"] for part in parts.values()), 2)
    return {"seed": seed, "events": events, "cpu_ms": total, "parts": parts}


def _run(ready: Stage, shelves: dict[str, dict[str, Any]], watch: Stopwatch, events: int) -> None:
    settings, one_by_one = read_settings(), lambda calls: [call() for call in calls]
    with mock.patch.object(concurrency, "run_concurrently", one_by_one):
        services = composition.connect(settings)
    handle = watch.timed(REST, composition.build(settings, services).entry_written)
    for number in range(WARM_UP + events):
        if number == WARM_UP:
            watch.clear()
        shelf = shelves[sorted(shelves)[number % len(shelves)]]
        key = sorted(shelf)[number % len(shelf)]
        before, after = shelf[key], {**shelf[key], "myRate": (shelf[key]["myRate"] * 2 + 1) % 11 / 2}
        shelf[key] = after
        ready.request("PUT", f"{paths.USER_BOOK}/{key}", after, print="silent")
        handle(EntryWritten(f"event-{number}", key, before, after, None))
