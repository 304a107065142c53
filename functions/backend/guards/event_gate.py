"""Bounds the rows of lists' events in the database: if nobody exports them, no more are added."""

from __future__ import annotations

from collections.abc import Mapping

from backend import logs
from backend.ports import Clock, Database, increment
from bookrec import paths
from bookrec.paths import children, whole
from bookrec.usage.list_events import KEPT_DAYS, MAX_ROWS, counts, date_of

STATE = f"{paths.STATUS}/events"
"""By date in ``rows``: how many were added; ``isFull``: no more are."""

FRESH_MS = 60_000
"""So long an instance believes what it has read."""

DAY_MS, PAGE = 86_400_000, 1_000
PAGES = 5
"""Pages of rows that one run removes at most."""


class EventGate:
    """Says whether rows are collected.

    Args:
        is_on: the setting.
    """

    def __init__(self, database: Database, clock: Clock, *, is_on: bool) -> None:
        self._database, self._clock, self._is_on = database, clock, is_on
        self._read_at: int | None = None
        self._is_full = False

    def date(self) -> str:
        """Return the date for new rows; "" if none are collected.

        Cost: once a minute and instance, a request of some bytes; nothing if the setting is off.
        """
        if not self._is_on:
            return ""
        now = self._clock.elapsed_ms()
        if self._read_at is None or now - self._read_at >= FRESH_MS:
            self._is_full = self._database.status("events/isFull") is True
            self._read_at = now
        return "" if self._is_full else date_of(self._clock.now_ms())


def counted(values: Mapping[str, object]) -> dict[str, object]:
    """Return what counts the rows of a write, by path."""
    return {f"{STATE}/rows/{date}": increment(number) for date, number in counts(values).items()}


def check(database: Database, now_ms: int) -> int:
    """Close the gate if there are too many rows, open it again, and remove rows that nobody has exported.

    Return 0, since that is not a repair. Cost: the counts (20 bytes a day), and what is removed.
    """
    state = children(database.status("events"))
    rows = {date: whole(number) for date, number in children(state.get("rows")).items()}
    is_full = sum(rows.values()) >= MAX_ROWS
    if is_full:
        logs.alarm("list-events-full", "events of lists are no longer collected", rows=sum(rows.values()))
    if is_full != (state.get("isFull") is True):
        database.update({f"{STATE}/isFull": is_full or None})
    oldest = date_of(now_ms - KEPT_DAYS * DAY_MS)
    for date in sorted(date for date in rows if date < oldest)[:1]:
        for _ in range(PAGES):
            page = database.page(f"{paths.EVENTS}/{date}", "", PAGE)
            is_last = len(page) < PAGE
            gone: dict[str, object] = {f"{paths.EVENTS}/{date}/{key}": None for key in page}
            database.update(gone | ({f"{STATE}/rows/{date}": None} if is_last else {}))
            if is_last:
                break
    return 0
