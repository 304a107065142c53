"""The handlers over in-memory fakes: what each guarantees under duplicates, overlap and failures."""

import itertools
from dataclasses import replace
from itertools import permutations

import pytest

from backend import models, rejected, sweep
from backend.guards.foreign_writes import MAX_NOTES, MAX_UNDONE, NOBODY
from backend.handlers import model_published, reconcile, retrain
from backend.handlers.entry_written import EntryWritten
from backend.lists import NO_MODEL, WRITES
from backend.models import TRY_AGAIN_AFTER_MS
from bookrec import paths
from bookrec.entries import user_id_of
from bookrec.errors import BookrecError, StoreUnavailable
from bookrec.life_cycle import lease as leases
from bookrec.push_keys import first_key
from bookrec.ranking import LIST_SIZE
from bookrec.shelf import build_shelf, sort_out
from tests.fakes import POLICY, World, entry


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    return world


def write(world, key, value, author=None, deliver=True):
    """Write an entry as the database would, and deliver its event."""
    before = world.database.entry(key)
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    event = EntryWritten("e", key, before, value, author)
    if deliver:
        world.backend.entry_written(event)
    return event


def assert_list_matches(world, user_id, version="v1"):
    entries, _ = sort_out(world.database.get(paths.USER_BOOK) or {})
    shelf = build_shelf(user_id, entries)
    present = world.list_of(user_id)
    assert present["basedOn"] == {"entries": len(shelf.entries), "digest": shelf.digest}
    assert present["modelVersion"] == version
    assert len(present["items"]) == LIST_SIZE
    assert not {item["isbn"] for item in present["items"]} & set(shelf.ratings)


def test_a_rating_becomes_a_list_and_its_change_and_removal_change_the_list(world):
    write(world, "k1", entry("u", "isbn004"))
    assert_list_matches(world, "u")
    assert world.list_of("u")["items"][0] == {
        "isbn": "isbn005",
        "title": "Title 5",
        "author": "Author 5",
        "image": "",
        "score": 1.0,
        "predictedRating": 4.0,
        "source": "personal",
        "because": ["isbn004"],
    }
    write(world, "k1", entry("u", "isbn009"))
    assert world.list_of("u")["items"][0]["isbn"] == "isbn010"
    write(world, "k1", None)
    assert_list_matches(world, "u")
    assert world.list_of("u")["basedOn"]["entries"] == 0


def test_an_entry_that_moves_to_another_reader_changes_both_lists(world):
    write(world, "k1", entry("u", "isbn004"))
    write(world, "k1", entry("w", "isbn004"))
    assert_list_matches(world, "u")
    assert_list_matches(world, "w")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[:6])
def test_any_order_and_duplication_of_events_ends_in_the_list_of_the_final_shelf(world, order):
    values = [entry("u", "isbn001"), entry("u", "isbn002"), entry("u", "isbn003")]
    events = [write(world, "k1", value, deliver=False) for value in values]
    for number in (*order, order[0]):
        world.backend.entry_written(events[number])
    assert_list_matches(world, "u")
    assert world.database.pending(9).changes == 1


def test_a_shelf_that_changes_between_reading_and_writing_is_read_again(world):
    update = world.database.update

    def overtaken(values):
        if paths.recommendations("u") in values and world.database.update is overtaken:
            world.database.update = update
            write(
                world, "k2", entry("u", "isbn020")
            )  # the event of another entry is handled before the list is written
        update(values)

    world.database.update = overtaken
    write(world, "k1", entry("u", "isbn004"))
    assert_list_matches(world, "u")
    assert world.list_of("u")["basedOn"]["entries"] == 2


def test_an_event_reads_the_shelf_once_if_nobody_else_writes_the_list(world):
    for key in ("k1", "k2", "k2"):
        reads = world.database.shelf_reads
        write(world, key, entry("u", "isbn004"))
        assert_list_matches(world, "u")
        assert world.database.shelf_reads == reads + 1


def test_a_shelf_that_changes_while_it_is_read_and_whose_list_is_written_before_the_count_is_read_again(world):
    """The count of a list's writes is read before the shelf: afterwards it would include the other event's write."""
    events = [write(world, "k1", entry("u", "isbn004"), deliver=False)]
    shelf_nodes = world.database.shelf_nodes

    def hanging(user_ids):
        nodes = shelf_nodes(user_ids)
        if world.database.shelf_nodes is hanging:
            world.database.shelf_nodes = shelf_nodes
            write(world, "k2", entry("u", "isbn020"))
        return nodes

    world.database.shelf_nodes = hanging
    world.backend.entry_written(events[0])
    assert_list_matches(world, "u")
    assert world.list_of("u")["basedOn"]["entries"] == 2


def test_a_count_that_begins_again_after_a_purge_is_not_taken_for_the_one_before(world):
    sign_up(world, "u")
    write(world, "k1", entry("u", "isbn004"))
    update = world.database.update

    def hanging(values):
        if paths.recommendations("u") in values and world.database.update is hanging:
            world.database.update = update
            world.database.update(
                {f"{paths.USERS}/u": None, f"{paths.USER_BOOK}/k1": None, f"{paths.USER_BOOK}/k2": None}
            )
            world.backend.reconcile(rests=False)
            sign_up(world, "u")
            write(world, "k3", entry("u", "isbn020"))
        update(values)

    world.database.update = hanging
    write(world, "k2", entry("u", "isbn010"))
    assert_list_matches(world, "u")


def test_a_model_that_changes_in_the_middle_gives_a_list_of_the_new_one(world):
    world.database.on_second_look = lambda number: world.publish("v2", 2) if number == 1 else None
    write(world, "k1", entry("u", "isbn004"))
    assert_list_matches(world, "u", "v2")


