"""How fast one reader may write entries: who writes faster is paused, by a node that the rules look at.

The rules cannot count, and the app writes no time with an entry. So the events are counted here, for each reader in
each function instance; ``/Recommender/paused/{uid}`` says until when the rules deny the reader's entries.
"""

from __future__ import annotations

import threading

from backend import logs
from backend.ports import Clock, Database
from bookrec import paths

LIMIT, WINDOW_MS = 300, 60_000
"""So many writes of one reader are handled in a window, by each function instance; deletions do not count."""

PAUSE_MS = 600_000

MAX_READERS = 10_000
"""Readers of whom the writes are counted at a time."""


class WriteRate:
    """Counts the writes of each reader in windows of time, and pauses those who write too fast."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock, self._lock = database, clock, threading.Lock()
        self._window, self._counts, self._paused = 0, dict[str, int](), set[str]()

    def is_too_fast(self, user_id: str) -> bool:
        """Count a write; return whether it is beyond what is handled. The first such write in a window pauses."""
        now = self._clock.now_ms()
        with self._lock:
            if now // WINDOW_MS != self._window or len(self._counts) >= MAX_READERS:
                self._window, self._counts, self._paused = now // WINDOW_MS, {}, set()
            self._counts[user_id] = number = self._counts.get(user_id, 0) + 1
            if number <= LIMIT or user_id in self._paused:
                return number > LIMIT
            self._paused.add(user_id)
        try:
            self._database.update({f"{paths.PAUSED}/{user_id}": {"until": now + PAUSE_MS}})
        except Exception:
            self._paused.discard(user_id)
            raise
        logs.alarm("reader-paused", "a reader writes too many entries", reader=logs.user_key(user_id))
        return True
