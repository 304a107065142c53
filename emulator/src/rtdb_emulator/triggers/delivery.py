"""Delivery of events to the functions emulator: in the background, never failing or slowing the write."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rtdb_emulator.database.changes import Change
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.triggers.events import Occurrence
from rtdb_emulator.triggers.trigger import Trigger

START_S = 35
"""How long a delivery keeps its place. The functions emulator gives a worker 30 s to start, and says nothing if it does
not: from then on, a delivery without an answer is one to a function that runs, or to nobody."""

SILENCE_S = 10
"""If no delivery of a trigger has been answered for so long, one of them gives its place up."""

PATIENCE_S = START_S + 60
"""How long an answer is waited for: a function has 60 s, unless it asks for more; see ``Dispatcher``."""

WAITS_S = (1, 4)
"""How long to wait before delivering an event again that nobody has answered."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Line:
    """The events that wait for one trigger, and how many of its deliveries have a place.

    Attributes:
        moved_at: when a delivery was answered, or gave its place up; by the event loop's clock.
    """

    trigger: Trigger
    waiting: deque[Occurrence] = field(default_factory=deque)
    under_way: int = 0
    moved_at: float = 0.0


class Dispatcher:
    """Delivers each event, in no promised order. A function that fails is not called again.

    An event that nobody answers, since the connection broke or a worker was killed, is delivered again, with the same
    id: like the platform's, delivery is at least once. ``faults`` change that, if a plan says so.

    Args:
        functions: ``host:port`` of the functions emulator.
        host: what the events name as the database's host.
        in_flight: deliveries at a time for each trigger. The functions emulator starts a Python process for
            every request that finds no idle one: without a bound, a burst of writes starts a crowd of them.
        faults: decides what goes wrong.
        timeouts: time limits of functions in seconds, by a text that is in the names of their triggers. A function
            that is not named has 60 s: registrations do not say it.
    """

    def __init__(
        self, functions: str, host: str, in_flight: int, faults: Faults, timeouts: Mapping[str, int] | None = None
    ) -> None:
        self._functions, self._host, self._in_flight = functions, host, in_flight
        self._timeouts = timeouts or {}
        self._faults = faults
        self._lines: dict[str, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def register(self, trigger: Trigger) -> None:
        """Add a trigger, or replace the one with its name."""
        self._lines.setdefault(trigger.name, _Line(trigger)).trigger = trigger

    @property
    def names(self) -> list[str]:
        """The names of all triggers."""
        return sorted(self._lines)

    def __call__(self, change: Change) -> None:
        """Queue the events of one write."""
        for line in self._lines.values():
            for place in line.trigger.places(change):
                self._queue(line, Occurrence(change, place))
            self._start(line)

    async def close(self) -> None:
        """Drop what has not been delivered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _queue(self, line: _Line, occurrence: Occurrence) -> None:
        for delay_s in self._faults.delays(line.trigger):
            if delay_s > 0:
                self._run(self._queue_later(line, occurrence, delay_s))
            else:
                line.waiting.append(occurrence)

    async def _queue_later(self, line: _Line, occurrence: Occurrence, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        line.waiting.append(occurrence)
        self._start(line)

    def _start(self, line: _Line) -> None:
        """Deliver up to ``in_flight`` at a time."""
        while line.waiting and line.under_way < self._in_flight:
            line.under_way += 1
            self._run(self._deliver_all(line, self._next(line)))

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _next(self, line: _Line) -> Occurrence:
        position = self._faults.position(line.trigger, len(line.waiting))
        occurrence = line.waiting[position]
        del line.waiting[position]
        return occurrence

    async def _deliver_all(self, line: _Line, occurrence: Occurrence) -> None:
        """Deliver one event, then those that wait by then; go on without one that is not answered for long."""
        try:
            await self._hold_place(line, self._run(self._deliver(line.trigger, occurrence)))
            while line.waiting:
                await self._hold_place(line, self._run(self._deliver(line.trigger, self._next(line))))
        finally:
            line.under_way -= 1

    async def _hold_place(self, line: _Line, delivery: asyncio.Task[None]) -> None:
        """Wait for the end of a delivery; give its place up if there is no answer."""
        now = asyncio.get_running_loop().time
        began = now()
        while not delivery.done():
            until = min(began + START_S, max(began, line.moved_at) + SILENCE_S)
            if now() >= until:
                break
            await asyncio.wait([delivery], timeout=until - now())
        line.moved_at = now()

    async def _deliver(self, trigger: Trigger, occurrence: Occurrence) -> None:
        """Deliver one event until somebody answers, or all tries are used up."""
        event = json.dumps(occurrence.event(trigger, self._host))
        place = "/".join(occurrence.place)
        for wait_s in (*WAITS_S, None):
            if await self._post(trigger, event, place):
                return
            if wait_s is not None:
                await asyncio.sleep(wait_s)

    def _patience_s(self, trigger: Trigger) -> float:
        """Return how long an answer is waited for."""
        limits = [limit for name, limit in self._timeouts.items() if name in trigger.name]
        return START_S + max(limits) if limits else PATIENCE_S

    async def _post(self, trigger: Trigger, event: str, place: str) -> bool:
        """Return whether there was an answer, whatever it says."""
        if self._session is None:
            # A new connection for each: the receiver could close a kept one just as it is used.
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector)
        url = f"http://{self._functions}{trigger.url_path}"
        headers = {"content-type": "application/json" if trigger.is_legacy else "application/cloudevents+json"}
        timeout = aiohttp.ClientTimeout(total=self._patience_s(trigger))
        try:
            async with self._session.post(url, data=event, headers=headers, timeout=timeout) as answer:
                if answer.status >= 300:
                    log.warning("%s answered %d to an event of /%s", trigger.name, answer.status, place)
                return True
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            log.warning("%s did not answer an event of /%s: %s", trigger.name, place, problem or type(problem).__name__)
            return False
