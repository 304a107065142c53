"""What operators ask for, and lists while an experiment runs, over the in-memory twins."""

import pytest

from backend import models
from backend.handlers import retrain
from bookrec import paths
from bookrec.errors import BadArgument, BadModel, NotNow, StoreUnavailable
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.experiment import Experiment
from bookrec.life_cycle.lease import Lease
from bookrec.life_cycle.manifest import parse_pointer
from tests.fakes import World, entry
from tests.unit.test_handlers import write

USERS = [f"reader{number}" for number in range(12)]


@pytest.fixture
def world():
    world = World()
    for fence, version in enumerate(("v1", "v2"), 1):  # they give other lists
        world.publish(version, fence)
        world.clock.now += 1_000
    return world


@pytest.fixture
def readers(world):
    """The same world with a book on every shelf."""
    for number, user_id in enumerate(USERS):
        world.database.update({f"{paths.USERS}/{user_id}/id": user_id})
        write(world, f"k{number:02}", entry(user_id, "isbn004"))
    return world


def operating(world):
    return world.backend.operating


def pointer(world):
    return parse_pointer(world.database.pointer())


def experiment(world, version="v1", share=0.5):
    return Experiment(**{"id": "", **_python(operating(world).experiment({"version": version, "share": share}))})


def _python(answer):
    node = answer["experiment"]
    return {"id": node["id"], "version": node["version"], "share": node["share"], "started_at": node["startedAt"]}


def fan_out(world):
    """Deliver the pointer's event, and all tasks that it queues."""
    known = set(world.tasks.queued)
    world.backend.model_published()
    for task_id, (function, task, _) in list(world.tasks.queued.items()):
        if function == "fanout" and task_id not in known:
            world.backend.fanout(task["publication"], task["shard"], task.get("users"))


def versions(world):
    return {user_id: world.list_of(user_id)["modelVersion"] for user_id in USERS}


# -- a run -----------------------------------------------------------------------------------------------------------


def test_a_run_starts_at_once_though_nothing_has_changed_and_retraining_is_parked(world):
    world.database.update({paths.LEASE: Lease(fence=2, failures=9, failed_at=1, outcome="died").to_node()})
    assert operating(world).retrain() == {"outcome": "started"}
    assert world.jobs.started == [("run-3", 3)]
    assert operating(world).retrain() == {"outcome": "busy"}
    assert len(world.jobs.started) == 1


def test_a_run_that_cannot_be_started_is_remembered_with_its_reason(world):
    world.jobs.fails = True
    with pytest.raises(ConnectionError):
        operating(world).retrain()
    run = world.database.status("training/runs/3")
    assert (run["outcome"], run["reason"]) == ("failed", retrain.REASONS["failed"])


# -- a rollback ------------------------------------------------------------------------------------------------------


def test_a_rollback_makes_a_kept_version_live_under_a_new_fence_and_lists_follow(readers):
    assert operating(readers).rollback("v1") == {"version": "v1"}
    live = pointer(readers)
    assert (live.version, live.fence, sorted(live.kept)) == ("v1", 3, ["v1", "v2"])
    assert readers.database.lease() == Lease(None, 3)
    fan_out(readers)
    assert set(versions(readers).values()) == {"v1"}


@pytest.mark.parametrize("version", [None, 7, "", "a/b", {}])
def test_what_is_no_versions_name_is_a_bad_argument(world, version):
    with pytest.raises(BadArgument):
        operating(world).rollback(version)
    with pytest.raises(BadArgument):
        operating(world).experiment({"version": version, "share": 0.5})


def test_a_rollback_does_not_begin_while_a_run_is_live(world):
    operating(world).retrain()
    with pytest.raises(NotNow, match="a run is live"):
        operating(world).rollback("v1")
    assert pointer(world).version == "v2"


@pytest.mark.parametrize("is_away", [True, False])
def test_a_version_that_cannot_be_loaded_does_not_go_live_again_and_the_lease_is_free(world, is_away):
    world.store.is_away = is_away
    world.backend.operating._model._load = _refuse
    with pytest.raises(StoreUnavailable if is_away else BadModel):
        operating(world).rollback("v1")
    assert (pointer(world).version, world.database.lease().holder) == ("v2", None)


def _refuse(*files):
    raise BadModel("it does not load")


# -- a release -------------------------------------------------------------------------------------------------------


