"""Reading only what has changed: the snapshot always equals the database, and reading it costs less."""

import io
import json
import logging
from contextlib import suppress
from functools import partial
from itertools import count

import pyarrow.parquet as pq
import pytest
import requests
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bookrec import paths, shelf
from bookrec.errors import LeaseLost
from bookrec.push_keys import first_key
from bookrec.reader import GONE, HERE
from tests.fakes import database_of
from tests.memory_database import MemoryDatabase
from trainer.data.ingest import increments, parts
from trainer.data.ingest.folders import LocalFolder, open_folder
from trainer.data.ingest.increments import DAY_MS, SETTLE_MS, Snapshots
from trainer.data.ingest.pages import Reading, pages
from trainer.data.ingest.snapshot import SourceError
from trainer.data.ingest.state import STATE, parse_state
from trainer.data.sources import read_pages

NOW = 1_790_000_000_000
QUICK = Reading(workers=2, spans=4, attempts=2, wait_s=0.001, longest_wait_s=0.01)


class World:
    """A database in memory whose shelves change as under the backend, with a manual clock."""

    def __init__(self):
        self.now, self.number, self.reads = NOW, 0, []
        self.memory = MemoryDatabase(lambda: self.now)
        self.database = database_of(self.memory)

    def add(self, user, isbn, stars=4, at=None, is_marked=True):
        self.number += 1
        key = first_key(self.now if at is None else at) + f"{self.number:012}"
        self.put(key, user, isbn, stars, is_marked)
        return key

    def put(self, key, user, isbn, stars, is_marked=True):
        value = {"userId": user, "bookId": "b", "isbn": isbn, "myRate": stars}
        self.memory.update({f"{paths.USER_BOOK}/{key}": value} | self.mark(user, is_marked))

    def remove(self, key, user, is_marked=True):
        self.memory.update({f"{paths.USER_BOOK}/{key}": None} | self.mark(user, is_marked))

    def mark(self, user, is_marked=True):
        return {f"{paths.DIRTY}/{user}": {"at": self.now}} if is_marked else {}

    def leave(self, user):
        self.memory.update({f"{paths.READERS}/{user}": GONE, f"{paths.DIRTY}/{user}": None})

    def whole(self):
        """Return the snapshot of a full read."""
        return read_pages(partial(pages, self.database), "database").without(self.database.gone())

    def read(self, snapshots):
        """Return the snapshot that a run trains on."""
        return snapshots.read(self.database, self.now).without(self.database.gone())

    def publish(self):
        self.database.clear_marks(paths.DIRTY, self.now)


def same(snapshot, expected):
    return snapshot.ratings.equals(expected.ratings) and snapshot.books.equals(expected.books)


@pytest.fixture
def world():
    world = World()
    for reader in range(30):
        for book in range(20):
            world.add(f"u{reader}", f"i{book}", at=NOW - DAY_MS * 100 + reader * 60_000 + book)
    world.memory.update({"archive/-a": {"isbn": "i1", "title": "T"}, f"{paths.DIRTY}": None})
    return world


@pytest.fixture(autouse=True)
def shelves_are_cheap(monkeypatch):
    monkeypatch.setattr(increments, "ROWS_A_SHELF", 1)


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(LocalFolder(tmp_path / "kept"), QUICK)


def state_of(snapshots):
    return parse_state(snapshots.folder.state(STATE)[0])


def content_of(snapshots, name):
    with snapshots.folder.open(name) as file:
        return file.read()


def test_a_second_read_reads_only_changed_shelves_and_equals_a_full_read(world, snapshots):
    first = world.read(snapshots)
    assert same(first, world.whole())
    world.now += 60_000
    world.put(world.add("u1", "old", at=NOW - DAY_MS), "u1", "i99", 2)
    world.add("new", "i1", at=world.now)
    counted = []
    world.memory.perform = lambda kind, request: counted.append(kind) or request()
    second = world.read(snapshots)
    number_of_reads = counted.count("read")
    world.memory.perform = lambda kind, request: request()
    assert same(second, world.whole())
    state = state_of(snapshots)
    assert (len(state.deltas), sum(part.rows for part in state.deltas[0].parts)) == (1, 22)
    assert state.base_taken < state.taken == world.now
    assert number_of_reads < 20
    assert "1 times what had changed" in second.source