def test_a_purge_that_hangs_until_the_reader_is_back_without_a_profile_is_repeated_with_newer_entries(world):
    write(world, "k1", entry("u", "isbn004"))
    world.database.update({f"{paths.READERS}/u": "gone"})  # the list was written late
    update = world.database.update

    def late(values):
        if f"{paths.READERS}/u" in values and world.database.update is late:
            world.database.update = update  # meanwhile u is purged and shelves again, and a run reads that
            update({f"{paths.READERS}/u": None, f"{paths.USER_BOOK}/k1": None, paths.CHANGES: None})
            update({f"{paths.USER_BOOK}/k2": entry("u", "isbn005")})
        update(values)

    world.database.update = late
    write(world, "k1", entry("u", "isbn004"))
    assert world.database.get(f"{paths.READERS}/u") == "gone"
    assert list(world.database.get(paths.CHANGES)) == ["k2"]


def test_bad_entries_are_rejected_with_a_reason_and_the_others_are_used(world):
    write(world, "k1", entry("u", "isbn004"))
    write(world, "k2", {**entry("u", "isbn005"), "myRate": 7})
    write(world, "k3", {**entry("u", "isbn005"), "isbn": "\N{DRAGON}"})
    write(world, "k4", "text")
    assert_list_matches(world, "u")
    records = world.database.get(paths.REJECTED)
    assert {key: record["reason"] for key, record in records.items()} == {
        "k2": "rating_out_of_range",
        "k3": "isbn_invalid",
        "k4": "not_an_object",
    }
    write(world, "k2", entry("u", "isbn005", 4.5))
    assert "k2" not in world.database.get(paths.REJECTED)
    assert world.list_of("u")["basedOn"]["entries"] == 2


def test_a_forged_entry_is_moved_out_of_every_shelf_and_kept_with_its_reason(world):
    write(world, "k1", entry("victim", "isbn004"), author="victim")
    write(world, "k2", entry("victim", "isbn007"), author="forger")
    assert world.database.entry("k2") is None
    record = world.database.get(f"{paths.REJECTED}/k2")
    assert (record["reason"], record["entry"]["isbn"]) == ("user_forged", "isbn007")
    assert_list_matches(world, "victim")
    assert world.list_of("victim")["basedOn"]["entries"] == 1


def test_the_record_of_a_forged_entry_outlives_the_event_of_its_removal(world):
    bad = {**entry("victim", "isbn004"), "myRate": 7}
    write(world, "k1", bad, author="forger")
    world.backend.entry_written(EntryWritten("e2", "k1", bad, None, None))
    world.backend.reconcile(rests=False)
    assert world.database.get(f"{paths.REJECTED}/k1/reason") == "user_forged"


def test_a_late_duplicate_of_a_forged_write_leaves_a_newer_entry_of_the_reader(world):
    forged = write(world, "k1", entry("victim", "isbn004"), author="forger")
    write(world, "k1", entry("victim", "isbn009"), author="victim")
    world.backend.entry_written(forged)
    assert world.database.entry("k1") == entry("victim", "isbn009")


def test_an_entry_that_a_client_without_a_token_wrote_is_nobodys(world):
    write(world, "k1", entry("victim", "isbn004"), author=NOBODY)
    assert world.database.entry("k1") is None
    assert world.database.get(f"{paths.REJECTED}/k1/reason") == "user_forged"


GENUINE = entry("victim", "isbn004", 4.5)
FOREIGN = {
    "stars": {**GENUINE, "myRate": 0.5},
    "book": {**GENUINE, "isbn": "isbn009"},
    "bad": {**GENUINE, "myRate": 7},
    "taken over": {**GENUINE, "userId": "forger"},
    "given away": {**GENUINE, "userId": "third"},
    "text": "text",
    "removed": None,
}


@pytest.mark.parametrize("author", ["forger", NOBODY])
@pytest.mark.parametrize("after", FOREIGN.values(), ids=FOREIGN)
def test_a_genuine_entry_that_somebody_else_edits_is_restored_to_what_it_was(world, after, author, capsys):
    write(world, "k1", GENUINE, author="victim")
    write(world, "k1", after, author=author)
    assert world.database.entry("k1") == GENUINE
    assert '"alarm": "forged-entry"' in capsys.readouterr().out
    record = world.database.record("k1")
    assert (record["reason"], record["at"]) == ("edited_by_another", world.clock.now)
    assert_list_matches(world, "victim")
    assert world.list_of("victim")["basedOn"]["entries"] == 1
    for user_id in {user_id_of(after)} - {None, "victim"}:
        assert world.list_of(user_id) is None  # nobody: neither a profile nor an entry
    for _ in range(2):
        world.backend.reconcile(rests=False)
    assert world.database.record("k1") is None
    assert world.database.entry("k1") == GENUINE


@pytest.mark.parametrize("author", ["victim", None])
@pytest.mark.parametrize("after", [FOREIGN["stars"], FOREIGN["book"], None], ids=["stars", "book", "removed"])
def test_what_the_reader_or_an_admin_edits_stays(world, after, author):
    write(world, "k1", GENUINE, author="victim")
    write(world, "k1", after, author=author)
    assert world.database.entry("k1") == after
    assert world.database.record("k1") is None


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("begins", ["genuine", "forged"])
def test_several_foreign_edits_are_undone_whatever_the_order_of_their_events(world, order, begins):
    first = GENUINE if begins == "genuine" else entry("victim", "isbn011", 1.0)
    authors = ["victim" if begins == "genuine" else "forger", "forger", NOBODY]
    values = [first, {**first, "myRate": 1.5}, {**first, "myRate": 2, "isbn": "isbn007"}]
    events = [write(world, "k1", value, author, deliver=False) for value, author in zip(values, authors, strict=True)]
    for _ in range(2):  # the second time, all events are duplicates
        for number in order:
            world.backend.entry_written(events[number])
        assert world.database.entry("k1") == (GENUINE if begins == "genuine" else None)


