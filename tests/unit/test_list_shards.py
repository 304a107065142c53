"""Lists that were made for all readers at once, on their way into the database: they never replace newer ones."""

import gzip
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from backend import shard_writer
from backend.composition import build
from backend.guards.list_sample import is_of_model
from backend.handlers import model_published
from backend.handlers.dismissed_written import DismissedWritten
from backend.handlers.entry_written import EntryWritten
from backend.list_writes import DEFAULT_SIZES, make_list
from backend.parameters import FANOUT_TASKS, LIST_BYTES_PER_SECOND
from bookrec import paths
from bookrec.catalogue import parse_catalogue
from bookrec.errors import BadModel, StoreUnavailable
from bookrec.further.sizes import Sizes
from bookrec.life_cycle.manifest import parse_pointer, sha256
from bookrec.list_shards import INDEX, ShardEntry, ShardIndex, pack, read_index, read_shard, shard_name, to_line
from bookrec.ranking import list_id
from bookrec.shelf import build_shelf, sort_out
from tests.fakes import SETTINGS, World, entry, load_fake

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


def publish(world, version="v2", fence=2, order=list):
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
        made = (make_list(build_shelf(user, entries), model, catalogue) for user in order(part))
        content = pack(to_line(one, catalogue) for one in made)
        world.store.objects[paths.list_object(version, shard_name(len(shards)))] = content
        shards.append(ShardEntry(sha256(content), len(part), part[-1]))
    index = ShardIndex(version, tuple(shards)).to_bytes()
    world.store.objects[paths.list_object(version, INDEX)] = index
    lists = {f"{paths.MODEL}/lists": len(shards), f"{paths.MODEL}/listsSha256": sha256(index)}
    world.database.update({**lists, f"{paths.MODEL}/snapshotAt": snapshot_at})
    world.clock.now += 1000
    world.database.update({paths.CHANGES: None, paths.DIRTY: None})
    return f"{version}@{fence}"


def shards_queued(world):
    return [payload for function, payload, _ in world.tasks.queued.values() if function == "fanout"]


def run_all(world):
    for payload in shards_queued(world):
        world.backend.fanout(payload["publication"], payload["shard"], payload.get("users"))


def assert_right(world, user_id, version="v2", sizes=DEFAULT_SIZES):
    """Assert that the lists are those that the functions would make from the present shelf."""
    entries, _ = sort_out(world.database.get(paths.USER_BOOK) or {})
    catalogue, _ = parse_catalogue(world.database.get(paths.ARCHIVE))
    model = load_fake(version, version.encode(), world.store.objects[paths.model_object(version, "items.json")])
    made = make_list(build_shelf(user_id, entries), model, catalogue, sizes)
    present, more = world.list_of(user_id), world.database.get(paths.more_lists(user_id))
    assert present == {**made.to_node(catalogue, present["generatedAt"]), "modelVersion": present["modelVersion"]}
    expected = {**made.more_node(catalogue), "modelVersion": present["modelVersion"]}
    assert more == {name: value for name, value in expected.items() if value != []}


def test_a_publish_with_lists_names_shards_and_reads_no_users_and_a_sample_of_the_shelves(world, monkeypatch):
    monkeypatch.setattr(type(world.database), "user_ids", None)
    publication = publish(world)
    reads = world.database.shelf_reads
    world.backend.model_published()
    assert shards_queued(world) == [{"publication": publication, "shard": number} for number in range(3)]
    run_all(world)
    assert world.database.shelf_reads == reads + 3  # one sample for each shard
    for number in range(READERS):
        assert_right(world, f"u{number}")
        assert world.list_of(f"u{number}")["modelVersion"] == "v2"
    assert world.database.status("fanout")["done"] == [True, True, True]
    assert world.database.pending(9).changes == 0
    monkeypatch.undo()  # the sweep reads the readers' keys
    assert "lists" not in world.backend.reconcile(rests=False)


