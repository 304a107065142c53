"""A parsed rules file, and the questions that it answers: what may be read, what may be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtdb_emulator.data.keys import Path
from rtdb_emulator.data.query import Query
from rtdb_emulator.data.tree import Node, children, get
from rtdb_emulator.rules.coverage import SEEN, Outline, Seen
from rtdb_emulator.rules.expression import Expression, Scope, allows
from rtdb_emulator.rules.snapshot import Snapshot

Auth = Mapping[str, Any] | None
"""``{"uid": …, "token": {…}, "provider": …}`` of a signed-in user, or None."""


@dataclass(slots=True)
class Rule:
    """The rules at one place of the tree."""

    read: Expression | None = None
    write: Expression | None = None
    validate: Expression | None = None
    index_on: tuple[str, ...] = ()
    children: dict[str, Rule] = field(default_factory=dict)
    wildcard: tuple[str, Rule] | None = None

    def child(self, key: str, wildcards: dict[str, str]) -> Rule | None:
        """Return the rules of a child, and put the key that a wildcard matches into ``wildcards``."""
        if key in self.children:
            return self.children[key]
        if self.wildcard is None:
            return None
        wildcards[self.wildcard[0]] = key
        return self.wildcard[1]


class Rules:
    """A whole rules file.

    Args:
        root: the rules at the top.
        outline: their expressions, for the coverage.
        size: how many parts the expressions have.
    """

    def __init__(self, root: Rule, outline: Outline, size: int) -> None:
        self._root, self.outline, self._size = root, outline, size

    def new_seen(self) -> Seen:
        """Return what counts the values of all expressions, from none."""
        return [{} for _ in range(self._size)]

    def reads_depend_on_data(self, path: Path) -> bool:
        """Return whether a ``.read`` rule on the way to ``path`` refers to the data: a write may change its result.

        ``now`` is left out: it is not documented that the service revokes listeners as time passes.
        """
        return any(
            rule.read is not None and not rule.read.names.isdisjoint(("data", "root"))
            for rule, _, _ in self._along(path)
        )

    def may_read(
        self, root: Node, path: Path, auth: Auth, query: Query | None, now_ms: int, seen: Seen | None = None
    ) -> bool:
        """Return whether a ``.read`` rule at ``path`` or above grants the read; ``seen`` counts what is evaluated."""
        base = _base(root, auth, query, now_ms, seen)
        return any(
            rule.read is not None and allows(rule.read, {**base, **wildcards, "data": Snapshot(root, place)})
            for rule, place, wildcards in self._along(path)
        )

    def may_write(
        self, before: Node, after: Node, places: Iterable[Path], auth: Auth, now_ms: int, seen: Seen | None = None
    ) -> bool:
        """Return whether the writes at all of ``places`` are granted and valid, seen as one.

        A write of a priority is one of its node. What does not exist afterwards is not validated; the nodes above it
        that still exist are, as https://github.com/davideast/pyric records (r15, r21). ``now_ms`` is the time that
        server timestamps of the same write got. ``seen`` counts what is evaluated.
        """
        base = _base(before, auth, None, now_ms, seen)

        def scope(place: Path, wildcards: Mapping[str, str]) -> Scope:
            return {**base, **wildcards, "data": Snapshot(before, place), "newData": Snapshot(after, place)}

        return all(
            any(r.write is not None and allows(r.write, scope(p, w)) for r, p, w in self._along(path))
            and self._is_valid(after, path, scope)
            for path in places
        )

    def indexes(self, path: Path) -> tuple[str, ...]:
        """Return what ``.indexOn`` names at ``path``."""
        rules = list(self._along(path))
        return rules[-1][0].index_on if len(rules) == len(path) + 1 else ()

    def _is_valid(self, after: Node, path: Path, scope: Any) -> bool:
        """Check ``.validate`` on the way to ``path`` and in everything written below it, if something exists there."""
        places = list(self._along(path))
        if len(places) == len(path) + 1:
            rule, _, wildcards = places.pop()
            places.extend(_below(rule, path, get(after, path), wildcards))
        return all(
            rule.validate is None or get(after, place) is None or allows(rule.validate, scope(place, wildcards))
            for rule, place, wildcards in places
        )

    def _along(self, path: Path) -> Iterator[tuple[Rule, Path, dict[str, str]]]:
        rule: Rule | None = self._root
        wildcards: dict[str, str] = {}
        for depth in range(len(path) + 1):
            if rule is None:
                return
            yield rule, path[:depth], dict(wildcards)
            if depth < len(path):
                rule = rule.child(path[depth], wildcards)


def _below(
    rule: Rule, place: Path, node: Node, wildcards: dict[str, str]
) -> Iterator[tuple[Rule, Path, dict[str, str]]]:
    yield rule, place, wildcards
    for key, child in children(node).items():
        deeper = dict(wildcards)
        below = rule.child(key, deeper)
        if below is not None:
            yield from _below(below, (*place, key), child, deeper)


def _base(root: Node, auth: Auth, query: Query | None, now_ms: int, seen: Seen | None) -> Scope:
    """Return the part of a scope that is the same for all rules."""
    base: dict[str, Any] = {"auth": auth, "now": now_ms, "root": Snapshot(root, ()), "query": _query_scope(query)}
    if seen is not None:
        base[SEEN] = seen
    return base


def _query_scope(query: Query | None) -> Mapping[str, Any]:
    """Return the properties of ``query``; a read without one has no order.

    Source: https://github.com/davideast/pyric (r30), of 2026; in the fixtures of goldibex/targaryen, of 2018, such a
    read is ordered by key.
    """
    if query is None:
        return {"orderByKey": False, "orderByValue": False, "orderByPriority": False}
    special = {"$key": "orderByKey", "$value": "orderByValue", "$priority": "orderByPriority"}
    bounds = query.filters
    return {
        **{name: order == query.order_by for order, name in special.items()},
        "orderByChild": None if query.order_by in special else query.order_by,
        "limitToFirst": query.limit_first,
        "limitToLast": query.limit_last,
        **bounds,
    }
