"""The Parquet files of a snapshot: each is written once, and written and read in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.ingest.folders import Folder
from trainer.data.ingest.rows import SCHEMA
from trainer.data.ingest.snapshot import SourceError

PART_ROWS = 5_000_000
"""Entries per file, about 150 MB."""

READ_ROWS = 1_000_000
"""Rows read at a time."""

READERS = pa.schema([("userId", pa.string())])
SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of rows."""

    name: str
    rows: int


def write(folder: Folder, stem: str, batches: Iterable[pa.RecordBatch]) -> tuple[Part, ...]:
    """Write rows (columns ``rows.SCHEMA``) to files whose names begin with ``stem``; return the files."""
    waiting, written = iter(batches), list[Part]()
    for number in count():
        first = next(waiting, None)
        if first is None:
            return tuple(written)
        name, size = f"{stem}-{number:04d}{SUFFIX}", 0
        with folder.create(name) as file, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for batch in chain([first], waiting):
                writer.write_batch(batch)
                size += batch.num_rows
                if size >= PART_ROWS:
                    break
        written.append(Part(name, size))
    raise AssertionError("count() does not end")


def read(folder: Folder, parts: Iterable[Part]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some files.

    Raises:
        SourceError: if a file is damaged.
    """
    for part in parts:
        with folder.open(part.name) as file:
            try:
                yield from pq.ParquetFile(file).iter_batches(READ_ROWS)
            except (pa.ArrowException, OSError) as problem:
                raise SourceError(
                    f"{part.name}: damaged ({type(problem).__name__}); read everything again with --full"
                ) from problem


def write_readers(folder: Folder, stem: str, user_ids: Iterable[str]) -> str:
    """Write some readers' ids to a file; return its name."""
    name = f"{stem}-readers{SUFFIX}"
    with folder.create(name) as file:
        pq.write_table(pa.table({"userId": list(user_ids)}, schema=READERS), file, compression="zstd")
    return name


def read_readers(folder: Folder, name: str) -> pa.Array:
    """Return the ids in a file that ``write_readers`` wrote."""
    with folder.open(name) as file:
        return pq.read_table(file, schema=READERS)["userId"].combine_chunks()