@pytest.mark.parametrize("size", [1, 2])
def test_the_order_of_the_lines_in_a_shard_does_not_matter(world, monkeypatch, size):
    monkeypatch.setattr(shard_writer, "PAGE", size)
    lost = [f"u{number}-lost" for number in range(3)]  # no event of theirs came: they have neither profile nor list
    world.database.update({f"{paths.USER_BOOK}/k-{user}": entry(user, "isbn001") for user in lost})
    monkeypatch.setattr(sys.modules[__name__], "SHARD", 2 * READERS)
    publish(world, order=reversed)
    world.backend.model_published()
    run_all(world)
    for user in [*lost, *(f"u{number}" for number in range(READERS))]:
        assert_right(world, user)


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


def test_a_task_that_marks_its_shard_when_the_next_fan_out_has_begun_does_not_end_that_one(world, monkeypatch):
    first = publish(world)
    world.backend.model_published()
    update, next_one = world.database.update, []

    def late(values):
        if f"{model_published.FANOUT}/done/0" in values and not next_one:  # it has looked whose fan-out it is
            next_one.append(publish(world, "v3", 3))
            world.restarted().model_published()
        update(values)

    monkeypatch.setattr(world.database, "update", late)
    world.backend.fanout(first, 0, None)
    run_all(world)
    world.clock.now += model_published.FANOUT_PATIENCE_MS
    world.backend.model_published()
    run_all(world)
    for number in range(READERS):
        assert_right(world, f"u{number}", "v3")
    state = world.database.status("fanout")
    assert len(model_published.done_of(state, next_one[0])) == state["shards"] == 3


@pytest.mark.parametrize("moment", range(8))
def test_two_events_of_one_pointer_at_the_same_time_leave_no_fan_out_unfinished(world, moment):
    publish(world)
    memory, requests = world.database.memory, []

    def perform(kind, request):
        requests.append(kind)
        if len(requests) == moment + 1:
            memory.perform = lambda kind, request: request()
            other = world.restarted()
            other.model_published()
            for payload in shards_queued(world):
                other.fanout(payload["publication"], payload["shard"], None)
            memory.perform = perform
        return request()

    memory.perform = perform
    world.backend.model_published()
    memory.perform = lambda kind, request: request()
    assert world.database.status("fanout")["done"] == [True, True, True]
    world.clock.now += model_published.FANOUT_PATIENCE_MS
    assert not world.backend.model_published()
    assert world.database.status("fanout")["attempt"] == 0


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


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\xa0", "\ufeff", "\u200b", "\\n", '"'])
def test_a_user_id_with_any_character_of_a_key_damages_no_shard(world, character, capsys):
    user = f"u0{character}x"
    rate(world, "kx", entry(user, "isbn004"))
    publish(world)
    world.backend.model_published()
    run_all(world)
    assert "list-shard-unusable" not in capsys.readouterr().out
    for user_id in (user, "u0", "u1"):
        assert_right(world, user_id)


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


def forge(world, change, number=0, version="v2"):
    """Replace a shard and its index in the bucket, as whoever can write to the bucket and nowhere else can."""
    name = paths.list_object(version, shard_name(number))
    lines = [json.loads(line) for line in gzip.decompress(world.store.objects[name]).decode().splitlines()]
    content = pack(json.dumps(change(line)) for line in lines)
    index = paths.list_object(version, INDEX)
    before = read_index(world.store.objects[index], version)
    shards = list(before.shards)
    shards[number] = replace(shards[number], sha256=sha256(content))
    world.store.objects[name], world.store.objects[index] = content, ShardIndex(version, tuple(shards)).to_bytes()


def with_books(line, isbns):
    items = [{**item, "isbn": isbn} for item, isbn in zip(line["items"], isbns, strict=False)]
    own_id = list_id(line["userId"], line["basedOn"]["digest"], isbns[: len(items)])
    return {**line, "items": items, "listId": own_id, "next": [row for row in line["next"] if row[0] not in isbns]}


