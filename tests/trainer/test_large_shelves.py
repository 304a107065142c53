"""A reader with more entries than count: the newest count, everywhere in the same way, and the rest costs nothing."""

import json
import re
from functools import partial
from pathlib import Path

import pytest

from backend import lists
from backend.handlers.entry_written import EntryWritten
from bookrec import paths, shelf
from bookrec.entries import parse_entry
from bookrec.shelf import MAX_SHELF, build_shelf, newest, sort_out
from tests.fakes import World, entry
from trainer.commands import evaluate
from trainer.commands.parser import make_parser
from trainer.data.exchange.importer import import_ratings
from trainer.data.files.reading import How, read_tables
from trainer.data.sources import read_files, read_pages, read_usable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    return world


def fill(world, user_id, number):
    world.database.update(
        {f"{paths.USER_BOOK}/k{user_id}{n:06}": entry(user_id, f"isbn{n % 20:03}") for n in range(number)}
    )


def trained_on(world, user_id):
    """Return the keys of a reader's entries that a run trains on."""
    pages = lambda path, size: iter([world.database.get(path) or {}])  # noqa: E731
    ratings = read_pages(pages, "database").ratings
    return ratings.loc[ratings["userId"] == user_id, "key"].tolist()


def listed(world, user_id):
    """Return the keys of the entries that a reader's list was made from, after a look at its digest."""
    nodes = world.database.shelf_nodes([user_id])
    shelf_of = build_shelf(user_id, sort_out(nodes)[0])
    assert world.list_of(user_id)["basedOn"] == {"entries": len(shelf_of.entries), "digest": shelf_of.digest}
    return [one.key for one in shelf_of.entries]


def test_the_newest_entries_of_a_shelf_of_50_000_count_in_the_list_and_in_training(world):
    fill(world, "u", 50_000)
    world.backend.entry_written(EntryWritten("e", "ku049999", None, entry("u", "isbn019"), None))
    expected = [f"ku{n:06}" for n in range(50_000 - MAX_SHELF, 50_000)]
    assert listed(world, "u") == expected
    assert trained_on(world, "u") == expected


def test_a_rejected_entry_among_the_newest_takes_a_place_in_the_list_and_in_training(world, monkeypatch):
    monkeypatch.setattr(shelf, "MAX_SHELF", 4)
    fill(world, "u", 6)
    world.database.update({f"{paths.USER_BOOK}/ku000004/myRate": 9, f"{paths.USER_BOOK}/other": entry("u2", "isbn001")})
    world.backend.reconcile(rests=False)
    assert listed(world, "u") == trained_on(world, "u") == ["ku000002", "ku000003", "ku000005"]


def test_the_newest_are_the_last_in_the_databases_order_of_keys(world, monkeypatch):
    monkeypatch.setattr(shelf, "MAX_SHELF", 3)
    keys = ["10", "9", "-N", "Z", "\uffee", "\U0001f600", "a"]  # the database: 9, 10, -N, Z, a, \U0001f600, \uffee
    world.database.update({f"{paths.USER_BOOK}/{key}": entry("u", f"isbn{n:03}") for n, key in enumerate(keys)})
    world.backend.reconcile(rests=False)
    expected = {"a", "\U0001f600", "\uffee"}
    assert set(newest(keys)) == expected == set(listed(world, "u")) == set(trained_on(world, "u"))


def test_after_a_removal_the_next_older_entry_counts(world, monkeypatch):
    monkeypatch.setattr(shelf, "MAX_SHELF", 3)
    fill(world, "u", 5)
    world.backend.reconcile(rests=False)
    world.database.update({f"{paths.USER_BOOK}/ku000004": None})
    world.backend.entry_written(EntryWritten("e", "ku000004", entry("u", "isbn004"), None, None))
    assert listed(world, "u") == trained_on(world, "u") == ["ku000001", "ku000002", "ku000003"]


def test_what_a_run_leaves_out_is_counted(monkeypatch):
    monkeypatch.setattr(shelf, "MAX_SHELF", 2)
    nodes = {f"k{n}": entry("u", f"isbn{n}") for n in range(5)} | {"k9": {"userId": "u"}}
    pages = {paths.USER_BOOK: [nodes], paths.ARCHIVE: []}
    snapshot = read_pages(lambda path, size: iter(pages[path]), "database")
    assert snapshot.ratings["key"].tolist() == ["k4"]
    assert snapshot.rejected == {"entry:shelf_full": 4, "entry:rating_missing": 1}
    assert list(snapshot.ratings["isbn"].cat.categories) == ["isbn4"]


HEAD = "userId,isbn,myRate"
LARGE = [f"u,i{n},{9 if n == 3 else 4}" for n in range(6)]


