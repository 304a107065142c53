"""The trainer's adapters: the Realtime Database through firebase-admin, and Cloud Storage.

Both follow the emulators' environment variables by themselves (``FIREBASE_DATABASE_EMULATOR_HOST``,
``STORAGE_EMULATOR_HOST``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import firebase_admin
from firebase_admin import db
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from bookrec import lease as leases
from bookrec import paths
from bookrec.errors import BadModel, LeaseLost
from bookrec.manifest import Pointer, parse_pointer, usable_pointer
from bookrec.paths import children, in_query
from bookrec.publishing import next_pointer
from bookrec.reader import GONE
from trainer.data.ingest.keys import KeyRange
from trainer.data.ingest.pages import pages

TIMESTAMP = {".sv": "timestamp"}

CLEARED = f"{paths.STATUS}/training/cleared"
"""By kind of mark, until when they were removed: who keeps up by marks has to know."""


def project_id() -> str:
    """Return the project that this process works for.

    Raises:
        RuntimeError: where the environment names none.
    """
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        if os.environ.get(name):
            return os.environ[name]
    raise RuntimeError("no project: set GOOGLE_CLOUD_PROJECT (the emulators' is demo-bookrec)")


NodeAt = Callable[[str], db.Reference]
"""From a path to the reference of its node."""


def connect(project: str, url: str | None = None) -> NodeAt:
    """Return the references of the project's database, or of the one at ``url`` or ``DATABASE_URL``."""
    url = url or os.environ.get("DATABASE_URL") or _default_url(project)
    try:
        app = firebase_admin.get_app("trainer")
    except ValueError:
        app = firebase_admin.initialize_app(options={"databaseURL": url, "projectId": project}, name="trainer")
    # The SDK puts the path into the address as it is.
    return lambda path: db.reference(quote(path), app=app, url=url)


def connect_others(project: str) -> list[NodeAt]:
    """Return the references of the further databases whose addresses ``DATABASES`` lists, separated by commas."""
    urls = (url.strip() for url in os.environ.get("DATABASES", "").split(","))
    return [connect(project, url) for url in urls if url]


def disconnect() -> None:
    """Close the connections."""
    firebase_admin.delete_app(firebase_admin.get_app("trainer"))


def _default_url(project: str) -> str:
    emulator = os.environ.get("FIREBASE_DATABASE_EMULATOR_HOST")
    name = f"{project}-default-rtdb"
    return f"http://{emulator}?ns={name}" if emulator else f"https://{name}.firebaseio.com"


def now_ms() -> int:
    """Return this machine's time in milliseconds since 1970."""
    return int(time.time() * 1000)


OF_READERS = (paths.USER_BOOK, paths.CHANGES, paths.DIRTY)
"""What every database instance has for its own readers; all else is in the first one."""


