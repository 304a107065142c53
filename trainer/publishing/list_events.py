"""Events of lists: from the database to the bucket as Parquet, each day once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bookrec import paths
from bookrec.entries import reader_key
from bookrec.errors import BadModel, BookrecError
from bookrec.usage.list_events import date_of, read_row

if TYPE_CHECKING:
    import pyarrow as pa

PAGE = 1_000
"""Rows that are read or removed at a time."""

SETTLED_MS = 3_600_000
"""A day is exported once it has ended for so long: an event may be handled late."""


class Database(Protocol):
    """What the export needs of ``FirebaseDatabase``."""

    def page(self, path: str, after: str, size: int) -> Mapping[str, Any]:
        """Return children of a node in the order of their keys."""
        ...

    def user_ids(self) -> Sequence[str]:
        """Return the keys of ``/Users``."""
        ...

    def status(self, path: str) -> Any:
        """Return a node under ``/Recommender/status``."""
        ...

    def update(self, values: Mapping[str, object]) -> None:
        """Write values at several paths."""
        ...


class Bucket(Protocol):
    """What the export needs of ``CloudBucket``."""

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write a new object."""
        ...

    def read(self, name: str) -> bytes:
        """Return an object's content."""
        ...


@dataclass(slots=True)
class Exported:
    """What an export did.

    Attributes:
        rows: by object, how many rows were written.
        left: rows of readers who have left, which were removed instead.
        bad: rows that were malformed, which were removed instead.
        late: rows that came after their day was exported, which were removed instead.
    """

    rows: dict[str, int] = field(default_factory=dict)
    left: int = 0
    bad: int = 0
    late: int = 0


class ExportError(BookrecError):
    """What is in the bucket is not what was written."""


def export(databases: Sequence[Database], bucket: Bucket, now_ms: int, told: Callable[[str], None]) -> Exported:
    """Export every day that has ended, and remove its rows from the database once the file was read back.

    An export that died goes on where it stopped: a day with a file is not written again, only its rows are removed.

    Args:
        databases: the instances; each has a file of its own a day.
        told: is called with the name of each file.

    Raises:
        ExportError: if a file does not hold its rows; they stay in the database.
    """
    done = Exported()
    for number, database in enumerate(databases):
        rows = paths.children(paths.children(database.status("events")).get("rows"))
        before = date_of(now_ms - SETTLED_MS)
        present: set[str] | None = None
        for date in sorted(date for date in rows if date < before):
            present = {reader_key(user_id) for user_id in database.user_ids()} if present is None else present
            name = f"events/date={date}/part-{number:05}.parquet"
            told(name)
            _export(database, bucket, date, name, present, done)
    return done


def _export(database: Database, bucket: Bucket, date: str, name: str, present: set[str], done: Exported) -> None:
    nodes = dict(_nodes(database, f"{paths.EVENTS}/{date}"))
    rows = [row for key, node in sorted(nodes.items()) if (row := read_row(key, node)) is not None]
    kept = [row for row in rows if row["reader"] in present]
    if kept:
        ids = {row["id"] for row in kept}
        try:
            bucket.create(name, to_parquet(kept), "application/vnd.apache.parquet")
            is_new = True
        except BadModel:  # an export that died has written it, with what was there then
            is_new = False
        stored = set(_ids(bucket.read(name)))
        if is_new and stored != ids:
            raise ExportError(f"{name} holds {len(stored)} rows instead of {len(ids)}: they stay in the database")
        done.rows[name] = len(stored)
        done.late += len(ids - stored)
    done.left, done.bad = done.left + len(rows) - len(kept), done.bad + len(nodes) - len(rows)
    keys = sorted(nodes)
    for start in range(0, len(keys), PAGE):
        database.update({f"{paths.EVENTS}/{date}/{key}": None for key in keys[start : start + PAGE]})
    database.update({f"{paths.STATUS}/events/rows/{date}": None})


def _nodes(database: Database, path: str) -> Iterator[tuple[str, object]]:
    after = ""
    while page := database.page(path, after, PAGE):
        yield from page.items()
        after = list(page)[-1]
        if len(page) < PAGE:
            break


def schema() -> pa.Schema:
    """Return the schema of the files; ``docs/events.md`` describes it."""
    import pyarrow as pa

    texts = pa.list_(pa.string())
    return pa.schema([
        pa.field("id", pa.string(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("reader", pa.string(), nullable=False),
        pa.field("list_id", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("experiment", pa.string()),
        pa.field("arm", pa.string()),
        pa.field("isbns", texts, nullable=False),
        pa.field("sources", texts, nullable=False),
        pa.field("position", pa.int64(), nullable=False),
    ])  # fmt: skip


def to_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema()), sink)
    return sink.getvalue()


def _ids(content: bytes) -> list[str]:
    import pyarrow.parquet as pq

    try:
        return [str(one) for one in pq.read_table(io.BytesIO(content), columns=["id"])["id"].to_pylist()]
    except (OSError, ValueError) as problem:  # pyarrow's errors are among them
        raise ExportError("a file of events in the bucket is not a Parquet file") from problem
