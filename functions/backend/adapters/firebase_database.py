"""The Realtime Database through firebase-admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import firebase_admin
from firebase_admin import db

from backend.ports import Together
from bookrec import paths
from bookrec.lease import Lease, read_lease
from bookrec.retraining import Pending


class _NoChangeError(Exception):
    """Ends a transaction without a write."""


class FirebaseDatabase:
    """Implements ``ports.Database``."""

    def __init__(self, project: str, url: str, together: Together) -> None:
        self._app = firebase_admin.initialize_app(options={"databaseURL": url, "projectId": project}, name="backend")
        self._together = together

    def _node(self, path: str) -> db.Reference:
        return db.reference(path, app=self._app)

    def shelf_nodes(self, user_ids: Sequence[str]) -> Mapping[str, object]:
        """One indexed query a user, at the same time."""
        node = self._node(paths.USER_BOOK)  # a query object keeps its filters, so each user gets one
        pages = self._together([node.order_by_child("userId").equal_to(user_id).get for user_id in user_ids])
        return {key: value for page in pages for key, value in _children(page).items()}

    def entry(self, key: str) -> object:
        """Read one entry."""
        value: object = self._node(f"{paths.USER_BOOK}/{key}").get()
        return value

    def entries_page(self, after: str, size: int) -> Mapping[str, object]:
        """Page by key; the page begins with ``after`` itself, unless that entry is gone."""
        query = self._node(paths.USER_BOOK).order_by_key()
        page = _children((query.start_at(after) if after else query).limit_to_first(size + bool(after)).get())
        keys = sorted(page.keys() - {after}, key=paths.key_order)
        return {key: page[key] for key in keys[:size]}

    def user_ids(self) -> Sequence[str]:
        """Read the keys of ``/Users`` without what is below them."""
        return sorted(_children(self._node(paths.USERS).get(shallow=True)))

    def list_states(self, user_ids: Sequence[str]) -> Mapping[str, tuple[object, object]]:
        """Read two leaves of each list, at the same time."""
        lists = [self._node(paths.recommendations(user_id)) for user_id in user_ids]
        digests = self._together([node.child("basedOn/digest").get for node in lists])
        versions = self._together([node.child("modelVersion").get for node in lists])
        return dict(zip(user_ids, zip(digests, versions, strict=True), strict=True))

    def pointer(self) -> object:
        """Read the pointer."""
        value: object = self._node(paths.MODEL).get()
        return value

    def catalogue(self, etag: str) -> tuple[Mapping[str, object] | None, str]:
        """Read the catalogue; an unchanged one is not transferred."""
        node = self._node(paths.ARCHIVE)
        if not etag:
            value, etag = node.get(etag=True)
            return _children(value), etag
        changed, value, new_etag = node.get_if_changed(etag)
        return (_children(value), str(new_etag)) if changed else (None, etag)

    def pending(self) -> Pending:
        """Read the number of marks, the oldest and the newest."""
        node = self._node(paths.CHANGES)
        first, last = node.order_by_child("at").limit_to_first(1), node.order_by_child("at").limit_to_last(1)
        keys, oldest, newest = self._together([lambda: node.get(shallow=True), first.get, last.get])
        return Pending(len(_children(keys)), _at(oldest), _at(newest))

    def status(self, path: str) -> Any:
        """Read a node of the status."""
        return self._node(f"{paths.STATUS}/{path}").get()

    def rejected_keys(self) -> Sequence[str]:
        """Read the keys of the records."""
        return list(_children(self._node(paths.REJECTED).get(shallow=True)))

    def record(self, key: str) -> object:
        """Read one record."""
        value: object = self._node(f"{paths.REJECTED}/{key}").get()
        return value

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
            return read_lease(self._node(paths.LEASE).transaction(transition))
        except _NoChangeError:
            return None

    def quarantine(self, key: str, node: object, record: Mapping[str, object]) -> bool:
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


def _children(value: object) -> Mapping[str, Any]:
    """Return a node's children; the service renders small integer keys as a list."""
    if isinstance(value, list):
        return {str(i): child for i, child in enumerate(value) if child is not None}
    return value if isinstance(value, Mapping) else {}


def _at(marks: object) -> int:
    times = [mark.get("at") for mark in _children(marks).values() if isinstance(mark, Mapping)]
    return int(times[0]) if times and isinstance(times[0], (int, float)) else 0
