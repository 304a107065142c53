"""Databases by namespace: each a tree, its rules, and who wants to know of changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from weakref import WeakValueDictionary

from rtdb_emulator.data.index import Index
from rtdb_emulator.data.keys import PRIORITY, Path, node_path
from rtdb_emulator.data.places import PlaceMap
from rtdb_emulator.data.query import Query
from rtdb_emulator.data.server_values import resolve
from rtdb_emulator.data.tree import Node, check_depth, check_priority, children, from_json, get, put
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.changes import Change, Subscriber
from rtdb_emulator.database.watches import Listener, Watches
from rtdb_emulator.errors import IndexNotDefinedError, PermissionDeniedError, ServiceError
from rtdb_emulator.rules.coverage import Seen, report_of
from rtdb_emulator.rules.parser import parse_rules
from rtdb_emulator.rules.ruleset import Rules

OPEN_RULES = '{\n    "rules": {\n        ".read": true,\n        ".write": true\n    }\n}'
"""The rules of a database for which none were set, as Google's emulator returns them."""


def system_time() -> int:
    """Return this machine's time in milliseconds since 1970."""
    return int(time.time() * 1000)


class Session(Protocol):
    """A connected client, as its database knows it.

    Attributes:
        is_over: whether the client has left.
        hang_up: ends the client's connection.
    """

    is_over: bool
    hang_up: Callable[[], None]

    def end(self) -> None:
        """Forget the client, and carry out its ``onDisconnect`` writes."""


