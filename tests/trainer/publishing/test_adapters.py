"""The trainer's database adapter, over the wire and over the database in memory."""

import pytest

from bookrec import lease as leases
from bookrec import paths
from bookrec.errors import LeaseLost
from tests.fakes import FakeClock
from tests.memory_database import RULES, MemoryDatabase
from trainer.publishing import versions
from trainer.publishing.adapters import Database, connect, disconnect


@pytest.fixture(params=["in memory", "real"])
def node_at(request, monkeypatch):
    if request.param == "in memory":
        yield MemoryDatabase(FakeClock().now_ms).reference
        return
    server = request.getfixturevalue("server")
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", server.host)
    assert server.request("PUT", ".settings/rules", data=RULES).ok
    yield connect("demo", f"http://{server.host}?ns={server.namespace}")
    disconnect()


@pytest.fixture
def database(node_at):
    return Database(node_at)


@pytest.mark.parametrize(
    "keys", [["a", "b", "c", "d", "e"], ["0", "1", "2", "3"], ["2", "10", "a", "b"], ["a&b", "c%d", "e+f"], ["x"], []]
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_give_each_child_once_whatever_the_keys(node_at, database, keys, size):
    node_at("archive").set({key: {"isbn": key} for key in keys})
    pages = list(database.pages("archive", size))
    read = [key for page in pages for key in page]
    assert sorted(read) == sorted(keys)
    assert all(0 < len(page) <= size for page in pages)


def test_marks_up_to_a_time_are_cleared_and_later_ones_stay(node_at, database):
    node_at(paths.CHANGES).set({"a": {"at": 1}, "b": {"at": 2}, "c": {"at": 3}})
    assert database.clear_marks(paths.CHANGES, 2) == 2
    assert node_at(paths.CHANGES).get() == {"c": {"at": 3}}


def test_the_clock_is_that_of_the_database(database):
    first, second = database.server_time(), database.server_time()
    assert 1_600_000_000_000 < first <= second


def test_readers_who_left_are_found_by_their_marks(node_at, database):
    assert database.gone() == frozenset()
    node_at(paths.READERS).set({"a": "here", "b": "gone"})
    assert database.gone() == {"b"}


def test_the_lease_is_changed_if_the_change_allows_it_or_else_its_holder_is_named(database):
    taken = database.change_lease(lambda held: leases.acquire(held, "run", 0, 10, 100))
    assert database.lease() == taken == leases.Lease("run-1", 1, 10, 100)
    with pytest.raises(LeaseLost, match="held by run run-1 under fence 1"):
        database.change_lease(lambda held: leases.acquire(held, "run", 5, 10, 100))


def test_the_pointer_moves_forward_only(node_at, database):
    assert database.pointer() is None
    second = database.publish(versions.make_pointer("v2", b"", 2, 2, 2))
    assert database.pointer() == second
    with pytest.raises(LeaseLost):
        database.publish(versions.make_pointer("v1", b"", 1, 1, 1))
    third = database.publish(versions.make_pointer("v3", b"", 3, 3, 3))
    assert set(third.kept) == {"v2", "v3"}
    node_at(paths.MODEL).set("damaged")
    assert database.pointer() is None


def test_a_run_is_recorded_and_its_outcome_counted(node_at, database):
    for outcome in ("running", "failed", "running", "timed out", "running", "failed"):
        database.record_run({"runId": "r", "fence": 1, "outcome": outcome})
    training = node_at(f"{paths.STATUS}/training").get()
    assert training["outcomes"] == {"failed": 2, "timed out": 1}
    assert (training["run"]["outcome"], training["run"]["runId"]) == ("failed", "r")
    assert training["run"]["at"] > 1_600_000_000_000


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_several_instances_are_read_and_cleared_as_one(size):
    clock = FakeClock()
    instances = [MemoryDatabase(clock.now_ms) for _ in range(3)]
    for number in range(20):
        home = instances[number % 7 % 3]
        entry = {"userId": f"u{number % 7}", "bookId": "b", "isbn": "i", "myRate": 1}
        home.update({f"{paths.USER_BOOK}/k{number:02}": entry, f"{paths.DIRTY}/u{number % 7}": {"at": number}})
    instances[0].update({"archive/a": {"isbn": "i"}})
    instances[2].update({"archive/b": {"isbn": "not read"}, f"{paths.READERS}/left": "gone"})
    first, *others = [instance.reference for instance in instances]
    database = Database(first, others)
    read = [key for page in database.pages(paths.USER_BOOK, size) for key in page]
    assert read == [f"k{number:02}" for number in range(20)]
    assert [key for page in database.pages("archive", size) for key in page] == ["a"]
    assert database.last_key(paths.USER_BOOK, "k15") == "k15"
    assert set(database.shelf_nodes("u3")) == {"k03", "k10", "k17"}
    assert database.dirty() == {f"u{number}" for number in range(7)}
    assert database.gone() == {"left"}
    assert database.clear_marks(paths.DIRTY, 17) == 5
    assert database.dirty() == {"u4", "u5"}
