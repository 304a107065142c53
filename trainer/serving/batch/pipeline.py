"""Makes the same lists with Apache Beam, for more readers than one machine can serve: the same shards, byte for byte.

All steps but one work on some readers at a time. To divide the readers into shards, one worker sorts the ids of all
readers in the database's order of keys.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pandas as pd
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from bookrec.life_cycle.manifest import sha256
from bookrec.list_shards import INDEX, SHARD_READERS, ShardEntry, ShardIndex, pack, shard_name, to_line
from bookrec.paths import key_order
from trainer.serving.batch import model_file
from trainer.serving.batch.making import ListMaker, shelf_of

LEAST_BLOCK, GREATEST_BLOCK = 200, 2_000
"""Readers that are scored together."""

COLUMNS = ["key", "userId", "isbn", "myRate"]


def run(
    rows: beam.PTransform, books: pd.DataFrame, model: str, version: str, output: str, options: Sequence[str]
) -> None:
    """Make all lists and write shards and index into the folder ``output``.

    Args:
        rows: yields the snapshot's rows as mappings with ``COLUMNS``, as ``beam.io.ReadFromParquet`` does.
        books: the catalogue, columns ``trainer.data.sources.BOOK_COLUMNS``.
        model: the file that ``model_file.to_bytes`` made: a path, or an address that Beam's file systems support.
        version: the model's name.
        output: a folder, or an address: ``gs://BUCKET/lists/VERSION``.
        options: Beam's options, such as ``--runner=DirectRunner``.
    """
    with beam.Pipeline(options=PipelineOptions(list(options), save_main_session=False)) as pipeline:
        lines = (
            pipeline
            | "read" >> rows
            | "good" >> beam.Filter(lambda row: row["isbn"] is not None)  # a snapshot's files have bad entries too
            | "by reader" >> beam.Map(lambda row: (row["userId"], (row["key"], row["isbn"], row["myRate"])))
            | "shelves" >> beam.GroupByKey()
            | "blocks" >> beam.BatchElements(min_batch_size=LEAST_BLOCK, max_batch_size=GREATEST_BLOCK)
            | "lists" >> beam.ParDo(_Make(model, version, books))
        )
        bounds = lines | "readers" >> beam.Keys() | "in order" >> beam.CombineGlobally(_Bounds())
        entries = (
            lines
            | "shard" >> beam.Map(_with_shard, bounds=beam.pvalue.AsSingleton(bounds))
            | "shards" >> beam.GroupByKey()
            | "write" >> beam.Map(_write_shard, output=output)
        )
        _ = (
            pipeline
            | "once" >> beam.Create([version])
            | "index" >> beam.Map(_write_index, entries=beam.pvalue.AsIter(entries), output=output)
        )


class _Make(beam.DoFn):
    """Turns blocks of readers into their lines; each worker loads the model once."""

    def __init__(self, model: str, version: str, books: pd.DataFrame) -> None:
        self._model, self._version, self._books = model, version, books
        self._maker: ListMaker | None = None

    def setup(self) -> None:
        """Load the model."""
        with FileSystems.open(self._model) as file:
            self._maker = ListMaker(model_file.from_bytes(file.read()), self._version, self._books)

    def process(self, block: Sequence[tuple[str, Iterable[tuple[Any, Any, Any]]]]) -> Iterator[tuple[str, str]]:
        """Yield each reader's id and line."""
        assert self._maker is not None
        for made in self._maker([shelf_of(user_id, rows) for user_id, rows in block]):
            yield made.shelf.user_id, to_line(made, self._maker.catalogue)


class _Bounds(beam.CombineFn):
    """Reduces all user ids to the last one of each shard."""

    def create_accumulator(self) -> list[str]:
        return []

    def add_input(self, accumulator: list[str], user_id: str) -> list[str]:
        accumulator.append(user_id)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[str]]) -> list[str]:
        return [user_id for accumulator in accumulators for user_id in accumulator]

    def extract_output(self, accumulator: list[str]) -> list[str]:
        ordered = sorted(accumulator, key=key_order)
        lasts = ordered[SHARD_READERS - 1 :: SHARD_READERS]
        return lasts if len(ordered) % SHARD_READERS == 0 else [*lasts, ordered[-1]]


def _with_shard(line: tuple[str, str], bounds: Sequence[str]) -> tuple[int, tuple[str, str]]:
    return bisect_left(bounds, key_order(line[0]), key=key_order), line


def _write_shard(shard: tuple[int, Iterable[tuple[str, str]]], output: str) -> tuple[int, ShardEntry]:
    number, lines = shard
    ordered = sorted(lines, key=lambda line: key_order(line[0]))
    content = pack(line for _, line in ordered)
    _create(output, shard_name(number), content, "application/gzip")
    return number, ShardEntry(sha256(content), len(ordered), ordered[-1][0])


def _write_index(version: str, entries: Iterable[tuple[int, ShardEntry]], output: str) -> None:
    index = ShardIndex(version, tuple(entry for _, entry in sorted(entries, key=lambda numbered: numbered[0])))
    _create(output, INDEX, index.to_bytes(), "application/json")


def _create(output: str, name: str, content: bytes, content_type: str) -> None:
    path, as_it_is = FileSystems.join(output, name), CompressionTypes.UNCOMPRESSED
    with FileSystems.create(path, mime_type=content_type, compression_type=as_it_is) as file:
        file.write(content)


def rows_of(ratings: pd.DataFrame) -> beam.PTransform:
    """Return rows in memory as the input of ``run``."""
    columns: list[Mapping[str, Any]] = [
        {"key": str(key), "userId": str(user), "isbn": str(isbn), "myRate": float(stars)}
        for key, user, isbn, stars in zip(*(ratings[name] for name in COLUMNS), strict=True)
    ]
    return beam.Create(columns)
