"""A reader who writes too fast is paused, costs a bounded number of lists, and has the right list in the end."""

import json

import pytest

from backend.handlers import write_rate
from backend.handlers.entry_written import EntryWritten
from backend.handlers.write_rate import LIMIT, PAUSE_MS, WINDOW_MS
from backend.logs import user_key
from bookrec import paths
from bookrec.shelf import build_shelf, sort_out
from tests.fakes import World, entry


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(write_rate, "LIMIT", 5)
    world = World()
    world.publish("v1", 1)
    return world


def write(world, number, user="u", value="an entry", author="u"):
    key = f"k{user}{number:03}"
    value = entry(user, f"isbn{number % 20:03}") if value == "an entry" else value
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    world.backend.entry_written(EntryWritten("e", key, None, value, author))


def entries_of_list(world, user="u"):
    return (world.list_of(user) or {"basedOn": {"entries": 0}})["basedOn"]["entries"]


def test_a_person_never_writes_so_fast():
    assert LIMIT / WINDOW_MS * 1000 >= 5  # a second


def test_writes_beyond_the_limit_make_no_lists_and_pause_the_reader(world, capsys):
    for number in range(12):
        write(world, number)
    assert entries_of_list(world) == 5
    assert world.database.get(f"{paths.PAUSED}/u") == {"until": world.clock.now + PAUSE_MS}
    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    assert [line["reader"] for line in lines if line.get("alarm") == "reader-paused"] == [user_key("u")]
    write(world, 0, "another", author="another")
    assert entries_of_list(world, "another") == 1


def test_the_reconciler_makes_the_list_of_who_is_paused_updates_too_and_ends_the_pause_in_time(world):
    for number in range(5):
        write(world, number)
    world.backend.reconcile(rests=False)
    world.backend.reconcile(rests=False)
    for number in range(5):
        write(world, number, value=entry("u", f"isbn{number + 10:03}"))  # no new key: the watermark finds nothing
    world.database.update({f"{paths.STATUS}/reconcile/sweep": {"phase": 4}})
    world.backend.reconcile(rests=False)
    shelf = build_shelf("u", sort_out(world.database.get(paths.USER_BOOK))[0])
    assert world.list_of("u")["basedOn"]["digest"] == shelf.digest
    assert world.database.get(f"{paths.PAUSED}/u")
    assert world.database.get(paths.CHANGES)
    world.clock.now += PAUSE_MS
    world.backend.reconcile(rests=False)
    assert world.database.get(paths.PAUSED) is None


def test_in_the_next_window_the_reader_is_served_again(world):
    for number in range(12):
        write(world, number)
    world.clock.now += WINDOW_MS
    write(world, 12)
    assert entries_of_list(world) == 13


def test_deletions_and_writes_of_admins_do_not_count(world):
    for number in range(20):
        write(world, number, author=None)
    for number in range(20):
        write(world, number, value=None)
    assert entries_of_list(world) == 20
    for _ in range(20):
        world.backend.entry_written(EntryWritten("e", "k", entry("u", "isbn001"), None, "u"))
    assert world.database.get(paths.PAUSED) is None


def test_a_forged_entry_is_rejected_however_fast_its_author_writes(world):
    for number in range(12):
        write(world, number, "victim", author="u")
    assert world.database.get(paths.USER_BOOK) is None
    assert len(world.database.get(paths.REJECTED)) == 12


def test_a_pause_that_could_not_be_written_is_tried_again(world, monkeypatch):
    update = world.database.update

    def away(values):
        if any(path.startswith(paths.PAUSED) for path in values):
            raise ConnectionError
        update(values)

    monkeypatch.setattr(world.database, "update", away)
    for number in range(5):
        write(world, number)
    with pytest.raises(ConnectionError):
        write(world, 5)
    monkeypatch.undo()
    monkeypatch.setattr(write_rate, "LIMIT", 5)
    write(world, 6)
    assert world.database.get(f"{paths.PAUSED}/u")


@pytest.mark.parametrize("until", [10**12, -1, "x", None, True])
def test_a_pause_until_a_time_that_cannot_be_right_is_over(world, until):
    node = {"since": 1} if until is None else {"until": until + world.clock.now if until == 10**12 else until}
    world.database.update({f"{paths.PAUSED}/u": node, f"{paths.PAUSED}/w": {"until": world.clock.now + PAUSE_MS}})
    world.backend.reconcile(rests=False)
    assert list(world.database.get(paths.PAUSED)) == ["w"]
