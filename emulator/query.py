"""Queries: the order of values, ranges and limits as the documentation gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.errors import ServiceError
from emulator.keys import key_order, parse_path
from emulator.tree import Node, get

FILTERS = ("startAt", "startAfter", "endAt", "endBefore", "equalTo")
LIMITS = ("limitToFirst", "limitToLast")


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
        children = node if isinstance(node, dict) else {}
        ordered = sorted((self._position(key, child), key) for key, child in children.items())
        keys = [key for position, key in ordered if self._selects(position)]
        if self.limit_first is not None:
            keys = keys[: self.limit_first]
        if self.limit_last is not None:
            keys = keys[max(0, len(keys) - self.limit_last) :]
        return {key: children[key] for key in keys}

    def _position(self, key: str, child: Node) -> tuple[Any, ...]:
        if self.order_by == "$key":
            return (key_order(key),)
        if self.order_by == "$priority":
            value = None
        elif self.order_by == "$value":
            value = child
        else:
            value = get(child, parse_path(self.order_by))
        return (value_order(value), key_order(key))

    def _selects(self, position: tuple[Any, ...]) -> bool:
        value = position[0]

        def bound(name: str) -> Any:
            given = self.filters[name]
            return key_order(given) if self.order_by == "$key" else value_order(given)

        return not (
            ("equalTo" in self.filters and value != bound("equalTo"))
            or ("startAt" in self.filters and value < bound("startAt"))
            or ("startAfter" in self.filters and value <= bound("startAfter"))
            or ("endAt" in self.filters and value > bound("endAt"))
            or ("endBefore" in self.filters and value >= bound("endBefore"))
        )


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
    if not isinstance(order_by, str) or not order_by:
        raise ServiceError(400, "orderBy must be a valid JSON encoded path")
    limits = {name: _limit(name, given.pop(name)) for name in LIMITS if name in given}
    if len(limits) == 2:
        raise ServiceError(400, "Only one of limitToFirst and limitToLast can be specified")
    if order_by == "$key" and not all(isinstance(value, str) for value in given.values()):
        raise ServiceError(400, "When ordering by $key, startAt, endAt and equalTo must be strings")
    return Query(order_by, given, limits.get("limitToFirst"), limits.get("limitToLast"))


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as problem:
        raise ServiceError(400, f"{name} must be a valid JSON encoded value") from problem


def _limit(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ServiceError(400, f"{name} must be a positive integer")
    return value
