"""A fan-out that takes longer to queue than a function may live: it goes on where it was, and repairs come first."""

from dataclasses import replace

import pytest

from backend.handlers import model_published, reconcile
from bookrec import paths
from bookrec.list_shards import SHARD_READERS
from tests.fakes import World, entry

RECONCILER_MS, EVENT_MS = 300_000, 540_000
"""How long the two functions may live."""

CALLS_AT_ONCE = 8
"""As in ``bookrec_database.concurrency.run_concurrently``."""


class Killed(BaseException):
    """The platform ends a function."""


class Slow(World):
    """A world in which queueing a task takes ``task_ms``, several at a time, and functions die of old age."""

    def __init__(self, task_ms, calls_at_once=CALLS_AT_ONCE):
        super().__init__()
        self.publish("v1", 1)
        self.task_ms, self.calls, self.ends_at = task_ms, 0, None
        self._services = replace(self._services, concurrently=self._concurrently)
        self._calls_at_once, self._at_once = calls_at_once, 1
        self.backend = self.restarted()
        self._enqueue, self.tasks.enqueue = self.tasks.enqueue, self.enqueue

    def _concurrently(self, calls):
        self._at_once, results = self._calls_at_once, []
        for call in calls:
            results.append(call())
        self._at_once = 1
        return results

    def enqueue(self, *given):
        self.clock.now += self.task_ms / self._at_once
        self.calls += 1
        if self.ends_at is not None and self.clock.now > self.ends_at:
            raise Killed
        self._enqueue(*given)

    def live(self, call, limit_ms):
        """Call a function of a new instance; the platform kills it after ``limit_ms``."""
        self.ends_at = self.clock.now + limit_ms
        try:
            return call(self.restarted())
        finally:
            self.ends_at = None

    def queued(self):
        return [payload for function, payload, _ in self.tasks.queued.values() if function == "fanout"]


def test_ten_million_readers_are_queued_in_a_few_runs_and_each_run_repairs_first():
    world = Slow(task_ms=100)
    shards = -(-10_000_000 // SHARD_READERS)
    world.database.update({f"{paths.MODEL}/lists": shards, f"{paths.MODEL}/listsSha256": "0" * 64})
    runs = 0
    while len(world.queued()) < shards:
        runs += 1
        key = f"-N{runs}"
        world.database.update({f"{paths.USER_BOOK}/{key}": entry(f"u{runs}", "isbn004")})  # its event got lost
        world.live(lambda backend: backend.reconcile(rests=False), RECONCILER_MS)
        assert world.list_of(f"u{runs}")
        assert world.database.status("reconcile/at") >= world.clock.now - RECONCILER_MS
        world.clock.now = round(world.clock.now)
        assert runs < 5
    assert runs == 2
    assert sorted(payload["shard"] for payload in world.queued()) == list(range(shards))
    assert shards <= world.calls <= shards + 5  # nothing twice; the others are checks for retraining
    assert world.database.status("fanout/queued").rpartition(":")[0].endswith(":0")
    assert "fanouts" not in world.live(lambda backend: backend.reconcile(rests=False), RECONCILER_MS)


@pytest.mark.parametrize("task_ms", [30, 300, 15_000])
def test_neither_event_nor_reconciler_dies_of_a_slow_queue(task_ms):
    world = Slow(task_ms)
    world.database.update({f"{paths.MODEL}/lists": 400, f"{paths.MODEL}/listsSha256": "0" * 64})
    world.live(lambda backend: backend.model_published(), EVENT_MS)
    for _ in range(20):
        world.clock.now = round(world.clock.now)
        world.live(lambda backend: backend.reconcile(rests=False), RECONCILER_MS)
    assert len(world.queued()) == 400


def test_killed_at_any_task_it_goes_on_and_queues_few_tasks_twice():
    world = Slow(task_ms=0)
    world.database.update({f"{paths.MODEL}/lists": 200, f"{paths.MODEL}/listsSha256": "0" * 64})
    enqueue, deaths = world.tasks.enqueue, 0
    for number in (1, 20, 60, 100, 190):
        world.calls = 0

        def die(*given, last=number):
            if world.calls == last:
                raise Killed
            enqueue(*given)

        world.tasks.enqueue = die
        try:
            world.restarted().model_published()
        except Killed:
            deaths += 1
    world.tasks.enqueue, world.calls = enqueue, 0
    world.restarted().model_published()
    assert deaths == 4  # what was left had fewer than 190 tasks
    assert len(world.queued()) == 200
    assert world.calls < 100


def test_readers_who_come_and_go_while_a_fan_out_is_queued_are_not_left_out(monkeypatch):
    monkeypatch.setattr(model_published, "TASKS_AT_ONCE", 2)
    world = Slow(task_ms=0)
    users = [f"u{n:02}" for n in range(12)]
    world.database.update({f"{paths.USERS}/{user}/id": user for user in users})
    world.restarted().model_published(0)
    assert len(world.queued()) == 2
    world.database.update({f"{paths.USERS}/u01": None, f"{paths.USERS}/u00x/id": "x", f"{paths.USERS}/u07x/id": "x"})
    for _ in range(10):
        world.restarted().model_published(0)
    asked = [user for payload in world.queued() for user in payload["users"]]
    assert set(asked) >= {*users, "u07x"} - {"u01"}
    assert len(asked) == len(set(asked))
    assert [payload["shard"] for payload in world.queued()] == list(range(len(world.queued())))
    assert world.database.status("fanout/shards") == len(world.queued())
    assert world.database.status("fanout/place") is None


def test_a_fan_out_that_another_one_replaces_leaves_no_trace_in_it(monkeypatch):
    monkeypatch.setattr(model_published, "TASKS_AT_ONCE", 2)
    world = Slow(task_ms=0)
    world.database.update({f"{paths.MODEL}/lists": 6, f"{paths.MODEL}/listsSha256": "0" * 64})
    enqueue = world.tasks.enqueue

    def replaced(*given):
        world.tasks.enqueue = enqueue
        world.publish("v2", 2)
        world.restarted().model_published(0)
        enqueue(*given)

    world.database.update({f"{paths.USERS}/u{n}/id": "x" for n in range(9)})
    world.tasks.enqueue = replaced
    assert world.backend.model_published() is False
    assert world.database.status("fanout")["publication"] == "v2@2"
    assert world.database.status("fanout/queued") is None
    assert world.database.status("fanout/place")["shard"] == 2
    world.backend.model_published()
    users = [user for payload in world.queued() if payload["publication"] == "v2@2" for user in payload["users"]]
    assert users == [f"u{n}" for n in range(9)]


def test_a_task_reads_no_other_shards_state(monkeypatch):
    world = Slow(task_ms=0)
    world.database.update({f"{paths.MODEL}/lists": 3, f"{paths.MODEL}/listsSha256": "0" * 64, "Users/u/id": "u"})
    world.backend.model_published()
    read = []
    status = world.database.status
    monkeypatch.setattr(world.database, "status", lambda path: read.append(path) or status(path))
    world.backend.fanout("v1@1", 1, None)
    world.backend.fanout("v1@1", 2, ["u"])
    own = {"fanout/done/1", "suspects/fanout-1", "suspects/fanout-2"}
    assert set(read) <= {"fanout/publication", "leftOut", *own}


def test_the_budgets_are_within_the_functions_limits():
    slowest = -(-model_published.TASKS_AT_ONCE // CALLS_AT_ONCE) * 15_000
    assert reconcile.QUEUEING_MS + slowest < RECONCILER_MS
    assert model_published.QUEUEING_MS + slowest < EVENT_MS