def test_a_release_forgives_failures_and_says_how_many(world):
    world.database.update({paths.LEASE: Lease(fence=2, failures=5, failed_at=1, outcome="died").to_node()})
    world.backend.retrain(0)
    assert operating(world).release() == {"failures": 5}
    assert operating(world).release() == {"failures": 0}
    assert world.database.status("training/parked") is None


# -- an experiment ---------------------------------------------------------------------------------------------------


def test_each_reader_gets_the_list_of_the_own_arm_and_all_get_the_live_models_after_the_end(readers):
    assert set(versions(readers).values()) == {"v2"}
    running = experiment(readers)
    fan_out(readers)
    expected = {user_id: "v1" if running.arm(user_id) == "b" else "v2" for user_id in USERS}
    assert set(expected.values()) == {"v1", "v2"}
    assert versions(readers) == expected
    assert readers.database.status("model")["experiment"] == {"version": "v1", "loads": True}
    assert operating(readers).experiment({"action": "end"}) == {"experiment": None}
    fan_out(readers)
    assert set(versions(readers).values()) == {"v2"}
    assert readers.database.status("model").get("experiment") is None


def test_an_event_and_the_reconciler_give_the_list_of_the_readers_arm(readers):
    running = experiment(readers)
    of_b = next(user_id for user_id in USERS if running.arm(user_id) == "b")
    of_a = next(user_id for user_id in USERS if running.arm(user_id) == "a")
    write(readers, "n1", entry(of_b, "isbn010"))
    write(readers, "n2", entry(of_a, "isbn010"))
    assert (versions(readers)[of_b], versions(readers)[of_a]) == ("v1", "v2")
    readers.database.update({paths.recommendations(user_id): None for user_id in (of_a, of_b)})
    readers.backend.reconcile(rests=False)
    assert versions(readers) == {user_id: "v1" if running.arm(user_id) == "b" else "v2" for user_id in USERS}
    assert readers.backend.reconcile(rests=False) == {}


def test_an_experiment_that_starts_while_a_list_is_made_gives_the_list_of_the_arm(readers):
    running = Experiment(f"ab-{readers.clock.now}", "v1", 0.999, readers.clock.now)

    def start(number):
        if number == before + 1:
            experiment(readers, share=0.999)

    before, readers.database.on_second_look = readers.database.second_looks, start
    write(readers, "n1", entry(USERS[0], "isbn010"))
    assert running.arm(USERS[0]) == "b"
    assert versions(readers)[USERS[0]] == "v1"


def test_where_the_other_model_cannot_be_loaded_everybody_gets_the_live_one_and_the_status_says_so(readers):
    experiment(readers)
    name = paths.model_object("v1", "recommend.tflite")
    whole, readers.store.objects[name] = readers.store.objects[name], b"v0"
    fan_out(readers)
    assert set(versions(readers).values()) == {"v2"}
    state = readers.database.status("model")
    assert (state["loads"], state["experiment"]["loads"]) == (True, False)
    assert "SHA-256" in state["experiment"]["problem"]
    readers.store.objects[name] = whole
    readers.clock.now += models.TRY_AGAIN_AFTER_MS
    readers.backend.reconcile(rests=False)
    assert "v1" in versions(readers).values()
    assert readers.database.status("model/experiment/loads") is True


def test_a_store_that_is_away_leaves_the_lists_of_the_other_arm_and_has_the_fan_out_tried_again(readers):
    running = experiment(readers)
    fan_out(readers)
    before = versions(readers)
    other = readers.restarted()
    other.reconcile(rests=False)
    download, readers.store.download = readers.store.download, _away_for("v1", readers.store.download)
    another = readers.restarted()
    with pytest.raises(StoreUnavailable):
        another.fanout(pointer(readers).publication, 0, USERS)
    another.reconcile(rests=False)
    assert versions(readers) == before
    readers.store.download = download
    readers.clock.now += models.TRY_AGAIN_AFTER_MS
    another.fanout(pointer(readers).publication, 0, USERS)
    assert versions(readers) == before
    assert running.version in before.values()


def _away_for(version, download):
    def away(name, size):
        if version in name:
            raise StoreUnavailable("nobody answers")
        return download(name, size)

    return away


