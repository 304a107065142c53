"""Lists that were made for many readers at once, as stored in the bucket until they are written to the database.

``lists/{version}/NNNNN.json.gz`` has a line for each of some hundred readers, in the order of the database's keys.
``lists/{version}/index.json``, written last, vouches for every shard. A line is a JSON object: the list's node without
the fields that the functions add from the catalogue when they write it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bookrec import paths
from bookrec.catalogue import Catalogue
from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import sha256
from bookrec.ranking import RecommendationList

INDEX = "index.json"
SHARD_READERS = 300
"""Readers in a shard: with ten items of the longest ISBNs, less than a megabyte."""

MAX_SHARD_BYTES, MAX_INDEX_BYTES = 4 << 20, 16 << 20
"""Larger objects are rejected before they are read, larger content before it is decoded."""

_SCHEMA = 1
_SHOWN = ("title", "author", "image")
_WRITTEN = ("generatedAt", "modelVersion")


@dataclass(frozen=True, slots=True)
class ReadyList:
    """One reader's list in a shard.

    Attributes:
        user_id: the reader.
        digest: of the shelf that the list was made from.
        entries: how many entries that shelf has.
        isbns: the books on it, in order.
        node: the list's node without what ``to_node`` adds.
    """

    user_id: str
    digest: str
    entries: int
    isbns: tuple[str, ...]
    node: Mapping[str, Any]

    def to_node(self, catalogue: Catalogue, version: str, generated_at: object) -> dict[str, object] | None:
        """Return the database node, or None if the catalogue no longer has all of the books."""
        if not all(isbn in catalogue for isbn in self.isbns):
            return None
        books = [catalogue[isbn] for isbn in self.isbns]
        items = [
            {**item, **{name: getattr(book, name) for name in _SHOWN}}
            for item, book in zip(self.node["items"], books, strict=True)
        ]
        return {**self.node, "generatedAt": generated_at, "modelVersion": version, "items": items}


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard in the index: its SHA-256 in hex, its number of readers, and the last of these."""

    sha256: str
    readers: int
    last: str


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """``lists/{version}/index.json``: the shards by number. A shard's readers come after those of the previous one."""

    version: str
    shards: tuple[ShardEntry, ...]

    def to_bytes(self) -> bytes:
        """Return the object's content."""
        shards = [{"sha256": s.sha256, "readers": s.readers, "last": s.last} for s in self.shards]
        readers = sum(shard.readers for shard in self.shards)
        value = {"schema": _SCHEMA, "version": self.version, "readers": readers, "shards": shards}
        return json.dumps(value, separators=(",", ":")).encode()

    def range_of(self, number: int) -> tuple[str, str | None]:
        """Return the bounds of a shard's readers by key: after the first, up to and with the second.

        All keys are after ""; the last shard's range has no end (None).
        """
        last = self.shards[number].last if number + 1 < len(self.shards) else None
        return self.shards[number - 1].last if number else "", last


def shard_name(number: int) -> str:
    """Return a shard's file name."""
    return f"{number:05}.json.gz"


def to_line(made: RecommendationList, catalogue: Catalogue) -> str:
    """Return a list as a line of a shard, without the line break."""
    node = made.to_node(catalogue, None)
    items = [{key: value for key, value in item.items() if key not in _SHOWN} for item in _items(node)]
    kept = {key: value for key, value in node.items() if key not in _WRITTEN}
    line = {"userId": made.shelf.user_id, **kept, "items": items}
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def pack(lines: Iterable[str]) -> bytes:
    """Return a shard's content; equal lines give equal bytes."""
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), compresslevel=6, mtime=0)


def read_shard(content: bytes, entry: ShardEntry) -> dict[str, ReadyList]:
    """Return the lists in an untrusted object, by reader.

    Raises:
        BadModel: if it does not match the index, or is malformed.
    """
    if sha256(content) != entry.sha256:
        raise BadModel("a shard of lists does not match its SHA-256 in the index")
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(content, MAX_SHARD_BYTES)
        if unpacker.unconsumed_tail:
            raise BadModel("a shard of lists is too large")
        # Not splitlines: it also splits at characters that a user id may have, such as U+2028.
        lists = [_ready(json.loads(line)) for line in text.decode().removesuffix("\n").split("\n") if text]
    except (ValueError, TypeError, KeyError, zlib.error, RecursionError) as problem:
        raise BadModel("a shard of lists is malformed") from problem
    return {ready.user_id: ready for ready in lists if paths.is_key(ready.user_id)}


def read_index(content: bytes, version: str) -> ShardIndex:
    """Return the index in an untrusted object.

    Raises:
        BadModel: if it is malformed, or of another version.
    """
    try:
        value = json.loads(content)
        shards = [ShardEntry(str(s["sha256"]), int(s["readers"]), str(s["last"])) for s in value["shards"]]
        is_right = value["schema"] == _SCHEMA and value["version"] == version
    except (ValueError, TypeError, KeyError, RecursionError) as problem:
        raise BadModel("the index of the lists is malformed") from problem
    if not is_right:
        raise BadModel("the index of the lists is of another version or schema")
    return ShardIndex(version, tuple(shards))


def _ready(line: Mapping[str, Any]) -> ReadyList:
    node = {key: value for key, value in line.items() if key != "userId"}
    isbns = tuple(str(item["isbn"]) for item in node["items"])
    based_on = node["basedOn"]
    return ReadyList(str(line["userId"]), str(based_on["digest"]), int(based_on["entries"]), isbns, node)


def _items(node: Mapping[str, Any]) -> list[dict[str, object]]:
    return list(node["items"])
