"""Turns the nodes of ``/User_Book`` into columns: first Arrow batches, then one compact table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bookrec import shelf
from bookrec.entries import user_id_of
from bookrec.paths import is_key
from bookrec.push_keys import push_time
from bookrec.shelf import newest, sort_out
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
"""Columns ``RATING_COLUMNS``; the keys of a hundred million entries are more than a ``string`` column can hold.

A row without an ``isbn`` is a bad entry: among a reader's newest entries it takes a place, as in the functions.
"""

SHELF_FULL = "entry:shelf_full"
"""The reason for leaving out entries of a reader who has more than ``shelf.MAX_SHELF``: these are newer."""

_Row = tuple[str, int, str, str | None, float]

BATCH_ROWS = 100_000
"""Entries held as Python objects at a time, about 50 MB."""

CHUNK_ROWS = 1_000_000
"""Rows that share one dictionary of readers and books."""

Pages = Iterable[Mapping[str, Any]]
"""Nodes by key, some at a time."""


def batches(pages: Pages, rejected: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the entries of some nodes, bad ones without an ISBN, in non-empty batches of about ``BATCH_ROWS``.

    Args:
        pages: pages of ``/User_Book``.
        rejected: counts the bad entries, by ``entry:reason``.
    """
    waiting: list[_Row] = []
    for page in pages:
        entries, problems = sort_out(page)
        waiting += [(e.key, push_time(e.key), e.user_id, e.isbn, e.rating) for e in entries]
        owners = ((key, user_id_of(page[key])) for key in problems if is_key(key))
        waiting += [(key, push_time(key), user_id, None, 0.0) for key, user_id in owners if user_id is not None]
        rejected.update(f"entry:{problem.reason}" for problem in problems.values())
        if len(waiting) >= BATCH_ROWS:
            yield _columns(waiting)
            waiting = []
    if waiting:
        yield _columns(waiting)


def _columns(rows: list[_Row]) -> pa.RecordBatch:
    return pa.record_batch([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)


def valid(batch: pa.RecordBatch) -> int:
    """Return the number of good entries in a batch."""
    return int(batch.num_rows - batch["isbn"].null_count)


def without(batch: pa.RecordBatch, user_ids: pa.Array) -> pa.RecordBatch:
    """Return the rows of all readers but these."""
    if not len(user_ids):
        return batch
    return batch.filter(pc.invert(pc.is_in(batch["userId"], value_set=user_ids)))


def table(batches: Iterable[pa.RecordBatch], rejected: Counter[str]) -> pd.DataFrame:
    """Return the entries that count as ``Snapshot.ratings`` has them, sorted by key.

    Args:
        batches: in any order, from ``batches``.
        rejected: counts good entries beyond a reader's newest ``shelf.MAX_SHELF``.
    """
    chunks = [_numbered(chunk) for chunk in _chunks(batches)]
    whole = pa.concat_tables(chunks) if chunks else _numbered(SCHEMA.empty_table())
    del chunks
    whole = whole.unify_dictionaries().combine_chunks()
    keys = whole["key"].chunk(0) if whole.num_rows else pa.array([], pa.large_string())
    if not pc.all(pc.less_equal(keys[:-1], keys[1:])).as_py():
        whole = whole.take(pc.sort_indices(keys)).combine_chunks()
    whole = _counted(whole, rejected)
    columns = {
        "key": pd.array(whole["key"], dtype=pd.ArrowDtype(pa.large_string())),
        "at": whole["at"].to_numpy(),
        "userId": _categorical(whole["userId"]),
        "isbn": _categorical(whole["isbn"]),
        "myRate": whole["myRate"].to_numpy(),
    }
    return pd.DataFrame(columns, columns=RATING_COLUMNS, copy=False)


def _counted(whole: pa.Table, rejected: Counter[str]) -> pa.Table:
    """Return the good entries among each reader's newest ``shelf.MAX_SHELF``."""
    if not whole.num_rows:
        return whole
    users = whole["userId"].chunk(0).indices.to_numpy()
    is_good = whole["isbn"].is_valid().to_numpy()
    counts = np.ones(len(users), bool)
    sizes = np.zeros(len(whole["userId"].chunk(0).dictionary), np.int64)
    for start in range(0, len(users), CHUNK_ROWS):
        sizes += np.bincount(users[start : start + CHUNK_ROWS], minlength=len(sizes))
    rows = np.flatnonzero(sizes[users] > shelf.MAX_SHELF)
    rows = rows[np.argsort(users[rows], kind="stable")]
    for own in np.split(rows, np.flatnonzero(np.diff(users[rows])) + 1):
        keys = whole["key"].take(own).to_pylist()
        kept = set(newest(keys))
        counts[own] = [key in kept for key in keys]
    if is_good.all() and counts.all():
        return whole
    if beyond := int((is_good & ~counts).sum()):
        rejected[SHELF_FULL] += beyond
    return whole.filter(pa.array(is_good & counts)).combine_chunks()


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
    """Return a column with one dictionary as a categorical with those categories that occur, ascending."""
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no rows
        return pd.Categorical.from_codes([], pd.Index([], dtype=object))
    values, codes = np.array(encoded.dictionary.to_pylist(), object), encoded.indices.to_numpy()
    is_used = np.zeros(len(values), bool)
    is_used[codes] = True
    used = np.flatnonzero(is_used)
    order = used[np.argsort(values[used])]
    rank = np.empty(len(values), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return pd.Categorical.from_codes(rank[codes], pd.Index(values[order], dtype=object))
