"""Walks through all readers with their shelves, each once, in the order of the readers' ids.

The index on ``userId`` gives entries in that order, and the keys of ``/Users`` have the same one, except for ids that
look like 32-bit integers. So a stretch of the walk is a range of ids, and the walk's place is one id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.ports import Database
from bookrec import paths
from bookrec.entries import MAX_USER_ID, user_id_of
from bookrec.paths import children, text_order
from bookrec.reader import Reader

READERS = 200
"""How many readers are read at a time: 600 kB."""

LISTED = 1_000
"""How many who had a list written are read with them, more than ``READERS``: those who have left must fit too."""

ENTRIES = 2_000
"""How many entries are read at a time: 240 kB."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the walk.

    Attributes:
        readers: all who have a profile, a list, a mark or a valid entry.
        nodes: the entries that name them, and those that name nobody; of a shelf that fills a page on its own, the
            newest ``shelf.MAX_SHELF``.
        left: readers who had a list written and have no node under ``/Users``.
        last: the reader after whom the next stretch begins; None at the end.
    """

    readers: Mapping[str, Reader]
    nodes: Mapping[str, object]
    left: Sequence[str]
    last: str | None


class ShelfWalk:
    """Reads stretches. It keeps a page of readers in memory until their entries are read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._page: Mapping[str, Reader] = {}
        self._listed: Sequence[str] = ()
        self._range: tuple[str, str | None] | None = None

    def after(self, after: str) -> Stretch:
        """Return the stretch that follows a reader, or the first one for "".

        Cost: ``ENTRIES`` entries, and every ``READERS`` readers a page of them with their lists, marks and counts of
        writes. A shelf that a page of entries cuts off is read again from its beginning: on average half a shelf a
        page. A shelf that fills a page costs that page and its newest ``shelf.MAX_SHELF`` entries. An id that looks
        like an integer costs three requests more.
        """
        self._turn_to(after)
        end = self._range[1] if self._range else None
        nodes = self._database.entries_by_reader(after, end, ENTRIES)
        last = end
        if len(nodes) >= ENTRIES:
            nodes, last = self._whole_shelves(nodes, end)
        if not after:
            nodes = {**self._database.entries_of_nobody(ENTRIES), **nodes}
        listed = {user_id: reader for user_id, reader in self._page.items() if _is_between(user_id, after, last)}
        others = {user for user in map(user_id_of, nodes.values()) if user is not None} - listed.keys()
        numbered = sorted(filter(paths.is_number, others))
        readers = {**dict.fromkeys(sorted(others), Reader()), **self._database.readers(numbered), **listed}
        left = [user_id for user_id in self._listed if _is_between(user_id, after, last) and user_id not in listed]
        return Stretch(readers, nodes, left, last)

    def _turn_to(self, after: str) -> None:
        """Read the page of readers that follow ``after``, unless it is the present one."""
        if (
            self._range
            and _is_between(after, self._range[0], self._range[1], with_first=True)
            and after != self._range[1]
        ):
            return
        self._page, last = self._database.readers_after(after, READERS)
        self._listed = self._database.listed(after, last, LISTED)
        self._range = after, last

    def _whole_shelves(self, nodes: Mapping[str, object], end: str | None) -> tuple[Mapping[str, object], str | None]:
        """Return the entries on the whole shelves of a page that is full, and the last of these readers.

        The last shelf may go on, and is left out, unless it is the only one: then it is read whole.
        """
        names = {key: children(node).get("userId") for key, node in nodes.items()}
        texts = sorted({name for name in names.values() if isinstance(name, str)}, key=text_order)
        if any(not isinstance(name, str) for name in names.values()):
            return nodes, end  # objects come after all texts, and cannot be asked for one by one
        if len(texts) == 1:
            return self._database.shelf_nodes(texts), _place_of(texts[0])
        return {key: node for key, node in nodes.items() if names[key] != texts[-1]}, _place_of(texts[-2])


def _place_of(name: str) -> str:
    """Return what comes after all entries of a name: itself; of one that is too long for a reader, a shorter text."""
    return name if len(name) <= MAX_USER_ID else f"{name[:MAX_USER_ID]}\uffff"


def _is_between(name: str, first: str, last: str | None, *, with_first: bool = False) -> bool:
    place = text_order(name)
    is_after = place > text_order(first) or (with_first and name == first)
    return is_after and (last is None or place <= text_order(last))
