"""The traffic of the last day: each event counts once, in the write of its list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.handlers.entry_written import EntryWritten
from backend.traffic_counter import TRAFFIC
from bookrec import paths
from bookrec.usage.traffic import BOUNDS_MS, BUCKETS, KEPT_MINUTES, MINUTE_MS, bucket_of, minute_of
from tests.fakes import World, entry


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    return world


def deliver(world, key, after, *, before=None, took_ms=70):
    world.database.update({f"{paths.USER_BOOK}/{key}": after})
    world.backend.entry_written(EntryWritten("e", key, before, after, None, world.clock.now - took_ms))


def traffic(world):
    return world.database.get(f"{TRAFFIC}/{minute_of(world.clock.now)}")


@given(st.integers(-10_000, 10_000))
def test_an_event_is_in_the_bucket_with_the_smallest_bound_that_fits(took_ms):
    kept = [bound for bound in BOUNDS_MS if took_ms <= bound]
    assert bucket_of(took_ms) == (f"b{min(kept)}" if kept else "more")
    assert bucket_of(took_ms) in BUCKETS


def test_events_are_counted_in_the_minute_and_bucket_of_their_lists_write(world):
    deliver(world, "k1", entry("u", "isbn004"))
    deliver(world, "k2", entry("u", "isbn005"), took_ms=100)
    deliver(world, "k3", entry("w", "isbn005"), took_ms=60_000)
    assert traffic(world) == {"events": 3, "b100": 2, "more": 1}


def test_an_event_of_two_readers_and_one_whose_list_is_made_twice_count_once(world):
    def change(number):
        if number == 1:  # somebody has shelved another book and written a list meanwhile
            world.database.update({f"{paths.USER_BOOK}/k9": entry("u", "isbn020"), f"{paths.LIST_WRITES}/u": 1})

    world.database.on_second_look = change
    deliver(world, "k1", entry("u", "isbn004"), before=entry("w", "isbn004"))
    assert world.list_of("u")["basedOn"]["entries"] == 2
    assert traffic(world) == {"events": 1, "b100": 1}


def test_the_count_is_part_of_the_lists_write(world):
    deliver(world, "k0", entry("w", "isbn004"))  # loads the model and writes its status
    writes, update = [], world.database.update
    world.database.update = lambda values: writes.append(values) or update(values)
    world.backend.entry_written(EntryWritten("e", "k1", None, entry("u", "isbn004"), None, world.clock.now))
    assert [f"{TRAFFIC}/{minute_of(world.clock.now)}/events" in write for write in writes] == [True]


def test_an_event_that_writes_no_list_is_not_counted(world):
    deliver(world, "k1", "text")
    world.backend.reconcile(rests=False)
    assert world.database.get(TRAFFIC) is None


def test_a_day_is_kept(world):
    now = minute_of(world.clock.now)
    for age in (0, 1, KEPT_MINUTES - 1, KEPT_MINUTES, KEPT_MINUTES + 1, 5_000):
        world.database.update({f"{TRAFFIC}/{now - age}/events": 1})
    world.backend.reconcile(rests=False)
    assert world.backend.reconcile(rests=False) == {}
    assert sorted(now - int(key) for key in world.database.get(TRAFFIC)) == [0, 1, KEPT_MINUTES - 1]
    assert MINUTE_MS * KEPT_MINUTES == 86_400_000
