"""The number of events handled in each minute, by how long their lists took, in buckets."""

from __future__ import annotations

MINUTE_MS = 60_000

BOUNDS_MS = (25, 50, 100, 250, 500, 1_000, 2_500, 5_000)
"""The upper bounds of the buckets: an event is in the first one whose bound it does not exceed."""

EVENTS, MORE = "events", "more"
BUCKETS = (*(f"b{bound}" for bound in BOUNDS_MS), MORE)

KEPT_MINUTES = 1_440


def minute_of(now_ms: int) -> int:
    """Return the minutes since 1970, rounded down."""
    return now_ms // MINUTE_MS


def bucket_of(took_ms: int) -> str:
    """Return the bucket of an event whose list was written ``took_ms`` after it; less than 0 if clocks differ."""
    return next((f"b{bound}" for bound in BOUNDS_MS if took_ms <= bound), MORE)