class Database:
    """The nodes that a training run reads and writes.

    Args:
        node_at: the first instance.
        others: further instances, which have readers of their own.
    """

    def __init__(self, node_at: NodeAt, others: Sequence[NodeAt] = ()) -> None:
        self._node, self._all = node_at, (node_at, *others)

    def _instances(self, path: str) -> Sequence[NodeAt]:
        return self._all if path in OF_READERS else self._all[:1]

    def pages(self, path: str, page_size: int) -> Iterator[Mapping[str, Any]]:
        """Yield the children of ``path`` by key, at most ``page_size`` at a time."""
        return pages(self, path, page_size)

    def page(self, path: str, size: int, keys: KeyRange, after: str | None) -> Mapping[str, Any]:
        """Return the first ``size`` children of ``path`` in a range of keys, or those that follow the key ``after``.

        Of several instances there are more: all children up to where the first of the whole pages ends.
        """
        found = [self._page_of(node_at, path, size, keys, after) for node_at in self._instances(path)]
        if len(found) == 1:
            return found[0]
        ends = [max(map(paths.key_order, page)) for page in found if len(page) == size]
        merged = {key: child for page in found for key, child in page.items()}
        kept = [key for key in merged if not ends or paths.key_order(key) <= min(ends)]
        return {key: merged[key] for key in sorted(kept, key=paths.key_order)}

    def _page_of(self, node_at: NodeAt, path: str, size: int, keys: KeyRange, after: str | None) -> Mapping[str, Any]:
        query, start = node_at(path).order_by_key(), after or keys.first
        if start is not None:
            query = query.start_at(in_query(start))
        if keys.end is not None:
            query = query.end_at(in_query(keys.end))
        found = children(query.limit_to_first(size + (after is not None)).get())
        kept = [key for key in found if key != after and key in keys]
        return {key: found[key] for key in sorted(kept, key=paths.key_order)[:size]}

    def last_key(self, path: str, bound: str) -> str | None:
        """Return the last key under ``path`` up to ``bound``, or None where there is none."""
        queries = [node_at(path).order_by_key().end_at(in_query(bound)) for node_at in self._instances(path)]
        found = [key for query in queries for key in children(query.limit_to_last(1).get())]
        return max(found, key=paths.key_order, default=None)

    def shelf_nodes(self, user_id: str) -> Mapping[str, Any]:
        """Return one reader's entries by key, bad ones too, by the index on ``userId``."""
        nodes = [node_at(paths.USER_BOOK) for node_at in self._all]
        found = [children(node.order_by_child("userId").equal_to(in_query(user_id)).get()) for node in nodes]
        return {key: entry for entries in found for key, entry in entries.items()}

    def dirty(self) -> frozenset[str]:
        """Return the readers whose shelf has changed since the last published model's snapshot."""
        return frozenset(key for node_at in self._all for key in children(node_at(paths.DIRTY).get(shallow=True)))

    def gone(self) -> frozenset[str]:
        """Return the users who have left, and whose entries are still there."""
        marks = [node_at(paths.READERS).order_by_value().equal_to(GONE).get() for node_at in self._all]
        return frozenset(user_id for found in marks for user_id in children(found))

    def server_time(self) -> int:
        """Return the database's own clock in milliseconds: the one by which changes are stamped."""
        node = self._node(f"{paths.STATUS}/training/clock")
        node.set(TIMESTAMP)
        return int(node.get())

    def pointer(self) -> Pointer | None:
        """Return what is live; a damaged node counts as nothing."""
        return usable_pointer(self._node(paths.MODEL).get())

    def publish(self, pointer: Pointer, *, is_rollback: bool = False) -> Pointer:
        """Switch ``/Recommender/model`` in a transaction; return the pointer as it is now.

        Raises:
            LeaseLost, BadModel: as ``publishing.next_pointer`` does.
        """
        node = self._node(paths.MODEL).transaction(
            lambda present: next_pointer(present, pointer, is_rollback=is_rollback)
        )
        return parse_pointer(node) or pointer

    def lease(self) -> leases.Lease:
        """Return the lease."""
        return leases.read_lease(self._node(paths.LEASE).get())

    def change_lease(self, change: Callable[[leases.Lease], leases.Lease | None]) -> leases.Lease:
        """Change the lease in a transaction; return the new one.

        Raises:
            LeaseLost: where ``change`` returns None.
        """

        def transition(node: object) -> dict[str, object]:
            present = leases.read_lease(node)
            changed = change(present)
            if changed is None:
                raise LeaseLost(f"the lease is held by run {present.holder} under fence {present.fence}")
            return changed.to_node()

        return leases.read_lease(self._node(paths.LEASE).transaction(transition))

    def record_run(self, run: Mapping[str, object]) -> None:
        """Write how the run stands to ``/Recommender/status/training``, and count its outcome."""
        values: dict[str, object] = {"run": {**run, "at": TIMESTAMP}}
        if run["outcome"] != "running":
            values[f"outcomes/{run['outcome']}"] = {".sv": {"increment": 1}}
            values[f"runs/{run['fence']}"] = {**run, "at": TIMESTAMP}  # the functions forget the oldest
        self._node(f"{paths.STATUS}/training").update(values)

    def cleared(self) -> int:
        """Return until when marks of dirty readers may have been removed (milliseconds since 1970)."""
        pointer = self.pointer()
        noted = children(self._node(CLEARED).get()).get(paths.DIRTY.rpartition("/")[2])
        return max(_time(noted), pointer.snapshot_at if pointer else 0)

    def clear_marks(self, path: str, until: int) -> int:
        """Remove the marks under ``path`` that were made up to ``until`` (ms); return how many.

        A mark that was renewed meanwhile stays: each is removed only if it still is what was read.
        """
        self._node(f"{CLEARED}/{path.rpartition('/')[2]}").transaction(lambda noted: max(_time(noted), until))
        return sum(_clear_marks(node_at, path, until) for node_at in self._instances(path))


def _clear_marks(node_at: NodeAt, path: str, until: int) -> int:
    marks = children(node_at(path).order_by_child("at").end_at(until).get())
    for key in marks:
        node = node_at(f"{path}/{key}")
        value, etag = node.get(etag=True)
        if isinstance(value, Mapping) and value.get("at", 0) <= until:
            node.set_if_unchanged(etag, {})  # an empty object is no node: a conditional delete
    return len(marks)


def _time(node: object) -> int:
    return node if isinstance(node, int) and not isinstance(node, bool) else 0


def storage_client(project: str) -> storage.Client:
    """Return a client of Cloud Storage, or of its emulator."""
    credentials = AnonymousCredentials() if os.environ.get("STORAGE_EMULATOR_HOST") else None
    return storage.Client(project=project, credentials=credentials)


class Bucket:
    """A Cloud Storage bucket."""

    def __init__(self, project: str, name: str | None = None) -> None:
        self._bucket = storage_client(project).bucket(
            name or os.environ.get("MODEL_BUCKET") or f"{project}.appspot.com"
        )

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write a new object; the same content again is no error, so that an interrupted upload can go on.

        Raises:
            BadModel: where the object exists with other content.
        """
        try:
            self._bucket.blob(name).upload_from_string(content, content_type, if_generation_match=0)
        except PreconditionFailed:
            if self.read(name) != content:
                raise BadModel(f"{name} exists in the bucket with other content: versions are immutable") from None

    def read(self, name: str) -> bytes:
        """Return an object's content.

        Raises:
            BadModel: where there is no such object.
        """
        try:
            content: bytes = self._bucket.blob(name).download_as_bytes()
        except NotFound as problem:
            raise BadModel(f"{name} is not in bucket {self._bucket.name}") from problem
        return content

    def created(self) -> Iterator[tuple[str, int]]:
        """Yield the names of all objects of models and lists, and when each was made (milliseconds since 1970)."""
        for prefix in ("models/", "lists/"):
            for blob in self._bucket.list_blobs(prefix=prefix):
                yield blob.name, int(blob.time_created.timestamp() * 1000)

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""
        with suppress(NotFound):
            self._bucket.blob(name).delete()