@pytest.fixture
def three_count(monkeypatch):
    monkeypatch.setattr(shelf, "MAX_SHELF", 3)


@pytest.mark.parametrize("foreign", [False, True])
def test_the_last_rows_of_a_table_count_and_a_rejected_one_takes_a_place(three_count, tmp_path, foreign):
    rows = [HEAD, "v,i0,5", *LARGE, "v,i1,5", "v,i2,5"]
    (tmp_path / "ratings.csv").write_text("\n".join(rows))
    read = read_tables(tmp_path / "ratings.csv", None, How(foreign=foreign, scale=5))
    assert shelf_in(read.usable, "u") == ["i4", "i5"]
    assert shelf_in(read.usable, "v") == ["i0", "i1", "i2"]
    assert read.report.dropped == {"shelf_full": 3, "rating_out_of_range": 1}
    assert read.report.first["shelf_full"][0] == 3
    assert "shelf_full 3 (line 3: of a reader's rows, the newest 3 count" in next(read.report.warnings())


def test_the_newest_rows_of_a_table_with_times_count(three_count, tmp_path):
    times = [7, 1, "", 9, 8, 2]
    rows = [f"{row},{at}" for row, at in zip(LARGE, times, strict=True)]
    (tmp_path / "ratings.csv").write_text("\n".join([f"{HEAD},at", *rows]))
    assert shelf_in(read_tables(tmp_path / "ratings.csv", None, How(scale=5)).usable, "u") == ["i0", "i4"]


def test_training_and_evaluation_count_what_they_leave_out_of_a_table(three_count, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join([HEAD, *LARGE]))
    snapshot = read_files(path, None, How(scale=5))
    assert snapshot.rejected == {"entry:shelf_full": 3}
    assert shelf_in(snapshot.ratings, "u") == ["i3", "i4", "i5"]
    usable = read_usable(path, None, How(scale=5, foreign=True))
    assert usable.dropped == {"shelf_full": 3, "rating_out_of_range": 1}
    assert shelf_in(usable.rows, "u") == ["i4", "i5"]


def test_what_is_imported_or_only_scored_is_whole(three_count, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join([HEAD, *LARGE]))
    tree, report = import_ratings(path, None, 1, How(scale=5))
    assert len(tree[paths.USER_BOOK]) == 5
    assert report.dropped == {"rating_out_of_range": 1}
    arguments = ["evaluate", "--train", str(path), "--test", str(path), "--scale", "5", "--out", str(tmp_path / "out")]
    train, test, _, dropped = evaluate._read(make_parser()[0].parse_args(arguments))
    assert (len(train), len(test)) == (2, 6)
    assert dropped == {"shelf_full": 3, "rating_out_of_range": 1}


def shelf_in(rows, user_id):
    return rows.loc[rows["userId"] == user_id, "isbn"].tolist()


def test_a_query_reads_no_more_entries_than_count(world):
    fill(world, "u", MAX_SHELF + 500)
    sizes = []
    world.database.memory.perform = lambda kind, request: _noted(sizes, request())
    world.database.shelf_nodes(["u"])
    assert sizes == [MAX_SHELF]


def _noted(sizes, value):
    sizes.append(len(value or ()))
    return value


def test_shelves_are_read_a_few_at_a_time(world):
    users = [f"u{n:03}" for n in range(3 * lists.READERS_AT_ONCE)]
    for user in users:
        world.database.update({f"{paths.USER_BOOK}/k{user}": entry(user, "isbn004")})
    asked = []
    read = world.database.shelf_nodes
    world.database.shelf_nodes = lambda user_ids: asked.append(len(user_ids)) or read(user_ids)
    world.backend.fanout("v1@1", 0, users)
    assert max(asked) <= lists.READERS_AT_ONCE
    assert all(world.list_of(user) for user in users)


def test_the_order_of_the_entries_does_not_matter(monkeypatch):
    monkeypatch.setattr(shelf, "MAX_SHELF", 3)
    entries = [parse_entry(f"k{n}", entry("u", f"isbn{n}")) for n in range(5)]
    made = partial(build_shelf, "u")
    assert made(entries) == made(entries[::-1]) == made(entries[2:])


def test_the_clients_have_the_same_number():
    web = (ROOT / "web" / "client.js").read_text()
    assert re.findall(r"MAX_SHELF = (\d+)", web) == [str(MAX_SHELF)]
    guide = (ROOT / "docs" / "app-guide.md").read_text()
    limited = guide.count("limitToLast(MAX_SHELF)") + guide.count("queryLimited(toLast: UInt(maxShelf))")
    assert limited == 3  # Kotlin, JavaScript and Swift
    assert json.dumps(MAX_SHELF) in (ROOT / "clients" / "kotlin" / "Contract.kt").read_text()
