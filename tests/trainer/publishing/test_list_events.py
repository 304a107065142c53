"""The export of events of lists: each day once, verified, without readers who left; and the query over its rows."""

import contextlib
import io
import re
import sqlite3

import pyarrow.parquet as pq
import pytest

from bookrec import paths
from bookrec.usage.list_events import FIELDS, date_of
from local.stack import ROOT
from tests.fakes import FakeBucket, World, database_of, entry
from tests.unit.test_handlers import write
from tests.unit.test_showings import isbns, show
from trainer.publishing import list_events
from trainer.publishing.list_events import Exported, ExportError, export, schema, to_parquet

DAY_MS = 86_400_000


@pytest.fixture
def world():
    """Two readers: one was shown two lists, took a book of the first and dismissed one of the second."""
    world = World(list_events=True)
    world.publish("v1", 1)
    for user_id in ("u", "w"):
        world.database.update({f"{paths.USERS}/{user_id}/id": user_id})
    write(world, "k1", entry("u", "isbn004"))
    show(world)
    write(world, "k2", entry("u", isbns(world)[2]))
    show(world)
    unwanted = isbns(world)[4]
    world.database.update({f"{paths.USERS}/u/dismissed/{unwanted}": world.clock.now})
    world.backend.reconcile(rests=False)
    write(world, "w1", entry("w", "isbn010"))
    show(world, "w")
    return world


@pytest.fixture
def bucket(world):
    return FakeBucket(world.clock)


def exported(world, bucket, days=1):
    return export(
        [world.database], bucket, world.clock.now + days * DAY_MS + 2 * list_events.SETTLED_MS, lambda _: None
    )


def rows_of(bucket):
    (content,) = [content for name, content in bucket.objects.items() if name.startswith("events/")]
    return pq.read_table(io.BytesIO(content)).to_pylist()


def test_a_day_is_exported_once_and_then_removed(world, bucket):
    date = date_of(world.clock.now)
    collected = world.database.get(f"{paths.EVENTS}/{date}")
    done = exported(world, bucket)
    assert done == Exported({f"events/date={date}/part-00000.parquet": len(collected)})
    rows = rows_of(bucket)
    assert {row["id"] for row in rows} == set(collected)
    assert all(tuple(row) == FIELDS for row in rows)
    assert world.database.get(paths.EVENTS) is None
    assert world.database.get(f"{paths.STATUS}/events") is None
    assert exported(world, bucket) == Exported()


def test_a_day_that_has_not_ended_stays(world, bucket):
    assert exported(world, bucket, days=-1) == Exported()
    assert world.database.get(paths.EVENTS)


def test_rows_of_readers_who_left_and_bad_ones_are_dropped(world, bucket):
    date = date_of(world.clock.now)
    world.database.update({f"{paths.EVENTS}/{date}/bad": {"event": 1}, f"{paths.USERS}/w": None})
    done = exported(world, bucket)
    assert (done.left, done.bad) == (3, 1)
    assert len({row["reader"] for row in rows_of(bucket)}) == 1
    assert world.database.get(paths.EVENTS) is None


def test_an_export_that_died_before_it_removed_the_rows_goes_on_and_drops_late_ones(world, bucket):
    update = world.database.update

    def dies(values):
        raise ConnectionError

    world.database.update = dies
    with pytest.raises(ConnectionError):
        exported(world, bucket)
    world.database.update = update
    before = rows_of(bucket)
    date = date_of(world.clock.now)
    late = {**next(iter(world.database.get(f"{paths.EVENTS}/{date}").values())), "list_id": "late"}
    world.database.update({f"{paths.EVENTS}/{date}/late": late})
    assert exported(world, bucket).late == 1
    assert rows_of(bucket) == before
    assert world.database.get(paths.EVENTS) is None


def test_a_file_that_does_not_hold_its_rows_leaves_them_in_the_database(world, bucket):
    read = bucket.read
    bucket.read = lambda name: to_parquet([]) if name.startswith("events/") else read(name)
    with pytest.raises(ExportError, match="stay in the database"):
        exported(world, bucket)
    bucket.read = lambda name: b"PAR"
    with pytest.raises(ExportError, match="not a Parquet file"):
        exported(world, bucket)
    assert world.database.get(paths.EVENTS)


def test_each_instance_has_a_file_of_its_own(world, bucket):
    other = World(list_events=True)
    other.database.update({f"{paths.USERS}/x/id": "x"})
    write(other, "k1", entry("x", "isbn004"))
    done = export([database_of(one.database.memory) for one in (world, other)], bucket,
                  world.clock.now + 2 * DAY_MS, lambda _: None)  # fmt: skip
    assert [name[-18:] for name in done.rows] == ["part-00000.parquet", "part-00001.parquet"]


def test_the_documented_fields_are_those_of_the_files():
    page = (ROOT / "docs" / "events.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", page, re.MULTILINE))
    types = {"string": "STRING", "timestamp[ms, tz=UTC]": "TIMESTAMP", "int64": "INT64"}
    ours = {
        name: types.get(str(kind), "ARRAY<STRING>") for name, kind in zip(schema().names, schema().types, strict=True)
    }
    assert documented == ours
    assert tuple(ours) == FIELDS


def test_the_documented_query_gives_the_hit_rate_by_version(world, bucket):
    exported(world, bucket)
    page = (ROOT / "docs" / "events.md").read_text()
    query = re.search(r"```sql\n(SELECT.*?)```", page, re.DOTALL)[1]
    rows = rows_of(bucket)
    with contextlib.closing(sqlite3.connect(":memory:")) as table:
        table.execute(f"CREATE TABLE list_events ({', '.join(FIELDS)})")
        for row in [*rows, rows[0]]:  # one of them twice
            values = [",".join(value) if isinstance(value, list) else str(value) for value in row.values()]
            table.execute(f"INSERT INTO list_events VALUES ({', '.join('?' * len(FIELDS))})", values)
        assert table.execute(query).fetchall() == [("v1", 2, 3, 1, 1, 0.5)]
