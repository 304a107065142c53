"""The tree of one database: values that are never changed, only replaced.

A node is None, a scalar, or children without None among them; with a priority it is ``Prioritized``. A write makes
new children along its path and shares all others: before and after can both be read, and are cheap to compare.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard

from rtdb_emulator.data.children import Children, Wide, changed_keys, compact, with_child
from rtdb_emulator.data.keys import MAX_DEPTH, PRIORITY, Path, check_key, key_order, text_order
from rtdb_emulator.errors import ServiceError

Node = Any
"""None | bool | int | float | str | Children | Prioritized."""

MAX_STRING_BYTES = 10 * 1024 * 1024

MAX_KEPT = 16 << 20
"""Characters of the longest text that is kept with its node."""


@dataclass(frozen=True, slots=True)
class Prioritized:
    """A node that has a priority.

    Attributes:
        value: a scalar or children; never None.
        priority: a number or a text.
    """

    value: Any
    priority: int | float | str


def bare(node: Node) -> Node:
    """Return a node without its priority."""
    return node.value if isinstance(node, Prioritized) else node


def priority_of(node: Node) -> int | float | str | None:
    """Return a node's priority, or None."""
    return node.priority if isinstance(node, Prioritized) else None


def with_priority(node: Node, priority: int | float | str | None) -> Node:
    """Return a node with another priority, None for none; what does not exist has none."""
    value = bare(node)
    return value if value is None or priority is None else Prioritized(value, priority)


def is_parent(node: Node) -> TypeGuard[Children]:
    """Return whether a node is children, without a priority."""
    return isinstance(node, (dict, Wide))


def children(node: Node) -> Children:
    """Return the children of a node; a scalar and None have none."""
    value = bare(node)
    return value if is_parent(value) else {}


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_empty(node: Node) -> bool:
    """Return whether a node holds nothing: None, or children without any, as a query may select them."""
    return node is None or (is_parent(node) and not node)


def from_json(value: Any, depth: int = 0) -> Node:
    """Return the node of a JSON value: empty objects vanish, arrays become objects.

    Raises:
        ServiceError: 400 for keys, depths, numbers, texts or priorities that the service does not store.
    """
    if isinstance(value, list):
        value = {str(i): child for i, child in enumerate(value)}
    if isinstance(value, Mapping):
        priority = check_priority(value.get(PRIORITY))
        if ".value" in value:
            return with_priority(_scalar(value, depth), priority)
        check_depth(depth + 1)
        nodes = {
            check_key(key): node
            for key, child in value.items()
            if key != PRIORITY and (node := from_json(child, depth + 1)) is not None
        }
        return with_priority(compact(nodes), priority) if nodes else None
    if is_number(value):
        return _number(value)
    return _text(value) if isinstance(value, str) else value


def check_depth(depth: int) -> None:
    """Check that data is not deeper than the service stores."""
    if depth > MAX_DEPTH:
        raise ServiceError(400, f"Invalid data; data is more than {MAX_DEPTH} levels deep")


def check_priority(value: Any) -> int | float | str | None:
    """Return a priority that is valid: a number, a text, or None.

    Raises:
        ServiceError: 400 for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, type(None))):
        raise ServiceError(400, "Invalid data; a priority must be a number, a string or null")
    return _number(value) if isinstance(value, (int, float)) else value


def _scalar(value: Mapping[str, Any], depth: int) -> Node:
    inner = value[".value"]
    if not value.keys() <= {".value", PRIORITY} or isinstance(inner, (list, Mapping)):
        raise ServiceError(400, "Invalid data; .value takes a scalar, and no children next to it")
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
        # Half of a surrogate pair is not a character, and could not be sent.
        encoded = value.encode("utf-8", "replace")
        value, size = encoded.decode(), len(encoded)
    if size > MAX_STRING_BYTES:
        raise ServiceError(400, "Invalid data; string values are limited to 10 MB")
    return value


_SCALARS = (str, int, float)
"""Values that are the same in JSON; true and false are among them."""

_FEW = 32
"""Up to this many keys are taken for those of a record, which others share; more are a collection's."""


def to_json(node: Node, *, export: bool = False) -> Any:
    """Return the JSON value of a node: keys in order; an object of mostly small integers as an array.

    With ``export``, priorities are included: ``{".value": …, ".priority": …}``, or ``.priority`` among the children.
    """
    priority = priority_of(node) if export else None
    node = bare(node)
    if not is_parent(node):
        return node if priority is None else {".value": node, PRIORITY: priority}
    keys, are_indices = _arranged(tuple(node)) if len(node) <= _FEW else _arrange(node)
    # Most children are scalars, which need no call.
    values = {key: child if isinstance(child := node[key], _SCALARS) else to_json(child, export=export) for key in keys}
    if priority is not None:
        return {PRIORITY: priority, **values}
    return [values.get(str(i)) for i in range(int(keys[-1]) + 1)] if are_indices else values