def test_the_newest_of_several_increments_about_a_reader_counts(world, snapshots):
    key = world.add("u1", "i50", at=NOW - DAY_MS)
    for stars in (1, 2, 3):
        world.read(snapshots)
        world.now += 60_000
        world.put(key, "u1", "i50", stars)
    snapshot = world.read(snapshots)
    assert len(state_of(snapshots).deltas) == 3
    assert snapshot.ratings.loc[snapshot.ratings["key"] == key, "myRate"].tolist() == [3.0]
    assert same(snapshot, world.whole())


def test_a_new_entry_without_a_mark_is_found_by_its_key(world, snapshots):
    world.read(snapshots)
    world.now += 60_000
    world.add("u3", "lost", at=NOW - SETTLE_MS + 1, is_marked=False)
    world.add("nobody knew", "lost", is_marked=False)
    assert same(world.read(snapshots), world.whole())
    assert len(state_of(snapshots).deltas) == 1


def test_an_update_without_a_mark_is_found_once_marked_or_by_the_next_full_read(world, snapshots):
    key = world.add("u3", "i50", at=NOW - DAY_MS, is_marked=False)
    world.read(snapshots)
    world.now += 60_000
    world.put(key, "u3", "i50", 1, is_marked=False)
    assert not same(world.read(snapshots), world.whole())
    world.memory.update(world.mark("u3"))
    assert same(world.read(snapshots), world.whole())
    world.put(key, "u3", "i50", 5, is_marked=False)
    world.now += DAY_MS
    assert same(world.read(snapshots), world.whole())
    assert state_of(snapshots).deltas == ()


def test_an_emptied_shelf_stays_empty(world, snapshots):
    keys = [world.add("brief", f"i{n}", at=NOW - DAY_MS) for n in range(3)]
    assert (world.read(snapshots).ratings["userId"] == "brief").sum() == 3
    for key in keys:
        world.remove(key, "brief")
    world.now += 1000
    for _ in range(2):
        snapshot = world.read(snapshots)
        assert same(snapshot, world.whole())
        assert not (snapshot.ratings["userId"] == "brief").any()


def test_a_reader_who_left_does_not_return_from_an_old_file_and_is_in_none_after_a_full_read(world, snapshots):
    keys = [world.add("leaver", f"i{n}", at=NOW - DAY_MS) for n in range(3)]
    world.memory.update({f"{paths.READERS}/leaver": HERE})
    world.read(snapshots)
    world.leave("leaver")
    world.now += 1000
    assert not (world.read(snapshots).ratings["userId"] == "leaver").any()
    for key in keys:
        world.remove(key, "leaver", is_marked=False)
    world.memory.update({f"{paths.READERS}/leaver": None})  # the mark is removed with the last entry
    world.now += 1000
    assert not snapshots.read(world.database, world.now).ratings["userId"].eq("leaver").any()
    world.now += DAY_MS
    world.read(snapshots)
    for name in snapshots.folder.names():
        content = content_of(snapshots, name)
        assert b"leaver" not in content
        if name.endswith(parts.SUFFIX):
            assert "leaver" not in pq.read_table(io.BytesIO(content))["userId"].to_pylist()


def test_entries_of_readers_who_left_are_in_no_base_and_count_as_rejected(world, snapshots):
    world.memory.update({f"{paths.READERS}/u5": GONE})
    snapshot = snapshots.read(world.database, world.now)
    assert snapshot.rejected["entry:reader_gone"] == 20
    assert same(snapshot, world.whole())
    assert world.whole().rejected == snapshot.rejected