def test_lists_that_the_bucket_alone_has_changed_are_not_written(world, capsys):
    publish(world)
    forge(world, lambda line: with_books(line, [f"isbn0{number}" for number in range(20, 30)]))
    world.backend.model_published()
    run_all(world)
    assert "does not match the SHA-256 in the pointer" in capsys.readouterr().out
    assert world.list_of("u0")["modelVersion"] == "v1"
    world.backend.reconcile(rests=False)
    for number in range(READERS):
        assert_right(world, f"u{number}")


def test_lists_that_the_pointer_vouches_for_but_the_model_does_not_make_are_made_again(world, capsys):
    publish(world)
    forge(world, lambda line: with_books(line, [f"isbn0{number}" for number in range(20, 30)]))
    index = world.store.objects[paths.list_object("v2", INDEX)]
    world.database.update({f"{paths.MODEL}/listsSha256": sha256(index)})
    world.backend.model_published()
    run_all(world)
    assert "lists that the model does not make" in capsys.readouterr().out
    for number in range(READERS):
        assert_right(world, f"u{number}")
        assert world.list_of(f"u{number}")["modelVersion"] == "v2"


def test_books_with_about_equal_scores_may_change_places_but_no_others(world):
    publish(world)
    ready = read_shard(*shard_of(world, 0))["u0"]
    shelf = build_shelf("u0", sort_out(world.database.shelf_nodes(["u0"]))[0])
    items = world.store.objects[paths.model_object("v2", "items.json")]
    catalogue, _ = parse_catalogue(world.database.get(paths.ARCHIVE))
    model = load_fake("v2", b"v2", items)

    def swapped(step):
        def recommend(**inputs):
            out = model.recommend(**inputs)
            return {**out, "scores": np.arange(len(out["scores"]), 0, -1) * step}

        near = replace(model, recommend=recommend)
        made = make_list(shelf, near, catalogue)
        nodes = [dict(item) for item in made.to_node(catalogue, 0)["items"]]
        nodes[3], nodes[4] = nodes[4], nodes[3]
        isbns = tuple(node["isbn"] for node in nodes)
        return is_of_model(replace(ready, isbns=isbns, node={**ready.node, "items": nodes}), shelf, near, catalogue)

    assert swapped(1e-4)
    assert not swapped(1e-2)


def shard_of(world, number, version="v2"):
    index = read_index(world.store.objects[paths.list_object(version, INDEX)], version)
    return world.store.objects[paths.list_object(version, shard_name(number))], index.shards[number]


@pytest.mark.parametrize(
    "change",
    [
        {"note": "not of the contract"},
        {"listId": "x" * 20},
        {"source": "advert"},
        {"userId": "a/b"},
        {"userId": 7},
        {"basedOn": {"entries": 1, "digest": "0" * 63}},
        {"basedOn": {"entries": -1, "digest": "0" * 64}},
        {"basedOn": {"entries": 1, "digest": "0" * 64, "more": 1}},
        {"items": {}},
        {"items": None},
        {"items": [1]},
        {"items": [[]]},
        {"link": "https://evil.example"},
        {"score": float("inf")},
        {"score": float("nan")},
        {"score": 10**400},
        {"score": True},
        {"source ": "personal"},
        {"isbn": "a\nb"},
        {"because": ["a", "b", "c"]},
        {"because": "ab"},
        {"because": [["isbn001"]]},
        {"predictedRating": 5.1},
        {"predictedRating": None},
        {"more": "4+3+2"},
        {"more": 4},
        {"next": [["isbn029", "personal"]]},
        {"next": [["isbn029", "advert", 4]]},
        {"next": [["isbn029", "personal", 6]]},
        {"next": [["isbn029", "personal", None], ["isbn029", "personal", None]]},
        {"next": {"0": ["isbn029", "personal", None]}},
        {"more": "0+3", "next": [["isbn029", "personal", None]]},
        {"genres": [{"genre": "Fantasy"}]},
        {"genres": [{"genre": "", "items": []}]},
        {"genres": [{"genre": "a\nb", "items": []}]},
        {"genres": [{"genre": "Fantasy", "items": [], "link": "x"}]},
        {"more": "4+0", "genres": [{"genre": "Fantasy", "items": []}]},
    ],
    ids=str,
)
def test_a_line_with_other_fields_or_values_than_the_contracts_is_rejected(world, change):
    publish(world)
    content, entry_of = shard_of(world, 0)
    lines = [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]
    is_of_list = {*lines[0], "note"} & change.keys()
    lines[0] = lines[0] | change if is_of_list else {**lines[0], "items": [lines[0]["items"][0] | change]}
    if not is_of_list:
        lines[0] = with_books(lines[0], [lines[0]["items"][0]["isbn"]])
        lines[0]["items"][0] |= change
    altered = pack(map(json.dumps, lines))
    with pytest.raises(BadModel, match=r"malformed|not a whole number"):
        read_shard(altered, replace(entry_of, sha256=sha256(altered)))


