"""Indexes: the children of one node in the order of a query, and where a query's range is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sortedcontainers import SortedList

from rtdb_emulator.data.keys import AFTER_KEYS, BEFORE_KEYS, Order, key_order, parse_path
from rtdb_emulator.data.query import Bound, Query
from rtdb_emulator.data.tree import Node, children, get, priority_of, value_order

Row = tuple[Any, Order, str]
"""The order of a child's value, the order of its key, and the key."""


class Index:
    """The children of one node in one order, kept up to date as single children change.

    Args:
        order_by: as in ``Query``.
        node: whose children.
    """

    def __init__(self, order_by: str, node: Node) -> None:
        self._order_by = order_by
        self._child_path = () if order_by.startswith("$") else parse_path(order_by)
        self._rows: SortedList[Row] = SortedList(self.row(key, child) for key, child in children(node).items())

    def row(self, key: str, child: Node) -> Row:
        """Return what sorts a child."""
        order = key_order(key)
        if self._order_by == "$key":
            return (order, order, key)
        value = priority_of(child) if self._order_by == "$priority" else get(child, self._child_path)
        return (value_order(value), order, key)

    def replace(self, key: str, before: Node, after: Node) -> None:
        """Update the child ``key`` from ``before`` to ``after``; None means no child."""
        if before is not None:
            self._rows.remove(self.row(key, before))
        if after is not None:
            self._rows.add(self.row(key, after))

    def span(self, query: Query) -> tuple[int, int]:
        """Return the places of the first row that a query selects, and of the first after those."""
        low = self._cut(query.start, is_start=True) if query.start else 0
        high = max(low, self._cut(query.end, is_start=False) if query.end else len(self._rows))
        if query.limit is not None:
            low, high = (max(low, high - query.limit), high) if query.from_end else (low, min(high, low + query.limit))
        return low, high

    def place(self, row: Row) -> int:
        """Return how many rows sort before one, which need not be there."""
        return int(self._rows.bisect_left(row))

    def place_after(self, row: Row) -> int:
        """Return how many rows sort before one, or are it."""
        return int(self._rows.bisect_right(row))

    def at(self, place: int) -> Row:
        """Return the row at a place."""
        row: Row = self._rows[place]
        return row

    def keys(self, low: int, high: int) -> Iterator[str]:
        """Yield the keys of the rows from ``low`` to before ``high``, in order."""
        for row in self._rows.islice(low, high):
            yield row[2]

    def _cut(self, bound: Bound, *, is_start: bool) -> int:
        """Return how many rows lie before a bound; whether those that equal it do is its own matter."""
        value = key_order(str(bound.value)) if self._order_by == "$key" else value_order(bound.value)
        equals_lie_before = bound.is_inclusive != is_start
        order: tuple[Any, ...] = AFTER_KEYS if equals_lie_before else BEFORE_KEYS
        if bound.key is not None:
            order = key_order(bound.key)
            if equals_lie_before:
                order = (*order, 0)  # a longer tuple sorts right after the one that it begins with
        return int(self._rows.bisect_left((value, order)))
