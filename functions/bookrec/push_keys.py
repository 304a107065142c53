"""Push keys: the names that ``push()`` gives to nodes, ordered by the clients' clocks.

Source: Firebase blog, "The 2^120 Ways to Ensure Unique Identifiers" (2015): 8 characters of time, 12 random ones.
"""

from __future__ import annotations

import re

CHARS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""The 64 digits, ascending."""

LENGTH, _TIME_DIGITS = 20, 8

_VALUES = {char: value for value, char in enumerate(CHARS)}
_PUSH_KEY = re.compile(f"[{CHARS}]{{{LENGTH}}}")  # "-" comes first, so it is literal in the class


def push_time(key: str) -> int:
    """Return when a push key was made, in milliseconds since 1970, or -1 if the key is not a push key."""
    if not _PUSH_KEY.fullmatch(key):
        return -1
    milliseconds = 0
    for char in key[:_TIME_DIGITS]:
        milliseconds = milliseconds * 64 + _VALUES[char]
    return milliseconds


def first_key(at_ms: int) -> str:
    """Return the lower bound of the push keys made at ``at_ms`` (milliseconds since 1970) or later."""
    return "".join(CHARS[(at_ms >> (6 * place)) & 63] for place in reversed(range(_TIME_DIGITS)))