def test_models_are_downloaded_once_and_the_other_one_is_let_go_with_the_experiment(readers):
    fan_out(readers)
    seen, download = [], readers.store.download
    readers.store.download = lambda name, size: seen.append(name) or download(name, size)
    experiment(readers)
    seen.clear()
    fan_out(readers)
    assert {name.split("/")[1] for name in seen} == {"v1"}
    seen.clear()
    readers.publish("v3", 3)
    fan_out(readers)
    assert {name.split("/")[1] for name in seen} == {"v3"}
    operating(readers).experiment({"action": "end"})
    fan_out(readers)
    assert readers.backend.operating._model._loaded.other is None


@pytest.mark.parametrize("is_another_before", [False, True], ids=["no other before", "another one, removed by hand"])
def test_an_instance_that_does_not_know_of_an_experiment_yet_notes_for_it_what_a_reader_shelved(
    world, is_another_before
):
    other = world.restarted()
    world.database.update({f"{paths.USERS}/u/id": "u"})
    if is_another_before:
        experiment(world)
    other.entry_written(write(world, "k1", entry("u", "isbn004"), deliver=False))
    world.database.update({f"{paths.MODEL}/experiment": None})
    world.clock.now += 1
    running = experiment(world)
    on_list = world.list_of("u")["items"][0]["isbn"]
    other.entry_written(write(world, "k2", entry("u", on_list), deliver=False))
    found = world.database.get(f"{paths.CONVERSIONS}/u/{running.id}")
    assert (found["arm"], found["hits"]["k2"]["position"]) == (running.arm("u"), 1)


def while_users_are_read(world, work):
    """Have something happen while the next fan-out reads all users."""
    user_ids = world.database.user_ids

    def meanwhile():
        world.database.user_ids = user_ids
        found = user_ids()
        work()
        return found

    world.database.user_ids = meanwhile


def assert_all_lists_are_said_to_follow(world):
    state = world.database.status("fanout")
    assert state["publication"] == pointer(world).publication
    assert len(paths.children(state.get("done"))) == state["shards"] > 1


def test_of_two_events_of_one_pointer_the_later_leaves_the_marks_of_what_is_done(readers):
    experiment(readers)
    while_users_are_read(readers, lambda: fan_out(readers))
    readers.restarted().model_published()
    assert_all_lists_are_said_to_follow(readers)


def test_an_event_of_what_was_live_before_leaves_the_fan_out_of_what_is_live_now(readers):
    def another_instead():
        readers.database.update({f"{paths.MODEL}/experiment": None})
        readers.clock.now += 1
        experiment(readers)
        fan_out(readers)

    experiment(readers)
    while_users_are_read(readers, another_instead)
    readers.restarted().model_published()
    assert_all_lists_are_said_to_follow(readers)


@pytest.mark.parametrize("arguments", [{}, {"share": 0.5}, {"version": None}, {"action": "start"}, {"action": ""}])
def test_arguments_that_got_lost_do_not_end_the_experiment(world, arguments):
    experiment(world)
    with pytest.raises(BadArgument):
        operating(world).experiment(arguments)
    assert pointer(world).experiment is not None


# -- the history of runs ---------------------------------------------------------------------------------------------


def test_a_run_that_never_began_is_remembered_as_dead_and_a_rollback_is_no_run(world):
    operating(world).retrain()
    world.clock.now += 10_000_000
    world.backend.reconcile(rests=False)
    run = world.database.status("training/runs/3")
    assert (run["runId"], run["outcome"], run["reason"]) == ("run-3", "died", retrain.REASONS["died"])
    world.database.change_lease(lambda held: leases.acquire(held, leases.ROLLBACK, world.clock.now, 1, 1, 3))
    world.clock.now += 10
    world.backend.reconcile(rests=False)
    assert list(paths.children(world.database.status("training/runs"))) == ["3"]


def test_what_a_run_has_recorded_itself_stays_when_it_dies_before_it_gives_the_lease_back(world):
    operating(world).retrain()
    own = {"runId": "run-3", "fence": 3, "outcome": "refused", "reason": "it loses to popularity", "at": 1}
    world.database.update({f"{retrain.RUNS}/3": own})
    world.clock.now += 10_000_000
    world.backend.reconcile(rests=False)
    assert world.database.status("training/runs/3") == own


def test_the_newest_runs_are_remembered(world):
    runs = {f"{retrain.RUNS}/{fence}": {"fence": fence} for fence in range(5, 5 + retrain.KEPT_RUNS + 3)}
    world.database.update(runs)
    world.backend.reconcile(rests=False)
    assert sorted(map(int, paths.children(world.database.status("training/runs")))) == list(range(8, 58))
