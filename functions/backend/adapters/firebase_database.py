"""The Realtime Database through firebase-admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import firebase_admin
from firebase_admin import db
from requests.adapters import HTTPAdapter

from backend.adapters.system import MAX_THREADS
from backend.ports import Concurrently
from bookrec import paths
from bookrec.lease import Lease, read_lease
from bookrec.paths import children, in_query
from bookrec.reader import GONE, Reader, parse_reader
from bookrec.retraining import Pending

MAX_CLEARED = 1_000
"""Marks that are removed at a time, so that it takes seconds; the next call removes more."""

NodeAt = Callable[[str], db.Reference]
"""From a path to the reference of its node."""


class _NoChangeError(Exception):
    """Ends a transaction without a write."""


def connect(project: str, url: str) -> NodeAt:
    """Return the references of one database. They share its connections, which are kept open between events."""
    try:
        app = firebase_admin.get_app("backend")
    except ValueError:
        app = firebase_admin.initialize_app(options={"databaseURL": url, "projectId": project}, name="backend")
    root = db.reference("/", app=app, url=url)
    # The SDK keeps 10 connections, opens and closes one for every request beyond, and has no option for it.
    session = root._client.session
    session.trust_env = False  # proxies and .netrc would be looked up for each request: a third of what it costs
    for scheme, adapter in list(session.adapters.items()):
        session.mount(scheme, HTTPAdapter(pool_maxsize=MAX_THREADS, max_retries=adapter.max_retries))
    return lambda path: (
        root if path == "/" else root.child(quote(path))
    )  # the SDK puts a path into the address as it is


def instance_name(url: str) -> str:
    """Return the name of the database instance at an address: of an emulator's, what ``ns`` says."""
    parts = urlsplit(url)
    return parse_qs(parts.query).get("ns", [(parts.hostname or "").partition(".")[0]])[0]


