"""Lists that were made for all readers at once, on their way into the database: they never replace newer ones."""

import pytest

from backend.handlers import model_published
from backend.handlers.entry_written import EntryWritten
from backend.list_writes import make_list
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.errors import StoreUnavailable
from bookrec.life_cycle.manifest import parse_pointer, sha256
from bookrec.list_shards import INDEX, ShardEntry, ShardIndex, pack, shard_name, to_line
from bookrec.shelf import build_shelf, sort_out
from tests.fakes import World, entry, load_fake

READERS = 6
SHARD = 2


@pytest.fixture
def world():
    """Six readers with lists of version v1; v4 gives the same lists, v2 others."""
    world = World()
    world.publish("v1", 1)
    for number in range(READERS):
        rate(world, f"k{number}", entry(f"u{number}", f"isbn00{number}"))
    world.clock.now += 1000
    return world


def rate(world, key, value, backend=None):
    """Write an entry as the app does; its event comes at once, in this instance or in another ``backend``."""
    before = world.database.entry(key)
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    (backend or world.backend).entry_written(EntryWritten("e", key, before, value, None))


def publish(world, version="v2", fence=2):
    """Do as a training run does: a snapshot, lists of all readers, files, marks of what was trained on, the pointer."""
    snapshot_at = world.clock.now
    entries, _ = sort_out(world.database.get(paths.USER_BOOK) or {})
    catalogue, _ = parse_catalogue(world.database.get(paths.ARCHIVE))
    world.publish(version, fence)
    items = world.store.objects[paths.model_object(version, "items.json")]
    model = load_fake(version, version.encode(), items)
    users = sorted({entry.user_id for entry in entries} - set(world.database.gone()), key=paths.key_order)
    shards = []
    for start in range(0, len(users), SHARD):
        part = users[start : start + SHARD]
        content = pack(to_line(make_list(build_shelf(user, entries), model, catalogue), catalogue) for user in part)
        world.store.objects[paths.list_object(version, shard_name(len(shards)))] = content
        shards.append(ShardEntry(sha256(content), len(part), part[-1]))
    world.store.objects[paths.list_object(version, INDEX)] = ShardIndex(version, tuple(shards)).to_bytes()
    world.database.update({f"{paths.MODEL}/lists": len(shards), f"{paths.MODEL}/snapshotAt": snapshot_at})
    world.clock.now += 1000
    world.database.update({paths.CHANGES: None, paths.DIRTY: None})
    return f"{version}@{fence}"


def shards_queued(world):
    return [payload for function, payload, _ in world.tasks.queued.values() if function == "fanout"]


def run_all(world):
    for payload in shards_queued(world):
        world.backend.fanout(payload["publication"], payload["shard"], payload.get("users"))


def assert_right(world, user_id, version="v2"):
    """Assert that the list is the one that the functions would make from the present shelf."""
    entries, _ = sort_out(world.database.get(paths.USER_BOOK) or {})
    catalogue, _ = parse_catalogue(world.database.get(paths.ARCHIVE))
    model = load_fake(version, version.encode(), world.store.objects[paths.model_object(version, "items.json")])
    made = make_list(build_shelf(user_id, entries), model, catalogue)
    present = world.list_of(user_id)
    assert present == {**made.to_node(catalogue, present["generatedAt"]), "modelVersion": present["modelVersion"]}


def test_a_publish_with_lists_names_shards_and_reads_neither_users_nor_shelves(world, monkeypatch):
    monkeypatch.setattr(type(world.database), "user_ids", None)
    publication = publish(world)
    reads = world.database.shelf_reads
    world.backend.model_published()
    assert shards_queued(world) == [{"publication": publication, "shard": number} for number in range(3)]
    run_all(world)
    assert world.database.shelf_reads == reads
    for number in range(READERS):
        assert_right(world, f"u{number}")
        assert world.list_of(f"u{number}")["modelVersion"] == "v2"
    assert world.database.status("fanout")["done"] == [True, True, True]
    assert world.database.pending().changes == 0
    assert "lists" not in world.backend.reconcile(rests=False)


def test_a_list_that_stays_the_same_is_not_written(world):
    publish(world, "v4")
    before = {number: world.list_of(f"u{number}") for number in range(READERS)}
    counted = world.database.status("counters")["listWrites"]
    world.backend.model_published()
    run_all(world)
    assert {number: world.list_of(f"u{number}") for number in range(READERS)} == before
    assert world.database.status("counters")["listWrites"] == counted


