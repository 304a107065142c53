"""What an operator does, one suite over both ways to do it: the callable functions, and the trainer's commands."""

import pytest

from bookrec import paths
from bookrec.errors import BadArgument, BadModel, LeaseLost, NotNow
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.lease import Lease
from bookrec.life_cycle.manifest import parse_pointer, usable_pointer
from bookrec_operations.experiment import end_experiment, start_experiment
from bookrec_operations.lease_holder import LeaseHolder, never_beat
from bookrec_operations.release import release
from bookrec_operations.rollback import roll_back
from tests.fakes import World, load_fake
from trainer.run import Services


class ByFunctions:
    """The operator's page, and what it calls."""

    def __init__(self, world):
        self._world = world

    @property
    def _operating(self):
        return self._world.backend.operating

    def roll_back(self, version):
        return self._operating.rollback(version)["version"]

    def start(self, version, share):
        return self._operating.experiment({"version": version, "share": share})["experiment"]

    def end(self):
        return self._operating.experiment({"action": "end"})["experiment"]

    def release(self):
        return self._operating.release()["failures"]


class ByCommands:
    """The trainer's services, and what its commands call."""

    def __init__(self, world):
        self._services = Services(world.database, world.store, load_fake, world.clock.now_ms, never_beat)

    def roll_back(self, version):
        services = self._services
        lease = services.lease(purpose=leases.ROLLBACK)
        return roll_back(services.database, services.verify, lease, services.now_ms, version).version

    def start(self, version, share):
        services = self._services
        return start_experiment(services.database, services.verify, version, share, services.now_ms()).to_node()

    def end(self):
        end_experiment(self._services.database)
        live = usable_pointer(self._services.database.pointer())
        return live.experiment if live else None

    def release(self):
        return release(self._services.database)


@pytest.fixture
def world():
    world = World()
    for fence, version in enumerate(("v1", "v2"), 1):
        world.publish(version, fence)
        world.clock.now += 1_000
    return world


@pytest.fixture(params=[ByFunctions, ByCommands])
def operator(request, world):
    return request.param(world)


def live(world):
    return parse_pointer(world.database.pointer())


# -- a rollback ------------------------------------------------------------------------------------------------------


def test_a_rollback_is_a_publish_of_a_kept_version_under_a_new_fence(world, operator):
    before = live(world)
    assert operator.roll_back("v1") == "v1"
    after = live(world)
    assert (after.version, after.fence, sorted(after.kept)) == ("v1", before.fence + 1, ["v1", "v2"])
    assert after.manifest_sha256 == before.kept["v1"]
    assert world.database.lease() == Lease(None, 3)
    assert operator.roll_back("v2") == "v2"  # and back again


def test_a_version_that_is_not_kept_is_named_with_those_that_are(world, operator):
    for act in (operator.roll_back, lambda version: operator.start(version, 0.5)):
        with pytest.raises(BadModel, match="version v0 is not kept; these are: v1, v2"):
            act("v0")
    assert (live(world).version, live(world).experiment) == ("v2", None)


def test_without_a_model_nothing_is_kept(world, operator):
    world.database.update({paths.MODEL: None})
    with pytest.raises(BadModel, match="these are: none"):
        operator.roll_back("v1")
    assert operator.end() is None


@pytest.mark.parametrize("damage", ["altered", "missing", "broken"])
def test_a_version_that_is_not_whole_any_more_gets_no_reader_and_the_lease_is_free(world, operator, damage):
    name = paths.model_object("v1", "recommend.tflite")
    if damage == "altered":
        world.store.objects[name] = b"v0"
    elif damage == "missing":
        world.store.delete(name)
    else:
        world.store.objects[paths.model_object("v1", "items.json")] = b"{}"
    before = live(world)
    with pytest.raises(BadModel):
        operator.roll_back("v1")
    with pytest.raises(BadModel):
        operator.start("v1", 0.5)
    assert live(world) == before
    assert world.database.lease().holder is None


def test_a_rollback_does_not_begin_while_a_run_is_live(world, operator):
    now = world.clock.now
    world.database.change_lease(lambda held: leases.acquire(held, "run", now, 10_000, 10_000, 2))
    with pytest.raises(NotNow, match=r"a run is live.*the lease is held by run run-3 under fence 3"):
        operator.roll_back("v1")
    assert live(world).version == "v2"
    assert world.database.lease().holder == "run-3"


