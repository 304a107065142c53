"""The database adapter: nodes in the terms of the domain, of one instance or of several as one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from bookrec import paths, shelf
from bookrec.life_cycle.lease import Lease, read_lease
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.life_cycle.retraining import Pending
from bookrec.paths import children, in_query, is_number, key_order, whole
from bookrec.reader import GONE, SEEN, Reader, parse_reader
from bookrec.server_values import TIMESTAMP
from bookrec.usage.dismissed import BOOKKEEPING, DISMISSED, Dismissals, parse_dismissals
from bookrec_database import marks
from bookrec_database.concurrency import Concurrently
from bookrec_database.connection import NodeAt
from bookrec_database.key_range import NUMBERS, TEXTS, WHOLE, KeyRange
from bookrec_database.pages import last_key, read_page

OF_READERS = (paths.USER_BOOK, paths.CHANGES, paths.DIRTY)
"""What is read from several instances as one: their readers' own. All else that is asked for is in the first one."""

TRAINING = f"{paths.STATUS}/training"
CLEARED = f"{TRAINING}/cleared"
"""By kind of mark, until when they were removed: who keeps up by marks has to know."""
CHANGES = paths.CHANGES.rpartition("/")[2]


FIRST = "\x01"
"""What follows a text in a query that begins after it: no id of a user has this character."""

TRIES = 4
"""How often a reader's node is tried to be replaced while others write there."""

MARKS_A_READER = 5
"""So many marks of readers are read for each of a page's readers: there are more if many have left."""


class _NoChangeError(Exception):
    """Ends a transaction without a write."""


