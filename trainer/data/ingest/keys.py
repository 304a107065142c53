"""Ranges of keys, for reading parts of a large node concurrently."""

from __future__ import annotations

from bookrec.push_keys import first_key
from bookrec_database.key_range import KeyRange


def cut(first_ms: int, last_ms: int, number: int) -> list[KeyRange]:
    """Return ranges that cover every key once: ``number`` equal spans of time, and the keys before and after them.

    Integers and texts that sort before push keys are in the first range, other texts in the last.

    Args:
        first_ms, last_ms: when the first and the last push key were made, milliseconds since 1970.
        number: number of spans, at least 1.
    """
    span = max(last_ms - first_ms, 0) + 1
    bounds = sorted({first_key(first_ms + span * place // number) for place in range(number + 1)})
    return [KeyRange(first, end) for first, end in zip([None, *bounds], [*bounds, None], strict=True)]
