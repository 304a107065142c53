"""A model that takes long to load, or cannot be loaded: one attempt at a time, and nobody else waits for it."""

import threading
import time

import pytest

from backend import models
from backend.guards import deadline
from backend.handlers.entry_written import EntryWritten
from backend.models import CALLS_MS, FIRST_PATIENCE_S, LOAD_S, MAX_CALLS, PATIENCE_S, TRY_AGAIN_AFTER_MS, LiveModel
from bookrec import paths
from bookrec.errors import BadModel, StoreUnavailable
from tests.fakes import World, entry, load_fake


@pytest.fixture
def world():
    """A world in which v1 is loaded and v2 is live."""
    world = World()
    world.publish("v1", 1)
    rate(world, "k1", "u")
    world.publish("v2", 2)
    return world


def rate(world, key, user_id, isbn="isbn004"):
    value = entry(user_id, isbn)
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    world.backend.entry_written(EntryWritten("e", key, None, value, None))


def during_downloads(world, call, times=1):
    """Call ``call`` in the middle of the next downloads, as other events of the instance would."""
    download, left = world.store.download, list(range(times))

    def slow(name, max_bytes):
        if left:
            left.pop()
            call()
        return download(name, max_bytes)

    world.store.download = slow


def version_of(world, user_id):
    return world.list_of(user_id)["modelVersion"]


def test_lists_do_not_wait_for_a_model_that_another_event_loads_and_follow_it_once_it_is_loaded(world):
    seen = []

    def meanwhile():
        rate(world, "k2", "w")
        seen.append(version_of(world, "w"))

    during_downloads(world, meanwhile)
    rate(world, "k3", "u", "isbn008")
    assert seen == ["v1"]
    assert version_of(world, "u") == version_of(world, "w") == "v2"


def test_lists_made_during_a_failed_attempt_follow_the_one_that_succeeds(world):
    def fails():
        rate(world, "k2", "w")
        raise StoreUnavailable("slow")

    during_downloads(world, fails)
    rate(world, "k3", "u", "isbn008")
    assert version_of(world, "u") == version_of(world, "w") == "v1"
    world.clock.now += TRY_AGAIN_AFTER_MS
    rate(world, "k4", "x")
    assert [version_of(world, user_id) for user_id in "uwx"] == ["v1", "v2", "v2"]


def test_a_published_model_is_followed_by_the_lists_that_were_made_while_it_was_loaded(world):
    during_downloads(world, lambda: rate(world, "k2", "w"))
    world.backend.model_published()
    assert version_of(world, "w") == "v2"


def test_lists_that_cannot_be_made_again_do_not_fail_the_event_that_loaded_the_model(world, monkeypatch, capsys):
    live = LiveModel(world.database, world.store, load_fake, world.clock)
    during_downloads(world, lambda: live.once_loaded(lambda: {}["missing"]))
    assert live.current().version == "v2"
    assert '"alarm": "lists-failed"' in capsys.readouterr().out


def test_the_number_of_lists_that_are_made_again_is_bounded(world):
    live, made = LiveModel(world.database, world.store, load_fake, world.clock), []

    def meanwhile():
        assert all(live.once_loaded(lambda number=number: made.append(number)) for number in range(MAX_CALLS + 10))

    during_downloads(world, meanwhile)
    live.load()
    assert made == list(range(10, MAX_CALLS + 10))
    assert not live.once_loaded(list)


def test_the_event_that_loads_a_model_makes_the_lists_of_others_for_a_bounded_time(world, capsys):
    live, made = LiveModel(world.database, world.store, load_fake, world.clock), []

    def list_of_another():
        made.append(world.clock.now)
        world.clock.sleep(CALLS_MS / 1000 / 4)

    during_downloads(world, lambda: [live.once_loaded(list_of_another) for _ in range(20)])
    live.load()
    assert len(made) == 4
    assert '"lists": 16' in capsys.readouterr().out
    assert live.load().pointer.version == "v2"
    assert len(made) == 4
    # All in the minute that the platform gives the event of an entry, with a list of its own before and after.
    assert LOAD_S + PATIENCE_S + CALLS_MS / 1000 < 60


