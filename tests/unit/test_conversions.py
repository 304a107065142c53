"""What readers shelve while having a list, and how it is counted."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import sweep
from backend.handlers import reconcile
from bookrec import paths
from bookrec.entries import Entry
from bookrec.life_cycle.experiment import Experiment
from bookrec.life_cycle.manifest import Pointer, parse_pointer
from bookrec.reader import Reader, parse_reader
from bookrec.shelf import Shelf
from bookrec.usage.conversions import Hit, conversion
from bookrec.usage.quality import (
    ALL,
    KEPT_LABELS,
    Standing,
    Tally,
    is_final,
    read_tally,
    standing,
    wilson,
)  # fmt: skip
from tests.fakes import World, entry
from tests.unit.test_handlers import write

QUALITY = f"{paths.STATUS}/quality"
ISBNS = tuple(f"i{number}" for number in range(10))
LISTED = Reader("d", "v1", ISBNS, True, "here", ("personal",) * 8 + ("popular", "newest"), 1)
EXPERIMENT = Experiment("ab-1", "v2", 0.5, 1)


def shelf(*isbns, user_id="u"):
    return Shelf(user_id, tuple(Entry(f"k{n}", user_id, isbn, 0.0) for n, isbn in enumerate(isbns)))


# -- the conversions of a list that is replaced ------------------------------------------------------------------------


def test_a_shelf_that_has_grown_says_which_of_its_books_were_on_the_list():
    outcome = conversion(LISTED, shelf("x", "i0", "y", "i9"), {"v1"}, None)
    assert outcome.labels == {"v1": None}
    assert outcome.hits == {"k1": Hit(1, "personal"), "k3": Hit(10, "newest")}


@pytest.mark.parametrize("isbns", [(), ("i0",)])
def test_a_shelf_that_has_not_grown_says_nothing(isbns):
    assert conversion(LISTED, shelf(*isbns), {"v1"}, None) is None


def test_a_reader_without_a_list_has_no_conversion():
    assert conversion(parse_reader({"id": "u"}, "here"), shelf("x", "i0"), {"v1"}, EXPERIMENT) is None


def test_a_list_of_a_version_that_is_no_longer_counted_counts_for_the_experiment_only():
    assert conversion(LISTED, shelf("x", "y"), {"v2"}, None) is None
    assert conversion(LISTED, shelf("x", "y"), {"v2"}, EXPERIMENT).labels == {"ab-1": EXPERIMENT.arm("u")}


def test_with_an_experiment_it_counts_for_both():
    outcome = conversion(LISTED, shelf("x", "i4"), {"v1", "v2"}, EXPERIMENT)
    arm = EXPERIMENT.arm("u")
    hit = {"position": 5, "source": "personal"}
    assert outcome.to_values("u", 7) == {
        "Recommender/shelvings/u/v1/at": 7,
        "Recommender/shelvings/u/v1/hits/k1": hit,
        "Recommender/shelvings/u/ab-1/at": 7,
        "Recommender/shelvings/u/ab-1/arm": arm,
        "Recommender/shelvings/u/ab-1/hits/k1": hit,
    }


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(
    st.sampled_from(["items", "basedOn", "entries", "digest", "modelVersion", "isbn", "source"]), c)))  # fmt: skip
def test_no_value_in_place_of_a_list_raises(node):
    reader = parse_reader({"recommendations": node}, None)
    conversion(reader, shelf("x", "i0"), {"v1"}, EXPERIMENT)


# -- in the handlers -------------------------------------------------------------------------------------------------


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    for user_id in ("u", "w"):
        world.database.update({f"{paths.USERS}/{user_id}/id": user_id})
    write(world, "k1", entry("u", "isbn004"))
    return world


def conversions_of(world, user_id="u"):
    node = world.database.get(f"{paths.CONVERSIONS}/{user_id}") or {}
    return {label: {key: value for key, value in fields.items() if key != "at"} for label, fields in node.items()}


def counted(world):
    world.backend.reconcile(rests=False)
    return world.database.get(QUALITY).get("labels", {})


def test_the_first_list_is_not_a_conversion_and_the_next_book_is(world):
    assert conversions_of(world) == {}
    on_list = world.list_of("u")["items"][2]["isbn"]
    write(world, "k2", entry("u", on_list))
    assert conversions_of(world) == {"v1": {"hits": {"k2": {"position": 3, "source": "personal"}}}}
    write(world, "k3", entry("u", "isbn001"))
    assert conversions_of(world) == {"v1": {"hits": {"k2": {"position": 3, "source": "personal"}}}}


def test_repeated_late_and_overlapping_events_count_once(world):
    on_list = [item["isbn"] for item in world.list_of("u")["items"]]
    events = [write(world, f"k{n}", entry("u", on_list[n]), deliver=False) for n in (2, 3)]
    for event in (*reversed(events), *events):
        world.backend.entry_written(event)
    noted = conversions_of(world)
    assert {key: hit["position"] for key, hit in noted["v1"]["hits"].items()} == {"k2": 3, "k3": 4}
    assert counted(world)["v1"]["hits"] == 2


def test_the_reconciler_finds_what_lost_events_left(world):
    write(world, "k2", entry("u", world.list_of("u")["items"][0]["isbn"]), deliver=False)
    figures = counted(world)["v1"]
    assert conversions_of(world)["v1"]["hits"] == {"k2": {"position": 1, "source": "personal"}}
    assert (figures["readers"], figures["hitReaders"], figures["hits"]) == (1, 1, 1)


def test_a_removal_and_a_changed_rating_are_not_conversions(world):
    write(world, "k1", entry("u", "isbn004", 2.0))
    write(world, "k1", None)
    assert conversions_of(world) == {}


def test_the_list_and_the_conversion_are_one_write_and_nothing_more_is_read(world):
    writes, update = [], world.database.update
    world.database.update = lambda values: writes.append(values) or update(values)
    write(world, "k2", entry("u", "isbn020"), deliver=False)
    reads = world.database.shelf_reads
    write(world, "k2", entry("u", "isbn020"))
    lists = [values for values in writes if paths.recommendations("u") in values]
    assert len(lists) == 1
    assert f"{paths.CONVERSIONS}/u/v1/at" in lists[0]
    assert world.database.shelf_reads == reads + 1


def test_the_conversions_of_a_reader_who_leaves_are_removed(world):
    write(world, "k2", entry("u", "isbn020"))
    world.database.update({f"{paths.USERS}/u": None})
    world.backend.reconcile(rests=False)
    assert world.database.get(paths.CONVERSIONS) is None


def test_traces_that_a_late_event_left_of_a_reader_who_is_gone_are_removed_too(world):
    world.database.update({f"{paths.CONVERSIONS}/stranger/v1/at": 1, f"{paths.CONVERSIONS}/u/v1/at": 1})
    assert world.backend.reconcile(rests=False)["farewells"] == 1
    assert list(world.database.get(paths.CONVERSIONS)) == ["u"]


def test_figures_are_counted_with_their_interval_positions_and_sources(world):
    for number in range(2, 6):
        write(world, f"k{number}", entry("u", world.list_of("u")["items"][number - 2]["isbn"]))
    write(world, "w1", entry("w", "isbn010"))
    write(world, "w2", entry("w", "isbn001"))
    figures = counted(world)["v1"]
    low, high = wilson(1, 2)
    assert figures == {
        "readers": 2, "hitReaders": 1, "hits": 4, "positions": [None, 1, 1, 1, 1], "sources": {"personal": 4},
        "low": round(low, 6), "high": round(high, 6),
    }  # fmt: skip
    assert counted(world)["v1"] == figures


def test_lists_that_were_made_without_a_model_have_their_own_label():
    world = World()
    write(world, "k1", entry("u", "isbn004"))
    write(world, "k2", entry("u", world.list_of("u")["items"][0]["isbn"]))
    assert list(conversions_of(world)) == ["none"]


def test_an_experiment_is_counted_by_arm_with_the_versions_of_its_arms(world):
    world.publish("v2", 2)
    world.backend.operating.experiment({"version": "v1", "share": 0.5})
    running = parse_pointer(world.database.pointer()).experiment
    readers = [f"reader{number}" for number in range(8)]
    for number, user_id in enumerate(readers):
        write(world, f"a{number}", entry(user_id, "isbn004"))
        write(world, f"b{number}", entry(user_id, world.list_of(user_id)["items"][0]["isbn"]))
    figures = counted(world)[running.id]
    in_b = sum(running.arm(user_id) == "b" for user_id in readers)
    assert (figures["readers"], figures["arms"]["b"]["readers"], figures["arms"]["a"]["readers"]) == (8, in_b, 8 - in_b)
    assert {arm: row["version"] for arm, row in figures["arms"].items()} == {"a": "v2", "b": "v1"}
    world.backend.operating.experiment({"action": "end"})
    ended = counted(world)[running.id]
    assert (ended["arms"], is_final(ended)) == (figures["arms"], True)
    assert counted(world)[running.id] == ended
    assert not [node for node in world.database.get(paths.CONVERSIONS).values() if running.id in node]


def test_a_version_that_is_no_longer_kept_is_counted_once_more_and_then_its_labels_are_removed(world):
    write(world, "k2", entry("u", world.list_of("u")["items"][0]["isbn"]))
    world.publish("v2", 2)
    assert "endedAt" not in counted(world)["v1"]
    world.database.update({f"{paths.MODEL}/kept/v1": None})
    ended = counted(world)["v1"]
    assert (ended["hits"], ended["endedAt"]) == (1, world.clock.now)
    assert "v1" in conversions_of(world)
    assert counted(world)["v1"] == ended
    assert "v1" not in conversions_of(world)
    assert counted(world)["v1"] == ended


@pytest.mark.parametrize("page", [1, 2, 200])
def test_a_count_continues_over_several_runs(world, monkeypatch, page):
    for number in range(7):
        write(world, f"a{number}", entry(f"r{number}", "isbn004"))
        write(world, f"b{number}", entry(f"r{number}", world.list_of(f"r{number}")["items"][number]["isbn"]))
    monkeypatch.setattr(sweep, "PAGE", page)
    monkeypatch.setattr(reconcile, "BUDGET_MS", 0)
    for _ in range(200):
        world.backend.reconcile(rests=False)
        if world.database.get(QUALITY):
            break
    figures = world.database.get(QUALITY)["labels"]["v1"]
    assert (figures["readers"], figures["hits"]) == (7, 7)
    assert paths.children(figures["positions"]) == {str(number): 1 for number in range(1, 8)}


# -- counting --------------------------------------------------------------------------------------------------------


def test_the_interval_is_wilsons():
    # Source: Brown, Cai and DasGupta (2001) give the formula; these are computed by hand with z = 2: (0.2, 0.8).
    low, high = wilson(1, 2, 2.0)
    assert (low, high) == pytest.approx(((0.5 + 1 - math.sqrt(2) * math.sqrt(0.75)) / 3, 1 - low))
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_contains_the_share_stays_within_0_and_1_and_is_symmetric(numbers):
    hits, trials = numbers
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert wilson(trials - hits, trials) == pytest.approx((1 - high, 1 - low))
    assert wilson(2 * hits, 2 * trials)[1] - wilson(2 * hits, 2 * trials)[0] < high - low


HITS = st.dictionaries(
    st.text("abc", min_size=1),
    st.fixed_dictionaries({"position": st.integers(1, 10), "source": st.sampled_from(["personal", "popular"])}),
)
NODES = st.lists(st.dictionaries(
    st.sampled_from(["v1", "v2", "ab-1"]),
    st.fixed_dictionaries({"at": st.just(1)}, optional={"arm": st.sampled_from(["a", "b"]), "hits": HITS}),
))  # fmt: skip
STANDING = Standing(frozenset({"v1", "v2", "ab-1"}), "ab-1", {"a": "v1", "b": "v2"})


def tally(nodes, at=STANDING):
    made = Tally(at)
    for labels in nodes:
        for label, node in labels.items():
            made.add(label, node)
    return made


@given(NODES, st.integers(0, 20))
def test_a_count_that_is_stored_between_two_pages_is_the_count_of_both(nodes, cut):
    first = tally(nodes[:cut])
    going_on = read_tally(json.loads(json.dumps(first.to_node())))
    for labels in nodes[cut:]:
        for label, node in labels.items():
            going_on.add(label, node)
    assert going_on.report({}, 1) == tally(nodes).report({}, 1)


@given(NODES)
def test_arms_add_up_and_hits_are_counted_in_every_way_alike(nodes):
    for parts in tally(nodes).counts.values():
        whole = parts[ALL]
        arms = [count for part, count in parts.items() if part != ALL]
        assert sum(count.readers for count in arms) <= whole.readers
        assert whole.hit_readers <= min(whole.readers, whole.hits)
        assert whole.hits == sum(whole.positions.values()) == sum(whole.sources.values())


def test_the_newest_labels_are_kept_the_open_ones_first():
    before = {f"old{number:02}": {"readers": 1, "endedAt": number} for number in range(30)}
    report = tally([{"v1": {"at": 1}}], Standing(frozenset({"v1"}))).report(before, 99)
    assert list(report) == ["v1", *(f"old{number:02}" for number in range(29, 30 - KEPT_LABELS, -1))]


def test_a_label_whose_readers_have_all_left_ends_with_its_last_figures():
    before = {"v1": {"readers": 3}, "v2": {"readers": 4}}
    assert Tally(Standing(frozenset({"v2"}))).report(before, 9) == {"v1": {"readers": 3, "endedAt": 9}}


def test_open_is_what_the_pointer_vouches_for():
    pointer = Pointer("v2", "", "s", 1, 1, 1, {"v1": "s", "v2": "s"}, experiment=Experiment("ab-1", "v1", 0.5, 1))
    assert standing(None).open == {"none"}
    assert standing(pointer) == Standing(frozenset({"none", "v1", "v2", "ab-1"}), "ab-1", {"a": "v2", "b": "v1"})


def test_a_version_that_is_published_while_a_sweep_counts_has_not_ended():
    counted = tally([{"v2": {"at": 1}}], Standing(frozenset({"v1"})))
    assert "endedAt" in counted.report({}, 9)["v2"]
    assert "endedAt" not in counted.report({}, 9, frozenset({"v1", "v2"}))["v2"]