def test_of_a_full_shelf_the_same_entries_count_in_a_base_and_in_an_increment(world, snapshots, monkeypatch):
    monkeypatch.setattr(shelf, "MAX_SHELF", 8)
    bad = world.add("u1", "not an isbn!", at=NOW - DAY_MS)
    key = world.add("u2", "i50", at=NOW - DAY_MS)
    first = world.read(snapshots)
    assert same(first, world.whole())
    assert first.rejected == world.whole().rejected
    assert first.ratings["userId"].value_counts()[["u1", "u2"]].tolist() == [7, 8]
    world.now += 60_000
    world.put(bad, "u1", "i51", 3)
    world.remove(key, "u2")
    world.add("u3", "still not an isbn!")
    second = world.read(snapshots)
    assert len(state_of(snapshots).deltas) == 1
    assert same(second, world.whole())
    assert second.ratings["userId"].value_counts()[["u1", "u2", "u3"]].tolist() == [8, 8, 7]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_rows_do_not_depend_on_the_sizes_of_files_and_batches(world, snapshots, monkeypatch, size):
    from trainer.data.ingest import rows

    monkeypatch.setattr(rows, "BATCH_ROWS", size)
    monkeypatch.setattr(rows, "CHUNK_ROWS", size * 3)
    monkeypatch.setattr(parts, "PART_ROWS", size * 40)
    monkeypatch.setattr(parts, "READ_ROWS", size * 2)
    assert same(world.read(snapshots), world.whole())


def test_a_run_that_removed_marks_without_using_the_snapshot_makes_the_next_read_full(world, snapshots, caplog):
    caplog.set_level(logging.INFO)
    key = world.add("u3", "i50", at=NOW - DAY_MS)
    world.read(snapshots)
    world.now += 1000
    world.put(key, "u3", "i50", 1)
    world.publish()
    world.now += 1000
    assert same(world.read(snapshots), world.whole())
    assert "a run that did not use this snapshot has removed marks" in caplog.text
    world.publish()
    world.now += 1000
    world.add("u4", "i51")
    world.read(snapshots)
    assert len(state_of(snapshots).deltas) == 1


@pytest.mark.parametrize("harm", ["no state", "bad state", "other format", "a file is missing", "too many increments"])
def test_an_unusable_snapshot_is_replaced(world, snapshots, harm, monkeypatch):
    world.read(snapshots)
    content, tag = snapshots.folder.state(STATE)
    if harm == "no state":
        snapshots.folder.delete(STATE)
    elif harm == "bad state":
        snapshots.folder.replace(STATE, content[:-20], tag)
    elif harm == "other format":
        snapshots.folder.replace(STATE, json.dumps({**json.loads(content), "format": 2}).encode(), tag)
    elif harm == "a file is missing":
        snapshots.folder.delete(state_of(snapshots).base[0].name)
    else:
        monkeypatch.setattr(increments, "MAX_DELTAS", 0)
    world.now += 1000
    world.add("u1", "i77")
    assert same(world.read(snapshots), world.whole())
    assert state_of(snapshots).base_taken == world.now
    assert set(snapshots.folder.names()) == {STATE, *state_of(snapshots).files}


def test_with_too_many_changed_readers_everything_is_read(world, snapshots, monkeypatch):
    monkeypatch.setattr(increments, "ROWS_A_SHELF", 400)
    world.read(snapshots)
    world.now += 1000
    world.add("u1", "i77")
    world.add("u2", "i77")
    world.read(snapshots)
    assert state_of(snapshots).base_taken == world.now