class Database:
    """One namespace. Not for threads: one event loop calls it.

    Args:
        namespace: its name.
        subscriber: is called with each write.
        now_ms: the clock, in milliseconds since 1970.
        counts_rules: whether to count what the rules' expressions are evaluated to.

    Attributes:
        sessions: of the clients that are connected, by the ids that they know.
    """

    def __init__(
        self,
        namespace: str,
        subscriber: Subscriber,
        now_ms: Callable[[], int] = system_time,
        *,
        counts_rules: bool = True,
    ) -> None:
        self.namespace, self.now_ms = namespace, now_ms
        self.root: Node = None
        self.rules_text = OPEN_RULES
        self._rules: Rules = parse_rules(OPEN_RULES)
        self._seen: Seen | None = self._rules.new_seen() if counts_rules else None
        self._subscriber = subscriber
        self._indexes: PlaceMap[dict[str, Index]] = PlaceMap()
        self._watches = Watches(self._index_of)
        self._conditional: dict[Listener, None] = {}
        self.sessions: WeakValueDictionary[str, Session] = WeakValueDictionary()

    def set_rules(self, text: str) -> None:
        """Replace the rules; bad ones raise ``BadRulesError`` and change nothing.

        Other rules start the counts at zero. The same rules keep them: each file of a test suite may set them again.
        """
        rules = parse_rules(text)
        if self._seen is not None and text != self.rules_text:
            self._seen = rules.new_seen()
        self._rules, self.rules_text = rules, text
        listeners = self._watches.all()
        self._conditional = {each: None for each in listeners if self._rules.reads_depend_on_data(each.path)}
        self.check_listeners(listeners)

    def coverage(self) -> dict[str, Any]:
        """Return what the rules' expressions were evaluated to, as ``report_of`` describes it."""
        if self._seen is None:
            raise RuntimeError("this database does not count what its rules are evaluated to: make it with coverage")
        return report_of(self.rules_text, self._rules.outline, self._seen)

    def read(self, path: Path, caller: Caller, query: Query | None = None) -> Node:
        """Return the node at ``path``, narrowed by ``query``.

        Raises:
            ServiceError: 401 without permission, 400 without the index that the query needs.
        """
        self._check_read(path, caller, query, needs_index=True)
        return self._select(path, query)

    def has_index(self, path: Path, query: Query) -> bool:
        """Return whether the rules name the index that a query needs, if it needs one."""
        return not query.needs_index or query.index_name in self._rules.indexes(path)

    def listen(self, listener: Listener, *, needs_index: bool) -> Node:
        """Add a listener; return the node as it is now, which the listener is not told.

        Args:
            listener: who is told from now on.
            needs_index: whether a query without its index is rejected; those of the client SDKs are not.

        Raises:
            ServiceError: as ``read``; the listener is not added then.
        """
        self._check_read(listener.path, listener.caller, listener.query, needs_index=needs_index)
        self._watches.add(listener)
        if self._rules.reads_depend_on_data(listener.path):
            self._conditional[listener] = None
        return self._select(listener.path, listener.query)

    def unlisten(self, listener: Listener) -> None:
        """Remove a listener; an unknown one is ignored."""
        self._watches.remove(listener)
        self._conditional.pop(listener, None)

    def check_listeners(self, listeners: list[Listener]) -> None:
        """Revoke the listeners that the rules do not allow."""
        for listener in listeners:
            if not self._may_read(listener.path, listener.caller, listener.query):
                self.unlisten(listener)
                listener.revoke()

    def write(self, values: Mapping[Path, Any], caller: Caller, *, silent: bool = False) -> dict[Path, Node]:
        """Write JSON values at several places as one; return the nodes that are there now.

        Args:
            values: by path; no path lies within another.
            silent: start no trigger (an import).

        Raises:
            ServiceError: 400 for bad data, 401 without permission; nothing is written then.
        """
        before, (after, nodes) = self.root, self._prepare(values, caller)
        _check_priorities(after, nodes)
        self.root = after
        self._update_indexes(before, tuple(nodes))
        if after is not before:
            change = Change(self.namespace, before, after, tuple(nodes), caller)
            self.check_listeners(list(self._conditional))  # first: nobody is told what is now denied
            self._watches.tell(change)
            if not silent:
                self._subscriber(change)
        return nodes

    def check_write(self, values: Mapping[Path, Any], caller: Caller) -> None:
        """Raise what ``write`` would raise now, except for a priority without a node: the node may exist by then."""
        self._prepare(values, caller)

    def _prepare(self, values: Mapping[Path, Any], caller: Caller) -> tuple[Node, dict[Path, Node]]:
        """Return the tree as it would be, and the nodes at the places written."""
        now_ms = self.now_ms()
        after = self.root
        nodes: dict[Path, Node] = {}
        for path, value in values.items():
            resolved = resolve(value, get(self.root, path), now_ms, len(path))
            if path[-1:] == (PRIORITY,):
                nodes[path] = check_priority(resolved)
            else:
                check_depth(len(path))
                nodes[path] = from_json(resolved, len(path))
        for path in nodes if len(nodes) == 1 else sorted(nodes, key=lambda path: _turn(path, nodes[path])):
            after = put(after, path, nodes[path])
        if not caller.is_admin:
            places = dict.fromkeys(map(node_path, nodes))
            if not self._rules.may_write(self.root, after, places, caller.auth, now_ms, self._seen):
                raise PermissionDeniedError
        return after, nodes

    def _check_read(self, path: Path, caller: Caller, query: Query | None, *, needs_index: bool) -> None:
        if not self._may_read(path, caller, query):
            raise PermissionDeniedError
        if needs_index and query is not None and not self.has_index(path, query):
            raise IndexNotDefinedError(path, query.index_name)

    def _may_read(self, path: Path, caller: Caller, query: Query | None) -> bool:
        return caller.is_admin or self._rules.may_read(self.root, path, caller.auth, query, self.now_ms(), self._seen)

    def _select(self, path: Path, query: Query | None) -> Node:
        if query is None:
            return get(self.root, path)
        index, node = self._index_of(path, query), children(get(self.root, path))
        return {key: node[key] for key in index.keys(*index.span(query))} if index else None

    def _index_of(self, path: Path, query: Query) -> Index | None:
        """Return the index for a query, made at its first use; None if there are no children."""
        kept = self._indexes.get(path)
        if kept is not None and query.order_by in kept:
            return kept[query.order_by]
        node = get(self.root, path)
        if not children(node):
            return None
        if kept is None:
            self._indexes.set(path, kept := {})
        return kept.setdefault(query.order_by, Index(query.order_by, node))

    def _update_indexes(self, before: Node, written: tuple[Path, ...]) -> None:
        """Bring each index up to date, or drop it if a write replaced its whole node."""
        changed: dict[Path, set[str]] = {}
        for place in map(node_path, written):
            self._indexes.cut(place)
            for depth, _ in self._indexes.along(place):
                changed.setdefault(place[:depth], set()).add(place[depth])
        for path, keys in changed.items():
            old, new = children(get(before, path)), children(get(self.root, path))
            for index in (self._indexes.get(path) or {}).values():
                for key in keys:
                    index.replace(key, old.get(key), new.get(key))


def _turn(path: Path, node: Node) -> int:
    """Return when a part of a write takes effect: what is there, what goes, priorities.

    So no order of the parts loses the priority of a node that exists after the write. The client SDKs apply
    priorities last, too.
    """
    return 2 if path[-1:] == (PRIORITY,) else int(node is None)


def _check_priorities(after: Node, nodes: Mapping[Path, Node]) -> None:
    """Check that what a write gives a priority to exists after the write.

    Raises:
        ServiceError: 400 otherwise.
    """
    for path, priority in nodes.items():
        if path[-1:] == (PRIORITY,) and priority is not None and get(after, path[:-1]) is None:
            place = "/".join(path[:-1])
            raise ServiceError(400, f"Invalid data; couldn't set the priority of /{place}, where there is no data")


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