def test_what_the_reader_writes_after_a_foreign_edit_has_the_last_word(world):
    write(world, "k1", GENUINE, author="victim")
    late = write(world, "k1", FOREIGN["stars"], author="forger", deliver=False)
    write(world, "k1", {**GENUINE, "myRate": 3.0}, author="victim")
    for _ in range(2):
        world.backend.entry_written(late)
    assert world.database.entry("k1")["myRate"] == 3.0


def test_what_the_reader_writes_after_a_foreign_edit_was_undone_is_genuine_though_the_value_is_the_same(world):
    write(world, "k1", GENUINE, author="victim")
    write(world, "k1", FOREIGN["stars"], author="forger")
    own = write(world, "k1", FOREIGN["stars"], author="victim")
    assert world.database.entry("k1") == own.after
    write(world, "k1", FOREIGN["book"], author="forger")
    assert world.database.entry("k1") == own.after


def test_a_late_duplicate_of_a_foreign_removal_brings_nothing_back_that_the_reader_has_removed(world):
    write(world, "k1", GENUINE, author="victim")
    removed = write(world, "k1", None, author="forger")
    assert world.database.entry("k1") == GENUINE
    write(world, "k1", None, author="victim")
    for _ in range(2):
        world.backend.entry_written(removed)
        assert world.database.entry("k1") is None


def test_the_number_of_notes_about_foreign_edits_is_bounded(world):
    write(world, "k1", GENUINE, author="victim")
    events = [
        write(world, "k1", {**GENUINE, "isbn": f"isbn-{number}"}, author="forger", deliver=False)
        for number in range(MAX_NOTES + 10)
    ]
    for number, event in enumerate(events):
        world.backend.entry_written(event)
        if number < len(events) - 1:
            assert len(world.database.record("k1")["replaced"]) <= MAX_NOTES
    assert world.database.entry("k1") == GENUINE


def test_of_the_foreign_edits_that_were_undone_the_newest_are_remembered(world):
    write(world, "k1", GENUINE, author="victim")
    for number in range(MAX_UNDONE + 10):
        last = write(world, "k1", {**GENUINE, "isbn": f"isbn-{number}"}, author="forger")
        assert world.database.entry("k1") == GENUINE
        assert len(world.database.record("k1")["undone"]) <= MAX_UNDONE
        world.clock.sleep(1)
    own = write(world, "k1", last.after, author="victim")
    world.backend.entry_written(last)
    assert world.database.entry("k1") == own.after


def test_a_foreign_removal_brings_nothing_back_of_a_reader_who_left(world):
    world.database.update({f"{paths.USERS}/victim/id": "victim"})
    write(world, "k1", GENUINE, author="victim")
    write(world, "k2", entry("victim", "isbn007"), author="victim")
    removed = write(world, "k1", None, author="forger", deliver=False)
    world.database.update({f"{paths.USERS}/victim": None})
    world.backend.reconcile(rests=False)
    world.backend.entry_written(removed)
    assert world.database.entry("k1") is None


def test_only_small_fields_of_a_forged_entry_are_kept(world):
    write(world, "k1", {**entry("victim", "1" * 100_000), "bookId": {"a": 1}}, author="forger")
    assert world.database.get(f"{paths.REJECTED}/k1/entry") == {"myRate": 4.0}


def test_without_a_model_the_list_is_popular():
    world = World()
    write(world, "k1", entry("u", "isbn004"))
    assert_list_matches(world, "u", NO_MODEL)
    assert world.list_of("u")["source"] == "popular"


def test_a_small_catalogue_gives_what_it_has():
    world = World(books=4)
    world.publish("v1", 1)
    write(world, "k1", entry("u", "isbn001"))
    assert len(world.list_of("u")["items"]) == 3


def test_a_book_that_leaves_the_catalogue_leaves_the_lists(world):
    world.database.update({f"{paths.ARCHIVE}/a005": None})
    world.clock.now += 1
    write(world, "k1", entry("u", "isbn004"))
    assert "isbn005" not in [item["isbn"] for item in world.list_of("u")["items"]]


@pytest.mark.parametrize("damage", ["file", "manifest", "missing", "unloadable", "pointer"])
def test_a_damaged_model_leaves_the_last_good_one_in_use_and_says_why(world, damage):
    write(world, "k1", entry("u", "isbn004"))
    version = "broken" if damage == "unloadable" else "v2"
    world.publish(version, 2)
    if damage == "file":
        world.store.objects["models/v2/recommend.tflite"] = b"v3"
    if damage == "manifest":
        world.store.objects["models/v2/manifest.json"] += b" "
    if damage == "missing":
        del world.store.objects["models/v2/items.json"]
    if damage == "pointer":
        world.database.update({f"{paths.MODEL}/manifest": "models/../../etc/passwd"})
    world.backend.model_published()
    write(world, "k2", entry("u", "isbn006"))
    assert_list_matches(world, "u", "v1")
    assert world.database.status("model")["problem"]
    assert not [task for task in world.tasks.queued.values() if task[0] == "fanout"]


