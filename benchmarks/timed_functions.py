"""``functions/main.py`` with a stopwatch: functions-framework serves it instead while ``events`` measures.

Each event appends a JSON line to the file that ``BENCH_TIMES`` names: the time from its arrival to the list in the
database, the intervals until then in which a thread waited for the database, and the time of the whole event. Waiting
means sending a request, and the time to the first byte of its answer.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import main

from backend.handlers.entry_written import EntryWritten, EntryWrittenHandler
from bookrec.reader import LIST
from bookrec_database.database import FirebaseDatabase

_times = Path(os.environ["BENCH_TIMES"])
_lock = threading.Lock()
_waits: list[tuple[float, float]] = []
_written: list[float] = []

_send = http.client.HTTPConnection.send
_getresponse = http.client.HTTPConnection.getresponse
_update = FirebaseDatabase.update
_handle = EntryWrittenHandler.__call__


def _waiting(call: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*given, **named)
        finally:
            _waits.append((began, time.perf_counter()))

    return timed


def _timed_update(database: FirebaseDatabase, values: Mapping[str, object]) -> None:
    _update(database, values)
    if any(path.endswith(LIST) for path in values):
        _written.append(time.perf_counter())


def _timed_handle(handler: EntryWrittenHandler, event: EntryWritten) -> None:
    _waits.clear()
    _written.clear()
    began = time.perf_counter()
    _handle(handler, event)
    ended = time.perf_counter()
    listed = _written[0] if _written else ended
    waits = [(start, end) for start, end in sorted(_waits) if end <= listed]
    line = {"list": listed - began, "waits": waits, "whole": ended - began}
    with _lock, _times.open("a") as file:
        file.write(json.dumps(line) + "\n")


http.client.HTTPConnection.send = _waiting(_send)  # type: ignore[method-assign]
http.client.HTTPConnection.getresponse = _waiting(_getresponse)  # type: ignore[method-assign]
FirebaseDatabase.update = _timed_update  # type: ignore[method-assign, assignment]
EntryWrittenHandler.__call__ = _timed_handle  # type: ignore[method-assign, assignment]

on_user_book_written = main.on_user_book_written
