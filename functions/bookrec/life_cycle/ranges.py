"""What the numbers of a pointer, a manifest and a lease may be: they are input, and each number has work behind it."""

from __future__ import annotations

from typing import TypeGuard

from bookrec.errors import BadModel

LATEST_MS = 4_102_444_800_000
"""The latest time: the beginning of the year 2100, in milliseconds since 1970."""

CLOCKS_MS = 86_400_000
"""How far the clocks of trainer and database may be apart."""

MAX_FENCE = 1_000_000_000
"""A run a second for thirty years."""

MAX_SHARDS = 50_000
"""Shards of lists, each of 300 readers: fifteen million readers. Each is a task that one event queues."""

MAX_SWITCHES = 1_000_000
"""Experiments that were started or ended since a publish."""

MAX_KEPT = 50
"""Kept versions; a publish keeps ten. An instance that starts may try them all."""

MAX_FILES = 100
"""Files of a version."""

INSTANCE_BYTES = 512 << 20
"""The memory of a function instance, as set in ``functions/main.py``."""

MAX_VERSION_BYTES = INSTANCE_BYTES // 2
"""All files of a version together: a rollback checks one at a time next to the live model."""

MAX_MODEL_BYTES = INSTANCE_BYTES // 4
"""``recommend.tflite``: the last one stays in memory until the next one is loaded, an experiment has another."""

MAX_ITEMS_BYTES = 4 << 20
"""``items.json``: up to nineteen times as large in memory, if its ISBNs are as short as can be."""


def whole(value: object, most: int, what: str) -> int:
    """Return a whole number from 0 to ``most``.

    Raises:
        BadModel: if it is anything else, such as an infinite number; names ``what``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most or value != int(value):
        raise BadModel(f"{what} is not a whole number from 0 to {most}")
    return int(value)


def is_time(value: object) -> TypeGuard[int | float]:
    """Return whether a value can be a time, in milliseconds since 1970."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= LATEST_MS
