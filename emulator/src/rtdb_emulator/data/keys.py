"""Keys of nodes: which are valid, how they sort, and how new ones are made."""

from __future__ import annotations

import random
import re
import time
from functools import lru_cache

from rtdb_emulator.errors import ServiceError

MAX_KEY_BYTES = 768
MAX_DEPTH = 32
PUSH_CHARS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

Path = tuple[str, ...]

PRIORITY = ".priority"
"""The last part of a path that means a node's priority; it is not a key of data."""

NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""What the name of a database looks like."""

_INTEGER = re.compile(r"-?0*\d{1,10}", re.ASCII)
_FORBIDDEN = re.compile(r"[.$#\[\]/\x00-\x1f\x7f\ud800-\udfff]")


@lru_cache(1 << 16)
def check_key(key: str) -> str:
    """Return a key that is valid in data; the same object for equal keys, which saves memory if they repeat.

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


def parse_path(text: str, *, may_be_priority: bool = False) -> Path:
    """Return the keys of a slash-separated path, the last of which may be ``.priority`` if that is allowed.

    Raises:
        ServiceError: 400 for a key that no node can have, or a path that is too deep.
    """
    path = tuple(part for part in text.split("/") if part)
    if may_be_priority and path[-1:] == (PRIORITY,):
        return (*parse_path("/".join(path[:-1])), PRIORITY)
    if any(_FORBIDDEN.search(part) for part in path):
        raise ServiceError(400, 'Invalid path: Invalid token in path. Paths must not contain ".", "#", "$", "[" or "]"')
    if len(path) > MAX_DEPTH:
        raise ServiceError(400, f"Invalid path: more than {MAX_DEPTH} levels deep")
    return tuple(check_key(part) for part in path)


def check_namespace(name: str) -> str:
    """Return the name of a database, if it can be one.

    Raises:
        ServiceError: 400 otherwise.
    """
    if not NAMESPACE.fullmatch(name):
        raise ServiceError(400, "Please specify a namespace: add ?ns=NAME to the address")
    return name


def node_path(path: Path) -> Path:
    """Return the path of the node that a path is for: the part before ``.priority``, or all of it."""
    return path[:-1] if path[-1:] == (PRIORITY,) else path


Order = tuple[int, int, int, str]
"""What sorts keys."""

BEFORE_KEYS: Order = (-1, 0, 0, "")
"""Sorts before every key."""

AFTER_KEYS: Order = (2, 0, 0, "")
"""Sorts after every key."""


@lru_cache(1 << 16)
def key_order(key: str) -> Order:
    """Return what sorts keys as the service does: integers of 32 bits by value, shorter first, then texts.

    Source: the documentation of ``orderByKey``; leading zeros as the client SDKs compare them.
    """
    if _INTEGER.fullmatch(key) and -(2**31) <= int(key) < 2**31:
        return (0, int(key), len(key), key)
    return (1, 0, 0, text_order(key))


def text_order(text: str) -> str:
    """Return what sorts texts as the service does: by UTF-16 units, where Python sorts by characters."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    return "".join(map(chr, units))


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