def test_an_unreachable_bucket_leaves_the_last_model_in_use_until_it_is_back(world):
    write(world, "k1", entry("u", "isbn004"))
    world.publish("v2", 2)
    world.store.is_away = True
    write(world, "k2", entry("u", "isbn006"))
    assert_list_matches(world, "u", "v1")
    with pytest.raises(StoreUnavailable):
        world.backend.model_published()
    world.store.is_away = False
    world.clock.now += TRY_AGAIN_AFTER_MS
    write(world, "k3", entry("u", "isbn008"))
    assert_list_matches(world, "u", "v2")


def requests_of(world, monkeypatch):
    """Record the names of all requests from now on."""
    made = []
    for name in ("shelf_nodes", "readers", "list_writes", "entry", "pointer", "catalogue", "update"):
        request = getattr(world.database, name)
        recorded = lambda *given, name=name, request=request: (made.append(name), request(*given))[1]  # noqa: E731
        monkeypatch.setattr(world.database, name, recorded)
    monkeypatch.setattr(world.tasks, "enqueue", lambda *given: made.append("enqueue"))
    return made


def test_an_events_list_waits_only_for_the_readers_own_nodes_and_the_rest_is_checked_afterwards(world, monkeypatch):
    write(world, "k1", entry("u", "isbn004"))
    world.clock.now += POLICY.quiet_ms
    event = write(world, "k2", entry("u", "isbn006"), deliver=False)
    made = requests_of(world, monkeypatch)
    world.backend.entry_written(event)
    written = made.index("update")
    assert made[:written] == ["list_writes", "readers", "shelf_nodes"]
    assert made[written + 1 :] == ["list_writes", "pointer", "catalogue", "enqueue"]


def test_an_instance_that_knows_no_newer_model_yet_lets_the_list_follow_first_and_makes_it_again(world, monkeypatch):
    write(world, "k1", entry("u", "isbn004"))
    world.publish("v2", 2)
    written, update = [], world.database.update
    monkeypatch.setattr(world.database, "update", lambda values: (written.append(values), update(values)))
    write(world, "k2", entry("u", "isbn006"))
    lists = [values.get(paths.recommendations("u")) for values in written]
    assert [item["modelVersion"] for item in lists if item] == ["v1", "v2"]
    assert_list_matches(world, "u", "v2")


def test_a_model_that_gives_the_same_ten_books_leaves_the_list_alone(world):
    write(world, "k1", entry("u", "isbn004"))
    world.publish("v2", 2)
    world.backend.fanout("v2@2", 0, ["u"])
    before, writes = world.list_of("u"), world.database.get(WRITES)
    world.publish("v3", 3)
    world.backend.fanout("v3@3", 0, ["u"])
    assert "lists" not in world.backend.reconcile(rests=False)
    assert world.list_of("u") == before
    assert world.database.get(WRITES) == writes
    assert before["modelVersion"] == "v2"
    world.publish("v4", 4)
    world.backend.fanout("v4@4", 0, ["u"])
    assert_list_matches(world, "u", "v4")


def test_a_list_of_another_model_follows_a_book_that_left_the_catalogue(world):
    write(world, "k1", entry("u", "isbn004"))
    world.publish("v2", 2)
    world.backend.fanout("v2@2", 0, ["u"])
    world.publish("v3", 3)
    world.database.update({f"{paths.ARCHIVE}/a006": None})
    world.clock.now += 1
    world.backend.fanout("v3@3", 0, ["u"])
    assert_list_matches(world, "u", "v3")
    assert "isbn006" not in [item["isbn"] for item in world.list_of("u")["items"]]


def test_an_instance_requests_one_check_per_window(world, monkeypatch):
    made = requests_of(world, monkeypatch)
    for number in range(4):
        write(world, f"k{number}", entry("u", f"isbn00{number}"))
    assert made.count("enqueue") == 1
    world.clock.now += POLICY.quiet_ms
    write(world, "k1", entry("u", "isbn009"))
    assert made.count("enqueue") == 2


def test_a_queue_that_was_unreachable_is_asked_again(world):
    world.tasks.fails = True
    write(world, "k1", entry("u", "isbn004"))
    world.tasks.fails = False
    write(world, "k2", entry("u", "isbn005"))
    assert len(retrain_checks(world)) == 1


def test_an_unreachable_queue_does_not_stop_the_list(world):
    world.tasks.fails = True
    write(world, "k1", entry("u", "isbn004"))
    assert_list_matches(world, "u")


def test_a_published_model_refreshes_everybody_in_shards(world):
    for number in range(5):
        world.database.update({f"{paths.USERS}/u{number}/id": f"u{number}"})
        write(world, f"k{number}", entry(f"u{number}", f"isbn00{number}"))
    world.publish("v2", 2)
    world.backend.model_published()
    world.backend.model_published()  # a duplicate queues nothing new
    shards = [payload for function, payload, _ in world.tasks.queued.values() if function == "fanout"]
    assert len(shards) == 3
    for payload in shards:
        world.backend.fanout(payload["publication"], payload["shard"], payload["users"])
    for number in range(5):
        assert_list_matches(world, f"u{number}", "v2")
    assert world.database.status("fanout")["done"] == [True, True, True]


def test_a_removed_pointer_fans_nothing_out(world):
    write(world, "k1", entry("u", "isbn004"))
    world.database.update({paths.MODEL: None})
    world.backend.model_published()
    assert not [task for task in world.tasks.queued.values() if task[0] == "fanout"]


def test_an_interrupted_fan_out_is_completed_by_the_reconciler_and_a_complete_one_is_not_repeated(world):
    write(world, "k1", entry("u", "isbn004"))
    world.tasks.fails = True
    with pytest.raises(ConnectionError):
        world.backend.model_published()
    world.tasks.fails = False
    assert world.backend.reconcile(rests=False)["fanouts"] == 1
    assert world.backend.reconcile(rests=False).get("fanouts", 0) == 0
    world.backend.fanout("v1@1", 0, ["u"])
    world.backend.model_published()  # a late duplicate of the event
    assert world.database.status("fanout")["done"] == [True]


