"""One suite over the in-memory database and over the wire, so that the twin cannot drift."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookrec import paths
from bookrec.errors import BadModel, LeaseLost
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.reader import GONE, HERE, Reader
from bookrec.server_values import TIMESTAMP, increment
from bookrec_database.concurrency import run_concurrently
from bookrec_database.database import FirebaseDatabase
from bookrec_database.key_range import KeyRange
from bookrec_operations.switch import switch
from tests.database_server import connected
from tests.fakes import FakeClock, FakeDatabase, database_of, entry
from tests.memory_database import MemoryDatabase
from trainer.data.ingest.pages import pages
from trainer.publishing import versions
from trainer.run import run_record


@pytest.fixture(params=["in memory", "real"])
def database(request):
    if request.param == "in memory":
        yield FakeDatabase(FakeClock())
        return
    with connected(request.getfixturevalue("server")) as adapter:
        yield adapter


def shelve(database, **entries):
    database.update({f"{paths.USER_BOOK}/{key}": value for key, value in entries.items()})


def test_nothing_is_there_at_first(database):
    assert database.shelf_nodes(["u"]) == {}
    assert database.entry("k") is None
    assert database.page(paths.USER_BOOK, "", 5) == {}
    assert list(database.user_ids()) == []
    assert database.readers(["u"]) == {"u": Reader()}
    assert database.readers_page("", 5) == {}
    assert list(database.gone()) == []
    assert database.lease() == leases.Lease()
    assert database.records() == {}
    assert database.clear_changes(10**15) == 0
    assert database.pointer() is None
    assert database.pending(10).changes == 0
    assert not database.has_pending()
    assert database.status("model") is None
    assert list(database.dirty_readers()) == []
    assert database.last_key(paths.USER_BOOK, "k") is None
    assert database.cleared() == 0
    assert list(database.rejected_keys()) == []
    assert database.record("k") is None
    assert database.catalogue("")[0] == {}


def test_a_shelf_holds_the_entries_that_name_its_reader_and_no_others(database):
    mine, bad, odd = entry("u", "1"), {"userId": "u", "isbn": {"a": 1}}, entry("u2", "1")
    shelve(database, k1=mine, k2=entry("w", "1"), k3=bad, k4=odd, k5="text")
    assert database.shelf_nodes(["u"]) == {"k1": mine, "k3": bad}
    assert set(database.shelf_nodes(["u", "w", "nobody"])) == {"k1", "k2", "k3"}
    assert list(database.with_entries(["u", "nobody", "w", "u3"])) == ["u", "w"]
    assert database.entry("k1") == mine


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_meet_every_entry_once_also_with_keys_that_look_like_numbers(database, size):
    keys = ["0", "5", "11", "-1", "-Na", "-Nb", "007", "2147483648", "a", "\N{DRAGON}"]
    shelve(database, **{key: entry("u", "1") for key in keys})
    met, after = [], ""
    while page := database.page(paths.USER_BOOK, after, size):
        met += page
        after = list(page)[-1]
        assert len(page) <= size
    assert sorted(met) == sorted(keys)
    assert met == sorted(keys, key=paths.key_order)


@pytest.mark.parametrize(
    "keys", [["a", "b", "c", "d", "e"], ["0", "1", "2", "3"], ["2", "10", "a", "b"], ["a&b", "c%d", "e+f"], ["x"], []]
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_of_the_trainer_give_each_child_once_whatever_the_keys(database, keys, size):
    if keys:
        database.update({f"{paths.ARCHIVE}/{key}": {"isbn": key} for key in keys})
    found = list(pages(database, paths.ARCHIVE, size))
    assert [key for page in found for key in page] == sorted(keys, key=paths.key_order)
    assert all(0 < len(page) <= size for page in found)


def test_a_range_of_keys_has_a_first_one_and_ends_before_its_end(database):
    shelve(database, **{key: entry("u", "1") for key in "abcdef"})
    assert list(database.page(paths.USER_BOOK, "", 9, KeyRange("b", "e"))) == ["b", "c", "d"]
    assert list(database.page(paths.USER_BOOK, "c", 9, KeyRange("b", "e"))) == ["d"]
    assert list(database.page(paths.USER_BOOK, "", 2, KeyRange(None, "e"))) == ["a", "b"]
    assert database.last_key(paths.USER_BOOK, "dd") == "d"


def test_a_page_is_whole_also_where_the_entry_that_it_follows_is_gone(database):
    shelve(database, a=entry("u", "1"), c=entry("u", "1"), d=entry("u", "1"), e=entry("u", "1"))
    assert list(database.page(paths.USER_BOOK, "b", 2)) == ["c", "d"]


def test_an_update_of_several_paths_fills_in_the_time_and_removes_nulls(database):
    database.update({"Users/u/id": "u", f"{paths.CHANGES}/k1": {"at": TIMESTAMP}, f"{paths.CHANGES}/k2": {"at": 5}})
    pending = database.pending(10)
    assert (pending.changes, pending.oldest_at) == (2, 5)
    assert database.has_pending()
    assert pending.newest_at > 1_600_000_000_000
    database.update({f"{paths.CHANGES}/k1": None})
    assert database.pending(10).newest_at == 5
    assert list(database.user_ids()) == ["u"]


def test_a_reader_is_profile_list_and_mark(database):
    listed = {"listId": "l", "basedOn": {"entries": 1, "digest": "abc"}, "modelVersion": "v1", "items": [{"isbn": "1"}]}
    database.update({paths.recommendations("u"): listed, "Users/v/id": "v", f"{paths.READERS}/v": HERE})
    database.update({f"{paths.LIST_WRITES}/u": 7})
    listed = Reader("abc", "v1", ("1",), sources=("",), entries=1, shown=((None, None, None),), entries_digest="abc")
    listed = replace(listed, has_traces=True, list_id="l")
    expected = {"u": listed, "v": Reader(has_profile=True, mark=HERE)}
    assert database.readers(["u", "v", "w"]) == {**expected, "w": Reader()}
    assert database.list_writes(["v", "u"]) == {"v": 0, "u": 7}
    assert database.present(["u", "v", "w"]) == ["u", "v"]
    assert database.readers_page("", 5) == expected
    assert list(database.readers_page("u", 5)) == ["v"]


def test_dismissals_are_part_of_a_reader_and_removed_with_their_count(database):
    database.update(
        {"Users/u": {"id": "u", "dismissed": {"1": 5, "a,b": 6, "\N{DRAGON}": 7}, "dismissals": {"count": 3}}}
    )
    assert database.readers(["u"])["u"].dismissals.counted(10) == ("1", "a.b")
    assert sorted(database.remove_dismissals("u", lambda present: {"1", *present.rejected})) == ["1", "\N{DRAGON}"]
    assert database.page("Users", "", 1)["u"] == {"id": "u", "dismissed": {"a,b": 6}, "dismissals": {"count": 1}}
    assert database.remove_dismissals("u", lambda present: ()) is None
    assert list(database.remove_dismissals("u", lambda present: present.at)) == ["a,b"]
    assert database.page("Users", "", 1)["u"] == {"id": "u"}
    assert database.remove_dismissals("nobody", lambda present: present.at) is None


def test_readers_come_in_pages_with_all_marks_and_numbers_apart(database):
    for number, user_id in enumerate(["7", "12", "a", "b", "c"]):
        database.update({f"{paths.USERS}/{user_id}/id": user_id, f"{paths.READERS}/{user_id}": HERE})
        if number > 2:
            database.update({f"{paths.READERS}/{user_id}-left": GONE})
    here, gone = Reader(has_profile=True, mark=HERE), Reader(mark=GONE)
    assert database.readers_after("", 2) == ({"a": here, "b": here}, "b")
    assert database.readers_after("b", 2) == ({"b-left": gone, "c": here, "c-left": gone}, None)
    assert database.readers_after("b", 1) == ({"b-left": gone, "c": here}, "c")
    assert database.readers_after("", 2, numbered=True) == ({"7": here, "12": here}, "12")
    assert database.readers_after("12", 2, numbered=True) == ({}, None)


def test_who_had_a_list_written_comes_in_the_range_of_a_page_of_readers(database):
    database.update(
        {f"{paths.LIST_WRITES}/{user_id}": number for number, user_id in enumerate(["7", "12", "a", "b", "c"])}
    )
    assert database.listed("", "b", 9) == ["a", "b"]
    assert database.listed("a", None, 9) == ["b", "c"]
    assert database.listed("a", None, 1) == ["b"]
    assert database.listed("12", "b", 9) == ["a", "b"]
    assert database.listed("", "7", 9, numbered=True) == ["7"]
    assert database.listed("7", None, 9, numbered=True) == ["12"]


def test_who_has_no_list_is_found_by_an_index(database):
    database.update({f"{paths.USERS}/{user_id}/id": user_id for user_id in ("a", "b", "c", "7")})
    database.update({f"{paths.recommendations('b')}/generatedAt": TIMESTAMP})
    assert database.without_list(5) == ["7", "a", "c"]
    assert len(database.without_list(2)) == 2
    database.update({f"{paths.recommendations(user_id)}/generatedAt": 1 for user_id in ("a", "c", "7")})
    assert database.without_list(5) == []


def test_readers_who_follow_a_number_follow_it_as_a_text(database):
    database.update({f"{paths.USERS}/{user_id}/id": user_id for user_id in ("!", "99", "12", "12 a", "1x", "b")})
    assert list(database.readers_after("12", 5)[0]) == ["12 a", "1x", "b"]


def test_many_marks_of_readers_who_left_end_a_page_of_readers_early(database):
    database.update({f"{paths.READERS}/l{number}": GONE for number in range(8)})
    database.update({f"{paths.USERS}/u/id": "u"})
    gone = Reader(mark=GONE)
    assert database.readers_after("", 1) == ({f"l{number}": gone for number in range(5)}, "l4")
    assert database.readers_after("l4", 1) == (
        {**{f"l{number}": gone for number in range(5, 8)}, "u": Reader(has_profile=True)}, "u",
    )  # fmt: skip


def test_entries_come_by_reader_whatever_the_ids_look_like(database):
    ids = ["a", "ab", "a b", "a\t", "10", "9", "é", "\U0001f600", "\uff5e"]
    shelve(database, **{f"k{number}": entry(user_id, "isbn004") for number, user_id in enumerate(ids)})
    shelve(database, k90={"isbn": "x"}, k91={"userId": 5}, k92={"userId": True}, k93={"userId": ""}, k94="text")
    shelve(database, k95={"userId": {"a": 1}})
    after = ""
    for user_id in sorted(ids, key=paths.text_order):
        assert set(database.entries_by_reader(after, user_id, 9)) == {f"k{ids.index(user_id)}"}
        after = user_id
    assert set(database.entries_by_reader(after, None, 9)) == {"k95"}
    assert set(database.entries_of_nobody(9)) == {"k90", "k91", "k92", "k93", "k94"}
    assert len(database.entries_by_reader("", None, 4)) == 4


def test_all_that_is_read_of_some_readers_is_read_at_the_same_time():
    batches = []
    memory = MemoryDatabase(lambda: 0)
    concurrently = lambda calls: [call() for call in batches.append(list(calls)) or batches[-1]]  # noqa: E731
    FirebaseDatabase(memory.reference, concurrently).readers(["u", "v"])
    assert [len(calls) for calls in batches] == [4]


def test_the_connections_of_many_events_are_kept(server, caplog):
    with connected(server) as database:
        run_concurrently([partial(database.entry, f"k{number}") for number in range(200)], at_most=48)
    assert "pool is full" not in caplog.text


def test_who_is_gone_is_found_by_the_mark(database):
    database.update({f"{paths.READERS}/a": HERE, f"{paths.READERS}/b": GONE, f"{paths.READERS}/c": GONE})
    assert list(database.gone()) == ["b", "c"]
    assert list(database.page(paths.READERS, "a", 2)) == ["b", "c"]


def test_whose_shelf_has_changed_is_found_by_the_mark(database):
    database.update({f"{paths.DIRTY}/a": {"at": 1}, f"{paths.DIRTY}/b": {"at": 2}})
    assert list(database.dirty(["b", "c", "a"])) == ["b", "a"]
    assert list(database.dirty([])) == []
    assert list(database.dirty_readers()) == ["a", "b"]


def test_marks_up_to_a_time_are_cleared_and_later_ones_stay(database):
    database.update({f"{paths.CHANGES}/{key}": {"at": at} for key, at in (("a", 1), ("b", 2), ("c", 3))})
    assert database.clear_changes(2) == 2
    assert database.pending(10).changes == 1
    assert database.has_pending()
    assert database.clear_marks(paths.CHANGES, 3) == 1
    assert database.pending(10).changes == 0
    assert not database.has_pending()


def test_the_clock_is_the_databases_own(database):
    first, second = database.server_time(), database.server_time()
    assert 1_600_000_000_000 < first <= second


def test_numbers_are_added_where_they_are(database):
    database.update({f"{paths.STATUS}/n": increment(2)})
    database.update({f"{paths.STATUS}/n": increment(3)})
    assert database.status("n") == 5


def test_an_unchanged_catalogue_is_not_read_again(database):
    database.update({"archive/a": {"isbn": "1", "title": "T"}})
    nodes, etag = database.catalogue("")
    assert nodes == {"a": {"isbn": "1", "title": "T"}}
    assert database.catalogue(etag) == (None, etag)
    database.update({"archive/b": {"isbn": "2"}})
    nodes, _ = database.catalogue(etag)
    assert set(nodes) == {"a", "b"}


def test_a_catalogue_with_numbers_as_keys_is_a_catalogue(database):
    database.update({"archive/0": {"isbn": "1"}, "archive/1": {"isbn": "2"}, "archive/3": {"isbn": "3"}})
    assert set(database.catalogue("")[0]) == {"0", "1", "3"}


def test_a_lease_is_changed_only_where_the_change_allows_it(database):
    taken = database.change_lease(lambda lease: leases.acquire(lease, "run", 0, 10, 100, live_fence=4))
    assert (taken.holder, taken.fence) == ("run-5", 5)
    assert database.change_lease(lambda lease: leases.acquire(lease, "other", 5, 10, 100)) is None
    assert database.lease() == taken
    freed = database.change_lease(lambda lease: leases.release(lease, "run-5", 5, "failed", 7))
    assert freed == leases.Lease(None, 5, outcome="failed", failures=1, failed_at=7)


def test_the_pointer_is_changed_only_where_the_change_allows_it(database):
    assert database.change_pointer(lambda node: {"version": "v1"}) == {"version": "v1"}
    assert database.change_pointer(lambda node: None) == {"version": "v1"}

    def refuse(node):
        raise BadModel(f"no {node['version']}")

    with pytest.raises(BadModel, match="no v1"):
        database.change_pointer(refuse)
    assert database.pointer() == {"version": "v1"}


def test_a_node_of_the_status_is_changed_from_what_it_is_then(database):
    assert database.change_status("fanout", lambda node: {"n": 1, "seen": node is None, "at": TIMESTAMP})
    assert database.change_status("fanout", lambda node: {**node, "n": node["n"] + 1, "done": {}})
    assert not database.change_status("fanout", lambda node: None)
    status = database.status("fanout")
    assert (status.pop("at") > 1_600_000_000_000, status) == (True, {"n": 2, "seen": True})
    begun = []

    def meanwhile(node):
        if not begun:
            begun.append(database.update({f"{paths.STATUS}/fanout/n": 10}))
        return {"n": node["n"] + 1}

    assert database.change_status("fanout", meanwhile)
    assert database.status("fanout") == {"n": 11}


def test_the_pointer_moves_forward_only(database):
    assert usable_pointer(database.pointer()) is None
    second = switch(database, versions.make_pointer("v2", b"", 2, 2, 2))
    assert usable_pointer(database.pointer()) == second
    with pytest.raises(LeaseLost):
        switch(database, versions.make_pointer("v1", b"", 1, 1, 1))
    third = switch(database, versions.make_pointer("v3", b"", 3, 3, 3))
    assert set(third.kept) == {"v2", "v3"}
    database.update({paths.MODEL: "damaged"})
    assert usable_pointer(database.pointer()) is None
    assert switch(database, versions.make_pointer("v1", b"", 1, 1, 1)).version == "v1"


def test_a_run_is_recorded_and_its_outcome_counted(database):
    for outcome in ("running", "failed", "running", "timed out", "running", "failed"):
        database.update(run_record({"runId": "r", "fence": 1, "outcome": outcome}))
    training = database.status("training")
    assert training["outcomes"] == {"failed": 2, "timed out": 1}
    assert (training["run"]["outcome"], training["run"]["runId"]) == ("failed", "r")
    assert training["run"]["at"] > 1_600_000_000_000


def test_reject_moves_exactly_the_entry_that_was_seen(database):
    forged, record = entry("victim", "1"), {"reason": "user_forged", "message": "m", "at": TIMESTAMP}
    shelve(database, k1=forged)
    assert not database.reject("k1", {**forged, "isbn": "2"}, record)
    assert database.entry("k1") == forged
    assert database.record("k1") is None
    assert database.reject("k1", forged, record)
    assert database.entry("k1") is None
    assert database.record("k1")["reason"] == "user_forged"
    assert list(database.rejected_keys()) == ["k1"]
    assert not database.reject("k1", None, record)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_several_instances_are_read_and_cleared_as_one(size):
    clock = FakeClock()
    instances = [MemoryDatabase(clock.now_ms) for _ in range(3)]
    for number in range(20):
        home, user = instances[number % 7 % 3], f"u{number % 7}"
        home.update({f"{paths.USER_BOOK}/k{number:02}": entry(user, "1"), f"{paths.DIRTY}/{user}": {"at": number}})
    instances[0].update({"archive/a": {"isbn": "i"}})
    instances[2].update({"archive/b": {"isbn": "not read"}, f"{paths.READERS}/left": "gone"})
    database = database_of(*instances)
    assert [key for page in pages(database, paths.USER_BOOK, size) for key in page] == [
        f"k{number:02}" for number in range(20)
    ]
    assert [key for page in pages(database, paths.ARCHIVE, size) for key in page] == ["a"]
    assert database.last_key(paths.USER_BOOK, "k15") == "k15"
    assert set(database.shelf_nodes(["u3"])) == {"k03", "k10", "k17"}
    assert list(database.dirty_readers()) == [f"u{number}" for number in range(7)]
    assert list(database.gone()) == ["left"]
    assert database.clear_marks(paths.DIRTY, 17) == 5
    assert list(database.dirty_readers()) == ["u4", "u5"]
    assert [instance.get(f"{paths.STATUS}/training/cleared/dirty") for instance in instances] == [17, None, None]
    assert database.cleared() == 17


@given(
    st.lists(st.one_of(st.integers(-(2**33), 2**33).map(str), st.text("ab-0159_", min_size=1, max_size=4)), unique=True)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_come_first_and_by_value_then_texts(keys):
    order = sorted(keys, key=paths.key_order)
    numbers = [key for key in order if paths.key_order(key)[0] == 0]
    assert order[: len(numbers)] == numbers
    assert [int(key) for key in numbers] == sorted(int(key) for key in numbers)
