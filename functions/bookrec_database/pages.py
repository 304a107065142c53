"""The children of a node by key, some at a time, from one instance or from several as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bookrec.paths import children, in_query, key_order
from bookrec_database.key_range import KeyRange


def read_page(nodes: Sequence[Any], after: str, size: int, keys: KeyRange) -> Mapping[str, Any]:
    """Return the first ``size`` children in a range of keys that follow the key ``after``, in the database's order.

    Of several instances there are more: all children up to where the first of the whole pages ends.

    Args:
        nodes: the node in each instance.
        after: "" if none comes before.
    """
    pages = [_page_of(node, after, size, keys) for node in nodes]
    if len(pages) == 1:
        return pages[0]
    ends = [max(map(key_order, page)) for page in pages if len(page) == size]
    merged = {key: child for page in pages for key, child in page.items()}
    kept = [key for key in merged if not ends or key_order(key) <= min(ends)]
    return {key: merged[key] for key in sorted(kept, key=key_order)}


def _page_of(node: Any, after: str, size: int, keys: KeyRange) -> Mapping[str, Any]:
    """Read from one instance: what is asked for begins with ``after`` itself, unless that child is gone."""
    query, start = node.order_by_key(), after or keys.first
    if start is not None:
        query = query.start_at(in_query(start))
    if keys.end is not None:
        query = query.end_at(in_query(keys.end))
    page = children(query.limit_to_first(size + bool(after)).get())
    kept = [key for key in page if key != after and key in keys]
    return {key: page[key] for key in sorted(kept, key=key_order)[:size]}


def last_key(nodes: Sequence[Any], bound: str) -> str | None:
    """Return the last key up to ``bound`` in any of the instances, or None if there is none."""
    queries = [node.order_by_key().end_at(in_query(bound)).limit_to_last(1) for node in nodes]
    return max((key for query in queries for key in children(query.get())), key=key_order, default=None)
