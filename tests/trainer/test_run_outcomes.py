"""How runs end, and what they leave behind, over the real database adapter in memory."""

import contextlib

import pytest
from firebase_admin.exceptions import UnavailableError

from bookrec import paths
from bookrec.errors import LeaseLost
from bookrec.life_cycle.lease import Lease, free_expired
from bookrec.life_cycle.manifest import parse_pointer
from bookrec_operations.lease_holder import never_beat
from bookrec_operations.release import release
from tests.fakes import FakeBucket, FakeClock, database_of
from tests.memory_database import MemoryDatabase
from trainer.publishing import versions
from trainer.run import Product, RefusedModelError, Services, run


@pytest.fixture
def world():
    return World()


class World:
    """A database with an entry, a bucket, and runs that make the smallest possible models."""

    def __init__(self):
        self.clock = FakeClock()
        self.memory = MemoryDatabase(self.clock.now_ms)
        self.bucket = FakeBucket(self.clock)
        self.database = database_of(self.memory)
        self.answers = lambda version, model, items: None
        entry = {"userId": "u", "bookId": "b", "isbn": "1", "myRate": 4}
        self.memory.update({f"{paths.USER_BOOK}/k1": entry, f"{paths.CHANGES}/k1": {"at": self.clock.now}})

    @property
    def services(self):
        return Services(
            self.database,
            self.bucket,
            lambda *files: self.answers(*files),
            self.clock.now_ms,
            never_beat,
        )

    def publish(self, problem=None, metrics=None):
        def make(order, step):
            self.clock.now += 1_000
            if problem:
                raise problem
            return Product(
                {"recommend.tflite": b"m", "items.json": b"{}"},
                {"data": {"snapshotAt": order.snapshot_at}, "metrics": metrics or {}},
            )

        return run(self.services, make)

    def live(self):
        return parse_pointer(self.memory.get(paths.MODEL))


def test_failed_runs_in_a_row_are_counted_until_they_are_forgiven(world):
    for _ in range(2):
        with pytest.raises(RuntimeError):
            world.publish(RuntimeError("out of memory"))
    run_record = world.memory.get(f"{paths.STATUS}/training")
    assert (run_record["run"]["outcome"], run_record["run"]["reason"]) == ("failed", "out of memory")
    assert run_record["outcomes"] == {"failed": 2}
    assert release(world.database) == 2
    assert world.database.lease().failures == 0
    assert release(world.database) == 0


def test_a_refused_model_counts_its_entries_as_trained_on_and_is_not_a_failure(world):
    with pytest.raises(RefusedModelError):
        world.publish(RefusedModelError("it loses to popularity"))
    assert world.memory.get(paths.CHANGES) is None
    assert (world.database.lease().outcome, world.database.lease().failures) == ("refused", 0)
    assert world.memory.get(f"{paths.STATUS}/training/run/reason") == "it loses to popularity"


METRICS = {"model": {"ndcg": {"mean": 0.25}}, "baselines": {"popularity": {"ndcg": {"mean": 0.125}}, "ease": {}}}


def test_every_ended_run_is_recorded_with_its_figures_and_its_reason(world):
    first = world.publish(metrics=METRICS)
    with pytest.raises(RefusedModelError):
        world.publish(RefusedModelError("it loses to popularity", METRICS))
    with pytest.raises(RuntimeError):
        world.publish(RuntimeError("out of memory"))
    runs = paths.children(world.memory.get(f"{paths.STATUS}/training/runs"))
    assert all(run["at"] - run.pop("startedAt") == 1_000 for run in runs.values())  # making a model takes that long
    judged = {"ndcg": 0.25, "popularity": 0.125}
    assert {fence: {k: v for k, v in run.items() if k != "at"} for fence, run in runs.items()} == {
        "1": {"runId": "manual-1", "fence": 1, "outcome": "published", "version": first.version, **judged},
        "2": {"runId": "manual-2", "fence": 2, "outcome": "refused", "reason": "it loses to popularity", **judged},
        "3": {"runId": "manual-3", "fence": 3, "outcome": "failed", "reason": "out of memory"},
    }


@pytest.mark.parametrize(
    "metrics", [{}, {"model": None}, {"model": {}}, {"model": {"ndcg": {"mean": float("nan")}}, "baselines": None}]
)
def test_a_run_without_figures_is_recorded_without_them(world, metrics):
    world.publish(metrics=metrics)
    assert "ndcg" not in world.memory.get(f"{paths.STATUS}/training/run")


def test_a_publish_whose_answer_was_lost_is_a_publish(world):
    def lose_the_answer(change):
        change_pointer(change)
        raise ConnectionError("reset by peer")

    change_pointer, world.database.change_pointer = world.database.change_pointer, lose_the_answer
    assert world.publish() == world.live()
    assert world.database.lease().outcome == "published"


