"""Ranges of keys, for reading parts of a large node concurrently."""

from __future__ import annotations

from dataclasses import dataclass

from bookrec.paths import key_order
from bookrec.push_keys import first_key


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys from ``first`` to before ``end``, in the database's order; None means no bound."""

    first: str | None = None
    end: str | None = None

    def __contains__(self, key: str) -> bool:
        """Return whether a key is in the range, given that it does not come before ``first``."""
        return self.end is None or key_order(key) < key_order(self.end)

    def __str__(self) -> str:
        """Return the range for messages."""
        return f"keys from {self.first or 'the first'} to before {self.end or 'the end'}"


WHOLE = KeyRange()
"""All keys."""


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
