"""Turns the nodes of ``/User_Book`` into columns: first Arrow batches, then one compact table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bookrec.entries import Entry
from bookrec.push_keys import push_time
from bookrec.shelf import sort_out
from trainer.data.ingest.snapshot import RATING_COLUMNS

SCHEMA = pa.schema(
    [
        ("key", pa.large_string()),
        ("at", pa.int64()),
        ("userId", pa.string()),
        ("isbn", pa.string()),
        ("myRate", pa.float32()),
    ]
)
"""Columns ``RATING_COLUMNS``; the keys of a hundred million entries are more than a ``string`` column can hold."""

BATCH_ROWS = 100_000
"""Entries held as Python objects at a time, about 50 MB."""

CHUNK_ROWS = 1_000_000
"""Rows that share one dictionary of readers and books."""

Pages = Iterable[Mapping[str, Any]]
"""Nodes by key, some at a time."""


def batches(pages: Pages, rejected: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the valid entries of some nodes, in non-empty batches of about ``BATCH_ROWS``.

    Args:
        pages: pages of ``/User_Book``.
        rejected: counts the other entries, by ``entry:reason``.
    """
    waiting: list[Entry] = []
    for page in pages:
        entries, problems = sort_out(page)
        waiting += entries
        rejected.update(f"entry:{problem.reason}" for problem in problems.values())
        if len(waiting) >= BATCH_ROWS:
            yield _columns(waiting)
            waiting = []
    if waiting:
        yield _columns(waiting)


def _columns(entries: list[Entry]) -> pa.RecordBatch:
    return pa.record_batch(
        [
            [entry.key for entry in entries],
            [push_time(entry.key) for entry in entries],
            [entry.user_id for entry in entries],
            [entry.isbn for entry in entries],
            [entry.rating for entry in entries],
        ],
        schema=SCHEMA,
    )


def without(batch: pa.RecordBatch, user_ids: pa.Array) -> pa.RecordBatch:
    """Return the rows of all readers but these."""
    if not len(user_ids):
        return batch
    return batch.filter(pc.invert(pc.is_in(batch["userId"], value_set=user_ids)))


def table(batches: Iterable[pa.RecordBatch]) -> pd.DataFrame:
    """Return all rows as ``Snapshot.ratings`` has them, sorted by key; the batches may come in any order."""
    chunks = [_numbered(chunk) for chunk in _chunks(batches)]
    whole = pa.concat_tables(chunks) if chunks else _numbered(SCHEMA.empty_table())
    del chunks
    whole = whole.unify_dictionaries().combine_chunks()
    keys = whole["key"].chunk(0) if whole.num_rows else pa.array([], pa.large_string())
    if not pc.all(pc.less_equal(keys[:-1], keys[1:])).as_py():
        whole = whole.take(pc.sort_indices(keys)).combine_chunks()
    columns = {
        "key": pd.array(whole["key"], dtype=pd.ArrowDtype(pa.large_string())),
        "at": whole["at"].to_numpy(),
        "userId": _categorical(whole["userId"]),
        "isbn": _categorical(whole["isbn"]),
        "myRate": whole["myRate"].to_numpy(),
    }
    return pd.DataFrame(columns, columns=RATING_COLUMNS, copy=False)


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(part.num_rows for part in waiting) >= CHUNK_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _numbered(chunk: pa.Table) -> pa.Table:
    """Return a chunk with readers and books as int32 indices into the chunk's own dictionaries."""
    for name in ("userId", "isbn"):
        encoded = chunk[name].combine_chunks().dictionary_encode()
        chunk = chunk.set_column(chunk.schema.get_field_index(name), name, encoded)
    return chunk


def _categorical(column: pa.ChunkedArray) -> pd.Categorical:
    """Return a column with one dictionary as a categorical whose categories ascend."""
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no rows
        return pd.Categorical.from_codes([], pd.Index([], dtype=object))
    values = np.array(encoded.dictionary.to_pylist(), object)
    order = np.argsort(values)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return pd.Categorical.from_codes(rank[encoded.indices.to_numpy()], pd.Index(values[order], dtype=object))
