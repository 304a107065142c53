"""Exploration: a last place for books that few have; a new day alone rewrites no list."""

from collections import Counter
from dataclasses import replace

import pytest

from backend.handlers.entry_written import EntryWritten
from backend.list_writes import make_list
from bookrec import paths
from bookrec.catalogue import Book, Catalogue, parse_catalogue
from bookrec.ranking import Candidate, RecommendationList
from bookrec.recommender import Items
from bookrec.reordering.exploration import DAY_MS, Exploration, day_of, explored
from bookrec.shelf import build_shelf, sort_out
from tests import fakes
from tests.fakes import World, entry, load_fake
from tests.unit import test_list_shards

RARE = range(20, 30)
"""The places of the rare books among those of ``World``."""


@pytest.fixture(name="world")
def world_that_explores(monkeypatch):
    monkeypatch.setattr(fakes, "SETTINGS", replace(fakes.SETTINGS, exploration=1.0))
    world = World()
    with_rare_books(monkeypatch)
    world.publish("v1", 1)
    return world


def with_rare_books(monkeypatch):
    """Models that are published from now on have rare books."""
    plain = Items.to_json
    monkeypatch.setattr(Items, "to_json", lambda items: {**plain(items), "rare": list(RARE)})


def rate(world, key, value):
    before = world.database.entry(key)
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    world.backend.entry_written(EntryWritten("e", key, before, value, None))


def sources_of(world, user_id="u"):
    return [item["source"] for item in world.list_of(user_id)["items"]]


def made_of(world, user_id, version="v1"):
    """Return the list without exploration."""
    entries, _ = sort_out(world.database.get(paths.USER_BOOK))
    catalogue, _ = parse_catalogue(world.database.get(paths.ARCHIVE))
    items = world.store.objects[paths.model_object(version, "items.json")]
    return make_list(build_shelf(user_id, entries), load_fake(version, b"x", items), catalogue)


def isbns_of(world, user_id="u"):
    return [item["isbn"] for item in world.list_of(user_id)["items"]]


def test_only_the_last_place_is_for_exploration(world):
    rate(world, "k", entry("u", "isbn000"))
    plain = made_of(world, "u")
    assert isbns_of(world)[:9] == list(plain.isbns[:9])
    assert isbns_of(world)[9] in {f"isbn0{number}" for number in RARE}
    assert sources_of(world)[9] == "exploration"
    assert "exploration" not in sources_of(world)[:9]
    scores = [item["score"] for item in world.list_of("u")["items"]]
    assert scores == sorted(scores, reverse=True)


def test_a_new_day_alone_rewrites_no_list_and_an_event_does(world):
    rate(world, "k", entry("u", "isbn000"))
    seen = set()
    for _ in range(12):
        before = world.database.get(f"{paths.LIST_WRITES}/u")
        world.clock.now += DAY_MS
        world.backend.reconcile(rests=False)
        assert world.database.get(f"{paths.LIST_WRITES}/u") == before
        rate(world, "k", entry("u", "isbn000"))
        assert world.database.get(f"{paths.LIST_WRITES}/u") != before
        seen.add(isbns_of(world)[9])
    assert len(seen) > 3


def test_another_model_with_the_same_lists_rewrites_none_on_another_day(world):
    rate(world, "k", entry("u", "isbn000"))
    before = world.list_of("u")
    world.publish("v4", 2)  # gives the lists of v1
    world.backend.model_published()
    test_list_shards.run_all(world)
    for _ in range(3):
        world.clock.now += DAY_MS
        world.backend.reconcile(rests=False)
    assert world.list_of("u") == before


def test_the_sweep_repairs_a_list_once(world):
    rate(world, "k", entry("u", "isbn000"))
    world.database.update({paths.recommendations("u"): None})
    world.clock.now += DAY_MS
    world.backend.reconcile(rests=False)
    before = world.list_of("u")
    assert sources_of(world)[9] == "exploration"
    world.clock.now += DAY_MS
    world.backend.reconcile(rests=False)
    assert world.list_of("u") == before


def test_readers_who_explore_are_left_to_the_usual_path_by_the_writer_of_shards(world):
    for number in range(test_list_shards.READERS):
        rate(world, f"k{number}", entry(f"u{number}", f"isbn00{number}"))
    world.clock.now += 1000
    test_list_shards.publish(world)
    world.backend.model_published()
    test_list_shards.run_all(world)
    for number in range(test_list_shards.READERS):
        assert world.list_of(f"u{number}")["modelVersion"] == "v2"
        assert sources_of(world, f"u{number}")[9] == "exploration"


def test_a_share_of_the_readers_explores_and_always_the_same_ones():
    users = [f"u{number}" for number in range(4_000)]
    few, many = ({u for u in users if Exploration(share, day=3).is_for(u)} for share in (0.1, 0.4))
    assert few < many
    assert len(few) == pytest.approx(400, abs=80)
    assert few == {u for u in users if Exploration(0.1, day=9).is_for(u)}
    assert not any(Exploration(0.0, 3).is_for(u) for u in users)
    assert all(Exploration(1.0, 3).is_for(u) for u in users)


CATALOGUE = Catalogue([Book(f"i{n:02}", f"T{n}", "A", "") for n in range(60)])
LISTED = tuple(Candidate(f"i{n:02}", 1 - n / 10, 4.0, "personal") for n in range(10))


def list_for(user_id, *on_shelf, items=LISTED):
    entries, _ = sort_out({f"k{n}": entry(user_id, isbn) for n, isbn in enumerate(on_shelf)})
    return RecommendationList("v", build_shelf(user_id, entries), items)


def test_every_rare_book_has_the_same_chance_over_readers_and_days():
    rare = [f"i{n:02}" for n in range(10, 60)]
    drawn = Counter(
        explored(list_for(f"u{user}"), rare, day, CATALOGUE, lambda isbn: 3.0).isbns[-1]
        for user in range(200)
        for day in range(50)
    )
    assert set(drawn) == set(rare)
    # 10,000 draws among 50 books: chi-square with 49 degrees of freedom, below 85.4 in 99.9% of all cases.
    assert sum((drawn[isbn] - 200) ** 2 / 200 for isbn in rare) < 85.4


def test_what_is_on_the_list_or_the_shelf_or_missing_is_not_explored():
    rare = ["i03", "i11", "gone"]
    for day in range(30):
        made = explored(list_for("u", "i11"), rare, day, CATALOGUE, lambda isbn: 3.0)
        assert made == list_for("u", "i11")
    assert explored(list_for("u", "i11"), [*rare, "i12"], 1, CATALOGUE, lambda isbn: 3.0).isbns[-1] == "i12"


def test_a_list_that_is_not_full_stays_as_it_is():
    short = list_for("u", items=LISTED[:9])
    assert explored(short, ["i20"], 1, CATALOGUE, lambda isbn: 3.0) == short
    assert explored(list_for("u"), [], 1, CATALOGUE, lambda isbn: 3.0) == list_for("u")


def test_days_begin_at_midnight_utc():
    assert day_of(DAY_MS - 1) == 0
    assert day_of(DAY_MS) == 1


def test_without_a_setting_nobody_explores(monkeypatch):
    world = World()
    with_rare_books(monkeypatch)
    world.publish("v1", 1)
    rate(world, "k", entry("u", "isbn000"))
    assert "exploration" not in sources_of(world)
