"""What a published model consists of: its files, their manifest, and the pointer to the live version."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bookrec import paths
from bookrec.errors import BadModel
from bookrec.life_cycle.experiment import Experiment, usable_experiment
from bookrec.life_cycle.ranges import (
    CLOCKS_MS,
    LATEST_MS,
    MAX_FENCE,
    MAX_FILES,
    MAX_ITEMS_BYTES,
    MAX_KEPT,
    MAX_MODEL_BYTES,
    MAX_SHARDS,
    MAX_SWITCHES,
    MAX_VERSION_BYTES,
    whole,
)

SCHEMA = 1
MANIFEST = "manifest.json"
RECOMMEND_MODEL = "recommend.tflite"
ITEMS = "items.json"
REQUIRED_FILES = (RECOMMEND_MODEL, ITEMS)

MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = MAX_VERSION_BYTES
"""Larger files are rejected before they are read: a model file is untrusted input."""

_MOST_BYTES = {MANIFEST: MAX_MANIFEST_BYTES, RECOMMEND_MODEL: MAX_MODEL_BYTES, ITEMS: MAX_ITEMS_BYTES}

KEPT_VERSIONS = 10
"""How many versions are kept to be made live again, including the live one and the one before it."""

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_FILE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a model: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str

    def check(self, name: str, content: bytes) -> None:
        """Raise ``BadModel`` if the content is not what was published."""
        if len(content) != self.size:
            raise BadModel(f"{name} has {len(content)} bytes, the manifest says {self.size}")
        if sha256(content) != self.sha256:
            raise BadModel(f"{name} does not match its SHA-256 in the manifest")


@dataclass(frozen=True, slots=True)
class Manifest:
    """``models/{version}/manifest.json``.

    Attributes:
        version: the model's name; its files are immutable.
        files: the uploaded files by name.
        details: everything else that people may want to know (metrics, gate, data, versions).
    """

    version: str
    files: Mapping[str, FileEntry]
    details: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        files = {name: {"size": f.size, "sha256": f.sha256} for name, f in sorted(self.files.items())}
        return {"schema": SCHEMA, "version": self.version, "files": files, **self.details}


@dataclass(frozen=True, slots=True)
class Pointer:
    """``/Recommender/model``: writing it is the one commit point of a publish.

    Attributes:
        manifest: the manifest's object name in the bucket.
        manifest_sha256: through it, the pointer vouches for the manifest and so for every file.
        fence: the fencing number of the run that published; it only grows.
        published_at: milliseconds since 1970.
        snapshot_at: when the run began to read the entries, by the database's clock; milliseconds.
        kept: the manifest's SHA-256 by version, for every model that may be made live again, including this one. A
            version that leaves this set never comes back, so its files can be removed at any time.
        lists: how many shards of ready lists are in the bucket; 0 if the functions make the lists.
        lists_sha256: the SHA-256 of the index of these shards, through which the pointer vouches for every list; "" in
            the pointer of an earlier release, whose shards are not used.
        experiment: the running A/B split, or None.
        switches: how many times an experiment was started or ended since this publish.
    """

    version: str
    manifest: str
    manifest_sha256: str
    fence: int
    published_at: int
    snapshot_at: int
    kept: Mapping[str, str] = field(default_factory=dict)
    lists: int = 0
    experiment: Experiment | None = None
    switches: int = 0
    lists_sha256: str = ""

    @property
    def shards(self) -> int:
        """The number of shards of ready lists that the pointer vouches for."""
        return self.lists if self.lists_sha256 else 0

    @property
    def release(self) -> str:
        """The identity of what is published for all readers alike: an experiment does not change it."""
        return f"{self.version}@{self.fence}"

    @property
    def publication(self) -> str:
        """The identity of this publication: lists are made again whenever it changes.

        A rollback publishes a version again; an experiment that starts or ends changes the lists too.
        """
        return self.release + (f"+{self.switches}" if self.switches else "")

    def vouched(self) -> dict[str, str]:
        """Return the manifest's SHA-256 of every version that may be used, including the live one."""
        return {**self.kept, self.version: self.manifest_sha256}

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        node: dict[str, object] = {
            "version": self.version,
            "manifest": self.manifest,
            "manifestSha256": self.manifest_sha256,
            "fence": self.fence,
            "publishedAt": self.published_at,
            "snapshotAt": self.snapshot_at,
            "kept": dict(self.kept),
        }
        if self.lists:
            node["lists"] = self.lists
        if self.lists_sha256:
            node["listsSha256"] = self.lists_sha256
        if self.experiment:
            node["experiment"] = self.experiment.to_node()
        if self.switches:
            node["switches"] = self.switches
        return node


def read_manifest(version: str, content: bytes, manifest_sha256: str) -> Manifest:
    """Return the manifest of a version from untrusted bytes.

    Raises:
        BadModel: if it does not match ``manifest_sha256``, or is malformed.
    """
    if sha256(content) != manifest_sha256:
        raise BadModel("the manifest does not match the SHA-256 in the pointer")
    try:
        manifest = parse_manifest(json.loads(content))
    except (ValueError, RecursionError) as problem:
        raise BadModel("the manifest is not JSON") from problem
    if manifest.version != version:
        raise BadModel("the manifest is of another version than the pointer")
    return manifest


