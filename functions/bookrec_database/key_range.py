"""A range of a node's keys."""

from __future__ import annotations

from dataclasses import dataclass

from bookrec.paths import key_order


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys from ``first`` on that come before ``end``, in the database's order; None is no bound."""

    first: str | None = None
    end: str | None = None

    def __contains__(self, key: str) -> bool:
        """Return whether a key that does not come before ``first`` is in the range."""
        return self.end is None or key_order(key) < key_order(self.end)

    def up_to(self, last: str) -> KeyRange:
        """Return the part that ends with the text ``last``: no text comes between it and itself with a space."""
        return KeyRange(self.first, f"{last} ")

    def __str__(self) -> str:
        """Describe it to a person."""
        return f"keys from {self.first or 'the first'} to before {self.end or 'the end'}"


WHOLE = KeyRange()
"""All keys."""

NUMBERS, TEXTS = KeyRange(end=" "), KeyRange(first=" ")
"""The keys that the database sorts as integers, and those after them; a space is the first character of a text."""
