"""The traffic of the last day: counted by each event in the write of its list, trimmed by the reconciler."""

from __future__ import annotations

from backend.ports import Database, increment
from bookrec import paths
from bookrec.usage.traffic import EVENTS, KEPT_MINUTES, bucket_of, minute_of

TRAFFIC = f"{paths.STATUS}/traffic"

PAGE = 100
"""How many minutes one run of the reconciler checks, the oldest first: more than pass between two runs."""


def counted(at_ms: int | None, now_ms: int) -> dict[str, object]:
    """Return the increments for an event of ``at_ms`` whose list is written now, by path; none if it has no time."""
    if at_ms is None:
        return {}
    minute = f"{TRAFFIC}/{minute_of(now_ms)}"
    return {f"{minute}/{name}": increment(1) for name in (EVENTS, bucket_of(now_ms - at_ms))}


def trim(database: Database, now_ms: int) -> int:
    """Remove what is older than a day; return 0, since that is not a repair."""
    page, oldest = database.page(TRAFFIC, "", PAGE), minute_of(now_ms) - KEPT_MINUTES
    old = {f"{TRAFFIC}/{key}": None for key in page if paths.key_order(key) <= paths.key_order(str(oldest))}
    if old:
        database.update(old)
    return 0