STATE_NODE = b'{"format":1,"base_taken":1,"taken":1,"base":[{"name":"a","rows":1}],"deltas":[],"refused":{"x":1}}'


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 200_000, b'{"format":' * 100_000, b"{", b"\xff", b"[]", b"1", STATE_NODE[:-1],
        *(STATE_NODE.replace(b'n":1,', b'n":' + time + b",") for time in (b"Infinity", b"NaN", b"1e300", b"-1")),
        STATE_NODE.replace(b'"rows":1', b'"rows":Infinity'),
        STATE_NODE.replace(b'"x":1', b'"x":-Infinity'),
        STATE_NODE.replace(b'"deltas":[]', b'"deltas":' + b"[" * 200_000),
    ],
    ids=lambda content: str(content[-40:]),
)  # fmt: skip
def test_a_damaged_state_is_none_and_everything_is_read_again(world, snapshots, content):
    assert parse_state(STATE_NODE)
    assert parse_state(content) is None
    world.read(snapshots)
    before, (_, tag) = state_of(snapshots), snapshots.folder.state(STATE)
    assert snapshots.folder.replace(STATE, content, tag)
    world.read(snapshots)
    assert state_of(snapshots).rows == before.rows > 0


def test_a_truncated_file_is_named_with_what_to_do(world, snapshots):
    world.read(snapshots)
    name = state_of(snapshots).base[0].name
    content = content_of(snapshots, name)
    snapshots.folder.delete(name)
    with snapshots.folder.create(name) as file:
        file.write(content[:-50])
    with pytest.raises(SourceError, match=rf"{name}: damaged .*--full"):
        world.read(snapshots)


def test_one_of_two_concurrent_runs_gives_way_and_the_snapshot_stays_whole(world, snapshots):
    world.read(snapshots)
    world.now += 1000
    world.add("u1", "i77")
    changed = Snapshots._changed

    def overtaken(self, database, state):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Snapshots, "_changed", changed)
            world.read(snapshots)
        return changed(self, database, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Snapshots, "_changed", overtaken)
        with pytest.raises(LeaseLost, match="another run"):
            world.read(snapshots)
    assert same(world.read(snapshots), world.whole())


