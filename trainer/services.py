"""The trainer's adapters: the Realtime Database through firebase-admin, and Cloud Storage.

Both follow the emulators' environment variables by themselves (``FIREBASE_DATABASE_EMULATOR_HOST``,
``STORAGE_EMULATOR_HOST``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import firebase_admin
from firebase_admin import db
from google.api_core.exceptions import PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from bookrec import lease as leases
from bookrec import paths
from bookrec.errors import BadModel, LeaseLost
from bookrec.manifest import Pointer, parse_pointer
from trainer.publish import next_pointer

TIMESTAMP = {".sv": "timestamp"}


def project_id() -> str:
    """Return the project that this process works for.

    Raises:
        RuntimeError: where the environment names none.
    """
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        if os.environ.get(name):
            return os.environ[name]
    raise RuntimeError("no project: set GOOGLE_CLOUD_PROJECT (the emulators' is demo-bookrec)")


class Database:
    """The nodes that a training run reads and writes."""

    def __init__(self, project: str, url: str | None = None) -> None:
        url = url or os.environ.get("DATABASE_URL") or self._default_url(project)
        self._app = firebase_admin.initialize_app(options={"databaseURL": url, "projectId": project}, name="trainer")

    @staticmethod
    def _default_url(project: str) -> str:
        emulator = os.environ.get("FIREBASE_DATABASE_EMULATOR_HOST")
        return (
            f"http://{emulator}?ns={project}-default-rtdb"
            if emulator
            else f"https://{project}-default-rtdb.firebaseio.com"
        )

    def close(self) -> None:
        """Close the connections."""
        firebase_admin.delete_app(self._app)

    def _node(self, path: str) -> db.Reference:
        return db.reference(path, app=self._app)

    def pages(self, path: str, page_size: int) -> Iterator[Mapping[str, Any]]:
        """Yield the children of ``path`` by key, at most ``page_size`` at a time."""
        last: str | None = None
        while True:
            query = self._node(path).order_by_key()
            page = _children((query.start_at(last) if last else query).limit_to_first(page_size + bool(last)).get())
            page.pop(last or "", None)
            if page:
                yield page
            if len(page) < page_size:
                return
            last = max(page, key=paths.key_order)

    def server_time(self) -> int:
        """Return the database's own clock in milliseconds: the one by which changes are stamped."""
        node = self._node(f"{paths.STATUS}/training/clock")
        node.set(TIMESTAMP)
        return int(node.get())

    def pointer(self) -> Pointer | None:
        """Return what is live; a damaged node counts as nothing."""
        try:
            return parse_pointer(self._node(paths.MODEL).get())
        except BadModel:
            return None

    def publish(self, pointer: Pointer) -> None:
        """Switch ``/Recommender/model`` in a transaction.

        Raises:
            LeaseLost: where a run with this fence or a later one has published.
        """
        self._node(paths.MODEL).transaction(lambda present: next_pointer(present, pointer))

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
        """Write how the run stands to ``/Recommender/status/training/run``."""
        self._node(f"{paths.STATUS}/training/run").set({**run, "at": TIMESTAMP})

    def clear_marks(self, path: str, until: int) -> int:
        """Remove the marks under ``path`` that were made up to ``until`` (ms); return how many.

        A mark that was renewed meanwhile stays: each is removed only if it still is what was read.
        """
        marks = self._node(path).order_by_child("at").end_at(until).get() or {}
        for key in marks:
            node = self._node(f"{path}/{key}")
            value, etag = node.get(etag=True)
            if isinstance(value, Mapping) and value.get("at", 0) <= until:
                node.set_if_unchanged(etag, {})  # an empty object is no node: a conditional delete
        return len(marks)


def _children(value: object) -> dict[str, Any]:
    """Return a node's children; the service renders small integer keys as a list."""
    if isinstance(value, list):
        return {str(i): child for i, child in enumerate(value) if child is not None}
    return dict(value) if isinstance(value, Mapping) else {}


class Bucket:
    """A Cloud Storage bucket."""

    def __init__(self, project: str, name: str | None = None) -> None:
        local = os.environ.get("STORAGE_EMULATOR_HOST")
        credentials = AnonymousCredentials() if local else None
        client = storage.Client(project=project, credentials=credentials)
        self._bucket = client.bucket(name or os.environ.get("MODEL_BUCKET") or f"{project}.appspot.com")

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
        """Return an object's content."""
        content: bytes = self._bucket.blob(name).download_as_bytes()
        return content