def test_a_publish_whose_write_the_client_repeats_by_itself_is_a_publish(world):
    def repeated(change):
        change_pointer(change)  # its answer got lost, and the client sends the conditional write again
        return change_pointer(change)

    change_pointer, world.database.change_pointer = world.database.change_pointer, repeated
    assert world.publish() == world.live()
    assert world.database.lease().outcome == "published"


@pytest.mark.parametrize("moment", ["change_pointer", "clear_marks", "update"])
@pytest.mark.parametrize("problem", [KeyboardInterrupt(), ConnectionError("reset by peer")])
def test_a_run_that_is_interrupted_after_the_switch_has_published(world, monkeypatch, moment, problem):
    work = getattr(world.database, moment)

    def failing(*arguments):
        done = work(*arguments)
        if world.live() is not None:
            monkeypatch.setattr(world.database, moment, work)
            raise problem
        return done

    monkeypatch.setattr(world.database, moment, failing)
    with contextlib.suppress(KeyboardInterrupt, ConnectionError):
        world.publish()
    live, training = world.live(), world.memory.get(f"{paths.STATUS}/training")
    assert live is not None
    assert (training["run"]["outcome"], training["run"]["version"]) == ("published", live.version)
    assert training["outcomes"] == {"published": 1}
    assert world.database.lease() == Lease(None, 1, outcome="published")


def test_a_run_that_cannot_tell_how_its_switch_ended_keeps_its_lease_and_records_nothing(world, monkeypatch):
    change = world.database.change_pointer

    def away_for_a_moment(name):
        work = getattr(world.database, name)

        def away(*arguments):
            monkeypatch.setattr(world.database, name, work)
            raise UnavailableError("the database is away")

        monkeypatch.setattr(world.database, name, away)

    def unanswered(changed):
        change(changed)
        away_for_a_moment("pointer")
        away_for_a_moment("change_lease")
        raise UnavailableError("the answer was lost")

    monkeypatch.setattr(world.database, "change_pointer", unanswered)
    with pytest.raises(UnavailableError):
        world.publish()
    assert world.live().fence == 1
    assert world.database.lease().holder == "manual-1"
    assert world.memory.get(f"{paths.STATUS}/training/run/outcome") == "running"


def test_a_run_that_is_interrupted_before_the_switch_is_on_record_as_interrupted_and_counts_no_failure(world):
    with pytest.raises(KeyboardInterrupt):
        world.publish(KeyboardInterrupt())
    run_record = world.memory.get(f"{paths.STATUS}/training/run")
    assert (run_record["outcome"], run_record["reason"]) == ("failed", "interrupted by hand")
    assert world.database.lease() == Lease(None, 1)


def test_a_run_that_lost_its_lease_publishes_nothing(world):
    live = world.publish()

    def make(order, step):
        world.clock.now += 10_000_000
        step("judging")

    with pytest.raises(LeaseLost):
        run(world.services, make)
    assert world.live() == live


def test_old_versions_are_removed_and_kept_ones_stay(world):
    names = []
    for _ in range(13):
        names.append(world.publish().version)
        world.clock.now += versions.RETIRE_AFTER_MS
    left = {name.split("/")[1] for name in world.bucket.objects}
    assert left == set(world.live().kept) == set(names[-10:])


def test_no_model_is_trained_on_a_reader_who_has_left(world):
    world.memory.update({f"{paths.READERS}/u": "gone"})
    seen = []

    def make(order, step):
        seen.append((len(order.snapshot.ratings), order.snapshot.rejected))
        raise RefusedModelError("nothing left")

    with pytest.raises(RefusedModelError):
        run(world.services, make)
    assert seen == [(0, {"entry:reader_gone": 1})]


def test_a_run_whose_lease_was_freed_while_it_waited_for_the_answer_of_its_switch_records_nothing(world, monkeypatch):
    change = world.database.change_pointer

    def answered_late(changed):
        change(changed)
        monkeypatch.undo()
        world.clock.now += 600_000  # the lease expires, and is freed; the next run publishes
        world.database.change_lease(lambda held: free_expired(held, world.clock.now, held.fence))
        world.memory.update({f"{paths.STATUS}/training/runs/1": {"outcome": "published"}})
        world.publish()
        raise UnavailableError("the answer was lost")

    monkeypatch.setattr(world.database, "change_pointer", answered_late)
    with pytest.raises(UnavailableError):
        world.publish()
    training = world.memory.get(f"{paths.STATUS}/training")
    outcomes = {fence: record["outcome"] for fence, record in paths.children(training["runs"]).items()}
    assert outcomes == {"1": "published", "2": "published"}
    assert training["run"]["fence"] == world.live().fence == 2
    assert training["outcomes"] == {"published": 1}  # the second run's; what frees a lease counts on its own
