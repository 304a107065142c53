"""Clearing marks: those up to a time, without removing one that is renewed meanwhile.

A mark says that something changed at a time, and a later change replaces it. The service has no conditional write for
several children. So one conditional write of their parent removes many marks at once; it fails while others write
there. If it keeps failing, a bounded number of marks is removed one by one, each by its own conditional write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bookrec.paths import children
from bookrec_database.concurrency import Concurrently

FEW = 8
"""So many marks or fewer go one at a time at once: two small requests each, whatever the size of the node."""

LARGEST, LARGEST_IN_A_RUN = 200_000, 1_000_000
"""Marks in a node that a function still reads and replaces as a whole: 9 MB to read, and some 130 MB of memory
meanwhile. In a training run five times as many."""

TRIES = 4
"""How often the whole node is tried to be replaced, in each round."""

BATCH = 1_000
"""How many marks go one at a time in a round, the oldest: 2,000 requests, eight at a time, some seconds."""

LATEST = 2**53
"""No time is later; but texts come after all numbers."""

ROUNDS = 10
"""How many rounds a caller that can wait a minute makes."""


def clear(
    node_at: Callable[[str], Any], path: str, until: int, concurrently: Concurrently, rounds: int, largest: int
) -> int:
    """Remove the marks under ``path`` that were made up to ``until`` (ms); return how many.

    It takes four requests, however many marks there are, unless others write to the node all the time: then at most
    ``rounds * (2 * BATCH + TRIES + 3)``. What is left is for the next call.
    """
    node, cleared = node_at(path), 0
    for _ in range(rounds):
        oldest = list(children(_up_to(node, until).limit_to_first(BATCH).get()))
        if len(oldest) > FEW and len(children(node.order_by_key().limit_to_first(largest + 1).get())) <= largest:
            replaced = _replace(node, until)
            if replaced is not None:
                return cleared + replaced
        cleared += sum(concurrently([partial(_remove, node_at(f"{path}/{key}"), until) for key in oldest]))
        if len(oldest) < BATCH:
            break
    return cleared


def made_after(node: Any, after: int, number: int) -> Mapping[str, int]:
    """Return when marks were made, by key, of those made after ``after`` (ms): the oldest ``number``."""
    return _times(node.order_by_child("at").start_at(after + 1).limit_to_first(number))


def newest(node: Any) -> int:
    """Return when the newest mark was made (ms since 1970); 0 if there is none."""
    return max(_times(_up_to(node, LATEST).limit_to_last(1)).values(), default=0)


def are_there(node: Any, until: int) -> bool:
    """Return whether a node has marks that were made up to ``until`` (ms)."""
    return bool(children(_up_to(node, until).limit_to_first(1).get()))


def _times(query: Any) -> Mapping[str, int]:
    times = {key: mark.get("at") for key, mark in children(query.get()).items() if isinstance(mark, Mapping)}
    return {key: int(at) for key, at in times.items() if isinstance(at, (int, float))}


def _up_to(node: Any, until: int) -> Any:
    return node.order_by_child("at").end_at(until)


def _replace(node: Any, until: int) -> int | None:
    """Replace the node by its later marks if nobody has written to it meanwhile; return how many marks went.

    None says that somebody has, each time.
    """
    present, etag = node.get(etag=True)
    for _ in range(TRIES):
        marks = children(present)
        later = {key: mark for key, mark in marks.items() if not _is_due(mark, until)}
        # An empty object removes the node. Of a write that fails, the answer is the node as it is now.
        is_done, present, etag = node.set_if_unchanged(etag, later)
        if is_done:
            return len(marks) - len(later)
    return None


def _remove(node: Any, until: int) -> bool:
    """Remove one mark if it still is what was read."""
    mark, etag = node.get(etag=True)
    return _is_due(mark, until) and bool(node.set_if_unchanged(etag, {})[0])


def _is_due(mark: object, until: int) -> bool:
    at = mark.get("at", 0) if isinstance(mark, Mapping) else None
    return isinstance(at, (int, float)) and at <= until
