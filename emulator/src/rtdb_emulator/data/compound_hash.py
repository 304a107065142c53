"""Which parts of a node a client already has: a new listen then sends only the others.

Source: the hashes that the client SDKs for Android, Apple and Java send with a listen if they already have much,
and the range merges that they accept in return: a node as its leaves, in the order of their paths, cut into ranges.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from rtdb_emulator.data.keys import PRIORITY, Order, Path, key_order, parse_path
from rtdb_emulator.data.tree import Node, Prioritized, bare, hashed, is_parent, priority_of, to_json
from rtdb_emulator.errors import ServiceError

Leaf = tuple[Path, Node]
"""A scalar, with its priority if it has one, and its place; the priority of a parent is a leaf of its own below it."""


@dataclass(frozen=True, slots=True)
class CompoundHash:
    """What a client has of a node.

    Attributes:
        ends: the last places of all ranges but the last one, which goes on without end.
        hashes: of the leaves in each range; empty for none.
    """

    ends: Sequence[Path]
    hashes: Sequence[str]

    def merges(self, node: Node) -> list[Mapping[str, Any]]:
        """Return what to send for ``node``: each range that differs from what the client has."""
        rows = list(zip(_ranges(node, self.ends), (None, *self.ends), (*self.ends, None), self.hashes, strict=True))
        return [_merge(leaves, start, end) for leaves, start, end, known in rows if _hash(leaves) != known]


def parse_compound_hash(value: Any) -> CompoundHash | None:
    """Return what a client says it has, or None if it does not say, or says something invalid."""
    if not isinstance(value, Mapping):
        return None
    ends, hashes = value.get("ps"), value.get("hs")
    if not _are_texts(ends) or not _are_texts(hashes) or len(hashes) != len(ends) + 1:
        return None
    try:
        return CompoundHash([parse_path(end, may_be_priority=True) for end in ends], hashes)
    except ServiceError:
        return None


def _are_texts(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _ranges(node: Node, ends: Sequence[Path]) -> Iterator[list[Leaf]]:
    """Yield the leaves of each range."""
    leaves = _leaves(node, ())
    following = next(leaves, None)
    for end in ends:
        leaves_in_range, last = [], _path_order(end)
        while following is not None and _path_order(following[0]) <= last:
            leaves_in_range.append(following)
            following = next(leaves, None)
        yield leaves_in_range
    yield [*([] if following is None else [following]), *leaves]


def _leaves(node: Node, path: Path) -> Iterator[Leaf]:
    value, priority = bare(node), priority_of(node)
    if not is_parent(value):
        if value is not None:
            yield path, node
        return
    keys = [*value, PRIORITY] if priority is not None else value
    for key in sorted(keys, key=key_order):
        if key == PRIORITY:
            yield (*path, key), priority
        else:
            yield from _leaves(value[key], (*path, key))


def _path_order(path: Path) -> tuple[Order, ...]:
    return tuple(map(key_order, path))


def _hash(leaves: Sequence[Leaf]) -> str:
    if not leaves:
        return ""
    texts, above = ["("], Path()
    for place, (path, leaf) in enumerate(leaves):
        shared = next((depth for depth, pair in enumerate(zip(path, above, strict=False)) if pair[0] != pair[1]), 0)
        texts += [")" * (len(above) - shared), "," if place else ""]
        texts += [f"{_quoted(key)}:(" for key in path[shared:]]
        texts.append(_leaf_text(leaf))
        above = path
    texts.append(")" * (len(above) + 1))
    digest = hashlib.sha1("".join(texts).encode("utf-8", "replace"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _leaf_text(leaf: Node) -> str:
    if isinstance(leaf, Prioritized):
        return f"priority:{_leaf_text(leaf.priority)}:{_leaf_text(leaf.value)}"
    return f"string:{_quoted(leaf)}" if isinstance(leaf, str) else hashed(leaf)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _merge(leaves: Sequence[Leaf], start: Path | None, end: Path | None) -> Mapping[str, Any]:
    bounds = {"s": start, "e": end}
    named = {name: "/".join(path) for name, path in bounds.items() if path is not None}
    return {**named, "m": _json(leaves)}


def _json(leaves: Sequence[Leaf]) -> Any:
    value: dict[str, Any] = {}
    for path, leaf in leaves:
        if not path:
            return to_json(leaf, export=True)
        parent = value
        for key in path[:-1]:
            parent = parent.setdefault(key, {})
        parent[path[-1]] = to_json(leaf, export=True)
    return value or None
