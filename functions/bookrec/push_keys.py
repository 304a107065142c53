"""Push keys: what ``push()`` names a node, in the order of the clients' clocks.

Source: Firebase blog, "The 2^120 Ways to Ensure Unique Identifiers" (2015): 8 characters of time, 12 of chance.
"""

from __future__ import annotations

CHARS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""The 64 digits, ascending."""

LENGTH, _TIME_DIGITS = 20, 8


def push_time(key: str) -> int:
    """Return when a push key was made, in milliseconds since 1970, or -1 where the key is none."""
    if len(key) != LENGTH or any(char not in CHARS for char in key):
        return -1
    milliseconds = 0
    for char in key[:_TIME_DIGITS]:
        milliseconds = milliseconds * 64 + CHARS.index(char)
    return milliseconds


def first_key(at_ms: int) -> str:
    """Return what comes before every push key made at ``at_ms`` (milliseconds since 1970) or later."""
    return "".join(CHARS[(at_ms >> (6 * place)) & 63] for place in reversed(range(_TIME_DIGITS)))