Read = Callable[[str, int], bytes]
"""Returns an object of the bucket, given its name and the most bytes allowed; raises ``BadModel`` if it cannot."""


def fetch_manifest(read: Read, version: str, manifest_sha256: str) -> Manifest:
    """Return a version's manifest from the bucket, checked against its SHA-256.

    Raises:
        BadModel: as ``read_manifest`` does.
    """
    return read_manifest(version, read(paths.model_object(version, MANIFEST), MAX_MANIFEST_BYTES), manifest_sha256)


def fetch_files(read: Read, manifest: Manifest, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield some of a version's files by name, each checked against its size and SHA-256.

    Raises:
        BadModel: names the file that does not match the manifest.
    """
    for name in names:
        entry = manifest.files[name]
        content = read(paths.model_object(manifest.version, name), entry.size)
        entry.check(name, content)
        yield name, content


def parse_manifest(value: object) -> Manifest:
    """Return the manifest from untrusted JSON.

    Raises:
        BadModel: names the field that is wrong.
    """
    if not isinstance(value, Mapping) or value.get("schema") != SCHEMA or value.get("schema") is True:
        raise BadModel(f"the manifest is not an object of schema {SCHEMA}")
    version = _matching(value.get("version"), _VERSION, "the manifest's version")
    files = value.get("files")
    if not isinstance(files, Mapping) or len(files) > MAX_FILES:
        raise BadModel(f"the manifest does not list 1 to {MAX_FILES} files")
    entries = {_matching(name, _FILE_NAME, "a file name"): _file_entry(name, files[name]) for name in files}
    missing = [name for name in REQUIRED_FILES if name not in entries]
    if missing:
        raise BadModel(f"the manifest does not list {', '.join(missing)}")
    total = sum(entry.size for entry in entries.values())
    if total > MAX_VERSION_BYTES:
        raise BadModel(f"the files have {total} bytes in all, at most {MAX_VERSION_BYTES} are loaded")
    details = {k: v for k, v in value.items() if k not in ("schema", "version", "files")}
    return Manifest(version, entries, details)


def parse_pointer(node: object) -> Pointer | None:
    """Return the pointer in a database node, or None if no model was ever published.

    Raises:
        BadModel: if the node is damaged.
    """
    if node is None:
        return None
    if not isinstance(node, Mapping):
        raise BadModel("/Recommender/model is not an object")
    version, kept = _matching(node.get("version"), _VERSION, "the pointer's version"), _kept(node.get("kept"))
    published_at = whole(node.get("publishedAt"), LATEST_MS, "publishedAt")
    lists_sha256 = node.get("listsSha256", "")
    return Pointer(
        version=version,
        manifest=_matching(node.get("manifest"), re.compile(f"models/{version}/{MANIFEST}"), "the manifest's name"),
        manifest_sha256=_matching(node.get("manifestSha256"), _SHA256, "the manifest's SHA-256"),
        fence=whole(node.get("fence"), MAX_FENCE, "the pointer's fence"),
        published_at=published_at,
        snapshot_at=whole(node.get("snapshotAt"), published_at + CLOCKS_MS, "snapshotAt"),
        kept=kept,
        lists=whole(node.get("lists", 0), MAX_SHARDS, "the number of shards of lists"),
        experiment=usable_experiment(node.get("experiment"), version, kept),
        switches=whole(node.get("switches", 0), MAX_SWITCHES, "the number of switches"),
        lists_sha256=_matching(lists_sha256, _SHA256, "the SHA-256 of the lists' index") if lists_sha256 != "" else "",
    )


def is_version(value: object) -> bool:
    """Return whether a value can be the name of a version."""
    return isinstance(value, str) and _VERSION.fullmatch(value) is not None


def usable_pointer(node: object) -> Pointer | None:
    """Return the pointer in a database node, or None if there is none or it is damaged; the next publish repairs it."""
    try:
        return parse_pointer(node)
    except BadModel:
        return None


def _kept(node: object) -> dict[str, str]:
    kept = node if isinstance(node, Mapping) else {}
    if len(kept) > MAX_KEPT:
        raise BadModel(f"the pointer keeps more than {MAX_KEPT} versions")
    return {
        _matching(version, _VERSION, "a kept version"): _matching(kept[version], _SHA256, "its manifest's SHA-256")
        for version in sorted(kept)
    }


def _file_entry(name: str, value: object) -> FileEntry:
    if not isinstance(value, Mapping):
        raise BadModel(f"the manifest's entry for {name} is not an object")
    size = whole(value.get("size"), _MOST_BYTES.get(name, MAX_FILE_BYTES), f"the size of {name}")
    return FileEntry(size, _matching(value.get("sha256"), _SHA256, f"the SHA-256 of {name}"))


def _matching(value: object, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadModel(f"{what} is missing or malformed")
    return value
