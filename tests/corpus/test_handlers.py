"""The handlers with the corpus: bad entries are rejected with their reasons, and everything else works."""

import pytest

from backend.handlers.entry_written import EntryWritten
from bookrec import paths
from bookrec.entries import parse_entry
from bookrec.ranking import LIST_SIZE
from bookrec.shelf import build_shelf
from tests.corpus import corpus
from tests.fakes import World

ENTRIES = [item for item in corpus.entries() if not item.is_changed_by_the_database]
SENDABLE = [item for item in ENTRIES if item.rules != "unsendable" and "/" not in item.key]
SMALL = [item for item in SENDABLE if item.size < corpus.HUGE]
LARGE = [item for item in SENDABLE if corpus.HUGE <= item.size < 2_000_000]
UNSENDABLE = [item for item in ENTRIES if item.rules == "unsendable" and paths.is_key(item.key)]
RUNS = 4
"""Of the reconciler: it may do its work in slices."""

GOOD = {
    f"-Ngood{number:02}": corpus.sound_entry(user_id, f"isbn{number:03}", stars)
    for number, (user_id, stars) in enumerate(
        [("reader", 4), ("ana", 0), ("ana", 4.5), ("ben", 0.5), ("ben", 5), ("cem", 3), ("reader", 0)], start=2
    )
}
"""Entries of several readers, including the corpus's reader."""


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    return world


def write(world, key, value, before=None, *, deliver):
    """Write an entry as an admin, and deliver its event."""
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    if deliver:
        world.backend.entry_written(EntryWritten(f"event-{key}", key, before, value, None))


def write_among_good_ones(world, items, *, deliver):
    """Write ``items`` with the good entries between them."""
    good = dict(GOOD)
    every = max(len(items) // len(good), 1)
    for number, item in enumerate(items):
        write(world, item.key, item.value, deliver=deliver)
        if number % every == 0 and good:
            key = next(iter(good))
            write(world, key, good.pop(key), deliver=deliver)
    for key, value in good.items():
        write(world, key, value, deliver=deliver)


def correct(world, items, *, deliver):
    """Turn the bad entries into good ones of one reader; return them."""
    corrected = {}
    for number, item in enumerate(items):
        if item.is_bad:
            corrected[item.key] = corpus.sound_entry("corrected", f"isbn{number % 10:03}", 3.5)
            write(world, item.key, corrected[item.key], item.value, deliver=deliver)
    return corrected


def reconcile(world):
    for _ in range(RUNS):
        world.backend.reconcile(rests=False)


def assert_everything_fits(world, items, corrected=()):
    """Check that each bad entry has its record, and each reader the list for exactly the good entries."""
    records = world.database.get(paths.REJECTED) or {}
    bad = {item.key: item.reason for item in items if item.is_bad and item.key not in corrected}
    assert {key: record["reason"] for key, record in records.items()} == bad
    for record in records.values():
        assert record["message"]
        assert record["at"]
    good = {**GOOD, **{item.key: item.value for item in items if not item.is_bad}, **dict(corrected)}
    entries = [parse_entry(key, value) for key, value in good.items()]
    for user_id in {entry.user_id for entry in entries}:
        shelf = build_shelf(user_id, entries)
        reader_list = world.list_of(user_id)
        assert reader_list["basedOn"] == {"entries": len(shelf.entries), "digest": shelf.digest}, user_id
        assert len(reader_list["items"]) == LIST_SIZE
        assert not {item["isbn"] for item in reader_list["items"]} & set(shelf.ratings)
    assert set(world.database.get(paths.USERS)) == {entry.user_id for entry in entries}


def test_bad_entries_get_records_good_ones_lists_and_corrected_ones_are_accepted(world):
    write_among_good_ones(world, SMALL, deliver=True)
    assert_everything_fits(world, SMALL)
    corrected = correct(world, SMALL[::3], deliver=True)
    assert_everything_fits(world, SMALL, corrected)


def test_the_reconciler_alone_gives_the_same_if_every_trigger_is_lost(world):
    write_among_good_ones(world, SMALL, deliver=False)
    reconcile(world)
    assert_everything_fits(world, SMALL)
    corrected = correct(world, SMALL, deliver=False)
    reconcile(world)
    assert_everything_fits(world, SMALL, corrected)


@pytest.mark.parametrize("deliver", [True, False])
def test_an_entry_of_a_million_characters_is_rejected_like_any_other(world, deliver):
    write_among_good_ones(world, LARGE, deliver=deliver)
    if not deliver:
        reconcile(world)
    assert_everything_fits(world, LARGE)


def test_a_bad_entry_that_is_removed_leaves_no_record_and_no_list(world):
    bad = [item for item in SMALL if item.is_bad]
    for item in bad[::10]:
        write(world, item.key, item.value, deliver=True)
        write(world, item.key, None, item.value, deliver=True)
    assert not world.database.get(paths.REJECTED)
    assert_everything_fits_after_a_good_entry(world)


def test_an_event_with_a_value_that_no_database_holds_changes_nothing(world):
    """There is nothing to record: no node can have such a value, so there is none at the event's path."""
    for item in UNSENDABLE:
        world.backend.entry_written(EntryWritten("e", item.key, item.value, item.value, None))
        world.backend.entry_written(EntryWritten("e", item.key, None, item.value, "forger"))
    assert not world.database.get(paths.REJECTED)
    assert_everything_fits_after_a_good_entry(world)


def assert_everything_fits_after_a_good_entry(world):
    write(world, "-Ngood", corpus.sound_entry("reader", "isbn009", 5), deliver=True)
    assert world.list_of("reader")["basedOn"]["entries"] == 1
    assert len(world.list_of("reader")["items"]) == LIST_SIZE


def test_a_key_that_no_node_can_have_is_the_only_reason_for_no_record():
    impossible = [item for item in corpus.entries() if not paths.is_key(item.key)]
    assert impossible
    assert {item.rules for item in impossible if "/" not in item.key} == {"unsendable"}
