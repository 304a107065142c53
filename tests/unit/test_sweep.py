"""What a quiet run of the reconciler reads, when its sweep rests, and that lists follow the catalogue."""

import json
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import lists, shelf_walk, sweep
from backend.composition import build
from backend.handlers import reconcile
from backend.handlers.entry_written import EntryWritten
from backend.lists import ListRefresher
from backend.logs import user_key
from backend.shelf_walk import ShelfWalk
from bookrec import paths
from bookrec.entries import user_id_of
from bookrec.push_keys import first_key
from bookrec.reader import GONE, HERE
from tests import memory_database
from tests.fakes import SETTINGS, FakeClock, FakeDatabase, World, entry

REST_MS, RUN_MS = SETTINGS.sweep_rest_s * 1000, 300_000
SWEEPS = f"{paths.STATUS}/reconcile/sweeps"


def quiet_world(readers, each, size=200):
    """Return a world in which readers have written in turns, all lists are right, and a sweep is over."""
    world = World(books=200)
    world.publish("v1", 1)
    begin, values = world.clock.now - 30 * 86_400_000, {}
    for number in range(readers * each):
        key = first_key(begin + number * 1_000) + f"{number:012}"
        values[f"{paths.USER_BOOK}/{key}"] = entry(
            f"reader-{number % readers:03}", world.isbns[number // readers % 150]
        )
    for number in range(readers):
        values[f"{paths.USERS}/reader-{number:03}/id"] = f"reader-{number:03}"
    world.database.update(values)
    for _ in range(3):
        run(world)
    return world


def run(world, after_ms=RUN_MS):
    world.clock.now += after_ms
    return world.backend.reconcile()


def count_of(monkeypatch, world, call):
    """Return bytes, entries and lists in the answers to the requests of a call."""
    seen = {"bytes": 0, "entries": 0, "lists": 0}

    def counting(real):
        def counted(self, *given, **named):
            answer = real(self, *given, **named)
            text = json.dumps(answer, default=str)
            seen["bytes"] += len(text)
            seen["entries"] += text.count('"myRate"')
            seen["lists"] += text.count('"listId"')
            return answer

        return counted

    with monkeypatch.context() as patch:
        for place in (memory_database.Reference, memory_database.Query):
            patch.setattr(place, "get", counting(place.get))
        call()
    return seen


@pytest.mark.parametrize("page", [7, 50, 2_000])
def test_a_quiet_sweep_reads_each_list_once_and_each_entry_once_but_for_the_shelves_that_a_page_cuts_off(
    monkeypatch, page
):
    world = quiet_world(readers=12, each=20)
    monkeypatch.setattr(shelf_walk, "ENTRIES", page)
    read = count_of(monkeypatch, world, lambda: run(world, REST_MS))
    assert world.database.get(SWEEPS) == 2
    assert read["lists"] == 12
    newest = 1  # where the watermark begins to look for new entries
    assert 240 + newest <= read["entries"] <= newest + (240 if page == 2_000 else 2 * 240)


def test_a_quiet_sweep_grows_in_proportion_to_the_entries(monkeypatch):
    read = []
    for readers in (5, 20):
        world = quiet_world(readers, each=20)
        rest = count_of(monkeypatch, world, lambda: run(world))["bytes"]  # noqa: B023
        read.append(count_of(monkeypatch, world, lambda: run(world, REST_MS))["bytes"] - rest)  # noqa: B023
    assert read[1] < 4.4 * read[0]


def test_a_day_has_one_sweep_in_an_hour_and_runs_that_rest_read_no_entry_and_no_list(monkeypatch):
    world = quiet_world(readers=3, each=5)
    before = world.database.get(SWEEPS)
    read = [count_of(monkeypatch, world, lambda: run(world)) for _ in range(288)]
    swept = world.database.get(SWEEPS) - before
    assert 22 <= swept <= 24
    assert sum(r["lists"] > 0 for r in read) == swept
    assert {r["entries"] for r in read if not r["lists"]} == {1}  # the last one, after which new entries would come


@pytest.mark.parametrize("lease", [{"failures": 9, "outcome": "failed"}, {"holder": "run-1", "expiresAt": 4 * 10**12}])
def test_while_no_run_can_start_the_number_of_changes_that_wait_costs_nothing(monkeypatch, lease):
    world = quiet_world(readers=2, each=3)
    world.database.update({paths.LEASE: {"fence": 9, "failedAt": world.clock.now, **lease}})
    read = []
    for marks in (1, 400):
        at = {"at": world.clock.now + 1}
        world.database.update({f"{paths.CHANGES}/{number}": at for number in range(marks)})
        read.append(count_of(monkeypatch, world, lambda: run(world))["bytes"])
    assert read[1] < read[0] + 100


def test_a_reader_whose_new_entries_are_on_many_pages_is_visited_once_by_a_run(monkeypatch):
    monkeypatch.setattr(sweep, "PAGE", 4)
    world = World(books=60)
    world.publish("v1", 1)
    for number in range(40):
        key = first_key(world.clock.now - 40_000 + number) + f"{number:012}"
        world.database.update({f"{paths.USER_BOOK}/{key}": entry(f"u{number % 2}", world.isbns[number])})
    visited, refresh = [], ListRefresher.refresh
    monkeypatch.setattr(
        ListRefresher,
        "refresh",
        lambda self, users, *given: (visited.extend(users), refresh(self, users, *given))[1],
    )
    world.backend.reconcile()
    assert sorted(visited) == ["u0", "u1"]
    assert world.list_of("u0")["basedOn"]["entries"] == world.list_of("u1")["basedOn"]["entries"] == 20


def test_while_the_sweep_rests_a_lost_event_of_a_new_entry_is_found_within_two_runs():
    world = quiet_world(readers=3, each=5)
    world.clock.now += RUN_MS
    key = first_key(world.clock.now) + "a" * 12
    world.database.update({f"{paths.USER_BOOK}/{key}": entry("reader-001", "isbn180")})
    before = world.database.get(SWEEPS)
    run(world, 0)
    run(world)
    assert world.list_of("reader-001")["basedOn"]["entries"] == 6
    assert world.database.get(SWEEPS) == before


@pytest.mark.parametrize("ahead", ["z", "future"])
def test_entries_whose_keys_are_ahead_of_the_time_cost_a_run_that_rests_no_more_than_a_page(monkeypatch, ahead):
    monkeypatch.setattr(sweep, "PAGE", 5)
    world = quiet_world(readers=2, each=3)
    first = "zzz" if ahead == "z" else first_key(world.clock.now + 30 * 86_400_000)
    keys = [f"{first}{number:012}" for number in range(40)]
    world.database.update({f"{paths.USER_BOOK}/{key}": entry("reader-001", "isbn180") for key in keys})
    read = count_of(monkeypatch, world, lambda: run(world))
    assert (read["entries"], read["lists"]) == (6, 0)  # and the last settled one
    run(world, REST_MS)
    assert world.list_of("reader-001")["basedOn"]["entries"] == 43
    key = first_key(world.clock.now) + "a" * 12
    world.database.update({f"{paths.USER_BOOK}/{key}": entry("reader-000", "isbn181")})
    run(world, 0)
    run(world)
    assert world.list_of("reader-000")["basedOn"]["entries"] == 4


def test_a_lost_update_and_a_lost_removal_are_found_by_the_next_sweep():
    world = quiet_world(readers=3, each=2)
    keys = sorted(world.database.get(paths.USER_BOOK))
    world.database.update({f"{paths.USER_BOOK}/{keys[0]}/myRate": 1, f"{paths.USER_BOOK}/{keys[1]}": None})
    world.database.update({f"{paths.USER_BOOK}/{key}": None for key in (keys[2], keys[5])})  # all of one reader's
    assert "lists" not in run(world)
    assert run(world, REST_MS)["lists"] == 3
    assert [world.list_of(f"reader-00{number}")["basedOn"]["entries"] for number in range(3)] == [2, 1, 0]


def test_while_the_sweep_rests_a_new_reader_without_books_and_one_whose_list_is_gone_get_lists_with_the_next_run():
    world = quiet_world(readers=2, each=2)
    world.database.update({f"{paths.USERS}/new/id": "new", paths.recommendations("reader-001"): None})
    before = world.database.get(SWEEPS)
    assert run(world)["lists"] == 2
    assert [world.list_of(user_id)["basedOn"]["entries"] for user_id in ("new", "reader-001")] == [0, 2]
    assert world.database.get(SWEEPS) == before
    assert "lists" not in run(world)


@pytest.mark.parametrize("failing", [3, 7])
def test_readers_whose_first_lists_cannot_be_made_delay_nobody_else(monkeypatch, failing):
    monkeypatch.setattr(sweep, "PAGE", 3)
    world, writes_for = quiet_world(1, 1), lists.writes_for
    # In the order of the keys and of the hashes: those who fail are before the others in both.
    names = [f"{place}{next(n for n in count() if user_key(f'{place}{n}')[0] == place)}" for place in "0123456789"]
    world.database.update({f"{paths.USERS}/{name}/id": name for name in names})

    def failing_writes(shelf, *given):
        if shelf.user_id in names[:failing]:
            raise ValueError("no list")
        return writes_for(shelf, *given)

    monkeypatch.setattr(lists, "writes_for", failing_writes)
    for _ in range(4):
        run(world)
    assert all(world.list_of(name) for name in names[failing:])
    monkeypatch.setattr(lists, "writes_for", writes_for)
    for _ in range(4):
        run(world)
    assert all(world.list_of(name) for name in names)
    run(world)
    assert world.database.get(f"{paths.STATUS}/reconcile/withoutList") is None


def test_an_operator_does_not_wait_for_the_rest_to_end():
    world = quiet_world(readers=2, each=2)
    before = world.database.get(SWEEPS)
    world.backend.operating.reconcile(rests=True)
    assert world.database.get(SWEEPS) == before
    world.backend.operating.reconcile()
    assert world.database.get(SWEEPS) == before + 1


@pytest.mark.parametrize("swept_at", [None, "yesterday", 10**15])
def test_a_time_of_the_last_sweep_that_cannot_be_right_is_no_reason_to_rest(swept_at):
    world = quiet_world(readers=2, each=2)
    before = world.database.get(SWEEPS)
    world.database.update({f"{paths.STATUS}/reconcile/sweptAt": swept_at})
    run(world)
    assert world.database.get(SWEEPS) == before + 1


@pytest.mark.parametrize("state", [{"phase": 3, "after": "x"}, {"phase": "none"}, {"after": "reader-001"}])
def test_a_sweep_that_another_version_of_the_code_has_begun_begins_again(state):
    world = quiet_world(readers=2, each=2)
    world.database.update({f"{paths.STATUS}/reconcile/sweep": state, paths.recommendations("reader-000"): None})
    assert run(world)["lists"] == 1


def test_a_sweep_continues_in_the_next_run_where_the_last_one_stopped(monkeypatch):
    world = quiet_world(readers=9, each=4)
    monkeypatch.setattr(reconcile, "BUDGET_MS", 0)
    monkeypatch.setattr(shelf_walk, "ENTRIES", 10)
    monkeypatch.setattr(shelf_walk, "READERS", 3)
    before, runs = world.database.get(SWEEPS), 0
    world.clock.now += REST_MS
    world.database.update({paths.recommendations(f"reader-00{number}"): None for number in (0, 4, 8)})
    repaired = 0
    while world.database.get(SWEEPS) == before:
        repaired += run(world).get("lists", 0)
        runs += 1
    assert repaired == 3
    assert 4 < runs < 12


# -- the walk --------------------------------------------------------------------------------------------------------

IDS = ["a", "ab", "a b", "b", "B", "12", "7", "-3", "007", "é", "\U0001f600", "\uff5e", "z" * 128]
BAD_IDS = ["a.b", "a\t", "", 5, True, None, {"a": "b"}, "z" * 129, "z" * 700]


@settings(max_examples=100, deadline=None)
@given(
    shelves=st.lists(st.sampled_from([*range(len(IDS)), *range(-len(BAD_IDS), 0)]), max_size=40),
    profiles=st.sets(st.sampled_from(IDS)),
    marks=st.sets(st.sampled_from(IDS)),
    pages=st.sampled_from([(1, 1), (2, 3), (3, 10), (200, 2_000)]),
    stops=st.booleans(),
)
def test_the_walk_meets_each_reader_once_with_the_whole_shelf(shelves, profiles, marks, pages, stops):
    names = [*IDS, *BAD_IDS]
    database = FakeDatabase(FakeClock())
    nodes = {f"k{number:03}": {**entry("", "isbn004"), "userId": names[name]} for number, name in enumerate(shelves)}
    # More entries without a text for a reader than fit on a page are not all counted; in production 2,000 fit.
    shown = {key: node for key, node in nodes.items() if isinstance(node["userId"], str) and node["userId"]}
    others = {key: node for key, node in nodes.items() if key not in shown}
    nodes = {**shown, **dict(list(others.items())[: pages[1]])}
    values = {f"{paths.USER_BOOK}/{key}": node for key, node in nodes.items()}
    values |= {f"{paths.USERS}/{user_id}/id": user_id for user_id in profiles}
    values |= {f"{paths.READERS}/{user_id}": HERE if user_id in profiles else GONE for user_id in marks}
    database.memory.update(values)
    met, seen, after = [], [], ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf_walk, "READERS", pages[0])
        patch.setattr(shelf_walk, "ENTRIES", pages[1])
        walk = ShelfWalk(database)
        while after is not None:
            walk = ShelfWalk(database) if stops else walk  # another run goes on
            stretch = walk.after(after)
            met += stretch.readers
            seen += stretch.nodes
            after = stretch.last
            for user_id, reader in stretch.readers.items():
                assert reader.has_profile == (user_id in profiles)
                assert reader.mark == (None if user_id not in marks else HERE if user_id in profiles else GONE)
                mine = {key for key, node in nodes.items() if node["userId"] == user_id}
                assert mine == {key for key, node in stretch.nodes.items() if node.get("userId") == user_id}
    texts = {user_id for user_id in profiles | marks if not paths.is_number(user_id)}
    valid = {user_id for node in nodes.values() if (user_id := user_id_of(node)) is not None}
    assert sorted(met) == sorted(texts | valid)
    # A page that is full of what no reader can be named may leave out more of it.
    skipped = {
        key for key, node in nodes.items() if "z" * 129 in str(node["userId"]) or isinstance(node["userId"], dict)
    }
    assert sorted(set(seen) | skipped) == sorted(nodes)
    assert len(seen) == len(set(seen))


