"""Lists that were shown: counted for the hit rates once, remembered once, whatever becomes of the events."""

import pytest

from backend.handlers import list_shown
from bookrec import paths
from bookrec.life_cycle.manifest import parse_pointer
from bookrec.usage.quality import wilson
from bookrec.usage.showings import MAX_LISTS
from tests.fakes import World, entry
from tests.unit.test_handlers import write

QUALITY = f"{paths.STATUS}/quality"


@pytest.fixture
def world():
    world = World(fatigue_half_life=1)
    world.publish("v1", 1)
    for user_id in ("u", "w"):
        world.database.update({f"{paths.USERS}/{user_id}/id": user_id})
    write(world, "k1", entry("u", "isbn004"))
    return world


def show(world, user_id="u", deliver=True):
    """Write that the reader's list was shown, as the client does, and deliver the event."""
    world.clock.now += 1_000
    list_id = world.list_of(user_id)["listId"]
    world.database.update({f"{paths.USERS}/{user_id}/shown": {"listId": list_id, "at": world.clock.now}})
    if deliver:
        world.backend.list_shown(user_id)
    return list_id


def facts(world, label="v1", user_id="u"):
    return world.database.get(f"{paths.CONVERSIONS}/{user_id}/{label}/shown") or {}


def seen(world, user_id="u"):
    return world.database.get(f"{paths.USERS}/{user_id}/seen")


def isbns(world, user_id="u"):
    return [item["isbn"] for item in world.list_of(user_id)["items"]]


def counted(world):
    world.backend.reconcile(rests=False)
    return world.database.get(QUALITY).get("labels", {})


def again(world):
    """Shelve and remove a book: the list is made again."""
    write(world, "kx", entry("u", "isbn001"))
    write(world, "kx", None)


def test_a_shown_list_is_counted_and_remembered_once_however_often_the_event_comes(world):
    list_id = show(world)
    for _ in range(3):
        world.backend.list_shown("u")
    assert facts(world) == {list_id: {"personal": 10}}
    assert seen(world) == {
        "last": list_id, "at": world.clock.now, "version": "v1", "lists": 1, "books": dict.fromkeys(isbns(world), 1),
    }  # fmt: skip


def test_events_that_overlap_add_a_showing_once(world):
    show(world, deliver=False)
    change = world.database.change_seen

    def overtaken(user_id, changed):
        world.database.change_seen = change
        world.backend.list_shown("u")
        return change(user_id, changed)

    world.database.change_seen = overtaken
    world.backend.list_shown("u")
    assert seen(world)["lists"] == 1


def test_an_event_that_comes_late_adds_nothing_to_a_later_showing(world):
    show(world, deliver=False)
    readers = world.database.readers(["u"])
    again(world)
    second = show(world)
    handler = list_shown.ListShownHandler(world.database, remembers=True)
    assert handler.add(readers) == 0
    assert (seen(world)["last"], seen(world)["lists"]) == (second, 1)


def test_the_sweep_finds_a_showing_whose_event_was_lost(world):
    list_id = show(world, deliver=False)
    assert world.backend.reconcile(rests=False)["showings"] == 1
    assert list(facts(world)) == [seen(world)["last"]] == [list_id]
    assert "showings" not in world.backend.reconcile(rests=False)


def test_a_list_that_is_replaced_before_the_event_came_is_counted_with_its_hit_all_the_same(world):
    list_id = show(world, deliver=False)
    writes, update = [], world.database.update
    world.database.update = lambda values: writes.append(values) or update(values)
    write(world, "k2", entry("u", isbns(world)[2]))
    lists = [values for values in writes if paths.recommendations("u") in values]
    assert [f"{paths.CONVERSIONS}/u/v1/shown/{list_id}" in values for values in lists] == [True]
    hit = world.database.get(f"{paths.CONVERSIONS}/u/v1/hits/k2")
    assert hit == {"position": 3, "source": "personal", "shown": True}
    world.backend.list_shown("u")
    assert seen(world) is None  # what was on that list is no longer known


def test_a_list_that_was_not_shown_is_not_counted_and_neither_is_its_hit(world):
    write(world, "k2", entry("u", isbns(world)[2]))
    assert facts(world) == {}
    assert world.database.get(f"{paths.CONVERSIONS}/u/v1/hits/k2") == {"position": 3, "source": "personal"}
    assert "shown" not in counted(world)["v1"]


def test_a_list_that_was_shown_and_counted_costs_a_later_event_nothing(world):
    show(world)
    writes, update = [], world.database.update
    world.database.update = lambda values: writes.append(values) or update(values)
    write(world, "k1", entry("u", "isbn004", 2.0))
    assert not [path for values in writes for path in values if "/shown/" in path]


def test_figures_have_shown_lists_and_what_was_taken_from_them_by_position_and_source(world):
    show(world)
    write(world, "k2", entry("u", isbns(world)[2]))
    show(world)
    write(world, "k3", entry("u", "isbn001"))
    write(world, "k4", entry("u", isbns(world)[0]))  # from a list that was not shown
    write(world, "w1", entry("w", "isbn010"))
    show(world, "w")
    low, high = wilson(1, 2)
    figures = counted(world)["v1"]
    assert (figures["readers"], figures["hits"]) == (1, 2)
    assert figures["shown"] == {
        "readers": 2, "lists": 3, "takers": 1,
        "positions": [None, *[3] * 10], "sources": {"personal": 30},
        "taken": {"positions": {"3": 1}, "sources": {"personal": 1}},
        "low": round(low, 6), "high": round(high, 6),
    }  # fmt: skip
    assert counted(world)["v1"] == figures


