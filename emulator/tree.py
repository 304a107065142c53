"""The tree of one database: values that are never changed, only replaced.

A node is None, a scalar, or a dict of nodes without None in it. A write makes new dicts along its path and
shares all others, so that before and after can both be read and compared cheaply.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from emulator.errors import ServiceError
from emulator.keys import MAX_DEPTH, Path, check_key, key_order

Node = Any
"""None | bool | int | float | str | dict[str, Node]."""

MAX_STRING_BYTES = 10 * 1024 * 1024


def from_json(value: Any, depth: int = 0) -> Node:
    """Return the node that a JSON value stands for: empty objects vanish, arrays become objects.

    Raises:
        ServiceError: 400 for keys, depths, numbers or texts that the service does not store.
    """
    if isinstance(value, list):
        value = {str(i): child for i, child in enumerate(value)}
    if isinstance(value, Mapping):
        if ".value" in value:
            return from_json(value[".value"], depth)
        if depth >= MAX_DEPTH:
            raise ServiceError(400, f"Invalid data; data is more than {MAX_DEPTH} levels deep")
        children = {
            check_key(key): node
            for key, child in value.items()
            if key != ".priority" and (node := from_json(child, depth + 1)) is not None
        }
        return children or None
    if isinstance(value, float) and not math.isfinite(value):
        raise ServiceError(400, "Invalid data; couldn't parse JSON object, array, or value.")
    if isinstance(value, str) and len(value) * 4 > MAX_STRING_BYTES and len(value.encode()) > MAX_STRING_BYTES:
        raise ServiceError(400, "Invalid data; string values are limited to 10 MB")
    return value


def to_json(node: Node) -> Any:
    """Return the JSON value of a node: keys in order; an object of mostly small integers as an array."""
    if not isinstance(node, dict):
        return node
    keys = sorted(node, key=key_order)
    if keys and _is_array(keys):
        found = {int(key): to_json(node[key]) for key in keys}
        return [found.get(i) for i in range(int(keys[-1]) + 1)]
    return {key: to_json(node[key]) for key in keys}


def _is_array(keys: list[str]) -> bool:
    """All keys are integers, and more than half of those from 0 to the greatest are there."""
    orders = [key_order(key) for key in keys]
    if any(kind != 0 or number < 0 for kind, number, _ in orders):
        return False
    return len(keys) * 2 > orders[-1][1] + 1


def get(node: Node, path: Path) -> Node:
    """Return the node at ``path``, or None."""
    for key in path:
        if not isinstance(node, dict):
            return None
        node = node.get(key)
    return node


def put(node: Node, path: Path, value: Node) -> Node:
    """Return ``node`` with ``value`` at ``path``; what becomes empty vanishes."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    children = node if isinstance(node, dict) else {}
    child = put(children.get(key), rest, value)
    if child is None and key not in children:
        return node
    changed = dict(children)
    if child is None:
        del changed[key]
    else:
        changed[key] = child
    return changed or None


def same(left: Node, right: Node) -> bool:
    """Tell whether two nodes hold the same; shared parts are not looked into."""
    if left is right:
        return True
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right) and not isinstance(left, dict) and not isinstance(right, dict)


def etag(node: Node) -> str:
    """Return the ETag of a node: equal exactly for equal values, ``null_etag`` for none."""
    if node is None:
        return "null_etag"
    text = json.dumps(node, sort_keys=True, separators=(",", ":"))
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
