"""Cloud Storage as the trainer writes it, or its emulator if ``STORAGE_EMULATOR_HOST`` names one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from google.api_core.exceptions import NotFound, PreconditionFailed, RequestRangeNotSatisfiable

from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import MAX_FILE_BYTES
from trainer.cloud import storage_client


class CloudBucket:
    """A bucket of models and lists. Implements ``trainer.publishing.versions.Bucket``."""

    def __init__(self, project: str, name: str | None = None) -> None:
        self._bucket = storage_client(project).bucket(
            name or os.environ.get("MODEL_BUCKET") or f"{project}.appspot.com"
        )

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write a new object; the same content again is not an error, so that an interrupted upload can go on.

        Raises:
            BadModel: if the object exists with other content.
        """
        try:
            self._bucket.blob(name).upload_from_string(content, content_type, if_generation_match=0)
        except PreconditionFailed:
            if self.read(name, len(content)) != content:
                raise BadModel(f"{name} exists in the bucket with other content: versions are immutable") from None

    def read(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """Return an object's content as it is stored: what was published has no content encoding.

        Raises:
            BadModel: if there is no such object, or if it is larger.
        """
        try:
            # The hash of a part is not the object's; everything that is read here has a SHA-256.
            content: bytes = self._bucket.blob(name).download_as_bytes(raw_download=True, end=max_bytes, checksum=None)
        except NotFound as problem:
            raise BadModel(f"{name} is not in bucket {self._bucket.name}") from problem
        except RequestRangeNotSatisfiable:
            return b""
        if len(content) > max_bytes:
            raise BadModel(f"{name} is larger than {max_bytes} bytes")
        return content

    def created(self) -> Iterator[tuple[str, int]]:
        """Yield the names of all objects of models and lists, and when each was made (milliseconds since 1970)."""
        for prefix in ("models/", "lists/"):
            for blob in self._bucket.list_blobs(prefix=prefix):
                yield blob.name, int(blob.time_created.timestamp() * 1000)

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is not an error."""
        with suppress(NotFound):
            self._bucket.blob(name).delete()
