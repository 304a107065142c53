"""The records of rejected entries: ``/Recommender/rejected``, bounded."""

from __future__ import annotations

from typing import Any

from backend.ports import TIMESTAMP, Database
from bookrec import paths
from bookrec.errors import BadData
from bookrec.paths import children

MAX_RECORDS = 1_000
"""How many records are kept. The entries themselves stay, and all of them are counted by reason."""

FORGED = BadData("user_forged", "the entry names another reader than the one who wrote it")
EDITED = BadData("edited_by_another", "somebody else than its reader edited the entry; it was restored")
_KEPT = ("bookId", "isbn", "myRate")


def record(problem: BadData) -> dict[str, object]:
    """Return the record of an entry."""
    return {"reason": problem.reason, "message": problem.message, "at": TIMESTAMP}


def forged_record(node: object) -> dict[str, object]:
    """Return the record of a forged entry with its small fields, so that a mistake can be corrected."""
    return {**record(FORGED), "entry": _kept_of(node)}


def edited_record(node: object) -> dict[str, object]:
    """Return the record of an entry that somebody else edited, with the small fields of what it was edited to."""
    return {**record(EDITED), "entry": _kept_of(node) or None}


def is_of_forged(recorded: object) -> bool:
    """Return whether a record is of a forged entry."""
    return children(recorded).get("reason") == FORGED.reason


def is_same_forged(recorded: object, node: object) -> bool:
    """Return whether ``node`` is still the recorded forged entry: its removal was not finished."""
    entry = dict(children(children(recorded).get("entry")))
    return node is not None and is_of_forged(recorded) and entry == _kept_of(node)


def trim_records(database: Database) -> int:
    """Remove the oldest records beyond the bound, those of forged entries last; return how many."""
    if len(database.rejected_keys()) <= MAX_RECORDS:
        return 0
    records = database.records()
    order = sorted(records, key=lambda key: (is_of_forged(records[key]), _at(records[key]), key))
    surplus = order[: max(len(records) - MAX_RECORDS, 0)]
    database.update({f"{paths.REJECTED}/{key}": None for key in surplus})
    return len(surplus)


def _kept_of(node: object) -> dict[str, Any]:
    fields = children(node)
    return {name: value for name in _KEPT if _is_small(value := fields.get(name))}


def _is_small(value: object) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= paths.MAX_KEY_BYTES)


def _at(recorded: object) -> float:
    at = children(recorded).get("at")
    return at if isinstance(at, (int, float)) else 0
