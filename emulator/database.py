"""Databases by namespace: each a tree, its rules, and who wants to know of changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.auth import Caller
from emulator.errors import PermissionDeniedError, ServiceError
from emulator.keys import Path
from emulator.query import Index, Query
from emulator.rules.parser import parse_rules
from emulator.rules.ruleset import Rules
from emulator.server_values import resolve
from emulator.tree import Node, check_depth, from_json, get, is_parent, put

OPEN_RULES = '{"rules": {".read": true, ".write": true}}'
"""What holds where no rules were set, as in Google's emulator."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write that took effect, however many places it wrote.

    Attributes:
        before: the whole tree before it.
        after: the whole tree after it.
        paths: the places that were written.
    """

    namespace: str
    before: Node
    after: Node
    paths: tuple[Path, ...]
    caller: Caller


Subscriber = Callable[[Change], None]


def system_time() -> int:
    """Return this machine's time in milliseconds since 1970."""
    return int(time.time() * 1000)


class Database:
    """One namespace. Not for threads: one event loop calls it."""

    def __init__(self, namespace: str, subscriber: Subscriber, now_ms: Callable[[], int] = system_time) -> None:
        self.namespace, self._now_ms = namespace, now_ms
        self.root: Node = None
        self.rules_text = OPEN_RULES
        self._rules: Rules = parse_rules(OPEN_RULES)
        self._subscriber = subscriber
        self._indexes: dict[tuple[Path, str], Index] = {}

    def set_rules(self, text: str) -> None:
        """Replace the rules; bad ones raise ``BadRulesError`` and change nothing."""
        self._rules = parse_rules(text)
        self.rules_text = text

    def read(self, path: Path, caller: Caller, query: Query | None = None) -> Node:
        """Return the node at ``path``, narrowed by ``query``.

        Raises:
            ServiceError: 401 without permission, 400 without the index that the query needs.
        """
        if not caller.is_admin and not self._rules.may_read(self.root, path, caller.auth, query):
            raise PermissionDeniedError
        node = get(self.root, path)
        if query is None:
            return node
        if query.needs_index and query.index_name not in self._rules.indexes(path):
            raise ServiceError(
                400,
                f'Index not defined, add ".indexOn": "{query.index_name}", for path "/{"/".join(path)}", to the rules',
            )
        if not is_parent(node):
            return None
        key = (path, query.order_by)
        if key not in self._indexes:
            self._indexes[key] = Index(query.order_by, node)
        return query.select(self._indexes[key], node)

    def write(self, values: Mapping[Path, Any], caller: Caller, *, silent: bool = False) -> dict[Path, Node]:
        """Write JSON values at several places as one; return the nodes that stand there now.

        Args:
            values: by path; no path lies within another.
            silent: tell no subscriber (an import).

        Raises:
            ServiceError: 400 for bad data, 401 without permission; nothing is written then.
        """
        now_ms = self._now_ms()
        before = after = self.root
        nodes: dict[Path, Node] = {}
        for path, value in values.items():
            check_depth(len(path))
            nodes[path] = from_json(resolve(value, get(before, path), now_ms, len(path)), len(path))
            after = put(after, path, nodes[path])
        if not caller.is_admin and not self._rules.may_write(before, after, nodes, caller.auth, now_ms):
            raise PermissionDeniedError
        self.root = after
        self._update_indexes(before, tuple(nodes))
        if not silent and after is not before:
            self._subscriber(Change(self.namespace, before, after, tuple(nodes), caller))
        return nodes

    def _update_indexes(self, before: Node, written: tuple[Path, ...]) -> None:
        """Bring each index up to date, or drop it where a write replaced its whole node."""
        for (path, order_by), index in list(self._indexes.items()):
            below = {place[len(path)] for place in written if len(place) > len(path) and place[: len(path)] == path}
            if any(path[: len(place)] == place for place in written) or not is_parent(get(before, path)):
                del self._indexes[(path, order_by)]
                continue
            for key in below:
                index.replace(key, get(before, (*path, key)), get(self.root, (*path, key)))


class Databases:
    """All namespaces of one process; one appears when it is first named."""

    def __init__(self, subscriber: Subscriber = lambda change: None) -> None:
        self._by_namespace: dict[str, Database] = {}
        self._subscriber = subscriber

    def __getitem__(self, namespace: str) -> Database:
        if namespace not in self._by_namespace:
            self._by_namespace[namespace] = Database(namespace, self._subscriber)
        return self._by_namespace[namespace]

    @property
    def names(self) -> list[str]:
        """The namespaces in use."""
        return sorted(self._by_namespace)
