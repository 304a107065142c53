"""Lists that were made for many readers at once, as stored in the bucket until they are written to the database.

``lists/{version}/NNNNN.json.gz`` has a line for each of some hundred readers, in the order of the database's keys.
``lists/{version}/index.json``, written last, vouches for every shard, and the pointer for the index. A line is a JSON
object: the list's node without the fields that the functions add from the catalogue when they write it. Index and lines
are untrusted: they have these fields, within their ranges, and no others.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from bookrec.catalogue import MAX_GENRE, Catalogue, plain_text
from bookrec.entries import MAX_RATING, parse_isbn, parse_user_id
from bookrec.errors import BadData, BadModel
from bookrec.life_cycle.manifest import sha256
from bookrec.life_cycle.ranges import MAX_SHARDS, whole
from bookrec.ranking import (
    LIST_SIZE,
    Candidate,
    GenreList,
    ListSource,
    MoreLists,
    RecommendationList,
    Source,
    list_id,
    more_node,
)

INDEX = "index.json"
SHARD_READERS = 300
"""Readers in a shard: with ten items of the longest ISBNs, and as many lists with them as may be, some megabytes."""

MAX_SHARD_BYTES, MAX_INDEX_BYTES = 8 << 20, 16 << 20
"""Larger objects are rejected before they are read, larger content before it is decoded."""

MAX_SHARD_READERS = 10_000
"""More than fit into a shard."""

MAX_ENTRIES = 1_000_000
"""More than a shelf has."""

MAX_SCORE = 1e9
"""No model has scores like this."""

MAX_REASONS = 2
"""Books in ``because``."""

_SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORM = re.compile(r"[0-9]\+[0-9]")  # at most MOST_PAGES and MOST_GENRES, of bookrec.further.sizes
_INDEX_FIELDS = {"schema", "version", "readers", "shards"}
_ENTRY_FIELDS = {"sha256", "readers", "last"}
_LINE_FIELDS = {"userId", "listId", "source", "basedOn", "items"}
_MORE_FIELDS = {"more", "next", "genres"}
_ITEM_FIELDS = {"isbn", "score", "source", "because"}
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
        more: the lists that go with it, if the trainer made them.
    """

    user_id: str
    digest: str
    entries: int
    isbns: tuple[str, ...]
    node: Mapping[str, Any]
    more: MoreLists | None = None

    @property
    def form(self) -> str | None:
        """The sizes of the lists that go with it (``bookrec.further.sizes``); None if there are none."""
        return self.more.form if self.more else None

    def to_node(self, catalogue: Catalogue, version: str, generated_at: object) -> dict[str, object] | None:
        """Return the database node, or None if the catalogue no longer has all books of this and of ``more``."""
        if not all(isbn in catalogue for isbn in (*self.isbns, *(self.more.isbns if self.more else ()))):
            return None
        books = [catalogue[isbn] for isbn in self.isbns]
        items = [
            {**item, **{name: getattr(book, name) for name in _SHOWN}}
            for item, book in zip(self.node["items"], books, strict=True)
        ]
        return {**self.node, "generatedAt": generated_at, "modelVersion": version, "items": items}

    def more_node(self, catalogue: Catalogue, version: str) -> dict[str, object] | None:
        """Return the database node of the lists that go with it, or None if there are none."""
        return more_node(self.node["listId"], self.digest, version, self.more, catalogue)


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
    line = {"userId": made.shelf.user_id, **kept, "items": items, **_more_fields(made.more)}
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def _more_fields(more: MoreLists | None) -> dict[str, object]:
    if more is None:
        return {}
    genres = [{"genre": one.genre, "items": [_short(item) for item in one.items]} for one in more.genres]
    return {"next": [_short(item) for item in more.next], "genres": genres}


def _short(item: Candidate) -> list[object]:
    rating = None if item.predicted_rating is None else round(item.predicted_rating, 3)
    return [item.isbn, item.source, rating]


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
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error, RecursionError, BadData) as problem:
        raise BadModel("a shard of lists is malformed") from problem
    if len(lists) != entry.readers:
        raise BadModel(f"a shard of lists has {len(lists)} readers, its index says {entry.readers}")
    return {ready.user_id: ready for ready in lists}


