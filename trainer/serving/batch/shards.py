"""Shards of lists in the bucket: written one by one, then their index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from bookrec import paths
from bookrec.life_cycle.manifest import sha256
from bookrec.list_shards import INDEX, SHARD_READERS, ShardEntry, ShardIndex, pack, shard_name, to_line
from trainer.serving.batch import model_file
from trainer.serving.batch.making import ListMaker, in_parts, make_lists

if TYPE_CHECKING:
    from bookrec.catalogue import Catalogue
    from bookrec.ranking import RecommendationList
    from trainer.data.sources import Snapshot
    from trainer.serving.item_item import ServingModel

SHARD_TYPE = "application/gzip"


class Objects(Protocol):
    """The part of ``versions.Bucket`` that lists need."""

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write a new object; writing the same content again is not an error, but other content under its name is."""
        ...


def publish_lists(serving: ServingModel, version: str, snapshot: Snapshot, bucket: Objects) -> ShardIndex:
    """Make all readers' lists and upload them, with the model; return their index, for which the pointer vouches.

    The model's file is for a pipeline that makes lists on other machines.

    Raises:
        ValueError: if the snapshot's entries have no keys.
        BadModel: if the version has other lists already.
    """
    content = model_file.to_bytes(serving)
    bucket.create(paths.list_object(version, model_file.MODEL), content, "application/octet-stream")
    maker = ListMaker(serving, version, snapshot.books)
    return write_shards(make_lists(maker, snapshot.ratings), maker.catalogue, version, bucket)


def write_shards(
    lists: Iterable[RecommendationList], catalogue: Catalogue, version: str, bucket: Objects
) -> ShardIndex:
    """Upload lists, given in the order of the database's keys, and their index; return the index."""
    entries = []
    for number, part in enumerate(in_parts(lists, SHARD_READERS)):
        content = pack(to_line(made, catalogue) for made in part)
        bucket.create(paths.list_object(version, shard_name(number)), content, SHARD_TYPE)
        entries.append(ShardEntry(sha256(content), len(part), part[-1].shelf.user_id))
    index = ShardIndex(version, tuple(entries))
    bucket.create(paths.list_object(version, INDEX), index.to_bytes(), "application/json")
    return index