def test_a_list_that_is_made_as_the_attempt_ends_is_made_again_too(world):
    live, made, lock = LiveModel(world.database, world.store, load_fake, world.clock), [], threading.Lock()

    class Late:
        """A lock that another event gets just before the attempt ends."""

        entries = 0

        def __enter__(self):
            self.entries += 1
            if self.entries == 2:
                assert live.once_loaded(lambda: made.append("list"))
            lock.acquire()

        def __exit__(self, *error):
            lock.release()

    live._lock = Late()
    live.load()
    assert made == ["list"]


def test_the_rest_begins_when_the_attempt_ends(world):
    tries = []

    def fails():
        tries.append(world.clock.now)
        world.clock.now += TRY_AGAIN_AFTER_MS + 1_000
        raise StoreUnavailable("slow")

    during_downloads(world, fails, times=9)
    for number in range(5):
        rate(world, f"k{number + 2}", "u", f"isbn01{number}")
    assert len(tries) == 1
    world.clock.now += TRY_AGAIN_AFTER_MS
    rate(world, "k9", "u", "isbn020")
    assert len(tries) == 2


def test_whoever_needs_the_model_waits_for_the_attempt_but_not_for_ever(world):
    live, began = LiveModel(world.database, world.store, load_fake, world.clock), world.clock.now

    def meanwhile():
        with pytest.raises(StoreUnavailable, match="another event is loading"):
            live.load()

    during_downloads(world, meanwhile)
    assert live.load().pointer.version == "v2"
    assert LOAD_S * 1000 < world.clock.now - began < LOAD_S * 2000


def test_an_instance_without_any_model_waits_a_little_for_its_first_one(world):
    live, began, seen = LiveModel(world.database, world.store, load_fake, world.clock), world.clock.now, []
    during_downloads(world, lambda: seen.append(live.current()))
    assert live.current().version == "v2"
    assert (seen[0].version, seen[0].is_loading) == ("none", True)
    assert world.clock.now - began == FIRST_PATIENCE_S * 1000


def test_all_files_of_an_attempt_share_one_deadline(world, monkeypatch):
    left = []
    during_downloads(world, lambda: left.append(deadline.remaining(1_000)), times=9)
    rate(world, "k2", "u", "isbn008")
    assert len(left) == 3
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] < left[0] <= LOAD_S


def test_the_versions_that_are_tried_after_a_bad_one_share_its_deadline():
    world = World()
    for number in range(1, 6):
        world.publish(f"v{number}", number)
    download, left = world.store.download, []

    def altered(name, max_bytes):
        left.append(deadline.remaining(1_000))
        raise BadModel(f"{name} is damaged")

    world.store.download = altered
    rate(world, "k1", "u")
    assert len(left) == 5
    assert max(left) <= LOAD_S
    world.store.download = download


def test_a_store_that_drips_delays_one_event_and_no_other(world):
    """With threads and the real clock."""
    world.clock.now_ms, world.clock.sleep = lambda: int(time.time() * 1000), time.sleep
    live = LiveModel(world.database, world.store, load_fake, world.clock)
    world.database.update({paths.MODEL: None})
    world.publish("v1", 1)
    assert live.current().version == "v1"
    world.publish("v2", 2)
    is_over, attempts, download = threading.Event(), [], world.store.download

    def slow(name, max_bytes):
        attempts.append(name)
        is_over.wait(20)
        return download(name, max_bytes)

    world.store.download = slow
    first = threading.Thread(target=live.current)
    first.start()
    while not attempts:
        time.sleep(0.001)
    for _ in range(20):
        began = time.monotonic()
        in_use = live.current()
        assert time.monotonic() - began < 5
        assert (in_use.version, in_use.is_degraded, in_use.is_loading) == ("v1", True, True)
    assert len(attempts) == 1
    is_over.set()
    first.join(20)
    assert live.current() == models.InUse(live.load())
    assert live.current().version == "v2"