@pytest.mark.parametrize("mark", ["v0@0:0:1", "v1@1:1:1", "v1@1:0:2"])
def test_the_mark_of_another_fan_out_that_came_late_does_not_speak_for_this_one(world, mark):
    write(world, "k1", entry("u", "isbn004"))
    world.tasks.fails = True
    with pytest.raises(ConnectionError):
        world.backend.model_published()
    world.tasks.fails = False
    world.database.update({f"{paths.STATUS}/fanout/queued": mark})
    world.backend.model_published()
    ((_, payload, _),) = (task for task in world.tasks.queued.values() if task[0] == "fanout")
    assert payload == {"publication": "v1@1", "shard": 0, "users": ["u"]}


def test_a_shard_whose_model_cannot_be_fetched_is_tried_again_rather_than_done_with_another(world):
    write(world, "k1", entry("u", "isbn004"))
    world.publish("v2", 2)
    world.store.is_away = True
    with pytest.raises(StoreUnavailable):
        world.backend.fanout("v2@2", 0, ["u"])
    assert_list_matches(world, "u", "v1")
    world.store.is_away = False
    world.clock.now += TRY_AGAIN_AFTER_MS
    world.backend.fanout("v2@2", 0, ["u"])
    assert_list_matches(world, "u", "v2")


def test_a_file_larger_than_its_manifest_says_is_rejected_before_it_is_read(world):
    world.publish("v2", 2)
    world.store.objects["models/v2/items.json"] += b" " * 1000
    world.backend.model_published()
    assert "larger" in world.database.status("model")["problem"]


def retrain_checks(world):
    return [payload["notBefore"] for function, payload, _ in world.tasks.queued.values() if function == "retrain"]


def test_a_hundred_duplicate_checks_start_one_run(world):
    for number in range(6):
        write(world, f"k{number}", entry("u", f"isbn00{number}"))
    checks = retrain_checks(world)
    assert len(checks) <= 2
    outcomes = [world.backend.retrain(checks[0]) for _ in range(100)]
    assert outcomes.count("started") == 1
    assert len(world.jobs.started) == 1
    assert world.jobs.started[0][1] == 2  # greater than the live model's fence


def test_a_check_reads_as_many_changes_as_are_enough_once_and_a_new_model_none(world, monkeypatch):
    for number in range(8):
        write(world, f"k{number}", entry("u", f"isbn00{number}"))
    pending, read = world.database.pending, []
    monkeypatch.setattr(type(world.database), "pending", lambda self, enough: read.append(enough) or pending(enough))
    world.publish("v3", 3)
    world.backend.model_published()
    assert not read
    assert world.backend.retrain(retrain_checks(world)[-1]) == "started"
    assert read == [POLICY.minimum_changes]


def test_a_check_that_is_delivered_early_waits_for_its_time(world):
    for number in range(6):
        write(world, f"k{number}", entry("u", f"isbn00{number}"))
    due = retrain_checks(world)[0]
    assert world.backend.retrain(due) == "started"
    assert world.clock.now >= due


def test_too_few_changes_start_no_run(world):
    write(world, "k1", entry("u", "isbn001"))
    assert world.backend.retrain(retrain_checks(world)[0]) == "waiting"
    assert not world.jobs.started


def test_the_first_change_without_any_model_is_trained_on():
    world = World()
    write(world, "k1", entry("u", "isbn001"))
    assert world.backend.retrain(retrain_checks(world)[0]) == "started"


def test_a_trainer_that_does_not_start_gives_the_lease_back(world):
    for number in range(6):
        write(world, f"k{number}", entry("u", f"isbn00{number}"))
    world.clock.now += POLICY.quiet_ms
    world.jobs.fails = True
    with pytest.raises(ConnectionError):
        world.backend.retrain(0)
    assert world.database.lease().outcome == "failed"
    world.jobs.fails = False
    assert world.backend.retrain(0) == "waiting"
    world.clock.now += POLICY.retry_ms
    assert world.backend.retrain(0) == "started"


def test_the_reconciler_finds_what_lost_triggers_left_behind(world):
    write(world, "k1", entry("u", "isbn004"))
    write(world, "k2", entry("u", "isbn006"), deliver=False)
    write(world, "k3", entry("new", "isbn006"), deliver=False)
    write(world, "k4", {**entry("new", "isbn006"), "myRate": 9}, deliver=False)
    world.database.update({f"{paths.USERS}/empty/id": "empty"})
    repaired = world.backend.reconcile(rests=False)
    assert repaired["lists"] == 3
    for user_id in ("u", "new", "empty"):
        assert_list_matches(world, user_id)
    assert world.database.get(f"{paths.REJECTED}/k4/reason") == "rating_out_of_range"
    assert "lists" not in world.backend.reconcile(rests=False)


def test_the_reconciler_repeats_a_fan_out_that_was_never_begun(world):
    world.database.update({f"{paths.USERS}/u/id": "u"})
    assert world.backend.reconcile(rests=False)["fanouts"] == 1
    assert [task for task in world.tasks.queued.values() if task[0] == "fanout"]


def test_a_lost_trigger_counts_as_a_change_once_it_is_found(world):
    write(world, "k1", entry("u", "isbn004"))
    write(world, "k2", entry("w", "isbn004"))
    world.database.update({paths.CHANGES: None, paths.DIRTY: None})  # a run has trained on both
    write(world, "k1", None, deliver=False)
    write(world, "k3", entry("w", "isbn006"), deliver=False)
    world.database.update({f"{paths.USERS}/fresh/id": "fresh"})
    world.backend.reconcile(rests=False)
    emptied, changed = sorted(world.database.get(paths.CHANGES), key=len, reverse=True)
    assert (len(emptied), changed) == (20, "k3")  # the first is a hash of the reader
    assert set(world.database.get(paths.DIRTY)) == {"u", "w"}


