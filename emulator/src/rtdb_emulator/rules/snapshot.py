"""``data``, ``newData`` and ``root`` as rule expressions see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtdb_emulator.data.keys import PRIORITY, Path
from rtdb_emulator.data.tree import Node, bare, children, get, is_number, priority_of


class RuleError(Exception):
    """An expression that has no value, for example a text method on a number: it denies."""


@dataclass(slots=True, eq=False)
class Snapshot:
    """A place in a tree, which is never changed; the place need not exist."""

    root: Node
    path: Path

    @property
    def node(self) -> Node:
        """The node at this place, with its priority; ``.priority`` is not a child."""
        return None if PRIORITY in self.path else get(self.root, self.path)

    def val(self) -> Any:
        """Return the value: a scalar, a mapping, or None."""
        return bare(self.node)

    def child(self, path: Any) -> Snapshot:
        """Return a place below; ``path`` may have several keys."""
        if not isinstance(path, str):
            raise RuleError("child() takes a text")
        return Snapshot(self.root, self.path + tuple(part for part in path.split("/") if part))

    def parent(self) -> Snapshot:
        """Return the place above."""
        if not self.path:
            raise RuleError("the root has no parent")
        return Snapshot(self.root, self.path[:-1])

    def has_child(self, path: Any) -> bool:
        """Return whether there is a node at ``path`` below."""
        return self.child(path).exists()

    def has_children(self, keys: Any = None) -> bool:
        """Return whether there are children, or all the named ones; an empty list is true, as in the service."""
        if keys is None:
            return bool(children(self.node))
        if not isinstance(keys, list):
            raise RuleError("hasChildren() takes a list of keys")
        return all(self.has_child(key) for key in keys)

    def exists(self) -> bool:
        """Return whether there is a node at this place."""
        return self.node is not None

    def get_priority(self) -> int | float | str | None:
        """Return the node's priority, or None."""
        return priority_of(self.node)

    def is_string(self) -> bool:
        """Return whether the node is a text."""
        return isinstance(self.val(), str)

    def is_number(self) -> bool:
        """Return whether the node is a number."""
        return is_number(self.val())

    def is_boolean(self) -> bool:
        """Return whether the node is true or false."""
        return isinstance(self.val(), bool)


METHODS: Mapping[str, Callable[..., Any]] = {
    "val": Snapshot.val,
    "child": Snapshot.child,
    "parent": Snapshot.parent,
    "hasChild": Snapshot.has_child,
    "hasChildren": Snapshot.has_children,
    "exists": Snapshot.exists,
    "getPriority": Snapshot.get_priority,
    "isString": Snapshot.is_string,
    "isNumber": Snapshot.is_number,
    "isBoolean": Snapshot.is_boolean,
}
"""The language's names of a snapshot's methods."""
