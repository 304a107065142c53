"""Push keys: what ``push()`` names a node, in the order of the clients' clocks.

Source: Firebase blog, "The 2^120 Ways to Ensure Unique Identifiers" (2015): 8 characters of time, 12 of chance.
"""

from __future__ import annotations

import re

CHARS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""The 64 digits, ascending."""

LENGTH, _TIME_DIGITS = 20, 8

_VALUES = {char: value for value, char in enumerate(CHARS)}
_PUSH_KEY = re.compile(f"[{CHARS}]{{{LENGTH}}}")  # the first digit is "-": it means itself there


def push_time(key: str) -> int:
    """Return when a push key was made, in milliseconds since 1970, or -1 where the key is none."""
    if not _PUSH_KEY.fullmatch(key):
        return -1
    milliseconds = 0
    for char in key[:_TIME_DIGITS]:
        milliseconds = milliseconds * 64 + _VALUES[char]
    return milliseconds


def first_key(at_ms: int) -> str:
    """Return what comes before every push key made at ``at_ms`` (milliseconds since 1970) or later."""
    return "".join(CHARS[(at_ms >> (6 * place)) & 63] for place in reversed(range(_TIME_DIGITS)))
