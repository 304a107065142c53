"""An event or a task of a database instance that nobody configured: it is ignored, and an alarm says so."""

from __future__ import annotations

from backend import logs
from backend.ports import TIMESTAMP, Clock, Database
from bookrec import paths
from bookrec.life_cycle.ranges import is_time
from bookrec.paths import children

STATE = f"{paths.STATUS}/unknownInstance"


class UnknownInstanceHandler:
    """Raises the alarm at most once an hour, however many function instances get such events.

    Args:
        database: the first instance.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock, self._is_due = database, clock, logs.Hourly(clock.elapsed_ms)

    def __call__(self, instance: str) -> None:
        """Ignore it; nothing of the event is used but the instance's name."""
        if not self._is_due(""):
            return
        last = children(self._database.status("unknownInstance")).get("at")
        if is_time(last) and 0 <= self._clock.now_ms() - last < logs.HOUR_MS:
            return
        self._database.update({STATE: {"at": TIMESTAMP}})
        logs.alarm("unknown-instance", "a database that is not configured is ignored", instance=instance[:100])