def to_text(node: Node) -> str:
    """Return the JSON text of a node, without priorities; for very many children it is made once."""
    value = bare(node)
    if not isinstance(value, Wide):
        return json_text(to_json(value))
    text = value.text or json_text(to_json(value))
    if len(text) <= MAX_KEPT:
        value.text = text
    return text


def json_text(value: Any) -> str:
    """Return the JSON text of a value."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _arrange(keys: Iterable[str]) -> tuple[Sequence[str], bool]:
    """Return keys in order, and whether they are those of an array."""
    in_order = sorted(keys, key=key_order)
    return tuple(in_order), is_array(in_order)


_arranged = lru_cache(1 << 10)(_arrange)


def is_array(keys: list[str]) -> bool:
    """Return whether children make an array: all keys are integers from 0, the greatest less than twice their number.

    Args:
        keys: in order.

    Source: the client SDKs, which read what they get in the same way.
    """
    if not keys:
        return False
    first, last = key_order(keys[0]), key_order(keys[-1])
    if first[0] != 0 or first[1] < 0 or last[0] != 0 or last[1] >= 2 * len(keys):
        return False
    return all(str(int(key)) == key for key in keys)


def get(node: Node, path: Path) -> Node:
    """Return the node at ``path``, or None; at ``.priority`` the priority of the node above."""
    for key in path:
        if node.__class__ is dict:  # most are, and have no priority
            node = node.get(key)
            continue
        if key == PRIORITY:
            return priority_of(node)
        node = bare(node)
        if not is_parent(node):
            return None
        node = node.get(key)
    return node


def put(node: Node, path: Path, value: Node) -> Node:
    """Return ``node`` with ``value`` at ``path``; what becomes empty vanishes, and its priority with it."""
    if not path:
        return value
    key, present = path[0], children(node)
    if key == PRIORITY:
        return with_priority(node, value)
    child = put(present.get(key), path[1:], value)
    if child is None and key not in present:
        return node
    return with_priority(with_child(present, key, child) or None, priority_of(node))


def same(left: Node, right: Node) -> bool:
    """Return whether two nodes are equal; parts that they share are not compared."""
    if left is right:
        return True
    if isinstance(left, Prioritized) or isinstance(right, Prioritized):
        # One and the same for 1 and 1.0, as for values; a priority is never true or false.
        return priority_of(left) == priority_of(right) and same(bare(left), bare(right))
    if is_parent(left) and is_parent(right):
        if len(left) != len(right):
            return False
        return all(same(left.get(key), right.get(key)) for key in changed_keys(left, right))
    if is_parent(left) or is_parent(right) or isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)


def value_order(value: Node) -> tuple[int, float, str]:
    """Return what sorts values: null, false, true, numbers, texts, objects.

    Source: Firebase documentation, "Retrieving Data", How query data is ordered.
    """
    value = bare(value)
    if value is None:
        return (0, 0, "")
    if isinstance(value, bool):
        return (2 if value else 1, 0, "")
    if isinstance(value, (int, float)):
        return (3, value, "")
    return (4, 0, text_order(value)) if isinstance(value, str) else (5, 0, "")


def etag(node: Node) -> str:
    """Return the ETag of a node: its hash, or ``null_etag`` if there is none."""
    return hash_of(node) or "null_etag"


def hash_of(node: Node) -> str:
    """Return the hash by which clients and the service compare nodes: equal exactly for equal ones, empty for None.

    Source: the hashes that the client SDKs send with listens and transactions: SHA-1, in Base64, of a node's
    priority and value, or of its children's keys and hashes in the order of their priorities.
    """
    if not isinstance(node, Wide):
        return _hash_of(node)
    node.hash = node.hash or _hash_of(node)
    return node.hash


def _hash_of(node: Node) -> str:
    text, value = "", bare(node)
    if isinstance(node, Prioritized):
        text = f"priority:{hashed(node.priority)}:"
    if is_parent(value):
        rows = [(key, value[key]) for key in sorted(value, key=key_order)]
        if any(isinstance(child, Prioritized) for _, child in rows):
            rows.sort(key=lambda row: value_order(priority_of(row[1])))
        text += "".join(f":{key}:{hash_of(child)}" for key, child in rows)
    elif value is not None:
        text += hashed(value)
    if not text:
        return ""
    digest = hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def hashed(value: Any) -> str:
    """Return a scalar as text for hashing."""
    if isinstance(value, bool):
        return f"boolean:{'true' if value else 'false'}"
    if isinstance(value, str):
        return f"string:{value}"
    return f"number:{struct.pack('>d', value).hex()}"
