"""Runs with each way of reading, over the database on the wire: their snapshots, and the marks that they clear."""

import json
from functools import partial

import pytest

from bookrec import paths
from bookrec.push_keys import first_key
from bookrec_operations.lease_holder import beat_in_thread
from tests.fakes import FakeBucket, FakeClock
from trainer.cloud import now_ms
from trainer.commands import run as command
from trainer.data.ingest.folders import LocalFolder
from trainer.data.ingest.increments import Snapshots
from trainer.data.ingest.pages import pages
from trainer.data.ingest.state import STATE, parse_state
from trainer.data.sources import SourceError, read_database, read_files, read_pages
from trainer.run import Product, Services, run


@pytest.fixture
def given(database):
    """Return a function that runs with ``read`` and returns the snapshot that the model was made from."""
    services = Services(database, FakeBucket(FakeClock()), lambda *_: None, now_ms, beat_in_thread)

    def train(read):
        orders = []

        def make(order, step):
            orders.append(order)
            return Product({"recommend.tflite": b"m", "items.json": b"{}"}, {})

        run(services, make, read=read)
        return orders[0].snapshot

    return train


def entry(user, isbn):
    return {"userId": user, "bookId": "b", "isbn": isbn, "myRate": 4}


@pytest.fixture
def filled(server):
    for n in range(20):
        for reader in ("u v&%", "é", "u3"):
            server.put(
                f"User_Book/{first_key(1_700_000_000_000 + n)}{reader.encode().hex():0>12}", entry(reader, f"i{n}")
            )
    server.put("archive", {"a": {"isbn": "i1", "title": "T"}})
    return server


def test_a_run_with_snapshots_trains_on_the_database_and_clears_the_marks(
    filled, given, database, tmp_path, monkeypatch
):
    monkeypatch.setattr("trainer.data.ingest.increments.ROWS_A_SHELF", 1)
    snapshots = Snapshots(LocalFolder(tmp_path))
    given(snapshots.read)
    for user in ("é", "u3"):
        filled.put(f"User_Book/-old{ord(user[0])}", entry(user, "i77"))
        filled.put(f"Recommender/dirty/{user}", {"at": now_ms()})
    filled.put(f"User_Book/{first_key(now_ms())}{'x' * 12}", entry("u v&%", "i78"))
    filled.put("Recommender/readers", {"u3": "gone"})
    snapshot = given(snapshots.read)
    expected = read_pages(partial(pages, database), "database").without({"u3"})
    assert snapshot.ratings.equals(expected.ratings)
    assert len(snapshot.ratings) == 42
    assert len(parse_state((tmp_path / STATE).read_bytes()).deltas) == 1
    assert filled.get("Recommender/dirty") is None
    assert database.cleared() == filled.get("Recommender/status/training/cleared/dirty") > 0


def test_a_run_on_an_older_backup_leaves_the_marks_of_later_changes(filled, given, tmp_path):
    file = tmp_path / "2026-01-02T04:00:00Z_demo_data.json"
    file.write_text(json.dumps({"User_Book": filled.get("User_Book")}))
    before, after = 1_767_322_800_000, 1_767_330_000_000
    filled.put(paths.DIRTY, {"é": {"at": before}, "u3": {"at": after}})
    filled.put(paths.CHANGES, {"a": {"at": before}, "b": {"at": after}})
    given(lambda database, taken: read_files(str(file), None))
    assert filled.get(paths.DIRTY) == {"u3": {"at": after}}
    assert filled.get(paths.CHANGES) == {"b": {"at": after}}


@pytest.mark.parametrize("words", [[], ["--full"]])
def test_the_command_reads_the_database_concurrently_by_default(filled, database, words, monkeypatch):
    monkeypatch.delenv("SNAPSHOTS", raising=False)
    snapshot = command.reader_of(parse(words))(database, now_ms())
    assert snapshot.ratings.equals(read_database(database).ratings)
    assert snapshot.source == "database"


def test_a_backup_of_one_of_several_databases_is_rejected(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASES", "https://books-2.firebaseio.com")
    with pytest.raises(SourceError, match=r"b\.json\.gz holds one of several databases"):
        command.reader_of(parse(["--source", "b.json.gz", "--snapshots", str(tmp_path)]))


def parse(words):
    import argparse

    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["run", *words])


@pytest.mark.parametrize("is_in_environment", [True, False])
def test_the_command_keeps_a_snapshot_in_the_given_folder(filled, database, tmp_path, monkeypatch, is_in_environment):
    if is_in_environment:
        monkeypatch.setenv("SNAPSHOTS", str(tmp_path))
    words = [] if is_in_environment else ["--snapshots", str(tmp_path)]
    taken = now_ms()
    for more in ([], [], ["--full"], ["--full-every", "0"]):
        snapshot = command.reader_of(parse([*words, *more]))(database, taken)
        assert snapshot.ratings.equals(read_database(database).ratings)
        state = parse_state((tmp_path / STATE).read_bytes())
        assert (state.base_taken == taken) == (more != [] or taken == state.taken == state.base_taken)
        taken += 1000
