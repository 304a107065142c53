"""Placeholders that the server fills in: ``{".sv": "timestamp"}`` and ``{".sv": {"increment": n}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtdb_emulator.data.children import Children
from rtdb_emulator.data.keys import PRIORITY
from rtdb_emulator.data.tree import Node, bare, check_depth, children, is_number, priority_of
from rtdb_emulator.errors import ServiceError


def resolve(value: Any, present: Node, now_ms: int, depth: int = 0) -> Any:
    """Return a JSON value with its placeholders filled in.

    Args:
        value: what the client writes.
        present: the node that is there now, which an increment adds to.
        now_ms: the server's time in milliseconds since 1970.
        depth: how deep the value will be.

    Raises:
        ServiceError: 400 for an unknown placeholder, or data that is too deep.
    """
    if isinstance(value, list):
        value = {str(i): child for i, child in enumerate(value)}
    if not isinstance(value, Mapping):
        return value
    if ".sv" in value:
        return _fill(value[".sv"], present, now_ms)
    if ".value" not in value:
        check_depth(depth + 1)
    there = children(present)
    return {key: resolve(child, _there(key, present, there), now_ms, depth + 1) for key, child in value.items()}


def _there(key: str, present: Node, there: Children) -> Node:
    """Return what a property of a value replaces: the node's own value, its priority, or a child."""
    if key == ".value":
        return present
    return priority_of(present) if key == PRIORITY else there.get(key)


def _fill(placeholder: Any, present: Node, now_ms: int) -> int | float:
    if placeholder == "timestamp":
        return now_ms
    if isinstance(placeholder, Mapping) and set(placeholder) == {"increment"}:
        step = placeholder["increment"]
        if is_number(step):
            present = bare(present)
            return present + step if is_number(present) else step
    raise ServiceError(400, "Invalid data; couldn't parse JSON object, array, or value. Unknown server value.")
