"""Events of lists: collected in the write of the list, bounded, without an id of a reader, and off by default."""

import hashlib

import pytest

from backend import logs
from backend.guards import event_gate
from backend.lists import pace
from bookrec import paths
from bookrec.entries import reader_key
from tests.fakes import FakeClock, World, entry
from tests.unit.test_handlers import write
from tests.unit.test_showings import isbns, show


@pytest.fixture
def world():
    world = World(list_events=True)
    world.publish("v1", 1)
    world.database.update({f"{paths.USERS}/u/id": "u"})
    return world


def rows(world, event=None):
    days = world.database.get(paths.EVENTS) or {}
    found = [row for day in days.values() for row in day.values()]
    return [row for row in found if event in (None, row["event"])]


def counted(world):
    return sum((world.database.get(f"{paths.STATUS}/events/rows") or {}).values())


def test_by_default_nothing_is_collected():
    world = World()
    world.publish("v1", 1)
    write(world, "k1", entry("u", "isbn004"))
    show(world)
    assert rows(world) == []
    assert world.database.get(f"{paths.STATUS}/events") is None


def test_a_new_list_has_its_row_in_the_write_of_the_list(world):
    writes, update = [], world.database.update
    world.database.update = lambda values: writes.append(values) or update(values)
    write(world, "k1", entry("u", "isbn004"))
    assert [len([path for path in values if path.startswith(paths.EVENTS)]) for values in writes
            if paths.recommendations("u") in values] == [1]  # fmt: skip
    (row,) = rows(world)
    assert row == {
        "event": "made", "at": world.clock.now, "reader": reader_key("u"), "list_id": world.list_of("u")["listId"],
        "model_version": "v1", "isbns": isbns(world), "sources": ["personal"] * 10, "position": 1,
    }  # fmt: skip
    write(world, "k1", entry("u", "isbn004"))
    assert rows(world) == [row]


def test_a_shown_list_and_a_book_that_was_taken_have_a_row_each_however_often_the_event_comes(world):
    write(world, "k1", entry("u", "isbn004"))
    show(world)
    taken = isbns(world)[2]
    event = write(world, "k2", entry("u", taken))
    for _ in range(2):
        world.backend.list_shown("u")
        world.backend.entry_written(event)
    assert [row["isbns"] for row in rows(world, "taken")] == [[taken]]
    assert [(row["position"], row["sources"]) for row in rows(world, "taken")] == [(3, ["personal"])]
    assert len(rows(world, "shown")) == 1
    assert len(rows(world, "made")) == 2


def test_a_showing_that_nobody_has_handled_has_its_row_when_the_list_is_replaced(world):
    write(world, "k1", entry("u", "isbn004"))
    list_id = show(world, deliver=False)
    write(world, "k2", entry("u", "isbn010"))
    assert [row["list_id"] for row in rows(world, "shown")] == [list_id]


def test_a_dismissed_book_of_the_list_has_a_row_with_its_time_and_another_has_none(world):
    write(world, "k1", entry("u", "isbn004"))
    book, at = isbns(world)[5], world.clock.now - 5
    world.database.update({f"{paths.USERS}/u/dismissed/{book}": at, f"{paths.USERS}/u/dismissed/isbn029": at})
    world.backend.reconcile(rests=False)
    assert [(row["isbns"], row["at"], row["position"]) for row in rows(world, "dismissed")] == [([book], at, 6)]


def test_rows_name_readers_as_the_logs_do():
    uid = "some reader \N{DRAGON}"
    assert reader_key(uid) == logs.user_key(uid) == hashlib.sha256(uid.encode()).hexdigest()[:12]


def test_rows_are_written_with_their_lists_and_make_no_fan_out_slower():
    clock = FakeClock()
    pace(clock, 10, 1e9)(
        {
            paths.recommendations("u"): {},
            paths.more_lists("u"): {},
            f"{paths.LIST_WRITES}/u": {},
            f"{paths.CONVERSIONS}/u/v1/shown/list": {},
            f"{paths.EVENTS}/2026-11-29/r": {},
        }
    )
    assert clock.now - FakeClock().now == 100


def test_rows_are_counted_and_at_a_bound_no_more_are_added_until_they_are_exported(world, monkeypatch, capsys):
    monkeypatch.setattr(event_gate, "MAX_ROWS", 3)
    for number in range(4):
        write(world, "k1", entry("u", f"isbn{number + 5:03}"))
    assert counted(world) == len(rows(world)) == 4
    world.backend.reconcile(rests=False)
    assert "list-events-full" in capsys.readouterr().out
    world.clock.now += event_gate.FRESH_MS
    write(world, "k1", entry("u", "isbn001"))
    assert len(rows(world)) == 4
    world.database.update({paths.EVENTS: None, f"{paths.STATUS}/events/rows": None})
    world.backend.reconcile(rests=False)
    world.clock.now += event_gate.FRESH_MS
    write(world, "k1", entry("u", "isbn002"))
    assert len(rows(world)) == 1


def test_rows_that_nobody_exports_are_removed_after_a_month(world, monkeypatch):
    monkeypatch.setattr(event_gate, "PAGE", 2)
    for number in range(4):
        write(world, "k1", entry("u", f"isbn{number + 5:03}"))
    world.clock.now += 29 * event_gate.DAY_MS
    world.backend.reconcile(rests=False)
    assert len(rows(world)) == 4
    world.clock.now += 3 * event_gate.DAY_MS
    world.backend.reconcile(rests=False)
    assert rows(world) == []
    assert counted(world) == 0
