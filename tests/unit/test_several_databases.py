"""Readers in several database instances: each is served where the reader is, with one catalogue, model and lease."""

import json
from dataclasses import replace

import pytest

from backend import composition
from backend.handlers.entry_written import EntryWritten
from backend.list_writes import make_list
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.life_cycle.manifest import sha256
from bookrec.life_cycle.retraining import Pending
from bookrec.list_shards import INDEX, ShardEntry, ShardIndex, pack, shard_name, to_line
from bookrec.shelf import build_shelf, sort_out
from bookrec_database.connection import instance_name
from bookrec_database.database import FirebaseDatabase
from tests.fakes import SETTINGS, World, entry, load_fake, one_by_one
from tests.memory_database import MemoryDatabase


class Two(World):
    """A world of two instances; the second one's is ``second``."""

    def __init__(self):
        super().__init__()
        self.second = MemoryDatabase(self.clock.now_ms)
        further = FirebaseDatabase(self.second.reference, one_by_one, self.database.memory.reference)
        self._services = replace(self._services, others={"second": further})
        self.backend = self.restarted()

    def rate(self, key, value, instance=""):
        database = self.second if instance else self.database
        before = database.get(f"{paths.USER_BOOK}/{key}")
        database.update({f"{paths.USER_BOOK}/{key}": value})
        self.backend.of(instance).entry_written(EntryWritten("e", key, before, value, None))

    def isbns_of(self, user_id, instance=""):
        node = (self.second if instance else self.database).get(paths.recommendations(user_id))
        return [item["isbn"] for item in node["items"]] if node else None


@pytest.fixture
def world():
    world = Two()
    world.publish("v1", 1)
    world.rate("k1", entry("first", "isbn001"))
    world.rate("k2", entry("second", "isbn001"), "second")
    return world


def alarms(capsys):
    """Return the instances that the alarms since the last call name."""
    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    return [line["instance"] for line in lines if line.get("alarm") == "unknown-instance"]


def run_fanouts(world):
    done = []
    for function, task, _ in list(world.tasks.queued.values()):
        if function == "fanout":
            backend = world.backend.of(str(task.get("instance", "")))
            backend.fanout(task["publication"], task["shard"], task.get("users"))
            done.append(task)
    return done


def test_similar_books_are_in_the_first_instance_alone_with_the_catalogue(world):
    world.backend.similar_books()
    for function, task, _ in list(world.tasks.queued.values()):
        if function == "similar":
            world.backend.similar_books.page(task["publication"], task["attempt"], task["page"], "", None)
    assert world.database.get(f"{paths.SIMILAR}/isbn001")
    assert world.second.get(paths.SIMILAR) is None
    queued = len(world.tasks.queued)
    world.backend.of("second").reconcile(rests=False)
    assert not [task for task in list(world.tasks.queued.values())[queued:] if task[0] == "similar"]


def test_a_list_is_written_where_its_reader_is_from_the_first_ones_catalogue_and_model(world):
    assert world.isbns_of("first") == world.isbns_of("second", "second") != None  # noqa: E711
    assert world.isbns_of("second") is None
    assert world.isbns_of("first", "second") is None
    assert world.second.get(paths.ARCHIVE) is None
    assert set(world.second.get(paths.DIRTY)) == {"second"}


def test_what_belongs_to_an_instance_that_nobody_configured_is_ignored_with_one_alarm_an_hour(world, capsys):
    assert world.backend.of("") is world.backend.of("demo") is world.backend
    before = world.database.get("/") | {"Recommender": None}
    for instance in ("staging", "Second", "demo-2", "demo/", "staging"):
        assert world.backend.of(instance) is None
        assert world.restarted().of(instance) is None  # another process
        world.clock.now += 60_000
    assert world.database.get("/") | {"Recommender": None} == before
    assert alarms(capsys) == ["staging"]
    world.clock.now += 3_600_000
    assert world.backend.of("staging") is world.restarted().of("staging") is None
    assert alarms(capsys) == ["staging"]


@pytest.mark.parametrize("at", [10**14, 2e12, "yesterday", True, {"a": 1}])
def test_a_time_of_the_last_alarm_that_cannot_be_right_does_not_silence_the_next_one(world, capsys, at):
    world.database.update({f"{paths.STATUS}/unknownInstance/at": at})
    world.backend.of("staging")
    world.clock.now += 60_000
    world.restarted().of("staging")
    assert alarms(capsys) == ["staging"]


def test_changes_of_all_instances_count_for_one_run_under_one_lease(world):
    for number in range(SETTINGS.policy.minimum_changes - 2):
        world.rate(f"k{number + 3}", entry("second", f"isbn00{number + 2}"), "second")
    world.clock.now += SETTINGS.policy.quiet_ms
    assert world.backend.retrain(0) == "started"
    assert world.backend.of("second").retrain(0) == "busy"
    assert len(world.jobs.started) == 1
    assert world.second.get(paths.LEASE) is None