def meanwhile(world, work):
    """Have something happen while a version is read back."""
    read, download, done = world.store.read, world.store.download, []

    def once(name, *rest):
        world.store.read, world.store.download = read, download
        if not done:
            done.append(True)
            work()
        return download(name, *rest) if rest else read(name)

    world.store.read = world.store.download = once


def test_a_rollback_that_outlives_its_lease_never_replaces_what_a_later_run_has_published(world, operator):
    def overtake():
        world.clock.now += 10_000_000
        world.database.change_lease(lambda held: leases.acquire(held, "run", world.clock.now, 1, 1, 3))
        world.publish("v3", 4)

    meanwhile(world, overtake)
    with pytest.raises(LeaseLost, match="took too long"):
        operator.roll_back("v1")
    assert live(world).version == "v3"
    assert world.database.lease().holder == "run-4"


def test_a_rollback_whose_answer_is_lost_is_a_rollback(world, operator, monkeypatch):
    change_pointer = world.database.change_pointer

    def lose_the_answer(change):
        change_pointer(change)
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(world.database, "change_pointer", lose_the_answer)
    assert operator.roll_back("v1") == "v1"
    assert live(world).version == "v1"


def test_a_rollback_that_does_not_reach_the_database_fails_and_frees_the_lease(world, operator, monkeypatch):
    def fail(change):
        raise ConnectionError("no route")

    monkeypatch.setattr(world.database, "change_pointer", fail)
    with pytest.raises(ConnectionError):
        operator.roll_back("v1")
    assert (live(world).version, world.database.lease().holder) == ("v2", None)


# -- a release -------------------------------------------------------------------------------------------------------


def test_a_release_forgives_failures_and_says_how_many(world, operator):
    world.database.update({paths.LEASE: Lease(fence=2, failures=5, failed_at=1, outcome="died").to_node()})
    assert operator.release() == 5
    assert world.database.lease() == Lease(fence=2, outcome="died")
    assert operator.release() == 0


# -- an experiment ---------------------------------------------------------------------------------------------------


def test_an_experiment_is_part_of_the_pointer_until_it_is_ended(world, operator):
    now = world.clock.now
    node = {"id": f"ab-{now}", "version": "v1", "share": 0.25, "startedAt": now}
    before = live(world)
    assert operator.start("v1", 0.25) == node
    assert live(world).experiment.to_node() == node
    assert operator.end() is None
    assert live(world).experiment is None
    assert live(world).switches == before.switches + 2
    ended = world.database.pointer()
    assert operator.end() is None
    assert world.database.pointer() == ended


def test_one_experiment_at_a_time_and_not_of_the_live_version(world, operator):
    with pytest.raises(NotNow, match="version v2 is live"):
        operator.start("v2", 0.5)
    begun = operator.start("v1", 0.5)
    with pytest.raises(NotNow, match="is running: end it first"):
        operator.start("v1", 0.5)
    assert live(world).experiment.to_node() == begun


def test_what_forbids_an_experiment_is_said_before_the_download(world, operator):
    meanwhile(world, lambda: pytest.fail("it was downloaded"))
    with pytest.raises(NotNow):
        operator.start("v2", 0.5)


def test_an_experiment_whose_version_goes_live_during_the_download_does_not_start(world, operator):
    meanwhile(world, lambda: world.publish("v1", 3))
    with pytest.raises(NotNow, match="version v1 is live"):
        operator.start("v1", 0.5)
    assert live(world).experiment is None


@pytest.mark.parametrize("share", [None, 0, 1, -0.5, 2, True, "0.5", float("nan"), [0.5]])
def test_a_share_that_is_none_is_a_bad_argument(world, operator, share):
    with pytest.raises(BadArgument, match="a number between 0 and 1"):
        operator.start("v1", share)
    assert live(world).experiment is None


# -- the lease -------------------------------------------------------------------------------------------------------


def test_a_lease_that_was_lost_is_not_given_back(world, caplog):
    with LeaseHolder(world.database, world.clock.now_ms, never_beat, 10_000, 60_000) as lease:
        assert (lease.run_id, lease.fence) == ("manual-3", 3)
        world.clock.now += 10_001
        other = world.database.change_lease(lambda held: leases.acquire(held, "run", world.clock.now, 9, 9))
        with pytest.raises(LeaseLost, match="held by run run-4 under fence 4"):
            lease.check()
    assert world.database.lease() == other
    assert "this run no longer holds it" in caplog.text
