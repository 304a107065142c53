"""A parsed rules file, and the questions that it answers: what may be read, what may be written."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.keys import Path
from emulator.query import Query
from emulator.rules.expression import BadExpressionError, Expression, Scope, allows, compile_expression
from emulator.rules.snapshot import Snapshot
from emulator.tree import Node, children, get

Auth = Mapping[str, Any] | None
"""``{"uid": …, "token": {…}, "provider": …}`` of a signed-in user, or None."""

_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


class BadRulesError(ValueError):
    """A rules file that is refused; the message is ``line: reason``."""


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
        """Return the rules of a child, noting what a wildcard stands for in ``wildcards``."""
        if key in self.children:
            return self.children[key]
        if self.wildcard is None:
            return None
        wildcards[self.wildcard[0]] = key
        return self.wildcard[1]


class Rules:
    """A whole rules file."""

    def __init__(self, root: Rule) -> None:
        self._root = root

    def may_read(self, root: Node, path: Path, auth: Auth, query: Query | None) -> bool:
        """Tell whether a ``.read`` rule at ``path`` or above grants it."""
        base = {"auth": auth, "now": _now(), "root": Snapshot(root, ()), "query": _query_scope(query)}
        return any(
            rule.read is not None and allows(rule.read, {**base, **wildcards, "data": Snapshot(root, place)})
            for rule, place, wildcards in self._along(path)
        )

    def may_write(self, before: Node, after: Node, writes: Mapping[Path, Node], auth: Auth, now_ms: int) -> bool:
        """Tell whether all of ``writes`` (the new node by path) are granted and valid, seen as one.

        ``now_ms`` is the time that server timestamps of the same write got.
        """
        base = {"auth": auth, "now": now_ms, "root": Snapshot(before, ())}

        def scope(place: Path, wildcards: Mapping[str, str]) -> Scope:
            return {**base, **wildcards, "data": Snapshot(before, place), "newData": Snapshot(after, place)}

        return all(
            any(r.write is not None and allows(r.write, scope(p, w)) for r, p, w in self._along(path))
            and (node is None or self._is_valid(after, path, scope))
            for path, node in writes.items()
        )

    def indexes(self, path: Path) -> tuple[str, ...]:
        """Return what ``.indexOn`` names at ``path``."""
        rules = list(self._along(path))
        return rules[-1][0].index_on if len(rules) == len(path) + 1 else ()

    def _is_valid(self, after: Node, path: Path, scope: Any) -> bool:
        """Check ``.validate`` on the way to ``path`` and in all that is written below it."""
        places = list(self._along(path))
        if len(places) == len(path) + 1:
            rule, _, wildcards = places.pop()
            places.extend(_below(rule, path, get(after, path), wildcards))
        return all(r.validate is None or allows(r.validate, scope(p, w)) for r, p, w in places)

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


def _now() -> int:
    return int(time.time() * 1000)


def _query_scope(query: Query | None) -> Mapping[str, Any]:
    if query is None:
        return {"orderByKey": False, "orderByValue": False, "orderByPriority": False}
    special = {"$key": "orderByKey", "$value": "orderByValue", "$priority": "orderByPriority"}
    return {
        **{name: order == query.order_by for order, name in special.items()},
        "orderByChild": None if query.order_by in special else query.order_by,
        "limitToFirst": query.limit_first,
        "limitToLast": query.limit_last,
        **query.filters,
    }


def parse_rules(text: str) -> Rules:
    """Return the rules in a file: JSON with comments.

    Raises:
        BadRulesError: with line and reason.
    """
    # A comment becomes as many line breaks as it had, so that lines keep their numbers.
    plain = _COMMENT.sub(lambda m: m[0] if m[0].startswith('"') else "\n" * m[0].count("\n"), text)
    try:
        tree = json.loads(plain)
    except ValueError as problem:
        line = getattr(problem, "lineno", 1)
        raise BadRulesError(f"{line}: Parse error: {problem}") from problem
    if not isinstance(tree, dict) or set(tree) != {"rules"} or not isinstance(tree["rules"], dict):
        raise BadRulesError('1: Expected one "rules" property at the top.')
    return Rules(_Parser(plain).rule(tree["rules"], frozenset()))


class _Parser:
    """Turns the JSON of a rules file into ``Rule`` objects."""

    def __init__(self, text: str) -> None:
        self._text = text

    def rule(self, tree: Any, wildcards: frozenset[str]) -> Rule:
        if not isinstance(tree, dict):
            raise BadRulesError(f"{self._line(tree)}: Expected an object of rules.")
        rule = Rule()
        for key, value in tree.items():
            if key in (".read", ".write", ".validate"):
                setattr(rule, key[1:], self._expression(value, wildcards))
            elif key == ".indexOn":
                rule.index_on = tuple(value) if isinstance(value, list) else (str(value),)
            elif key.startswith("$"):
                if rule.wildcard is not None or key in wildcards:
                    raise BadRulesError(f"{self._line(key)}: Only one $ wildcard here, with a name of its own.")
                rule.wildcard = (key, self.rule(value, wildcards | {key}))
            elif key.startswith("."):
                raise BadRulesError(f"{self._line(key)}: Unknown rule type '{key}'.")
            else:
                self._child(rule, key.strip("/").split("/"), value, wildcards)
        return rule

    def _child(self, rule: Rule, keys: list[str], value: Any, wildcards: frozenset[str]) -> None:
        nested: Any = value
        for key in reversed(keys[1:]):
            nested = {key: nested}
        rule.children[keys[0]] = self.rule(nested, wildcards)

    def _expression(self, value: Any, wildcards: frozenset[str]) -> Expression:
        if isinstance(value, bool):
            return lambda scope: value
        if not isinstance(value, str):
            raise BadRulesError(f"{self._line(value)}: A rule is true, false or an expression.")
        try:
            return compile_expression(value, wildcards)
        except BadExpressionError as problem:
            raise BadRulesError(f"{self._line(value)}: {problem}.") from problem

    def _line(self, value: Any) -> int:
        position = self._text.find(json.dumps(value, ensure_ascii=False))
        return self._text.count("\n", 0, max(position, 0)) + 1