def test_a_reader_whose_id_is_a_number_gets_a_list_and_loses_it_after_leaving():
    world = World()
    world.publish("v1", 1)
    key = first_key(world.clock.now - 10**9) + "a" * 12
    world.database.update({f"{paths.STATUS}/reconcile/watermark": first_key(world.clock.now)})
    world.database.update({f"{paths.USER_BOOK}/{key}": entry("42", "isbn004"), f"{paths.USERS}/42/id": "42"})
    world.database.update({f"{paths.USERS}/43/id": "43"})
    run(world)
    assert [world.list_of(user_id)["basedOn"]["entries"] for user_id in ("42", "43")] == [1, 0]
    world.database.update({f"{paths.USER_BOOK}/{key}": None})
    run(world, REST_MS)
    assert world.list_of("42")["basedOn"]["entries"] == 0
    world.database.update({f"{paths.USERS}/42": None})
    run(world, REST_MS)
    assert (world.list_of("42"), world.database.get(f"{paths.READERS}/42")) == (None, None)


# -- lists follow the catalogue --------------------------------------------------------------------------------------


def world_with_a_list():
    world = World()
    world.publish("v1", 1)
    world.database.update({f"{paths.USER_BOOK}/k1": entry("u", "isbn004")})
    world.backend.entry_written(EntryWritten("e", "k1", None, entry("u", "isbn004"), None))
    run(world)
    return world