class FirebaseDatabase:
    """The nodes that functions and trainer read and write. Implements ``backend.ports.Database``.

    Args:
        node_at: the instance.
        concurrently: makes requests at the same time.
        first: the instance that has the catalogue, the pointer and the lease, if that is another.
        others: further instances whose readers are read, and whose marks are cleared, with this one's.
    """

    def __init__(
        self, node_at: NodeAt, concurrently: Concurrently, first: NodeAt | None = None, others: Sequence[NodeAt] = ()
    ) -> None:
        self._node, self._concurrently, self._first = node_at, concurrently, first or node_at
        self._all = (node_at, *others)

    # -- entries and readers -----------------------------------------------------------------------------------------

    def shelf_nodes(self, user_ids: Sequence[str]) -> Mapping[str, Any]:
        """One indexed and limited query a user, at the same time; bad entries are returned too."""
        nodes = [node_at(paths.USER_BOOK) for node_at in self._all]
        queries = [  # a query object keeps its filters, so each user gets one
            node.order_by_child("userId").equal_to(in_query(user_id)).limit_to_last(shelf.MAX_SHELF)
            for node in nodes
            for user_id in user_ids
        ]
        pages = self._concurrently([query.get for query in queries])
        return {key: value for page in pages for key, value in children(page).items()}

    def with_entries(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Read an entry of each, 120 bytes, at the same time."""
        node = self._node
        queries = [node(paths.USER_BOOK).order_by_child("userId").equal_to(in_query(user)) for user in user_ids]
        pages = self._concurrently([query.limit_to_first(1).get for query in queries])
        return [user_id for user_id, page in zip(user_ids, pages, strict=True) if children(page)]

    def entry(self, key: str) -> object:
        """Read one entry."""
        return self._read(f"{paths.USER_BOOK}/{key}")

    def page(self, path: str, after: str, size: int, keys: KeyRange = WHOLE) -> Mapping[str, Any]:
        """Read the children of ``path`` that follow the key ``after``: of several instances more than ``size``."""
        return read_page(self._nodes(path), after, size, keys)

    def last_key(self, path: str, bound: str) -> str | None:
        """Return the last key under ``path`` up to ``bound``, or None if there is none."""
        return last_key(self._nodes(path), bound)

    def user_ids(self) -> Sequence[str]:
        """Read the keys of ``/Users`` without what is below them."""
        return sorted(children(self._node(paths.USERS).get(shallow=True)))

    def readers(self, user_ids: Sequence[str]) -> Mapping[str, Reader]:
        """Two reads a user, all at the same time: profile, list and dismissals (3 kB, 30 bytes each); and the mark."""
        parents = (paths.USERS, paths.READERS)
        nodes = self._concurrently([self._node(f"{parent}/{user}").get for user in user_ids for parent in parents])
        rows = zip(user_ids, nodes[0::2], nodes[1::2], strict=True)
        return {user_id: parse_reader(*row) for user_id, *row in rows}

    def remove_dismissals(
        self, user_id: str, chosen: Callable[[Dismissals], Collection[str]]
    ) -> Collection[str] | None:
        """A conditional write of the reader's whole node: what is removed and the count are apart in it.

        If others write to the node all the time, nothing is written: the next sweep tries again.
        """
        node = self._node(f"{paths.USERS}/{user_id}")
        present, etag = node.get(etag=True)
        for _ in range(TRIES):
            fields = dict(children(present))
            dismissed, noted = children(fields.pop(DISMISSED, None)), fields.pop(BOOKKEEPING, None)
            dismissals = parse_dismissals(dismissed, noted)
            removed = set(chosen(dismissals))
            left = {key: at for key, at in dismissed.items() if key not in removed}
            if not removed and dismissals.count == len(left):
                break
            if left:
                fields |= {DISMISSED: left, BOOKKEEPING: {**children(noted), "count": len(left)}}
            is_done, present, etag = node.set_if_unchanged(etag, fields)  # an empty object removes the node
            if is_done:
                return removed
        return None

    def list_writes(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """Read a number of some bytes for each, at the same time."""
        counts = self._concurrently([self._node(f"{paths.LIST_WRITES}/{user_id}").get for user_id in user_ids])
        return dict(zip(user_ids, map(whole, counts), strict=True))

    def present(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Read the names of the fields of each, at the same time: about 100 bytes instead of 3 kB."""
        nodes = self._concurrently([partial(self._node(f"{paths.USERS}/{uid}").get, shallow=True) for uid in user_ids])
        return [user_id for user_id, node in zip(user_ids, nodes, strict=True) if node is not None]

    def readers_page(self, after: str, size: int) -> Mapping[str, Reader]:
        """Read whole nodes, since a page cannot be shallow; and the marks of the same range."""
        page = self.page(paths.USERS, after, size)
        if not page:
            return {}
        keys = list(page)
        known = children(
            self._node(paths.READERS).order_by_key().start_at(in_query(keys[0])).end_at(in_query(keys[-1])).get()
        )
        return {user_id: parse_reader(node, known.get(user_id)) for user_id, node in page.items()}

    def readers_after(
        self, after: str, size: int, *, numbered: bool = False
    ) -> tuple[Mapping[str, Reader], str | None]:
        """Two reads: a page of whole nodes, 3 kB each, and the marks of the same range, 40 bytes each."""
        after, keys = _ids_after(after, numbered=numbered)
        users, most = self.page(paths.USERS, after, size, keys), MARKS_A_READER * size
        full = len(users) == size
        in_range = keys.up_to(list(users)[-1]) if full and not numbered else keys
        known = self.page(paths.READERS, after, most, in_range)
        ends = [list(page)[-1] for page, is_full in ((users, full), (known, len(known) == most)) if is_full]
        last = min(ends, key=key_order) if ends else None
        names = [key for key in users.keys() | known.keys() if last is None or key_order(key) <= key_order(last)]
        return {key: parse_reader(users.get(key), known.get(key)) for key in sorted(names, key=key_order)}, last

    def listed(self, after: str, last: str | None, size: int, *, numbered: bool = False) -> Sequence[str]:
        """One query for the counts of writes, 40 bytes each."""
        after, keys = _ids_after(after, numbered=numbered)
        in_range = keys if last is None or numbered else keys.up_to(last)
        counted = self.page(paths.LIST_WRITES, after, size, in_range)
        return [key for key in counted if last is None or key_order(key) <= key_order(last)]

    def without_list(self, size: int) -> Sequence[str]:
        """One query in the order of the index on the lists' times: what has none comes first."""
        query = self._node(paths.USERS).order_by_child(paths.LIST_TIME).end_at(False)
        return sorted(children(query.limit_to_first(size).get()))

    def entries_by_reader(self, after: str, last: str | None, size: int) -> Mapping[str, Any]:
        """One query in the order of the index on ``userId``."""
        query = self._node(paths.USER_BOOK).order_by_child("userId").start_at(in_query(f"{after}{FIRST}"))
        if last is not None:
            query = query.end_at(in_query(last))
        return children(query.limit_to_first(size).get())

    def entries_of_nobody(self, size: int) -> Mapping[str, Any]:
        """One query in the order of the index on ``userId``: first what is no text, then what ``FIRST`` follows."""
        query = self._node(paths.USER_BOOK).order_by_child("userId").end_at(in_query("\0\uffff"))
        return children(query.limit_to_first(size).get())

    def gone(self) -> Sequence[str]:
        """Query the marks of those who have left, and whose entries are still there, by their value."""
        queries = [node_at(paths.READERS).order_by_value().equal_to(GONE) for node_at in self._all]
        return sorted({user_id for query in queries for user_id in children(query.get())})

    # -- marks -------------------------------------------------------------------------------------------------------

    def pending(self, enough: int) -> Pending:
        """Ask when marks were cleared last, for the oldest ``enough`` since then (45 bytes each), and for the newest.

        Earlier marks do not count; they are left if there were too many to be removed at once.
        """
        node, cleared = self._node(paths.CHANGES), self._changes_cleared()
        oldest = marks.made_after(node, cleared, enough).values()
        return Pending(len(oldest), min(oldest), marks.newest(node)) if oldest else Pending()

    def has_pending(self) -> bool:
        """Ask for one mark that was made after the last clearing."""
        return bool(marks.made_after(self._node(paths.CHANGES), self._changes_cleared(), 1))

    def dirty(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Read the mark of each, at the same time."""
        nodes = self._concurrently([self._node(f"{paths.DIRTY}/{user_id}").get for user_id in user_ids])
        return [user_id for user_id, mark in zip(user_ids, nodes, strict=True) if mark is not None]

    def dirty_readers(self) -> Sequence[str]:
        """Return all readers whose shelf has changed since the last published model's snapshot."""
        return sorted({key for node_at in self._all for key in children(node_at(paths.DIRTY).get(shallow=True))})

    def clear_changes(self, until: int) -> int:
        """Clear marks of changes in one round, which takes seconds; the next call goes on.

        Those that the last clearing was to remove go too: it may have been interrupted.
        """
        return self._clear(paths.CHANGES, max(until, self._changes_cleared()), 1, marks.LARGEST)

    def clear_marks(self, path: str, until: int) -> int:
        """Remove the marks under ``path`` that were made up to ``until`` (ms), as a training run may; return how many.

        A mark that is renewed meanwhile stays. If there is none, this is one request an instance; else two more, which
        first note until when marks are removed, and what ``marks.clear`` costs: seven in all, as a rule.
        """
        return self._clear(path, until, marks.ROUNDS, marks.LARGEST_IN_A_RUN)

    def _clear(self, path: str, until: int, rounds: int, largest: int) -> int:
        nodes = [node_at for node_at in self._all if marks.are_there(node_at(path), until)]
        if not nodes:
            return 0
        noted = self._first(f"{CLEARED}/{path.rpartition('/')[2]}")
        noted.transaction(lambda before: max(whole(before), until))
        return sum(marks.clear(node_at, path, until, self._concurrently, rounds, largest) for node_at in nodes)

    def _changes_cleared(self) -> int:
        """Return until when marks of changes were cleared last, or were to be (milliseconds since 1970)."""
        return whole(self._first(f"{CLEARED}/{CHANGES}").get())

    def cleared(self) -> int:
        """Return until when marks of dirty readers may have been removed (milliseconds since 1970)."""
        pointer = usable_pointer(self.pointer())
        noted = children(self._first(CLEARED).get()).get(paths.DIRTY.rpartition("/")[2])
        return max(whole(noted), pointer.snapshot_at if pointer else 0)

    # -- catalogue, pointer and lease --------------------------------------------------------------------------------

    def catalogue(self, etag: str) -> tuple[Mapping[str, object] | None, str]:
        """Read the catalogue; an unchanged one is not transferred."""
        node = self._first(paths.ARCHIVE)
        if not etag:
            value, etag = node.get(etag=True)
            return children(value), etag
        changed, value, new_etag = node.get_if_changed(etag)
        return (children(value), str(new_etag)) if changed else (None, etag)

    def pointer(self) -> object:
        """Read the pointer's node as it is."""
        return self._first(paths.MODEL).get()

    def change_pointer(self, change: Callable[[object], Mapping[str, object] | None]) -> object:
        """A transaction on the pointer."""
        try:
            return self._change(self._first(paths.MODEL), change)
        except _NoChangeError:
            return self.pointer()

    def lease(self) -> Lease:
        """Read the lease."""
        return read_lease(self._first(paths.LEASE).get())

    def change_lease(self, change: Callable[[Lease], Lease | None]) -> Lease | None:
        """A transaction on the lease's node."""

        def changed(node: object) -> Mapping[str, object] | None:
            lease = change(read_lease(node))
            return lease.to_node() if lease else None

        try:
            return read_lease(self._change(self._first(paths.LEASE), changed))
        except _NoChangeError:
            return None

    def _change(self, reference: Any, change: Callable[[object], Mapping[str, object] | None]) -> object:
        """Change a node in a transaction; ``_NoChangeError`` if ``change`` returns None."""

        def transition(node: object) -> dict[str, object]:
            changed = change(node)
            if changed is None:
                raise _NoChangeError
            return dict(changed)

        return reference.transaction(transition)

    def change_seen(self, user_id: str, change: Callable[[object], Mapping[str, object] | None]) -> bool:
        """A transaction on the node: two requests, or one if nothing is written."""
        try:
            self._change(self._node(f"{paths.USERS}/{user_id}/{SEEN}"), change)
        except _NoChangeError:
            return False
        return True

    # -- records, status and writes ----------------------------------------------------------------------------------

    def status(self, path: str) -> Any:
        """Read a node of the status."""
        return self._read(f"{paths.STATUS}/{path}")

    def change_status(self, path: str, change: Callable[[object], Mapping[str, object] | None]) -> bool:
        """A transaction on a node of the status."""
        try:
            self._change(self._node(f"{paths.STATUS}/{path}"), change)
        except _NoChangeError:
            return False
        return True

    def server_time(self) -> int:
        """Return the database's own clock in milliseconds: the one by which changes are stamped."""
        node = self._node(f"{TRAINING}/clock")
        node.set(dict(TIMESTAMP))
        return int(node.get())

    def rejected_keys(self) -> Sequence[str]:
        """Read the keys of the records."""
        return list(children(self._node(paths.REJECTED).get(shallow=True)))

    def records(self) -> Mapping[str, object]:
        """Read all records; their number is bounded."""
        return children(self._read(paths.REJECTED))

    def record(self, key: str) -> object:
        """Read one record."""
        return self._read(f"{paths.REJECTED}/{key}")

    def reject(self, key: str, node: object, record: Mapping[str, object]) -> bool:
        """Write the record first, then remove the entry if it still is that entry."""
        entry = self._node(f"{paths.USER_BOOK}/{key}")
        value, etag = entry.get(etag=True)
        if value is None or value != node:
            return False
        self.update({f"{paths.REJECTED}/{key}": dict(record)})
        removed, _, _ = entry.set_if_unchanged(etag, {})  # an empty object is no node: a conditional delete
        if not removed:
            self.update({f"{paths.REJECTED}/{key}": None})
        return bool(removed)

    def restore(self, key: str, node: object, value: Mapping[str, object]) -> bool:
        """A conditional write."""
        entry = self._node(f"{paths.USER_BOOK}/{key}")
        present, etag = entry.get(etag=True)
        if present != node:
            return False
        restored, _, _ = entry.set_if_unchanged(etag, dict(value))
        return bool(restored)

    def update(self, values: Mapping[str, object]) -> None:
        """One multi-path update at the root: all or nothing."""
        self._node("/").update(dict(values))

    def _read(self, path: str) -> Any:
        return self._node(path).get()

    def _nodes(self, path: str) -> Sequence[Any]:
        return [node_at(path) for node_at in (self._all if path in OF_READERS else self._all[:1])]


def _ids_after(after: str, *, numbered: bool) -> tuple[str, KeyRange]:
    """Return after which key, and in which range, the readers follow whose ids come after ``after``."""
    if numbered:
        return after, NUMBERS
    if is_number(after):  # it comes before all texts as a key, but among them as an id
        return "", KeyRange(first=f"{after} ")
    return after, TEXTS
