"""The trainer's database adapter against the stand-in."""

import pytest

from trainer.services import Database, connect, disconnect


@pytest.fixture
def database(server):
    yield Database(connect("demo", f"http://{server.host}?ns={server.namespace}"))
    disconnect()


@pytest.fixture(autouse=True)
def emulator(server, monkeypatch):
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", server.host)


@pytest.mark.parametrize("keys", [["a", "b", "c", "d", "e"], ["0", "1", "2", "3"], ["2", "10", "a", "b"], ["x"], []])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_give_each_child_once_also_where_keys_are_numbers(server, database, keys, size):
    server.put("archive", {key: {"isbn": key} for key in keys})
    pages = list(database.pages("archive", size))
    found = [key for page in pages for key in page]
    assert sorted(found) == sorted(keys)
    assert all(0 < len(page) <= size for page in pages)


def test_marks_up_to_a_time_are_cleared_and_later_ones_stay(server, database):
    server.request("PUT", ".settings/rules", {"rules": {"marks": {".indexOn": "at"}}})
    server.put("marks", {"a": {"at": 1}, "b": {"at": 2}, "c": {"at": 3}})
    assert database.clear_marks("marks", 2) == 2
    assert server.get("marks") == {"c": {"at": 3}}


def test_the_clock_is_the_databases_own(server, database):
    first, second = database.server_time(), database.server_time()
    assert 1_600_000_000_000 < first <= second
