"""Who has left, and is named once more by a late event, a task or a pause, gets no list: nothing would remove it."""

import pytest

from backend.handlers.entry_written import EntryWritten
from bookrec import paths
from tests.fakes import World, entry

SHELVED = entry("u", "isbn004")
REMOVED = EntryWritten("e", "k1", SHELVED, None, "u")


@pytest.fixture
def world():
    """Return a world in which a reader has a profile, a book and a list, and another one stays."""
    world = World()
    world.publish("v1", 1)
    for user in ("u", "w"):
        world.database.update({f"{paths.USERS}/{user}/id": user})
    world.database.update({f"{paths.USER_BOOK}/k1": SHELVED})
    world.backend.entry_written(EntryWritten("e", "k1", None, SHELVED, "u"))
    return world


def leave(world, deliver=True):
    world.database.update({f"{paths.USERS}/u": None, f"{paths.USER_BOOK}/k1": None})
    if deliver:
        world.backend.entry_written(REMOVED)


def assert_nothing_is_left(world):
    assert world.list_of("u") is None
    for node in (paths.READERS, paths.CONVERSIONS, paths.LIST_WRITES):
        assert "u" not in (world.database.get(node) or {}), node


BAD = {**SHELVED, "myRate": 7}


@pytest.mark.parametrize("is_told_by_an_event", [True, False])
def test_a_reader_who_leaves_with_a_bad_entry_alone_is_trained_on_no_more(world, is_told_by_an_event):
    world.database.update({paths.CHANGES: None, f"{paths.USER_BOOK}/k2": BAD})
    leave(world, deliver=is_told_by_an_event)  # the book that a model knows goes with the list
    if not is_told_by_an_event:
        world.backend.entry_written(EntryWritten("e", "k2", None, BAD, "u"))
    assert world.database.get(f"{paths.READERS}/u") == "gone"
    assert world.database.get(paths.CHANGES)


def test_a_reader_who_leaves_with_one_book_is_trained_on_no_more(world):
    world.database.update({paths.CHANGES: None})
    leave(world)
    assert_nothing_is_left(world)
    assert list(world.database.get(paths.CHANGES)) == ["k1"]


def test_late_events_of_a_reader_who_left_make_no_list(world):
    leave(world)
    for _ in range(2):
        world.backend.entry_written(REMOVED)
        assert_nothing_is_left(world)
    assert list(world.database.get(paths.CHANGES)) == ["k1"]  # for training, as always


def test_a_task_of_a_fan_out_makes_no_list_of_a_reader_who_left_meanwhile(world):
    world.publish("v2", 2)
    world.backend.model_published()
    leave(world)
    tasks = [payload for function, payload, _ in world.tasks.queued.values() if function == "fanout"]
    assert "u" in [user for payload in tasks for user in payload["users"]]
    for payload in tasks:
        world.backend.fanout(payload["publication"], payload["shard"], payload["users"])
    assert_nothing_is_left(world)
    assert world.list_of("w")["modelVersion"] == "v2"


def test_a_pause_makes_no_list_of_a_reader_who_left(world):
    leave(world)
    world.database.update({f"{paths.PAUSED}/u": {"until": world.clock.now + 1}})
    world.backend.reconcile(rests=False)
    assert_nothing_is_left(world)


def test_a_reader_who_leaves_while_a_new_model_is_loaded_leaves_nothing(world):
    world.backend.reconcile(rests=False)
    world.publish("v2", 2)
    leave(world)  # the event purges, and then sees that the model has changed
    assert_nothing_is_left(world)
    assert world.database.get(paths.DIRTY) is None


def test_a_list_that_is_written_after_its_reader_was_purged_is_removed_at_once(world):
    world.database.update({f"{paths.USER_BOOK}/k1": None})

    def leave_meanwhile(number):
        world.database.on_shelf_read = lambda number: None
        leave(world)  # the profile was read before, and a duplicate of the event purges

    world.database.on_shelf_read = leave_meanwhile
    world.backend.entry_written(REMOVED)
    assert_nothing_is_left(world)
    assert world.database.get(paths.DIRTY) is None


def test_a_reader_without_profile_keeps_a_list_without_the_last_book(world):
    world.database.update({f"{paths.USER_BOOK}/k2": entry("import", "isbn007")})
    world.backend.entry_written(EntryWritten("e", "k2", None, entry("import", "isbn007"), None))
    world.database.update({f"{paths.USER_BOOK}/k2": None})
    for _ in range(2):
        world.backend.entry_written(EntryWritten("e", "k2", entry("import", "isbn007"), None, None))
        assert world.list_of("import")["basedOn"]["entries"] == 0
