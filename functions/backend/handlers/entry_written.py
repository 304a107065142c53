"""A write under ``/User_Book``: the reader's list follows, and retraining is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend import logs
from backend.handlers.retraining import RetrainingQueue
from backend.lists import ListRefresher
from backend.ports import TIMESTAMP, Clock, Database, Together
from bookrec import paths
from bookrec.entries import parse_entry, user_id_of
from bookrec.errors import BadData

FORGED = BadData("user_forged", "the entry names another reader than the one who wrote it")
KEPT = ("bookId", "isbn", "myRate")
"""What the record of a forged entry keeps of it, so that a person can put a mistake right."""


@dataclass(frozen=True, slots=True)
class EntryWritten:
    """One event.

    Attributes:
        key: the entry's push key.
        before: the node before the write, as the event has it.
        after: the node after it.
        author: the signed-in user who wrote, or None for an admin or where the platform does not say.
    """

    event_id: str
    key: str
    before: object
    after: object
    author: str | None


class EntryWrittenHandler:
    """Handles ``EntryWritten``. Events are hints: everything is computed from the database as it stands."""

    def __init__(
        self, database: Database, lists: ListRefresher, retraining: RetrainingQueue, clock: Clock, together: Together
    ) -> None:
        self._database, self._lists, self._retraining = database, lists, retraining
        self._clock, self._together = clock, together

    def __call__(self, event: EntryWritten) -> None:
        """Refresh the lists of the users whom the write concerns."""
        began = self._clock.now_ms()
        self._set_aside_forged(event)
        user_ids = sorted({u for u in (user_id_of(event.before), user_id_of(event.after)) if u is not None})
        # The marks and the list do not depend on each other.
        _, version = self._together([lambda: self._mark(event, user_ids), lambda: self._lists.refresh(user_ids)])
        self._retraining.ask()
        logs.info(
            "lists follow an entry",
            event=event.event_id,
            users=[logs.user_key(user_id) for user_id in user_ids],
            model=version,
            latency_ms=self._clock.now_ms() - began,
        )

    def _set_aside_forged(self, event: EntryWritten) -> None:
        claimed = user_id_of(event.after)
        if event.author is None or claimed is None or claimed == event.author:
            return
        entry = event.after if isinstance(event.after, Mapping) else {}
        kept = {name: value for name in KEPT if _is_small(value := entry.get(name))}
        if self._database.quarantine(event.key, event.after, {**_record(FORGED), "entry": kept}):
            logs.warning("a forged entry was set aside", event=event.event_id, author=logs.user_key(event.author))

    def _mark(self, event: EntryWritten, user_ids: list[str]) -> None:
        """Count the entry as changed and its users as dirty; record or clear why it is set aside.

        The marks are sets, so that a duplicate of an event counts once.
        """
        if not paths.is_key(event.key):
            return
        marks: dict[str, object] = {f"{paths.CHANGES}/{event.key}": {"at": TIMESTAMP}}
        marks.update({f"{paths.DIRTY}/{user_id}": {"at": TIMESTAMP} for user_id in user_ids})
        problem = _problem(self._database.entry(event.key))
        if problem is not None:
            marks[f"{paths.REJECTED}/{event.key}"] = _record(problem)
            logs.warning("an entry is set aside", event=event.event_id, reason=problem.reason)
        elif _problem(event.before) is not None and not self._is_quarantined(event.key):
            marks[f"{paths.REJECTED}/{event.key}"] = None
        self._database.update(marks)

    def _is_quarantined(self, key: str) -> bool:
        record = self._database.record(key)
        return isinstance(record, Mapping) and record.get("reason") == FORGED.reason


def _problem(node: object) -> BadData | None:
    if node is None:
        return None
    try:
        parse_entry("", node)
    except BadData as problem:
        return problem
    return None


def _is_small(value: object) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= paths.MAX_KEY_BYTES)


def _record(problem: BadData) -> Mapping[str, object]:
    return {"reason": problem.reason, "message": problem.message, "at": TIMESTAMP}