def test_a_new_model_reaches_the_readers_of_all_instances(world):
    before = world.isbns_of("second", "second")
    for database in (world.database, world.second):
        database.update({"Users/first/id" if database is world.database else "Users/second/id": "x"})
    world.publish("v2", 2)
    for backend in (world.backend, *world.backend.others.values()):
        backend.model_published()
    assert {str(task.get("instance", "")) for task in run_fanouts(world)} == {"", "second"}
    assert world.isbns_of("first") == world.isbns_of("second", "second") != before
    assert world.second.get(f"{paths.STATUS}/fanout/done") == [True]


@pytest.mark.parametrize("fails", [0, 1])
def test_an_instance_that_fails_keeps_a_new_model_from_its_own_readers_only(world, fails, monkeypatch):
    for database, user in ((world.database, "first"), (world.second, "second")):
        database.update({f"{paths.USERS}/{user}/id": "x"})
    world.publish("v2", 2)
    composition.use(world.backend)
    failing = (world.backend, world.backend.others["second"])[fails].model_published._database
    monkeypatch.setattr(failing, "user_ids", lambda: 1 / 0)
    try:
        with pytest.raises(ZeroDivisionError):
            composition.model_published()
    finally:
        composition.use(None)
    assert {str(task.get("instance", "")) for task in run_fanouts(world)} == {["second", ""][fails]}


def test_lists_in_shards_are_written_where_their_readers_are(world):
    world.publish("v2", 2)
    entries = [*sort_out(world.database.get(paths.USER_BOOK))[0], *sort_out(world.second.get(paths.USER_BOOK))[0]]
    catalogue, _ = parse_catalogue(world.database.get(paths.ARCHIVE))
    model = load_fake("v2", b"v2", world.store.objects[paths.model_object("v2", "items.json")])
    content = pack(
        to_line(make_list(build_shelf(user, entries), model, catalogue), catalogue) for user in ("first", "second")
    )
    index = ShardIndex("v2", (ShardEntry(sha256(content), 2, "second"),))
    world.store.objects[paths.list_object("v2", shard_name(0))] = content
    world.store.objects[paths.list_object("v2", INDEX)] = index.to_bytes()
    world.clock.now += 1000
    lists = {f"{paths.MODEL}/lists": 1, f"{paths.MODEL}/listsSha256": sha256(index.to_bytes())}
    world.database.update({**lists, f"{paths.MODEL}/snapshotAt": world.clock.now})
    before = world.isbns_of("first")
    for backend in (world.backend, *world.backend.others.values()):
        backend.model_published()
    assert len(run_fanouts(world)) == 2
    assert world.isbns_of("first") == world.isbns_of("second", "second") != before
    assert world.isbns_of("second") is None
    assert world.isbns_of("first", "second") is None


def test_what_was_lost_is_repaired_in_every_instance(world):
    world.second.update({f"{paths.USER_BOOK}/k9": entry("late", "isbn004")})
    composition.use(world.backend)
    try:
        composition.reconcile()
    finally:
        composition.use(None)
    assert world.isbns_of("late", "second")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://books-2.firebaseio.com", "books-2"),
        ("https://books-3.europe-west1.firebasedatabase.app/", "books-3"),
        ("http://127.0.0.1:9000?ns=books-4", "books-4"),
    ],
)
def test_an_instance_is_known_by_its_address(url, name):
    assert instance_name(url) == name


def test_changes_of_several_databases_are_added_up():
    assert Pending.of_all([Pending(2, 5, 9), Pending(), Pending(1, 3, 4)]) == Pending(3, 3, 9)
    assert Pending.of_all([]) == Pending()


def test_an_operator_acts_on_all_instances(world):
    world.publish("v2", 2)
    operating = world.backend.of("second").operating
    assert operating is world.backend.operating
    assert operating.reconcile() == {"repaired": {"fanouts": 2, "lists": 2, "marks": 2}}
    operating.experiment({"version": "v1", "share": 0.999})
    operating.reconcile()
    run_fanouts(world)
    for instance, user_id in (("", "first"), ("second", "second")):
        database = world.second if instance else world.database
        assert database.get(paths.recommendations(user_id))["modelVersion"] == "v1"


def test_conversions_are_stored_and_counted_in_their_readers_instance(world):
    world.rate("k3", entry("second", world.isbns_of("second", "second")[0]), "second")
    world.backend.operating.reconcile()
    quality = f"{paths.STATUS}/quality/labels"
    assert world.second.get(f"{paths.CONVERSIONS}/second/v1/hits/k3/position") == 1
    assert world.second.get(quality)["v1"]["hits"] == 1
    assert world.database.get(quality) is None
