"""Undoes what somebody else wrote to a reader's entry: a forged entry goes, a genuine one becomes what it was.

Events come in any order, and somebody may write several times. So each event notes in the entry's record which value it
replaced by which; then the entry's present value is followed back to the last one that its reader, or an admin, wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from backend.ports import TIMESTAMP, Database
from backend.rejected import edited_record, forged_record
from bookrec import paths
from bookrec.entries import is_accepted, user_id_of
from bookrec.paths import children, whole

NOBODY = ""
"""The author of what a client without a token writes."""

MAX_NOTES, MAX_UNDONE = 20, 100
"""Notes in a record of what was replaced, and of writes that were undone, of which the newest stay."""

_NOTHING = {"isThere": False}
"""Notes that there was no entry: the database keeps no empty nodes."""


@dataclass(frozen=True, slots=True)
class Write:
    """A write to one entry: values before and after, and who wrote.

    Attributes:
        author: the uid of the signed-in user, or ``NOBODY``; None for an admin, or if the platform does not say.
        event_id: of its event, whose duplicates have the same one.
    """

    key: str
    before: object
    after: object
    author: str | None
    event_id: str = ""

    @property
    def is_foreign(self) -> bool:
        """Return whether the author is not the reader whose entry it was, or, if it is new, claims to be."""
        if self.author is None or self.before == self.after:
            return False
        owner = user_id_of(self.before) if is_accepted(self.before) else user_id_of(self.after)
        return owner is not None and owner != self.author


def undo(database: Database, write: Write) -> bool:
    """Undo a foreign write as far as it is still there; return whether the entry was changed."""
    genuine = write.before if is_accepted(write.before) else None
    if genuine is None and database.reject(write.key, write.after, forged_record(write.after)):
        return True
    present = database.entry(write.key)
    if genuine is None and present is None:
        return False
    notes = _noted(database, write, genuine)
    value, seen = present, set[str]()
    while (mark := _mark(value)) in notes and mark not in seen:
        seen.add(mark)
        value = _value(notes[mark])
    if not seen or value == present:
        return False
    if value is None:
        return database.reject(write.key, present, forged_record(present))
    reader = user_id_of(value)
    if reader is None or database.readers([reader])[reader].is_gone:
        return False
    if not database.restore(write.key, present, children(value)):
        return False
    # What was undone is over: the reader may write the same value, and it is genuine then.
    place, undone = f"{paths.REJECTED}/{write.key}", children(children(database.record(write.key)).get("undone"))
    oldest = sorted(undone, key=lambda mark: whole(undone[mark]))[: max(len(undone) + 1 - MAX_UNDONE, 0)]
    over = [*(f"replaced/{mark}" for mark in seen), *(f"undone/{mark}" for mark in oldest)]
    database.update({f"{place}/undone/{_identity(write)}": TIMESTAMP, **{f"{place}/{note}": None for note in over}})
    return True


def _noted(database: Database, write: Write, genuine: object) -> Mapping[str, object]:
    """Note what the write replaced; return all notes of the entry, including those of events at the same time.

    Of a duplicate of what was undone before, there are none: the reader may have written the same value since.
    """
    place, recorded = f"{paths.REJECTED}/{write.key}", children(database.record(write.key))
    if _identity(write) in children(recorded.get("undone")):
        return {}
    own, noted = {_mark(write.after): _NOTHING if genuine is None else genuine}, children(recorded.get("replaced"))
    if len(noted) >= MAX_NOTES:  # of so many writes, what was there before the first ones counts
        own = {_mark(write.after): noted[min(noted)]}
    else:
        values: dict[str, object] = {f"{place}/replaced/{mark}": node for mark, node in own.items()}
        if "reason" not in recorded:
            values |= {f"{place}/{name}": value for name, value in edited_record(write.after).items()}
        database.update(values)
    return {**children(children(database.record(write.key)).get("replaced")), **own}


def _identity(write: Write) -> str:
    return _mark({"event": write.event_id, "before": _mark(write.before), "after": _mark(write.after)})


def _value(noted: object) -> object:
    return None if noted == _NOTHING else noted


def _mark(value: object) -> str:
    """Return a key that is equal for equal values: whole numbers may come back as floats."""
    fields = {
        name: int(field) if isinstance(field, float) and field.is_integer() else field
        for name, field in children(value).items()
    }
    return hashlib.sha256(json.dumps(fields or value, sort_keys=True, default=str).encode()).hexdigest()[:20]