def test_an_instance_without_the_live_model_does_not_replace_lists_that_fit_their_shelves(world):
    write(world, "k1", entry("u", "isbn004"))
    cold = world.restarted()
    world.publish("v2", 2)
    world.store.is_away = True
    assert "lists" not in cold.reconcile(rests=False)
    assert_list_matches(world, "u", "v1")


def test_the_reconciler_pages_through_everything_whatever_the_keys(world, monkeypatch):
    monkeypatch.setattr(sweep, "PAGE", 2)
    monkeypatch.setattr(reconcile, "BUDGET_MS", 0)  # one page per run
    monkeypatch.setattr(reconcile, "WATERMARK_MS", 0)
    keys = ["5", "11", "-1", "-Na", "-Nb", "a", "b", "z"]
    for number, key in enumerate(keys):
        write(world, key, entry(f"u{number}", "isbn004"), deliver=False)
    for number in range(20, 25):
        world.database.update({f"{paths.USERS}/u{number}/id": "x"})
    for run in range(30):
        world.backend.reconcile(rests=False)
        if run == 0:
            world.database.update({f"{paths.USER_BOOK}/11": None})  # the entry at the cursor is removed
    for number in (0, *range(2, 8), *range(20, 25)):
        assert_list_matches(world, f"u{number}")


def test_records_of_entries_that_are_gone_or_good_are_removed(world):
    for key in ("k1", "k2", "k3"):
        write(world, key, {**entry("u", "isbn004"), "myRate": 7})
    write(world, "k1", None, deliver=False)
    write(world, "k2", entry("u", "isbn004"), deliver=False)
    world.backend.reconcile(rests=False)
    assert set(world.database.get(paths.REJECTED)) == {"k3"}


def sign_up(world, user_id):
    world.database.update({f"{paths.USERS}/{user_id}/id": user_id})


def test_a_reader_who_left_leaves_no_trace_and_comes_back_as_one_who_never_left(world):
    sign_up(world, "u")
    write(world, "k1", entry("u", "isbn004"))
    write(world, "k2", {**entry("u", "isbn004"), "myRate": 9})
    world.backend.reconcile(rests=False)
    world.database.update({f"{paths.USERS}/u": None, paths.CHANGES: None})
    assert world.backend.reconcile(rests=False)["farewells"] == 1
    assert world.list_of("u") is None
    assert world.database.get(paths.DIRTY) is None
    assert world.database.get(paths.REJECTED) is None
    assert list(world.database.gone()) == ["u"]
    assert set(world.database.get(paths.CHANGES)) == {"k1"}  # a model without their entries is needed
    write(world, "k3", {**entry("u", "isbn004"), "myRate": 9})
    write(world, "k4", entry("u", "isbn005"))
    assert world.list_of("u") is None
    world.backend.reconcile(rests=False)
    assert world.database.get(paths.REJECTED) is None
    sign_up(world, "u")
    world.backend.reconcile(rests=False)
    assert_list_matches(world, "u")
    assert list(world.database.gone()) == []


def test_a_reader_who_left_and_whose_entries_are_gone_is_purged(world):
    sign_up(world, "u")
    write(world, "k1", entry("u", "isbn004"))
    world.backend.reconcile(rests=False)
    world.database.update({f"{paths.USERS}/u": None, f"{paths.USER_BOOK}/k1": None})
    world.backend.reconcile(rests=False)
    world.backend.reconcile(rests=False)
    assert world.database.get(paths.READERS) is None


def test_a_list_that_is_written_late_for_a_reader_who_left_leaves_no_mark_once_it_is_gone(world):
    sign_up(world, "u")
    write(world, "k1", entry("u", "isbn004"))
    world.database.update({f"{paths.USERS}/u": None})
    world.backend.reconcile(rests=False)
    world.database.update({f"{paths.DIRTY}/u": {"at": 1}, f"{paths.DIRTY}/w": {"at": 1}})
    assert world.backend.reconcile(rests=False)["farewells"] == 1
    assert set(world.database.get(paths.DIRTY)) == {"w"}
    assert "farewells" not in world.backend.reconcile(rests=False)


def test_a_reader_who_never_had_a_profile_gets_a_list(world):
    write(world, "k1", entry("u", "isbn004"), deliver=False)
    world.backend.reconcile(rests=False)
    world.backend.reconcile(rests=False)
    assert_list_matches(world, "u")


def test_a_list_and_the_mark_of_its_change_are_one_write(world):
    writes = []
    update = world.database.update
    world.database.update = lambda values: (writes.append(set(values)), update(values))
    write(world, "k1", entry("u", "isbn004"))
    both = {paths.recommendations("u"), f"{paths.CHANGES}/k1", f"{paths.DIRTY}/u"}
    assert [both for values in writes if both <= values] == [both]


def test_a_duplicate_after_the_training_marks_a_change_but_a_fan_out_marks_none(world):
    write(world, "k1", entry("u", "isbn004"))
    world.database.update({paths.CHANGES: None})
    world.publish("v2", 2)
    world.backend.fanout("v2@2", 0, ["u"])
    assert_list_matches(world, "u", "v2")
    assert world.database.get(paths.CHANGES) is None