def test_an_experiment_counts_its_shown_lists_by_arm(world):
    world.publish("v2", 2)
    world.backend.operating.experiment({"version": "v1", "share": 0.5})
    running = parse_pointer(world.database.pointer()).experiment
    readers = [f"reader{number}" for number in range(8)]
    for number, user_id in enumerate(readers):
        write(world, f"a{number}", entry(user_id, "isbn004"))
        show(world, user_id)
    figures = counted(world)[running.id]
    in_b = sum(running.arm(user_id) == "b" for user_id in readers)
    arms = [figures["arms"][arm]["shown"]["readers"] for arm in ("a", "b")]
    assert [figures["shown"]["readers"], *arms] == [8, 8 - in_b, in_b]


def test_of_a_reader_who_is_shown_very_many_lists_only_some_count(world, monkeypatch):
    for module in ("bookrec.reader", "bookrec.usage.showings"):
        monkeypatch.setattr(f"{module}.MAX_LISTS", 3)
    assert MAX_LISTS == 100
    for number in range(6):
        write(world, "k1", entry("u", f"isbn{number + 10:03}"))
        show(world)
    assert (len(facts(world)), seen(world)["lists"]) == (3, 6)
    write(world, "k2", entry("u", isbns(world)[0]))
    assert "shown" not in world.database.get(f"{paths.CONVERSIONS}/u/v1/hits/k2")


# -- fatigue in lists ------------------------------------------------------------------------------------------------


def shown_often(world, times=8):
    before = isbns(world)
    for _ in range(times):
        show(world)
        world.database.update({f"{paths.USERS}/u/shown": None})  # the app sets it once a list; here the list stays
    assert isbns(world) == before
    return before


def test_a_showing_changes_no_list_but_the_next_one_that_is_made(world):
    before = shown_often(world)
    world.backend.reconcile(rests=False)
    assert isbns(world) == before
    write(world, "k1", entry("u", "isbn004", 2.0))
    assert isbns(world) != before
    assert len(set(isbns(world))) == 10
    world.backend.reconcile(rests=False)
    version = world.list_of("u")["listId"]
    world.backend.reconcile(rests=False)
    assert world.list_of("u")["listId"] == version


def test_without_fatigue_the_list_stays_and_no_books_are_remembered():
    world = World()
    world.publish("v1", 1)
    world.database.update({f"{paths.USERS}/u/id": "u"})
    write(world, "k1", entry("u", "isbn004"))
    before = shown_often(world)
    write(world, "k1", entry("u", "isbn004", 2.0))
    assert isbns(world) == before
    assert seen(world).keys() == {"last", "at", "version", "lists"}


def test_a_short_list_with_all_books_that_are_left_is_not_written_again_with_every_showing():
    world = World(books=8, fatigue_half_life=1)
    world.publish("v1", 1)
    world.database.update({f"{paths.USERS}/u/id": "u"})
    write(world, "k1", entry("u", "isbn004"))
    before = world.list_of("u")
    shown_often(world)
    world.backend.reconcile(rests=False)
    assert world.list_of("u") == before


def test_a_new_model_brings_the_new_order(world):
    before = shown_often(world)
    world.publish("v4", 2)  # it gives the same lists as v1
    world.backend.reconcile(rests=False)
    assert isbns(world) != before
    assert world.list_of("u")["modelVersion"] == "v4"


# -- readers who leave -----------------------------------------------------------------------------------------------


def test_nothing_is_left_of_a_reader_who_leaves(world):
    show(world)
    world.database.update({f"{paths.USERS}/u": None})
    world.backend.list_shown("u")
    world.backend.reconcile(rests=False)
    assert world.database.get(f"{paths.USERS}/u") is None
    assert facts(world) == {}


@pytest.mark.parametrize("has_entries", [True, False])
@pytest.mark.parametrize("mark", ["here", None])
def test_what_a_late_event_remembers_of_a_reader_who_left_is_removed(world, has_entries, mark):
    show(world, deliver=False)
    readers = world.database.readers(["u"])
    if not has_entries:
        world.database.update({f"{paths.USER_BOOK}/k1": None})
    world.database.update({f"{paths.USERS}/u": None, f"{paths.READERS}/u": mark})
    list_shown.ListShownHandler(world.database, remembers=True).add(readers)
    assert seen(world) is not None
    for _ in range(2):
        world.backend.reconcile(rests=False)
    left = world.database.get(f"{paths.USERS}/u") or {}
    if has_entries and mark is None:  # a reader who never had a profile is served
        assert left.keys() == {"recommendations", "seen"}
    else:
        assert left == {}
        assert facts(world) == {}


def test_what_the_client_and_the_backend_remember_is_not_a_profile(world):
    show(world)
    world.database.update({f"{paths.USERS}/u/id": None})
    world.backend.reconcile(rests=False)
    assert world.database.get(f"{paths.READERS}/u") == "gone"
    assert world.database.get(f"{paths.USERS}/u") is None