def test_a_line_whose_pages_repeat_a_book_of_the_ten_is_rejected(world):
    publish(world)
    content, entry_of = shard_of(world, 0)
    lines = [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]
    lines[0]["next"] = [[lines[0]["items"][3]["isbn"], "personal", 4.0]]
    altered = pack(map(json.dumps, lines))
    with pytest.raises(BadModel, match="malformed"):
        read_shard(altered, replace(entry_of, sha256=sha256(altered)))


def test_a_shards_list_comes_with_the_lists_that_go_with_it(world):
    publish(world)
    world.backend.model_published()
    run_all(world)
    for number in range(READERS):
        ten, more = world.list_of(f"u{number}"), world.database.get(paths.more_lists(f"u{number}"))
        assert (more["listId"], more["modelVersion"]) == (ten["listId"], "v2")
        isbns = [item["isbn"] for page in more["next"] for item in page]
        assert len({*isbns, *(item["isbn"] for item in ten["items"])}) == len(isbns) + 10 == 29  # one is on the shelf


def test_a_shard_with_lists_of_other_sizes_than_the_settings_say_is_left_to_the_usual_path(world):
    publish(world)
    smaller = replace(SETTINGS, sizes=Sizes(pages=1, genres=0))
    world.backend = build(smaller, world._services)
    world.backend.model_published()
    run_all(world)
    assert_right(world, "u0", sizes=smaller.sizes)
    assert len(world.database.get(paths.more_lists("u0"))["next"]) == 1


def test_a_shard_that_says_personal_of_a_book_that_is_no_candidate_is_not_used(world, capsys):
    publish(world)
    forge(world, lambda line: {**line, "next": [[f"isbn{number:03}", "personal", 4.0] for number in range(26, 30)]})
    index = world.store.objects[paths.list_object("v2", INDEX)]
    world.database.update({f"{paths.MODEL}/listsSha256": sha256(index)})
    world.backend.model_published()
    run_all(world)
    assert "lists that the model does not make" in capsys.readouterr().out
    assert_right(world, "u0")


def test_a_shard_with_another_number_of_lists_than_the_index_says_is_rejected(world):
    publish(world)
    content, entry_of = shard_of(world, 0)
    with pytest.raises(BadModel, match="has 2 readers, its index says 3"):
        read_shard(content, replace(entry_of, readers=3))


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"readers": 5},
        {"shards": {}},
        {"shards": [{"sha256": "0" * 64, "readers": float("inf"), "last": "u"}], "readers": float("inf")},
        {"shards": [{"sha256": "0" * 64, "readers": 1, "last": "u", "link": "x"}], "readers": 1},
        {"shards": [{"sha256": "0" * 63, "readers": 1, "last": "u"}], "readers": 1},
        {"shards": [{"sha256": "0" * 64, "readers": 1, "last": "a/b"}], "readers": 1},
        {"shards": [{"sha256": "0" * 64, "readers": 1, "last": None}], "readers": 1},
        {"shards": [["sha256", "readers", "last"]], "readers": 1},
    ],
    ids=str,
)
def test_an_index_with_other_fields_or_values_than_the_contracts_is_rejected(change):
    index = {"schema": 1, "version": "v", "readers": 0, "shards": []}
    assert read_index(json.dumps(index).encode(), "v").shards == ()
    with pytest.raises(BadModel):
        read_index(json.dumps(index | change).encode(), "v")