def test_an_import_that_the_live_model_knows_is_no_change(world):
    old = first_key(world.clock.now - 1_000) + "a" * 12
    new = first_key(world.clock.now + 1_000) + "a" * 12
    write(world, old, entry("u", "isbn004"), deliver=False)
    write(world, new, entry("w", "isbn004"), deliver=False)
    world.backend.reconcile(rests=False)
    assert set(world.database.get(paths.CHANGES)) == {new}


def test_an_instance_that_starts_after_a_broken_publish_uses_the_newest_kept_model_that_loads(world):
    pointers = [world.database.get(paths.MODEL)]
    for fence, version in ((2, "v2"), (3, "v3")):
        world.publish(version, fence)
        pointers.append(world.database.get(paths.MODEL))
    kept = {node["version"]: node["manifestSha256"] for node in pointers}
    world.database.update({f"{paths.MODEL}/kept": kept})
    world.store.objects["models/v3/recommend.tflite"] = b"v4"
    world.store.objects["models/v2/items.json"] = b"{}"
    world.backend = world.restarted()
    write(world, "k1", entry("u", "isbn004"))
    assert_list_matches(world, "u", "v1")
    assert world.database.status("model")["using"] == "v1"


def test_the_records_of_bad_entries_are_bounded_and_those_of_forged_ones_stay_longest(world, monkeypatch):
    monkeypatch.setattr(rejected, "MAX_RECORDS", 3)
    monkeypatch.setattr(sweep, "MAX_RECORDS", 3)
    write(world, "f", entry("victim", "isbn004"), author="forger")
    for number in range(5):
        world.clock.now += 1
        write(world, f"k{number}", {**entry("u", "isbn004"), "myRate": 7})
    assert set(world.database.get(paths.REJECTED)) == {"f", "k3", "k4"}
    world.backend.reconcile(rests=False)
    assert set(world.database.get(paths.REJECTED)) == {"f", "k3", "k4"}
    assert world.database.status("rejected") == {"rating_out_of_range": 5}


def test_a_forged_entry_whose_removal_was_interrupted_is_removed_by_the_reconciler(world):
    forged = entry("victim", "isbn004")
    write(world, "k1", forged, deliver=False)
    world.database.update({f"{paths.REJECTED}/k1": rejected.forged_record(forged)})
    world.backend.reconcile(rests=False)
    assert world.database.entry("k1") is None
    assert world.database.record("k1")["reason"] == "user_forged"


def test_a_list_that_cannot_be_made_does_not_delay_the_others(world):
    run = world.backend.entry_written
    write(world, "k1", entry("u", "isbn004"), deliver=False)
    write(world, "k2", entry("w", "isbn009"), deliver=False)
    named = models.LiveModel._named

    def broken(self, patience_s):
        live = named(self, patience_s)
        return replace(live, model=Poisoned(live.model)) if live else None

    class Poisoned:
        def __init__(self, model):
            self._model = model

        def __getattr__(self, name):
            return getattr(self._model, name)

        def candidates(self, shelf):
            if shelf.user_id == "u":
                raise RuntimeError("the interpreter has a bad day")
            return self._model.candidates(shelf)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.LiveModel, "_named", broken)
        world.backend.reconcile(rests=False)
    assert run is world.backend.entry_written
    assert world.list_of("u") is None
    assert_list_matches(world, "w")
    world.backend.reconcile(rests=False)
    assert_list_matches(world, "u")


def test_a_step_that_fails_does_not_stop_the_others_and_is_named(world, monkeypatch):
    write(world, "k1", entry("u", "isbn004"), deliver=False)
    monkeypatch.setattr(world.database, "clear_changes", None)
    with pytest.raises(BookrecError, match="could not reconcile marks; the next run tries again"):
        world.backend.reconcile(rests=False)
    assert_list_matches(world, "u")
    assert world.database.status("reconcile")["failed"] == "marks"


def start_run(world):
    world.clock.now += 1  # after the snapshot of the live model
    for number in range(6):
        write(world, f"k{number}", entry("u", f"isbn00{number}"))
    world.clock.now += POLICY.quiet_ms
    assert world.backend.retrain(0) == "started"
    run_id, fence = world.jobs.started[-1]
    world.database.update({f"{paths.STATUS}/training/run": {"runId": run_id, "fence": fence, "outcome": "running"}})
    return fence


def test_the_lease_of_a_dead_run_is_freed_its_record_says_so_and_it_is_tried_again_after_a_while(world):
    start_run(world)
    world.clock.now += 599_000
    assert world.backend.retrain(0) == "busy"
    world.clock.now += 1_000
    world.backend.reconcile(rests=False)
    assert world.database.lease().outcome == "died"
    run = world.database.status("training/run")
    assert (run["outcome"], run["reason"]) == ("died", retrain.REASONS["died"])
    assert world.database.status("training/outcomes") == {"died": 1}
    world.clock.now += POLICY.retry_ms
    world.backend.reconcile(rests=False)
    assert len(world.jobs.started) == 2


def test_a_run_that_died_right_after_its_publish_published(world):
    fence = start_run(world)
    world.publish("v2", fence)
    world.clock.now += 600_000
    world.backend.reconcile(rests=False)
    assert world.database.status("training/run")["outcome"] == "published"
    assert world.database.get(paths.CHANGES) is None
    assert world.database.lease().failures == 0


def test_a_run_that_was_silent_when_it_switched_published(world):
    fence = start_run(world)
    world.clock.now += 600_000
    world.backend.reconcile(rests=False)
    assert world.database.status(f"training/runs/{fence}/outcome") == "died"
    world.publish(f"v2-{fence}", fence)  # it goes on, and cannot record that it has published
    world.backend.reconcile(rests=False)
    training = world.database.status("training")
    record = training["runs"][str(fence)]
    assert record == {**record, "outcome": "published", "fence": fence}
    assert "reason" not in record
    assert (training["run"]["outcome"], training["outcomes"]["published"]) == ("published", 1)
    assert not training["outcomes"].get("died")
    lease = world.database.lease()
    assert (lease.outcome, lease.failures) == ("published", 0)
    world.backend.reconcile(rests=False)
    assert world.database.status("training/outcomes/published") == 1