class FirebaseDatabase:
    """Implements ``ports.Database``.

    Args:
        node_at: the readers' instance.
        concurrently: makes requests at the same time.
        first: the instance that has the catalogue, the pointer and the lease, where that is another.
    """

    def __init__(self, node_at: NodeAt, concurrently: Concurrently, first: NodeAt | None = None) -> None:
        self._node, self._concurrently, self._first = node_at, concurrently, first or node_at

    def shelf_nodes(self, user_ids: Sequence[str]) -> Mapping[str, object]:
        """One indexed query a user, at the same time."""
        node = self._node(paths.USER_BOOK)  # a query object keeps its filters, so each user gets one
        pages = self._concurrently(
            [node.order_by_child("userId").equal_to(in_query(user_id)).get for user_id in user_ids]
        )
        return {key: value for page in pages for key, value in children(page).items()}

    def entry(self, key: str) -> object:
        """Read one entry."""
        return self._read(f"{paths.USER_BOOK}/{key}")

    def page(self, path: str, after: str, size: int) -> Mapping[str, object]:
        """Read by key; what is asked for begins with ``after`` itself, unless that child is gone."""
        query = self._node(path).order_by_key()
        page = children((query.start_at(in_query(after)) if after else query).limit_to_first(size + bool(after)).get())
        keys = sorted(page.keys() - {after}, key=paths.key_order)
        return {key: page[key] for key in keys[:size]}

    def user_ids(self) -> Sequence[str]:
        """Read the keys of ``/Users`` without what is below them."""
        return sorted(children(self._node(paths.USERS).get(shallow=True)))

    def readers(self, user_ids: Sequence[str]) -> Mapping[str, Reader]:
        """Two reads a user, all at the same time: profile with list, and mark."""
        places = [f"{parent}/{user_id}" for parent in (paths.USERS, paths.READERS) for user_id in user_ids]
        found = self._concurrently([self._node(place).get for place in places])
        rows = zip(user_ids, found[: len(user_ids)], found[len(user_ids) :], strict=True)
        return {user_id: parse_reader(node, mark) for user_id, node, mark in rows}

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

    def pointer(self) -> object:
        """Read the pointer."""
        return self._first(paths.MODEL).get()

    def change_pointer(self, change: Callable[[object], Mapping[str, object] | None]) -> object:
        """A transaction on the pointer."""

        def transition(node: object) -> dict[str, object]:
            changed = change(node)
            if changed is None:
                raise _NoChangeError
            return dict(changed)

        try:
            return self._first(paths.MODEL).transaction(transition)
        except _NoChangeError:
            return self.pointer()

    def catalogue(self, etag: str) -> tuple[Mapping[str, object] | None, str]:
        """Read the catalogue; an unchanged one is not transferred."""
        node = self._first(paths.ARCHIVE)
        if not etag:
            value, etag = node.get(etag=True)
            return children(value), etag
        changed, value, new_etag = node.get_if_changed(etag)
        return (children(value), str(new_etag)) if changed else (None, etag)

    def pending(self) -> Pending:
        """Read the number of marks, the oldest and the newest."""
        node = self._node(paths.CHANGES)
        first, last = node.order_by_child("at").limit_to_first(1), node.order_by_child("at").limit_to_last(1)
        keys, oldest, newest = self._concurrently([lambda: node.get(shallow=True), first.get, last.get])
        return Pending(len(children(keys)), _at(oldest), _at(newest))

    def status(self, path: str) -> Any:
        """Read a node of the status."""
        return self._read(f"{paths.STATUS}/{path}")

    def rejected_keys(self) -> Sequence[str]:
        """Read the keys of the records."""
        return list(children(self._node(paths.REJECTED).get(shallow=True)))

    def records(self) -> Mapping[str, object]:
        """Read all records; their number is bounded."""
        return children(self._read(paths.REJECTED))

    def record(self, key: str) -> object:
        """Read one record."""
        return self._read(f"{paths.REJECTED}/{key}")

    def gone(self) -> Sequence[str]:
        """Query the marks by their value."""
        return sorted(children(self._node(paths.READERS).order_by_value().equal_to(GONE).get()))

    def dirty(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Read the mark of each, at the same time."""
        marks = self._concurrently([self._node(f"{paths.DIRTY}/{user_id}").get for user_id in user_ids])
        return [user_id for user_id, mark in zip(user_ids, marks, strict=True) if mark is not None]

    def clear_changes(self, until: int) -> int:
        """Remove each mark only if it still is what was read."""
        oldest = self._node(paths.CHANGES).order_by_child("at").end_at(until).limit_to_first(MAX_CLEARED)
        paths_of_marks = [f"{paths.CHANGES}/{key}" for key in children(oldest.get())]
        return sum(self._concurrently([partial(self._clear, path, until) for path in paths_of_marks]))

    def lease(self) -> Lease:
        """Read the lease."""
        return read_lease(self._first(paths.LEASE).get())

    def update(self, values: Mapping[str, object]) -> None:
        """One multi-path update at the root: all or nothing."""
        self._node("/").update(dict(values))

    def change_lease(self, change: Callable[[Lease], Lease | None]) -> Lease | None:
        """A transaction on the lease's node."""

        def transition(node: object) -> dict[str, object]:
            changed = change(read_lease(node))
            if changed is None:
                raise _NoChangeError
            return changed.to_node()

        try:
            return read_lease(self._first(paths.LEASE).transaction(transition))
        except _NoChangeError:
            return None

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

    def _read(self, path: str) -> Any:
        return self._node(path).get()

    def _clear(self, path: str, until: int) -> bool:
        node = self._node(path)
        mark, etag = node.get(etag=True)
        if not isinstance(mark, Mapping) or mark.get("at", 0) > until:
            return False
        return bool(node.set_if_unchanged(etag, {})[0])


def _at(marks: object) -> int:
    times = [mark.get("at") for mark in children(marks).values() if isinstance(mark, Mapping)]
    return int(times[0]) if times and isinstance(times[0], (int, float)) else 0
