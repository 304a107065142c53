"""Lists that a reader has seen: what is counted for hit rates, and what is remembered for fatigue.

The client writes to ``/Users/{uid}/shown`` that it has shown a list. What was on that list is known as long as the
reader has it. For the hit rates, a shown list is a fact under the list's id: writing it twice changes nothing. For
fatigue, a showing is added to ``/Users/{uid}/seen`` in a conditional write, and only if it is later than the last one
that was added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bookrec.paths import book_key, children, isbn_of, whole

MAX_BOOKS = 100
"""So many books are remembered for a reader: those shown most often."""

MAX_LISTS = 100
"""So many shown lists of a reader are counted for a model."""

RECOVERY_SHOWINGS = 20.0
"""A book that is not on a shown list is half forgotten after so many further showings."""

RECOVERY_MS = 30 * 86_400_000.0
"""Every book is half forgotten after so much time: it counts at the next showing."""

LEAST = 0.5
"""A book with less is forgotten."""


@dataclass(frozen=True, slots=True)
class Showing:
    """What ``/Users/{uid}/shown`` says: which list the client has shown last, and when (ms, the database's clock)."""

    list_id: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What ``/Users/{uid}/seen`` says.

    Attributes:
        last: the list whose showing was added last; "" if there is none.
        at: when that was shown, ms.
        version: the model of that list.
        lists: how many shown lists of that model were added, one after the other.
        books: by ISBN, how often each book was shown, less what is forgotten.
    """

    last: str = ""
    at: int = 0
    version: str = ""
    lists: int = 0
    books: Mapping[str, float] = field(default_factory=dict)

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        node: dict[str, object] = {"last": self.last, "at": self.at, "version": self.version, "lists": self.lists}
        return {**node, "books": {book_key(isbn): number for isbn, number in self.books.items()}}

    def counted(self, version: str) -> int:
        """Return how many shown lists of a model were counted, as far as that is known."""
        return self.lists if self.version == version else 0


def read_showing(node: object) -> Showing:
    """Return the showing in a node; a malformed one counts as none."""
    fields = children(node)
    list_id, at = fields.get("listId"), fields.get("at")
    return Showing(list_id, whole(at)) if isinstance(list_id, str) else Showing()


def read_seen(node: object) -> Seen:
    """Return what a node remembers; malformed parts count as missing."""
    fields = children(node)
    books = {isbn_of(key): number for key, number in children(fields.get("books")).items() if _is_number(number)}
    texts = (str(fields.get(name, "")) for name in ("last", "version"))
    last, version = texts
    return Seen(last, whole(fields.get("at")), version, whole(fields.get("lists")), books)


def after(seen: Seen, showing: Showing, version: str, isbns: Sequence[str] | None) -> Seen | None:
    """Return what is remembered after a showing; None if that one, or a later one, was added before.

    Args:
        version: the model of the list.
        isbns: the books on the list; None if fatigue is off: then no books are remembered.
    """
    if showing.at <= seen.at:
        return None
    if isbns is None:
        return Seen(showing.list_id, showing.at, version, seen.counted(version) + 1)
    kept = 0.5 ** ((showing.at - seen.at) / RECOVERY_MS) if seen.at else 1.0
    recovering = kept * 0.5 ** (1 / RECOVERY_SHOWINGS)
    listed = set(isbns)
    books = {isbn: number * recovering for isbn, number in seen.books.items() if isbn not in listed}
    books |= {isbn: seen.books.get(isbn, 0.0) * kept + 1 for isbn in isbns}
    most = sorted((isbn for isbn, number in books.items() if number >= LEAST), key=lambda isbn: (-books[isbn], isbn))
    remembered = {isbn: round(books[isbn], 3) for isbn in sorted(most[:MAX_BOOKS])}
    return Seen(showing.list_id, showing.at, version, seen.counted(version) + 1, remembered)


def fact(sources: Sequence[str]) -> dict[str, int]:
    """Return what is stored of a shown list: how many items of each kind it had. Its positions follow: 1 to their sum.

    Args:
        sources: of its items.
    """
    return dict(sorted(Counter(source or "unknown" for source in sources).items()))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
