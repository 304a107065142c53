"""Files of snapshots and backups, in a local folder or in Cloud Storage."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed

from trainer.cloud import project_id, storage_client
from trainer.data.ingest.snapshot import SourceError

CHUNK = 8 << 20
"""Bytes of an object in memory while it is read or written."""

SCHEME = "gs://"
PUBLIC = "models/"
"""Clients may read the objects under it."""


class Folder(Protocol):
    """A place for files. Each is written once, except for one small file, the state, which is replaced."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; raise ``SourceError`` if there is none."""
        ...

    def create(self, name: str) -> BinaryIO:
        """Open a new file for writing; it exists once it is closed."""
        ...

    def state(self, name: str) -> tuple[bytes | None, str]:
        """Return a file's content, or None if there is none, and its tag."""
        ...

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Replace a file if it still has this tag; return whether it was replaced."""
        ...

    def names(self) -> list[str]:
        """Return the names of all files."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; it need not exist."""
        ...


class LocalFolder:
    """A folder on this machine that only its owner can read. Implements ``Folder``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        return open_local(self._path / name)

    def create(self, name: str) -> BinaryIO:
        """Open a new file for writing."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (self._path / name).open("xb")

    def state(self, name: str) -> tuple[bytes | None, str]:
        """Return a file's content and a tag of it."""
        try:
            content = (self._path / name).read_bytes()
        except FileNotFoundError:
            return None, ""
        return content, hashlib.sha256(content).hexdigest()

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Replace a file if it still has this tag; return whether it was replaced."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            if self.state(name)[1] != tag:
                return False
            written = self._path / f"{name}.new"
            written.write_bytes(content)
            written.replace(self._path / name)
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def names(self) -> list[str]:
        """Return the names of all files."""
        return sorted(path.name for path in self._path.glob("[!.]*"))

    def delete(self, name: str) -> None:
        """Remove a file."""
        (self._path / name).unlink(missing_ok=True)


class BucketFolder:
    """The objects under a prefix of a bucket. Implements ``Folder``."""

    def __init__(self, bucket: Any, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        return _open_blob(self._bucket, self._prefix + name)

    def create(self, name: str) -> BinaryIO:
        """Open a new file for writing."""
        blob = self._bucket.blob(self._prefix + name, chunk_size=CHUNK)
        return cast(BinaryIO, blob.open("wb", if_generation_match=0, ignore_flush=True))

    def state(self, name: str) -> tuple[bytes | None, str]:
        """Return a file's content and a tag of it."""
        blob = self._bucket.get_blob(self._prefix + name)
        if blob is None:
            return None, "0"
        return blob.download_as_bytes(if_generation_match=blob.generation), str(blob.generation)

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Replace a file if it still has this tag; return whether it was replaced."""
        blob = self._bucket.blob(self._prefix + name)
        try:
            blob.upload_from_string(content, "application/json", if_generation_match=int(tag))
        except PreconditionFailed:
            return False
        return True

    def names(self) -> list[str]:
        """Return the names of all files."""
        return sorted(blob.name.removeprefix(self._prefix) for blob in self._bucket.list_blobs(prefix=self._prefix))

    def delete(self, name: str) -> None:
        """Remove a file."""
        with suppress(NotFound):
            self._bucket.blob(self._prefix + name).delete()


def open_folder(uri: str) -> Folder:
    """Return the folder that a path or ``gs://BUCKET/PREFIX`` names.

    Raises:
        SourceError: if clients could read its files, or the bucket's name is not one.
    """
    if not uri.startswith(SCHEME):
        return LocalFolder(Path(uri))
    bucket, _, prefix = uri.removeprefix(SCHEME).partition("/")
    prefix = prefix.strip("/")
    if not bucket or not prefix or f"{prefix}/".startswith(PUBLIC):
        raise SourceError(f"{uri}: give {SCHEME}BUCKET/PREFIX, not under {PUBLIC}: snapshots contain user ids")
    return BucketFolder(_bucket(bucket, uri), f"{prefix}/")


def open_file(uri: str) -> BinaryIO:
    """Open the file that a path or ``gs://BUCKET/NAME`` names, in its present version.

    Raises:
        SourceError: if it does not exist or cannot be read.
    """
    if not uri.startswith(SCHEME):
        return open_local(Path(uri))
    bucket, _, name = uri.removeprefix(SCHEME).partition("/")
    if not bucket or not name:
        raise SourceError(f"{uri}: give {SCHEME}BUCKET/NAME")
    return _open_blob(_bucket(bucket, uri), name)


def _bucket(name: str, uri: str) -> Any:
    client = storage_client(project_id())
    try:
        return client.bucket(name)
    except ValueError as problem:  # the client checks the name, without a request
        raise SourceError(f"{uri}: {problem}") from problem


def open_local(path: Path) -> BinaryIO:
    """Open a file on this machine; raise ``SourceError`` if it cannot be read."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe waits for its writer
            raise OSError(errno.ESPIPE, "it is a pipe or a device: write its content to a file")
        return path.open("rb")
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read ({problem.strerror})") from problem


def _open_blob(bucket: Any, name: str) -> BinaryIO:
    try:
        blob = bucket.get_blob(name)
    except GoogleAPICallError as problem:
        raise SourceError(f"{SCHEME}{bucket.name}/{name}: cannot be read ({type(problem).__name__})") from problem
    if blob is None:
        raise SourceError(f"{SCHEME}{bucket.name}/{name}: there is no such object")
    present = bucket.blob(name, chunk_size=CHUNK, generation=blob.generation)
    return cast(BinaryIO, present.open("rb", raw_download=True))
