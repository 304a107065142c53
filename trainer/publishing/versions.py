"""Publishing: upload and verify immutable files, then switch the pointer, fenced; finally remove old versions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Protocol

from bookrec import paths
from bookrec.life_cycle.manifest import (
    ITEMS,
    MANIFEST,
    RECOMMEND_MODEL,
    FileEntry,
    Manifest,
    Pointer,
    fetch_files,
    fetch_manifest,
    sha256,
)
from bookrec.list_shards import ShardIndex

CONTENT_TYPES = {
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".zip": "application/zip",
}

RETIRE_AFTER_MS = 86_400_000
"""Files younger than this are never removed: a phone may be downloading one."""

_FENCE = re.compile(r".*-(\d+)")

Answers = Callable[[str, bytes, bytes], object]
"""Loads a version's model and items and asks them for an answer; raises ``BadModel`` if there is none."""


class Bucket(Protocol):
    """The part of Cloud Storage that a publish needs."""

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write a new object; writing the same content again is not an error, but other content under its name is."""
        ...

    def read(self, name: str) -> bytes:
        """Return an object's content; raise ``BadModel`` if there is none."""
        ...

    def created(self) -> Iterator[tuple[str, int]]:
        """Yield the names of all objects of models and lists, and when each was made (milliseconds since 1970)."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; it need not exist."""
        ...


def version_name(at_ms: int, fence: int) -> str:
    """Return the name of the version that the run with this fence makes at this time; names sort by time."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}-{fence}"


def make_manifest(version: str, files: Mapping[str, bytes], details: Mapping[str, Any]) -> Manifest:
    """Return the manifest of ``files`` (content by file name)."""
    entries = {name: FileEntry(len(content), sha256(content)) for name, content in files.items()}
    return Manifest(version, entries, details)


def upload(bucket: Bucket, files: Mapping[str, bytes], manifest: Manifest, answers: Answers) -> bytes:
    """Upload a model's files, then its manifest, and verify what is in the bucket; return the manifest's bytes.

    Nothing refers to the version until the pointer does: a crash here does not affect the live model.

    Raises:
        BadModel: if the bucket returns other bytes than were uploaded, or the model does not answer.
    """
    for name, content in sorted(files.items()):
        _store(bucket, manifest.version, name, content)
    content = json.dumps(manifest.to_json(), indent=1, sort_keys=True).encode()
    _store(bucket, manifest.version, MANIFEST, content)
    verify(bucket, manifest.version, sha256(content), answers)
    return content


def verify(bucket: Bucket, version: str, manifest_sha256: str, answers: Answers) -> Manifest:
    """Read a version back, check manifest, sizes, SHA-256 and the model's answer; return the manifest.

    Raises:
        BadModel: saying what is wrong.
    """
    manifest, files = read_version(bucket.read, version, manifest_sha256)
    answers(version, files[RECOMMEND_MODEL], files[ITEMS])
    return manifest


def read_version(
    read: Callable[[str], bytes], version: str, manifest_sha256: str, names: Iterable[str] | None = None
) -> tuple[Manifest, dict[str, bytes]]:
    """Return a version's manifest and files by name, each checked against its size and SHA-256.

    Args:
        read: returns an object of the bucket by name.
        names: the files to return; None returns all.

    Raises:
        BadModel: if manifest or files do not match ``manifest_sha256``.
    """
    manifest = fetch_manifest(lambda name, _: read(name), version, manifest_sha256)
    wanted = manifest.files if names is None else names
    return manifest, dict(fetch_files(lambda name, _: read(name), manifest, wanted))


def make_pointer(
    version: str, manifest: bytes, fence: int, published_at: int, snapshot_at: int, lists: ShardIndex | None = None
) -> Pointer:
    """Return the pointer that makes an uploaded version live; ``lists`` is the index of the shards with its lists."""
    pointer = Pointer(
        version, paths.model_object(version, MANIFEST), sha256(manifest), fence, published_at, snapshot_at
    )
    if lists is None or not lists.shards:
        return pointer
    return replace(pointer, lists=len(lists.shards), lists_sha256=sha256(lists.to_bytes()))


def retire(bucket: Bucket, live: Pointer, now_ms: int) -> list[str]:
    """Remove the files of versions that can never be live again; return these versions.

    They are the versions that the pointer does not keep, of runs with an earlier fence: a pointer only ever drops
    versions, and does not accept runs with an earlier fence than its own. So a stale ``live`` is safe.
    """
    names: dict[str, list[str]] = {}
    newest: dict[str, int] = {}
    for name, at in bucket.created():
        version = PurePosixPath(name).parent.name
        names.setdefault(version, []).append(name)
        newest[version] = max(newest.get(version, 0), at)
    retired = []
    for version in sorted(names):
        fence = _FENCE.fullmatch(version)
        is_past = fence is not None and int(fence.group(1)) < live.fence
        if is_past and version not in live.kept and newest[version] + RETIRE_AFTER_MS < now_ms:
            for name in sorted(names[version], key=lambda n: (not n.endswith(MANIFEST), n)):  # the manifest first
                bucket.delete(name)
            retired.append(version)
    return retired


def _store(bucket: Bucket, version: str, name: str, content: bytes) -> None:
    content_type = CONTENT_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
    bucket.create(paths.model_object(version, name), content, content_type)
