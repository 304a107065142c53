"""A write under ``/User_Book``: refreshes the reader's list and requests a retraining."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from backend import logs, traffic_counter
from backend.guards.foreign_writes import Write, undo
from backend.handlers.retrain import RetrainingQueue
from backend.handlers.write_rate import WriteRate
from backend.lists import ListRefresher
from backend.ports import Clock, Concurrently, Database
from backend.rejected import is_of_forged, record, trim_records
from bookrec import paths
from bookrec.entries import is_accepted, problem_of, user_id_of


@dataclass(frozen=True, slots=True)
class EntryWritten:
    """One event.

    Attributes:
        key: the entry's push key.
        before: the node before the write, according to the event.
        after: the node after the write.
        author: the uid of the signed-in user who wrote; ``foreign_writes.NOBODY`` for a client without a token; None
            for an admin, or if the platform does not say.
        at_ms: when it was written (milliseconds since 1970), or None if the platform does not say.
    """

    event_id: str
    key: str
    before: object
    after: object
    author: str | None
    at_ms: int | None = None


class EntryWrittenHandler:
    """Handles ``EntryWritten``. Events are hints: everything is computed from the present state of the database."""

    def __init__(
        self,
        database: Database,
        lists: ListRefresher,
        retraining: RetrainingQueue,
        clock: Clock,
        concurrently: Concurrently,
        rate: WriteRate,
    ) -> None:
        self._database, self._lists, self._retraining = database, lists, retraining
        self._clock, self._concurrently = clock, concurrently
        self._is_due, self._rate = logs.Hourly(clock.elapsed_ms), rate

    def __call__(self, event: EntryWritten) -> None:
        """Refresh the lists of the users whom the write concerns, unless its author writes too fast.

        If that fails, a check for retraining is requested all the same; the reconciler repairs the rest.
        """
        began = self._clock.elapsed_ms()
        user_ids = sorted({u for u in (user_id_of(event.before), user_id_of(event.after)) if u is not None})
        changes = [event.key] if is_accepted(event.before) or is_accepted(event.after) else None
        try:
            self._undo_foreign(event)
            if self._is_left_to_the_reconciler(event):
                return
            # The record and the lists are independent.
            refresh = partial(self._lists.refresh, user_ids, changes, partial(self._traffic, event))
            _, done = self._concurrently([lambda: self._keep_record(event), refresh])
        finally:
            self._retraining.ask()
        for reader in map(logs.user_key, sorted(done.full)):
            if self._is_due(reader):
                logs.alarm("shelf-full", "of a reader's entries only the newest count", reader=reader)
        logs.info(
            "lists follow an entry",
            event=event.event_id,
            users=[logs.user_key(user_id) for user_id in user_ids],
            model=done.version,
            latency_ms=self._clock.elapsed_ms() - began,
        )

    def _is_left_to_the_reconciler(self, event: EntryWritten) -> bool:
        """Return whether the author writes too fast: the reconciler makes the list of whoever is paused."""
        author = event.author
        if author is None or event.after is None or not paths.is_key(author):
            return False
        return self._rate.is_too_fast(author)

    def _traffic(self, event: EntryWritten) -> dict[str, object]:
        return traffic_counter.counted(event.at_ms, self._clock.now_ms())

    def _undo_foreign(self, event: EntryWritten) -> None:
        write = Write(event.key, event.before, event.after, event.author, event.event_id)
        if write.is_foreign and undo(self._database, write):
            logs.alarm("forged-entry", "what somebody else wrote to an entry was undone", event=event.event_id,
                       author=logs.user_key(event.author or "nobody"))  # fmt: skip

    def _keep_record(self, event: EntryWritten) -> None:
        """Record why the entry is rejected, or remove the record of an entry that is now good or gone.

        An entry that was good before has no record; if it has one all the same, the reconciler removes it.
        """
        if problem_of(event.before) is None and problem_of(event.after) is None:
            return
        problem = problem_of(self._database.entry(event.key))
        if problem is not None:
            self._database.update({f"{paths.REJECTED}/{event.key}": record(problem)})
            logs.warning("an entry is rejected", event=event.event_id, reason=problem.reason)
            trim_records(self._database)
        elif problem_of(event.before) is not None and not self._is_rejected(event.key):
            self._database.update({f"{paths.REJECTED}/{event.key}": None})

    def _is_rejected(self, key: str) -> bool:
        return is_of_forged(self._database.record(key))
