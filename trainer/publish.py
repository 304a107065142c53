"""Publishing: immutable files first, verified; the pointer last, conditional and fenced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Protocol

from bookrec import paths
from bookrec.errors import BadModel, LeaseLost
from bookrec.manifest import MANIFEST, FileEntry, Manifest, Pointer, parse_pointer, sha256

CONTENT_TYPES = {
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".zip": "application/zip",
}


class Bucket(Protocol):
    """Cloud Storage, as far as a publish needs it."""

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write a new object; the same content again is no error, other content under that name is."""
        ...

    def read(self, name: str) -> bytes:
        """Return an object's content."""
        ...


def make_manifest(version: str, files: Mapping[str, bytes], details: Mapping[str, Any]) -> Manifest:
    """Return the manifest of ``files`` (content by file name)."""
    entries = {name: FileEntry(len(content), sha256(content)) for name, content in files.items()}
    return Manifest(version, entries, details)


def upload(bucket: Bucket, files: Mapping[str, bytes], manifest: Manifest) -> bytes:
    """Upload a model's files and then its manifest, reading each back; return the manifest's bytes.

    Nothing refers to the version until the pointer does, so that a crash here leaves the live model alone.

    Raises:
        BadModel: where the bucket gives back other bytes than it was given.
    """
    for name, content in sorted(files.items()):
        _store(bucket, manifest.version, name, content)
        manifest.files[name].check(name, bucket.read(paths.model_object(manifest.version, name)))
    content = json.dumps(manifest.to_json(), indent=1, sort_keys=True).encode()
    _store(bucket, manifest.version, MANIFEST, content)
    if bucket.read(paths.model_object(manifest.version, MANIFEST)) != content:
        raise BadModel(f"{MANIFEST} came back from the bucket with other content")
    return content


def make_pointer(version: str, manifest: bytes, fence: int, published_at: int, snapshot_at: int) -> Pointer:
    """Return the pointer that makes an uploaded version live."""
    name = paths.model_object(version, MANIFEST)
    return Pointer(version, name, sha256(manifest), fence, published_at, snapshot_at)


def next_pointer(present: object, pointer: Pointer) -> dict[str, object]:
    """Return the new value of ``/Recommender/model``: what runs inside the transaction.

    A damaged node counts as no model: any publish repairs it.

    Raises:
        LeaseLost: where a run with this fence or a later one has published.
    """
    try:
        live = parse_pointer(present)
    except BadModel:
        live = None
    if live is not None and live.fence >= pointer.fence:
        raise LeaseLost(f"version {live.version} was published under fence {live.fence}, this run has {pointer.fence}")
    return pointer.to_node()


def _store(bucket: Bucket, version: str, name: str, content: bytes) -> None:
    content_type = CONTENT_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
    bucket.create(paths.model_object(version, name), content, content_type)