def test_a_shelf_that_changed_since_the_snapshot_keeps_the_list_of_the_event(world):
    publish(world)
    rate(world, "k1", entry("u1", "isbn020"))
    world.backend.model_published()
    run_all(world)
    assert_right(world, "u1")
    assert world.list_of("u1")["items"][0]["isbn"] == "isbn022"
    assert world.database.get(f"{paths.DIRTY}/u1/at") > world.database.pointer()["snapshotAt"]


@pytest.mark.parametrize("moment", range(1, 12))
def test_an_event_at_any_moment_of_its_shard_ends_in_the_list_of_the_event(world, moment):
    publish(world)
    world.backend.model_published()
    memory, requests = world.database.memory, []

    def perform(kind, request):
        requests.append(kind)
        if len(requests) == moment:
            memory.perform = lambda kind, request: request()
            world.clock.now += 1
            rate(world, "k1", entry("u1", "isbn020"), world.restarted())
            memory.perform = perform
        return request()

    memory.perform = perform
    run_all(world)
    assert len(requests) > moment
    assert_right(world, "u1")
    assert world.list_of("u1")["items"][0]["isbn"] == "isbn022"


def test_a_reader_who_is_marked_before_a_shard_is_written_is_left_to_the_usual_path(world, monkeypatch):
    publish(world)
    rate(world, "k1", entry("u1", "isbn020"))
    world.backend.model_published()
    update, written = world.database.update, []

    def note(values):
        node = values.get(paths.recommendations("u1"))
        written.extend([node["items"][0]["isbn"]] if node else [])
        update(values)

    monkeypatch.setattr(world.database, "update", note)
    world.database.update({paths.recommendations("u1"): None, f"{paths.USERS}/u1/id": "u1"})
    run_all(world)
    assert written == ["isbn022"]


def test_a_list_of_an_event_that_is_overwritten_is_made_again_before_the_shard_is_done(world, monkeypatch):
    """The worst moment: after the marks were read, before the lists are written."""
    publish(world)
    world.backend.model_published()
    update, overtaken = world.database.update, []

    def update_late(values):
        if paths.recommendations("u1") in values and not overtaken:
            overtaken.append(True)
            rate(world, "k1", entry("u1", "isbn020"))
            assert world.list_of("u1")["items"][0]["isbn"] == "isbn022"
        update(values)

    monkeypatch.setattr(world.database, "update", update_late)
    run_all(world)
    assert overtaken
    assert_right(world, "u1")


def test_a_newer_model_that_goes_live_in_the_middle_of_a_shard_has_the_last_word(world):
    first = publish(world)
    world.backend.model_published()
    sleep = world.clock.sleep

    def sleep_and_publish(seconds):
        sleep(seconds)
        world.clock.sleep = sleep
        publish(world, "v5", 3)

    world.clock.sleep = sleep_and_publish
    world.backend.fanout(first, 0, None)
    assert world.list_of("u0")["modelVersion"] == "v5"
    world.backend.fanout(first, 1, None)  # a late task of the older one
    assert world.list_of("u2")["modelVersion"] == "v1"


def test_a_task_that_died_continues_and_one_that_is_repeated_does_nothing(world, monkeypatch):
    publication = publish(world)
    world.backend.model_published()
    update = world.database.update

    def die(values):
        update(values)
        if any(path.endswith("recommendations") for path in values):
            raise ConnectionError("the instance dies")

    monkeypatch.setattr(world.database, "update", die)
    with pytest.raises(ConnectionError):
        world.backend.fanout(publication, 0, None)
    monkeypatch.setattr(world.database, "update", update)
    assert world.database.status("fanout").get("done") is None
    rate(world, "k1", entry("u1", "isbn020"))
    world.restarted().fanout(publication, 0, None)
    assert_right(world, "u1")
    world.database.update({paths.recommendations("u0"): None})
    world.backend.fanout(publication, 0, None)
    assert world.list_of("u0") is None  # the shard is done: the sweep will repair this


