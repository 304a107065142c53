"""How many events were handled in a minute, and how long their lists took, in buckets."""

from __future__ import annotations

MINUTE_MS = 60_000

BOUNDS_MS = (25, 50, 100, 250, 500, 1_000, 2_500, 5_000)
"""Of the buckets: an event is in the one with the smallest bound that it keeps."""

EVENTS, MORE = "events", "more"
BUCKETS = (*(f"b{bound}" for bound in BOUNDS_MS), MORE)

KEPT_MINUTES = 1_440


def minute_of(now_ms: int) -> int:
    """Return the whole minutes since 1970."""
    return now_ms // MINUTE_MS


def bucket_of(took_ms: int) -> str:
    """Return the bucket of an event whose list was written so long after it; clocks may differ, so that it is < 0."""
    return next((f"b{bound}" for bound in BOUNDS_MS if took_ms <= bound), MORE)
