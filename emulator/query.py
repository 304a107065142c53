"""Queries: the order of values, ranges and limits as the documentation gives them."""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.errors import ServiceError
from emulator.keys import key_order, parse_path
from emulator.tree import Node, children, get

FILTERS = ("startAt", "startAfter", "endAt", "endBefore", "equalTo")
LIMITS = ("limitToFirst", "limitToLast")
SPECIAL = ("$key", "$value", "$priority")


@dataclass(frozen=True, slots=True)
class Query:
    """One parsed query.

    Attributes:
        order_by: ``$key``, ``$value``, ``$priority`` or the path of a child.
        filters: by name, the values given.
        limit_first: keep so many of the first, or None.
        limit_last: keep so many of the last, or None.
    """

    order_by: str
    filters: Mapping[str, Any]
    limit_first: int | None = None
    limit_last: int | None = None

    @property
    def needs_index(self) -> bool:
        """Tell whether the rules must name an index for it."""
        return self.order_by not in ("$key", "$priority")

    @property
    def index_name(self) -> str:
        """Return what ``.indexOn`` has to name."""
        return ".value" if self.order_by == "$value" else self.order_by

    def run(self, node: Node) -> dict[str, Node]:
        """Return the children of ``node`` that the query selects, in its order."""
        return self.select(Index(self.order_by, node), node)

    def select(self, index: Index, node: Node) -> dict[str, Node]:
        """Return what the query selects, by an index of its order over the children of ``node``."""
        rows = index.rows
        low, high = 0, len(rows)
        for name, value in self.filters.items():
            bound = key_order(value) if self.order_by == "$key" else value_order(value)
            if name in ("equalTo", "startAt"):
                low = max(low, bisect.bisect_left(rows, bound, key=_value))
            if name == "startAfter":
                low = max(low, bisect.bisect_right(rows, bound, key=_value))
            if name in ("equalTo", "endAt"):
                high = min(high, bisect.bisect_right(rows, bound, key=_value))
            if name == "endBefore":
                high = min(high, bisect.bisect_left(rows, bound, key=_value))
        if self.limit_first is not None:
            high = min(high, low + self.limit_first)
        if self.limit_last is not None:
            low = max(low, high - self.limit_last)
        return {row[2]: node[row[2]] for row in rows[low:high]}


Row = tuple[tuple[int, float, str], tuple[int, int, str], str]
"""The order of a child's value, the order of its key, and the key."""


class Index:
    """The children of one node in one order, kept up to date as single children change."""

    def __init__(self, order_by: str, node: Node) -> None:
        self._order_by = order_by
        self._child_path = () if order_by.startswith("$") else parse_path(order_by)
        self.rows: list[Row] = sorted(self._row(k, c) for k, c in children(node).items())

    def replace(self, key: str, before: Node, after: Node) -> None:
        """Take over that the child ``key`` changed from ``before`` to ``after``; None is no child."""
        if before is not None:
            row = self._row(key, before)
            del self.rows[bisect.bisect_left(self.rows, row)]
        if after is not None:
            bisect.insort(self.rows, self._row(key, after))

    def _row(self, key: str, child: Node) -> Row:
        if self._order_by == "$key":
            return (key_order(key), (0, 0, ""), key)
        value = None if self._order_by == "$priority" else get(child, self._child_path)
        return (value_order(value), key_order(key), key)


def _value(row: Row) -> tuple[int, float, str]:
    return row[0]


def value_order(value: Node) -> tuple[int, float, str]:
    """Return what sorts values: null, false, true, numbers, texts, objects.

    Source: Firebase documentation, "Retrieving Data", How query data is ordered.
    """
    if value is None:
        return (0, 0, "")
    if isinstance(value, bool):
        return (2 if value else 1, 0, "")
    if isinstance(value, (int, float)):
        return (3, value, "")
    return (4, 0, value) if isinstance(value, str) else (5, 0, "")


def parse_query(parameters: Mapping[str, str]) -> Query | None:
    """Return the query in a request's parameters, or None where there is none.

    Raises:
        ServiceError: 400 for filters without an order, or values that are no JSON.
    """
    given = {name: _json(name, parameters[name]) for name in (*FILTERS, *LIMITS, "orderBy") if name in parameters}
    if not given:
        return None
    order_by = given.pop("orderBy", None)
    if order_by is None:
        raise ServiceError(400, "orderBy must be defined when other query parameters are defined")
    if (
        not isinstance(order_by, str)
        or not order_by.strip("/")
        or (order_by.startswith("$") and order_by not in SPECIAL)
    ):
        raise ServiceError(400, "orderBy must be a valid JSON encoded path")
    order_by = order_by if order_by in SPECIAL else "/".join(parse_path(order_by))
    limits = {name: _limit(name, given.pop(name)) for name in LIMITS if name in given}
    if len(limits) == 2:
        raise ServiceError(400, "Only one of limitToFirst and limitToLast can be specified")
    if order_by == "$key" and not all(isinstance(value, str) for value in given.values()):
        raise ServiceError(400, "When ordering by $key, startAt, endAt and equalTo must be strings")
    return Query(order_by, given, limits.get("limitToFirst"), limits.get("limitToLast"))


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ServiceError(400, f"{name} must be a valid JSON encoded value") from problem


def _limit(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ServiceError(400, f"{name} must be a positive integer")
    return value