@pytest.mark.parametrize(
    ("field", "value"), [("title", "Corrected"), ("author", "Corrected"), ("image", "https://new")]
)
def test_a_correction_of_the_catalogue_reaches_lists_within_a_sweep_and_keeps_their_id(field, value):
    world = world_with_a_list()
    before = world.list_of("u")
    world.database.update({f"{paths.ARCHIVE}/a005/{field}": value})
    assert run(world, REST_MS)["lists"] == 1
    after = world.list_of("u")
    assert after["items"][0][field] == value
    changed = {"generatedAt": 0, "items": 0}
    assert {**after, **changed} == {**before, **changed}
    assert [item["isbn"] for item in after["items"]] == [item["isbn"] for item in before["items"]]
    assert "lists" not in run(world, REST_MS)


def test_a_correction_reaches_a_list_of_another_model_that_gives_the_same_books():
    world = world_with_a_list()
    world.publish("v4", 2)
    before = world.list_of("u")
    world.database.update({f"{paths.ARCHIVE}/a005/title": "Corrected"})
    world.clock.now += 1
    world.backend.fanout("v4@2", 0, ["u"])
    assert (world.list_of("u")["items"][0]["title"], world.list_of("u")["listId"]) == ("Corrected", before["listId"])


def test_a_correction_that_makes_two_books_editions_of_one_takes_the_second_off_the_list():
    world = world_with_a_list()
    world.database.update({f"{paths.ARCHIVE}/a006/title": "Title 5", f"{paths.ARCHIVE}/a006/author": "Author 5"})
    run(world, REST_MS)
    listed = [item["isbn"] for item in world.list_of("u")["items"]]
    assert ("isbn005" in listed, "isbn006" in listed, len(listed)) == (True, False, 10)


def test_a_correction_that_makes_a_listed_book_an_edition_of_one_on_the_shelf_takes_it_off_the_list():
    world = world_with_a_list()
    world.database.update({f"{paths.ARCHIVE}/a004/title": "Title 5", f"{paths.ARCHIVE}/a004/author": "Author 5"})
    assert run(world, REST_MS)["lists"] == 1
    assert "isbn005" not in [item["isbn"] for item in world.list_of("u")["items"]]


def test_a_correction_of_a_book_on_many_lists_is_written_in_bounded_updates(monkeypatch):
    world = quiet_world(readers=120, each=1)
    world.backend = build(replace(SETTINGS, sweep_rest_s=0), world._services)
    sizes, update = [], world.database.update
    monkeypatch.setattr(world.database, "update", lambda values: (sizes.append(len(values)), update(values))[1])
    for number in range(200):
        update({f"{paths.ARCHIVE}/a{number:03}/image": "https://new"})
    assert run(world)["lists"] == 120
    listed = [size for size in sizes if size > 20]
    assert len(listed) == 5  # of 25 lists each, what follows each of them, and the count of each list's writes
    assert max(listed) <= 3 * 25 + 1
