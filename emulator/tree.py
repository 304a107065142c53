"""The tree of one database: values that are never changed, only replaced.

A node is None, a scalar, or children without None among them. A write makes new children along its path and
shares all others, so that before and after can both be read and compared cheaply.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from emulator.children import Children, Wide, changed_keys, compact, with_child
from emulator.errors import ServiceError
from emulator.keys import MAX_DEPTH, Path, check_key, key_order

Node = Any
"""None | bool | int | float | str | Children."""

MAX_STRING_BYTES = 10 * 1024 * 1024


def is_parent(node: Node) -> TypeGuard[Children]:
    """Tell whether a node has children."""
    return isinstance(node, (dict, Wide))


def children(node: Node) -> Children:
    """Return the children of a node; a scalar and None have none."""
    return node if is_parent(node) else {}


def from_json(value: Any, depth: int = 0) -> Node:
    """Return the node that a JSON value stands for: empty objects vanish, arrays become objects.

    Raises:
        ServiceError: 400 for keys, depths, numbers or texts that the service does not store.
    """
    if isinstance(value, list):
        value = {str(i): child for i, child in enumerate(value)}
    if isinstance(value, Mapping):
        check_depth(depth + 1)
        if ".value" in value:
            return _prioritized(value, depth)
        found = {
            check_key(key): node
            for key, child in value.items()
            if key != ".priority" and (node := from_json(child, depth + 1)) is not None
        }
        return compact(found) if found else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value)
    return _text(value) if isinstance(value, str) else value


def check_depth(depth: int) -> None:
    """Refuse what lies deeper than the service stores."""
    if depth > MAX_DEPTH:
        raise ServiceError(400, f"Invalid data; data is more than {MAX_DEPTH} levels deep")


def _prioritized(value: Mapping[str, Any], depth: int) -> Node:
    inner = value[".value"]
    if not value.keys() <= {".value", ".priority"} or isinstance(inner, (list, Mapping)):
        raise ServiceError(400, "Invalid data; .value takes a scalar, and no children beside it")
    return from_json(inner, depth)


def _number(value: float) -> int | float:
    """Return a number as it comes back: whole ones without a fraction, integers of 64 bits at most."""
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    try:
        stored = float(value)
    except OverflowError:
        stored = math.inf
    if not math.isfinite(stored):
        raise ServiceError(400, "Invalid data; couldn't parse JSON object, array, or value.")
    return int(stored) if stored.is_integer() and abs(stored) < 2**53 else stored


def _text(value: str) -> str:
    if value.isascii():
        size = len(value)
    else:
        # Half of a surrogate pair is no character, and no text that could be sent.
        encoded = value.encode("utf-8", "replace")
        value, size = encoded.decode(), len(encoded)
    if size > MAX_STRING_BYTES:
        raise ServiceError(400, "Invalid data; string values are limited to 10 MB")
    return value


def to_json(node: Node) -> Any:
    """Return the JSON value of a node: keys in order; an object of mostly small integers as an array."""
    if not is_parent(node):
        return node
    keys = sorted(node, key=key_order)
    if is_array(keys):
        found = {int(key): to_json(node[key]) for key in keys}
        return [found.get(i) for i in range(int(keys[-1]) + 1)]
    return {key: to_json(node[key]) for key in keys}


def is_array(keys: list[str]) -> bool:
    """All keys, in order, are integers, and more than half of those from 0 to the greatest are there."""
    orders = [key_order(key) for key in (keys[0], keys[-1])] if keys else [(1, 0, "")]
    if orders[0][0] != 0 or orders[0][1] < 0 or orders[-1][0] != 0:
        return False
    return len(keys) * 2 > orders[-1][1] + 1


def get(node: Node, path: Path) -> Node:
    """Return the node at ``path``, or None."""
    for key in path:
        if not is_parent(node):
            return None
        node = node.get(key)
    return node


def put(node: Node, path: Path, value: Node) -> Node:
    """Return ``node`` with ``value`` at ``path``; what becomes empty vanishes."""
    if not path:
        return value
    key, present = path[0], children(node)
    child = put(present.get(key), path[1:], value)
    if child is None and key not in present:
        return node
    return with_child(present, key, child) or None


def same(left: Node, right: Node) -> bool:
    """Tell whether two nodes hold the same; shared parts are not looked into."""
    if left is right:
        return True
    if is_parent(left) and is_parent(right):
        if len(left) != len(right):
            return False
        return all(same(left.get(key), right.get(key)) for key in changed_keys(left, right))
    if is_parent(left) or is_parent(right) or isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)


def etag(node: Node) -> str:
    """Return the ETag of a node: equal exactly for equal values, ``null_etag`` for none."""
    if node is None:
        return "null_etag"
    text = json.dumps(node, sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