@pytest.mark.parametrize("number", [-1, 3, 10**9])
def test_a_task_of_a_shard_that_does_not_exist_writes_nothing(world, number, capsys):
    publication = publish(world)
    world.backend.model_published()
    world.backend.fanout(publication, number, None)
    assert '"alarm": "list-shard-unusable"' in capsys.readouterr().out
    assert {world.list_of(f"u{reader}")["modelVersion"] for reader in range(READERS)} == {"v1"}


def test_an_index_of_fewer_shards_than_the_pointer_says_is_not_used(world, capsys):
    publication = publish(world)
    world.database.update({f"{paths.MODEL}/lists": 4})
    world.backend.fanout(publication, 0, None)
    assert "another number of shards than the pointer says" in capsys.readouterr().out


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


def test_a_reader_who_left_and_was_purged_since_the_snapshot_gets_no_list(world):
    world.database.update({f"{paths.USERS}/u1/id": "u1"})
    world.backend.reconcile(rests=False)
    publish(world)
    world.database.update({f"{paths.USERS}/u1": None})
    rate(world, "k1", None)
    world.database.update({f"{paths.USERS}/u2": None})  # has never had a profile, has no list, and still has a book
    world.backend.model_published()
    run_all(world)
    assert world.list_of("u1") is None
    for node in (paths.READERS, paths.CONVERSIONS, paths.LIST_WRITES):
        assert "u1" not in (world.database.get(node) or {}), node
    assert_right(world, "u2")


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
    world.backend = build(replace(SETTINGS, list_writes_per_second=20), world._services)
    world.backend.model_published()
    began = world.clock.now
    run_all(world)
    assert world.clock.now - began == READERS * 1000 // (20 // 4)


@pytest.mark.parametrize("shards", [True, False])
def test_bytes_are_written_at_a_bounded_rate(world, shards):
    publish(world)
    if not shards:
        world.database.update({f"{paths.MODEL}/lists": None, f"{paths.MODEL}/listsSha256": None})
    world.backend.model_published()
    began = world.clock.now
    run_all(world)
    lists = [(world.list_of(f"u{n}"), world.database.get(paths.more_lists(f"u{n}"))) for n in range(READERS)]
    assert world.clock.now - began >= len(json.dumps(lists)) * 1000 // (LIST_BYTES_PER_SECOND // FANOUT_TASKS)


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
    world.backend.operating.experiment({"action": "end"})
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


def dismiss(world, user_id, isbn, backend=None):
    world.database.update({f"{paths.dismissed(user_id)}/{isbn}": world.clock.now_ms()})
    (backend or world.backend).dismissed_written(DismissedWritten("e", user_id, True, None))


def test_a_reader_who_has_dismissed_a_book_is_left_to_the_usual_path(world):
    publish(world)
    world.database.update({f"{paths.dismissed('u1')}/isbn005": world.clock.now_ms()})
    world.backend.model_published()
    run_all(world)
    assert world.list_of("u1")["basedOn"]["dismissed"] == 1
    assert "isbn005" not in [item["isbn"] for item in world.list_of("u1")["items"]]
    assert world.list_of("u1")["modelVersion"] == "v2"
    assert "lists" not in world.backend.reconcile(rests=False)


@pytest.mark.parametrize("moment", range(1, 12))
def test_a_dismissal_at_any_moment_of_its_shard_keeps_the_book_away(world, moment):
    publish(world)
    world.backend.model_published()
    memory, requests = world.database.memory, []
    book = world.list_of("u1")["items"][3]["isbn"]

    def perform(kind, request):
        requests.append(kind)
        if len(requests) == moment:
            memory.perform = lambda kind, request: request()
            world.clock.now += 1
            dismiss(world, "u1", book, world.restarted())
            memory.perform = perform
        return request()

    memory.perform = perform
    run_all(world)
    assert len(requests) > moment
    assert book not in [item["isbn"] for item in world.list_of("u1")["items"]]
    assert "lists" not in world.backend.reconcile(rests=False)