def read_index(content: bytes, version: str) -> ShardIndex:
    """Return the index in an untrusted object.

    Raises:
        BadModel: if it is malformed, or of another version.
    """
    try:
        value = json.loads(content)
        is_right = value["schema"] == _SCHEMA and value["version"] == version
        if not is_right:
            raise BadModel("the index of the lists is of another version or schema")
        _require(value.keys() == _INDEX_FIELDS and isinstance(value["shards"], list))
        whole(len(value["shards"]), MAX_SHARDS, "the number of shards")
        shards = tuple(map(_entry, value["shards"]))
        _require(value["readers"] == sum(shard.readers for shard in shards))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BadData) as problem:
        raise BadModel("the index of the lists is malformed") from problem
    return ShardIndex(version, shards)


def _entry(value: Mapping[str, Any]) -> ShardEntry:
    _require(value.keys() == _ENTRY_FIELDS and _SHA256.fullmatch(value["sha256"]) is not None)
    readers = whole(value["readers"], MAX_SHARD_READERS, "a shard's number of readers")
    return ShardEntry(value["sha256"], readers, parse_user_id(value["last"]))


def _ready(line: Mapping[str, Any]) -> ReadyList:
    """Return the list in a line; raise one of the errors that ``read_shard`` catches if it breaks the contract."""
    user_id, based_on, items = parse_user_id(line["userId"]), line["basedOn"], line["items"]
    has_more = "more" in line
    _require(line.keys() == (_LINE_FIELDS | _MORE_FIELDS if has_more else _LINE_FIELDS))
    _require(line["source"] in get_args(ListSource))
    _require(based_on.keys() == {"entries", "digest"} and _SHA256.fullmatch(based_on["digest"]) is not None)
    _require(isinstance(items, list) and len(items) <= LIST_SIZE and all(map(_is_item, items)))
    isbns = tuple(item["isbn"] for item in items)
    _require(len(set(isbns)) == len(isbns) and line["listId"] == list_id(user_id, based_on["digest"], isbns))
    entries = whole(based_on["entries"], MAX_ENTRIES, "the number of entries")
    node = {key: value for key, value in line.items() if key not in {"userId", "next", "genres"}}
    return ReadyList(user_id, based_on["digest"], entries, isbns, node, _more(line, isbns) if has_more else None)


def _more(line: Mapping[str, Any], ten: tuple[str, ...]) -> MoreLists:
    """Return the lists that go with the ``ten`` in a line; raise as ``_ready``."""
    _require(isinstance(line["more"], str) and _FORM.fullmatch(line["more"]) is not None)
    pages, genres = map(int, line["more"].split("+"))
    following = _candidates(line["next"], pages * LIST_SIZE)
    _require(not {item.isbn for item in following} & set(ten))
    _require(isinstance(line["genres"], list) and len(line["genres"]) <= genres)
    return MoreLists(line["more"], following, tuple(map(_genre_list, line["genres"])))


def _genre_list(value: Mapping[str, Any]) -> GenreList:
    genre = value["genre"]
    _require(value.keys() == {"genre", "items"} and genre != "" and plain_text(genre, MAX_GENRE) == genre)
    return GenreList(genre, _candidates(value["items"], LIST_SIZE))


def _candidates(values: Any, most: int) -> tuple[Candidate, ...]:
    _require(isinstance(values, list) and len(values) <= most)
    items = tuple(Candidate(parse_isbn(isbn), 0.0, rating, source) for isbn, source, rating in values)
    _require(len({item.isbn for item in items}) == len(items))
    _require(all(one.predicted_rating is None or _is_number(one.predicted_rating, 0, MAX_RATING) for one in items))
    _require(all(one.source in get_args(Source) for one in items))
    return items


def _is_item(item: Mapping[str, Any]) -> bool:
    reasons = item["because"]
    _require(isinstance(reasons, list) and len(reasons) <= MAX_REASONS)
    for isbn in (item["isbn"], *reasons):
        parse_isbn(isbn)
    is_rated = "predictedRating" not in item or _is_number(item["predictedRating"], 0, MAX_RATING)
    has_fields = item.keys() - {"predictedRating"} == _ITEM_FIELDS
    return has_fields and is_rated and _is_number(item["score"]) and item["source"] in get_args(Source)


def _is_number(value: object, least: float = -MAX_SCORE, most: float = MAX_SCORE) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def _require(is_right: bool) -> None:
    if not is_right:
        raise ValueError("not of the contract")


def _items(node: Mapping[str, Any]) -> list[dict[str, object]]:
    return list(node["items"])
