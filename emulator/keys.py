"""Keys of nodes: which are valid, how they sort, and how new ones are made."""

from __future__ import annotations

import random
import re
import time
from functools import lru_cache

from emulator.errors import ServiceError

MAX_KEY_BYTES = 768
MAX_DEPTH = 32
PUSH_CHARS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

Path = tuple[str, ...]

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,9})", re.ASCII)
_FORBIDDEN = re.compile(r"[.$#\[\]/\x00-\x1f\x7f\ud800-\udfff]")


def check_key(key: str) -> str:
    """Return a key that is valid in data.

    Raises:
        ServiceError: 400, as the service words it.
    """
    if not key or _FORBIDDEN.search(key):
        raise ServiceError(
            400, "Invalid data; couldn't parse JSON object. Are you sending a JSON object with valid key names?"
        )
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ServiceError(400, f"Invalid data; key names are limited to {MAX_KEY_BYTES} bytes")
    return key


def parse_path(text: str) -> Path:
    """Return the keys of a slash-separated path.

    Raises:
        ServiceError: 400 for a key that no node can have, or a path that is too deep.
    """
    path = tuple(part for part in text.split("/") if part)
    if any(_FORBIDDEN.search(part) for part in path):
        raise ServiceError(400, 'Invalid path: Invalid token in path. Paths must not contain ".", "#", "$", "[" or "]"')
    if len(path) > MAX_DEPTH:
        raise ServiceError(400, f"Invalid path: more than {MAX_DEPTH} levels deep")
    return tuple(check_key(part) for part in path)


@lru_cache(1 << 16)
def key_order(key: str) -> tuple[int, int, str]:
    """Return what sorts keys as the service does: integers by value first, then texts."""
    if _INTEGER.fullmatch(key) and key != "-0" and -(2**31) <= int(key) < 2**31:
        return (0, int(key), "")
    return (1, 0, key)


class PushKeys:
    """Makes push keys: 8 characters of time, 12 of chance, ever increasing within a millisecond.

    Source: Firebase blog, "The 2^120 Ways to Ensure Unique Identifiers" (2015).
    """

    def __init__(self) -> None:
        self._last_ms = -1
        self._chance = [0] * 12

    def __call__(self) -> str:
        """Return a new key."""
        now = max(int(time.time() * 1000), self._last_ms)
        if now == self._last_ms:
            self._increment()
        else:
            self._last_ms = now
            self._chance = [random.randrange(64) for _ in range(12)]
        stamp = [PUSH_CHARS[(now >> (6 * i)) & 63] for i in reversed(range(8))]
        return "".join(stamp) + "".join(PUSH_CHARS[digit] for digit in self._chance)

    def _increment(self) -> None:
        for position in reversed(range(12)):
            self._chance[position] = (self._chance[position] + 1) % 64
            if self._chance[position]:
                return