def test_a_run_that_published_while_silent_is_corrected_after_the_next_one_has_begun(world):
    fence = start_run(world)
    world.clock.now += 600_000
    world.backend.reconcile(rests=False)
    world.publish(f"v2-{fence}", fence)
    held = world.database.change_lease(lambda held: leases.acquire(held, "run", world.clock.now, 1_000, 1_000))
    world.backend.reconcile(rests=False)
    assert world.database.status(f"training/runs/{fence}/outcome") == "published"
    assert world.database.lease() == held


def test_after_several_failures_retraining_is_parked_and_an_operator_releases_it(world):
    start_run(world)
    for _ in range(POLICY.attempts):
        world.clock.now += 10_000_000
        world.backend.reconcile(rests=False)
    started = len(world.jobs.started)
    assert started == POLICY.attempts
    assert world.database.status("training/parked")["failures"] == POLICY.attempts
    world.clock.now += 10_000_000
    world.backend.reconcile(rests=False)
    assert len(world.jobs.started) == started
    world.database.change_lease(leases.forgive)
    world.backend.reconcile(rests=False)
    assert len(world.jobs.started) == started + 1
    assert world.database.status("training/parked") is None


def fan_outs(world):
    return [payload for function, payload, _ in world.tasks.queued.values() if function == "fanout"]


def test_a_fan_out_whose_shards_got_lost_is_queued_again_after_a_while(world):
    for number in range(5):
        sign_up(world, f"u{number}")
    world.backend.model_published()
    tasks = len(fan_outs(world))
    world.clock.now += model_published.FANOUT_PATIENCE_MS
    assert world.backend.reconcile(rests=False)["fanouts"] == 1
    assert len(fan_outs(world)) == tasks + 3
    assert "fanouts" not in world.backend.reconcile(rests=False)


def test_a_fan_out_that_another_one_has_overtaken_does_not_count_the_other_one_as_queued(world, monkeypatch):
    for number in range(5):
        sign_up(world, f"u{number}")
    enqueue = world.tasks.enqueue

    def overtaken(function, payload, task_id, at_ms=None):
        enqueue(function, payload, task_id, at_ms)
        if payload["publication"] == "v1@1" and payload["shard"] == 2:
            world.publish("v2", 2)
            world.tasks.fails = True  # the newer fan-out is interrupted at its first task
            with pytest.raises(ConnectionError):
                world.restarted().model_published()
            world.tasks.fails = False

    monkeypatch.setattr(world.tasks, "enqueue", overtaken)
    world.backend.model_published()
    publications = [payload["publication"] for _, payload, _ in world.tasks.queued.values()]
    assert publications == ["v1@1"] * 3
    assert world.backend.reconcile(rests=False)["fanouts"] == 1
    publications = [payload["publication"] for payload in fan_outs(world)]
    assert publications == ["v1@1"] * 3 + ["v2@2"] * 3


def test_a_killed_rollback_neither_parks_retraining_nor_lets_it_go_on(world):
    world.database.change_lease(lambda held: replace(held, failures=POLICY.attempts - 1, failed_at=1, outcome="died"))
    for version, fence in (("v1", 0), ("v3", 2)):  # killed before its switch, and after it
        held = world.database.change_lease(lambda held: leases.acquire(held, "rollback", world.clock.now, 10, 10, 1))
        if fence:
            world.publish(version, held.fence)
        world.clock.now += 10
        assert world.backend.reconcile(rests=False)["leases"] == 1
        lease = world.database.lease()
        assert (lease.holder, lease.outcome, lease.failures) == (None, "died", POLICY.attempts - 1)
        assert world.database.status("training/outcomes") is None
        assert world.database.status("training/runs") is None


@pytest.mark.parametrize("follower", ["rollback", "run"])
def test_a_run_that_died_is_not_on_record_as_running_once_another_lease_was_given(world, follower):
    held = world.database.change_lease(lambda held: leases.acquire(held, "run", world.clock.now, 10, 100))
    record = {"runId": held.holder, "fence": held.fence, "outcome": "running"}
    world.database.update({f"{paths.STATUS}/training/run": record})
    world.backend.reconcile(rests=False)
    assert world.database.status("training/run/outcome") == "running"
    world.clock.now += 10
    world.database.change_lease(lambda held: leases.acquire(held, follower, world.clock.now, 1_000, 1_000))
    world.backend.reconcile(rests=False)
    assert world.database.status("training/run/outcome") == "died"
    assert world.database.status(f"training/runs/{held.fence}/outcome") == "died"


def test_a_version_that_is_live_again_is_fanned_out_again(world):
    sign_up(world, "u")
    world.backend.model_published()
    world.publish("v2", 2)
    world.backend.model_published()
    world.publish("v1", 3)
    world.backend.model_published()
    publications = [payload["publication"] for name, payload, _ in world.tasks.queued.values() if name == "fanout"]
    assert publications == ["v1@1", "v2@2", "v1@3"]


def test_a_book_that_left_the_catalogue_also_leaves_lists_without_events(world):
    write(world, "k1", entry("u", "isbn004"))
    world.database.update({f"{paths.ARCHIVE}/a005": None})
    world.clock.now += 1
    assert world.backend.reconcile(rests=False)["lists"] == 1
    assert "isbn005" not in [item["isbn"] for item in world.list_of("u")["items"]]
