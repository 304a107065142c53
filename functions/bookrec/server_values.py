"""Values that the database fills in itself when it stores them."""

from __future__ import annotations

from collections.abc import Mapping

TIMESTAMP: Mapping[str, str] = {".sv": "timestamp"}
"""What the database replaces by its own clock (milliseconds since 1970)."""


def increment(step: int) -> Mapping[str, object]:
    """Return what makes the database add to the number that is there."""
    return {".sv": {"increment": step}}