def test_files_of_a_dead_run_are_removed_later(world, snapshots):
    world.read(snapshots)
    world.now += 1000
    world.add("u1", "i77")
    with suppress(RuntimeError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "write_readers", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        world.read(snapshots)
    assert len(snapshots.folder.names()) == 3
    world.now += 1000
    assert same(world.read(snapshots), world.whole())
    assert set(snapshots.folder.names()) == {STATE, *state_of(snapshots).files}


BACKUP_TIME = "2026-09-21T13:33:20Z"  # an hour after NOW: a backup may be an hour older than its name


def backup_of(world, folder, time=BACKUP_TIME):
    file = folder / f"{time}_demo_data.json"
    tree = {name: world.memory.get(name) for name in ("User_Book", "archive")}
    file.write_text(json.dumps({"User_Book": {}, **{name: node for name, node in tree.items() if node}}))
    return str(file)


def test_a_backup_is_a_base_and_what_changed_since_comes_from_the_database(world, tmp_path):
    changing = world.add("u3", "i50", at=NOW - DAY_MS)
    world.now = NOW + SETTLE_MS
    snapshots = Snapshots(LocalFolder(tmp_path / "kept"), QUICK, backup=backup_of(world, tmp_path))
    world.put(changing, "u3", "i50", 1)
    world.add("u4", "i51", is_marked=False)
    world.now += 1000
    assert same(world.read(snapshots), world.whole())
    state = state_of(snapshots)
    assert len(state.deltas) == 1
    assert state.base_taken < state.taken


def test_a_backup_older_than_removed_marks_is_not_a_base(world, tmp_path):
    snapshots = Snapshots(LocalFolder(tmp_path / "kept"), QUICK, backup=backup_of(world, tmp_path))
    world.now = NOW + 2 * SETTLE_MS
    world.put(world.add("u3", "i50", at=NOW - DAY_MS), "u3", "i50", 1)
    world.publish()
    assert same(world.read(snapshots), world.whole())
    assert state_of(snapshots).base_taken == world.now


def test_a_backup_without_a_time_in_its_name_is_rejected_as_a_base(world, tmp_path):
    backup = backup_of(world, tmp_path, "yesterday")
    with pytest.raises(SourceError, match="has no time in its name"):
        world.read(Snapshots(LocalFolder(tmp_path / "kept"), QUICK, backup=backup))


def test_a_snapshot_is_readable_by_its_owner_alone_and_never_where_clients_read(world, snapshots, tmp_path):
    world.read(snapshots)
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    for uri in ("gs://bucket", "gs://bucket/", "gs://bucket/models", "gs://bucket/models/kept", "gs://", "gs:///x"):
        with pytest.raises(SourceError, match="snapshots contain user ids"):
            open_folder(uri)


def test_a_snapshot_in_cloud_storage_is_the_same(world, storage_url, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-bookrec")
    requests.post(f"{storage_url}/storage/v1/b", json={"name": "private"}, timeout=5).raise_for_status()
    snapshots = Snapshots(open_folder("gs://private/snapshots"), QUICK)
    assert same(world.read(snapshots), world.whole())
    world.now += 1000
    world.add("u1", "i77")
    assert same(world.read(snapshots), world.whole())
    assert len(state_of(snapshots).deltas) == 1
    assert not snapshots.folder.replace(STATE, b"{}", "1")
    world.now += DAY_MS
    assert same(world.read(snapshots), world.whole())
    assert set(snapshots.folder.names()) == {STATE, *state_of(snapshots).files}


READERS = st.sampled_from([f"u{n}" for n in range(6)])
BOOKS = st.sampled_from([f"i{n}" for n in range(5)])


class Histories(RuleBasedStateMachine):
    """Any history of marked changes, lost adds, departures, returns, runs with and without snapshots, and publishes."""

    @initialize()
    def begin(self):
        self.world, self.entries = World(), {}
        self.snapshots = Snapshots(LocalFolder(self.root / str(next(self.numbers))), QUICK)

    @rule(
        user=READERS, isbn=BOOKS, stars=st.integers(-1, 5), is_marked=st.booleans(), age=st.integers(0, SETTLE_MS - 1)
    )
    def add(self, user, isbn, stars, is_marked, age):
        self.world.now += 1
        key = self.world.add(user, isbn, stars, self.world.now - (0 if not is_marked else age), is_marked)
        self.entries[key] = user

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), isbn=BOOKS, stars=st.integers(0, 5))
    def change(self, data, isbn, stars):
        self.world.now += 1
        key = data.draw(st.sampled_from(sorted(self.entries)))
        self.world.put(key, self.entries[key], isbn, stars)

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def remove(self, data):
        self.world.now += 1
        key = data.draw(st.sampled_from(sorted(self.entries)))
        self.world.remove(key, self.entries.pop(key))

    @rule(user=READERS)
    def leave(self, user):
        self.world.leave(user)

    @rule(user=READERS)
    def come_back(self, user):
        self.world.memory.update({f"{paths.READERS}/{user}": HERE} | self.world.mark(user))

    @rule(minutes=st.integers(1, 600))
    def wait(self, minutes):
        self.world.now += minutes * 60_000

    @rule(is_published=st.booleans())
    def run_with_snapshots(self, is_published):
        self.world.now += 1
        assert same(self.world.read(self.snapshots), self.world.whole())
        if is_published:
            self.world.publish()

    @rule()
    def run_without(self):
        self.world.now += 1
        self.world.publish()

    @invariant()
    def files_are_those_of_the_state(self):
        if hasattr(self, "snapshots") and (state := state_of(self.snapshots)):
            assert state.files <= set(self.snapshots.folder.names())


def test_a_run_trains_on_the_current_database_whatever_happened(tmp_path):
    machine = type("Histories", (Histories,), {"root": tmp_path, "numbers": count()})
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))