@pytest.mark.parametrize("damage", ["altered", "missing", "no lines"])
def test_the_readers_of_a_damaged_shard_are_refreshed_on_the_usual_path_with_an_alarm(world, damage, capsys):
    publish(world)
    name = "lists/v2/00001.json.gz"
    if damage == "missing":
        del world.store.objects[name]
    else:
        world.store.objects[name] = b"" if damage == "no lines" else world.store.objects[name][:-1]
    world.backend.model_published()
    run_all(world)
    assert '"alarm": "list-shard-unusable"' in capsys.readouterr().out
    for number in range(READERS):
        assert_right(world, f"u{number}")
    assert world.database.status("fanout")["done"] == [True, True, True]


def test_without_the_index_the_sweep_brings_all_lists(world, capsys):
    publish(world)
    del world.store.objects["lists/v2/index.json"]
    world.backend.model_published()
    run_all(world)
    assert world.list_of("u0")["modelVersion"] == "v1"
    assert '"alarm": "list-shard-unusable"' in capsys.readouterr().out
    world.backend.reconcile(rests=False)
    for number in range(READERS):
        assert_right(world, f"u{number}")


def test_an_unreachable_bucket_makes_the_queue_try_the_task_again(world):
    publication = publish(world)
    world.backend.model_published()
    world.store.is_away = True
    with pytest.raises(StoreUnavailable):
        world.backend.fanout(publication, 0, None)
    assert world.database.status("fanout").get("done") is None


def test_a_reader_who_left_gets_no_list_and_one_without_entries_gets_one(world):
    world.database.update({f"{paths.USERS}/u1/id": "u1", f"{paths.USERS}/u2/id": "u2"})
    world.backend.reconcile(rests=False)
    publish(world)
    world.database.update({f"{paths.USERS}/u1": None, f"{paths.USERS}/u15/id": "u15", f"{paths.USERS}/z/id": "z"})
    world.backend.model_published()
    run_all(world)
    assert world.list_of("u15")["modelVersion"] == world.list_of("z")["modelVersion"] == "v2"
    assert_right(world, "u2")
    assert world.list_of("u1") is None
    assert list(world.database.gone()) == ["u1"]


def test_a_book_that_has_left_the_catalogue_is_on_no_list(world):
    publish(world)
    world.database.update({f"{paths.ARCHIVE}/a002": None})
    world.clock.now += 1
    world.backend.model_published()
    run_all(world)
    for number in range(READERS):
        assert_right(world, f"u{number}")


def test_lists_are_written_at_a_bounded_rate(world):
    publish(world)
    world.backend.model_published()
    began = world.clock.now
    run_all(world)
    assert world.clock.now - began == READERS * 1000 // (200 // 4)


def test_shards_that_got_lost_are_queued_again_and_those_that_are_done_stay_done(world, monkeypatch):
    publication = publish(world)
    world.backend.model_published()
    world.backend.fanout(publication, 1, None)
    world.clock.now += model_published.FANOUT_PATIENCE_MS
    world.tasks.queued.clear()
    world.backend.model_published()
    assert len(shards_queued(world)) == 3
    world.database.update({paths.recommendations("u2"): None})
    run_all(world)
    assert world.list_of("u2") is None  # its shard was done before
    assert_right(world, "u0")
    assert len(world.database.status("fanout")["done"]) == 3


def test_readers_in_the_other_arm_of_an_experiment_get_the_lists_of_their_model(world):
    publish(world)
    world.backend.operating.experiment({"version": "v1", "share": 0.5})
    pointer = parse_pointer(world.database.pointer())
    arms = {number: pointer.experiment.arm(f"u{number}") for number in range(READERS)}
    assert set(arms.values()) == {"a", "b"}
    world.backend.model_published()
    run_all(world)
    for number, arm in arms.items():
        assert_right(world, f"u{number}", "v1" if arm == "b" else "v2")
    world.backend.operating.experiment({})
    world.tasks.queued.clear()
    world.backend.model_published()
    run_all(world)
    for number in range(READERS):
        assert_right(world, f"u{number}")


def test_an_unnoticed_conversion_before_the_snapshot_counts_for_the_list_that_the_shard_replaces(world):
    book = world.list_of("u1")["items"][0]["isbn"]
    world.database.update({f"{paths.USER_BOOK}/n1": entry("u1", book)})  # its event is lost
    publish(world)
    world.backend.model_published()
    run_all(world)
    assert_right(world, "u1")
    conversions = world.database.get(f"{paths.CONVERSIONS}/u1/v1")
    assert conversions["hits"] == {"n1": {"position": 1, "source": "personal"}}
