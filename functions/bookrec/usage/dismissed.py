"""The books that a reader has dismissed ("Not interested"): which count, and which are removed."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from bookrec import paths
from bookrec.entries import parse_isbn
from bookrec.errors import BadData
from bookrec.life_cycle.ranges import CLOCKS_MS

DISMISSED, BOOKKEEPING = "dismissed", "dismissals"
"""Children of ``/Users/{uid}``: when which book was dismissed, and the number that the rules bound."""

MAX_DISMISSED = 200
"""Of a reader's dismissals, the newest ones count. The rules allow no more; an import may bring more."""

MAX_AGE_MS = 365 * 86_400_000
"""Older dismissals do not count: tastes change."""

MAX_AHEAD_MS = CLOCKS_MS
"""A dismissal that is later than this from now is bad data: times are the database's own, clocks differ by less.

One that an instance whose clock was set back removed would not come back.
"""

EXPIRED = BadData("dismissal_expired", "a dismissal counts for 365 days")
SURPLUS = BadData("dismissal_surplus", f"the newest {MAX_DISMISSED} dismissals of a reader count")


@dataclass(frozen=True, slots=True)
class Dismissals:
    """What ``/Users/{uid}`` says of a reader's dismissals.

    Attributes:
        at: when which book was dismissed (milliseconds since 1970), by key.
        rejected: why each other node was rejected, by key.
        count: the number that the rules go by.
    """

    at: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, BadData] = field(default_factory=dict)
    count: int = 0

    def counted(self, now_ms: int) -> tuple[str, ...]:
        """Return the ISBNs of the dismissals that count, in the order of their keys."""
        return tuple(paths.isbn_of(key) for key in sorted(self.at.keys() - self.removable(now_ms).keys()))

    def removable(self, now_ms: int) -> dict[str, BadData]:
        """Return the dismissals that do not count, and why, by key."""
        removable = dict(self.rejected)
        for key, at in self.at.items():
            if at > now_ms + MAX_AHEAD_MS:
                removable[key] = BadData("dismissal_in_future", "the time of a dismissal is the database's own")
            elif at < now_ms - MAX_AGE_MS:
                removable[key] = EXPIRED
        left = self.at.keys() - removable.keys()
        if len(left) > MAX_DISMISSED:
            newest = set(heapq.nlargest(MAX_DISMISSED, left, key=lambda key: (self.at[key], key)))
            removable |= dict.fromkeys(left - newest, SURPLUS)
        return removable

    def is_sound(self, now_ms: int) -> bool:
        """Return whether nothing has to be removed and the count is right."""
        return self.count == len(self.at) and not self.removable(now_ms)


def parse_dismissals(node: object, bookkeeping: object) -> Dismissals:
    """Return the dismissals in the nodes ``dismissed`` and ``dismissals`` of a reader."""
    at: dict[str, int] = {}
    rejected: dict[str, BadData] = {}
    for key, value in paths.children(node).items():
        try:
            at[key] = _parse(key, value)
        except BadData as problem:
            rejected[key] = problem
    return Dismissals(at, rejected, paths.whole(paths.children(bookkeeping).get("count")))


def _parse(key: str, value: object) -> int:
    """Return when the book of this key was dismissed.

    Raises:
        BadData: ``dismissal_key_invalid`` or ``dismissal_not_time``.
    """
    try:
        parse_isbn(paths.isbn_of(key))
    except BadData as problem:
        raise BadData("dismissal_key_invalid", "the key of a dismissal is an ISBN with commas for dots") from problem
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or value <= 0:
        raise BadData("dismissal_not_time", "a dismissal is its time in milliseconds since 1970")
    return int(value)
