"""A write under ``/Users/{uid}/dismissed``: refreshes the reader's list. It asks for no retraining."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from backend import logs, traffic_counter
from backend.handlers.write_rate import WriteRate
from backend.lists import ListRefresher
from backend.ports import Clock
from bookrec import paths


@dataclass(frozen=True, slots=True)
class DismissedWritten:
    """One event.

    Attributes:
        user_id: whose node was written.
        is_there: whether there is a dismissal after the write.
        author: as in ``EntryWritten``.
        at_ms: when it was written (milliseconds since 1970), or None if the platform does not say.
    """

    event_id: str
    user_id: str
    is_there: bool
    author: str | None
    at_ms: int | None = None


class DismissedWrittenHandler:
    """Handles ``DismissedWritten``. Events are hints: which book it was does not matter, the present state does.

    Args:
        rate: counts the writes of each reader; the same one that counts entries.
    """

    def __init__(self, lists: ListRefresher, clock: Clock, rate: WriteRate) -> None:
        self._lists, self._clock, self._rate = lists, clock, rate

    def __call__(self, event: DismissedWritten) -> None:
        """Refresh the reader's list, unless the reader writes too fast: then the reconciler does."""
        began = self._clock.elapsed_ms()
        if not paths.is_key(event.user_id):
            return
        if event.author is not None and event.is_there and self._rate.is_too_fast(event.user_id):
            return
        done = self._lists.refresh([event.user_id], (), partial(self._traffic, event))
        logs.info(
            "lists follow a dismissal",
            event=event.event_id,
            users=[logs.user_key(event.user_id)],
            model=done.version,
            latency_ms=self._clock.elapsed_ms() - began,
        )

    def _traffic(self, event: DismissedWritten) -> dict[str, object]:
        return traffic_counter.counted(event.at_ms, self._clock.now_ms())
