"""The lists that all readers share: trending, and new in the catalogue."""

import math
from dataclasses import replace

import pytest

from backend.composition import build
from backend.handlers import reconcile
from bookrec import paths
from bookrec.catalogue import Book, Catalogue
from bookrec.entries import Entry
from bookrec.further.shared import DAY_MS, MOST_IN_A_WEEK, Shelved, Trend, read_shelved
from bookrec.push_keys import first_key
from tests.fakes import SETTINGS, World, entry

NOW = 1_700_000_000_000


def key(days_ago, number=0):
    return f"{first_key(NOW - int(days_ago * DAY_MS))}{number:012}"


def shelved(rows, **trend):
    """Return the counts of rows (reader, book, days ago)."""
    counts = Shelved(Trend(**trend), NOW)
    isbns = {isbn for _, isbn, _ in rows}
    entries = [Entry(key(days, n), reader, isbn, 4.0) for n, (reader, isbn, days) in enumerate(rows)]
    counts.add(entries, Catalogue([Book(isbn, "", "", "") for isbn in isbns]))
    return counts


def rows(isbn, recent, before):
    return [(f"r{n}", isbn, 1) for n in range(recent)] + [(f"b{n}", isbn, 10) for n in range(before)]


def test_a_book_trends_by_how_unusual_this_week_is():
    counts = shelved([*rows("steady", 20, 80), *rows("new", 6, 0), *rows("grows", 30, 40), *rows("few", 4, 0)])
    assert counts.books == {"steady": (20, 80), "new": (6, 0), "grows": (30, 40), "few": (4, 0)}
    # grows: (30 - 10) / sqrt(15) = 5.2; new: 6 / sqrt(5) = 2.7; steady: (20 - 20) / 5 = 0; few has too few readers.
    assert counts.trending() == ["grows", "new"]
    assert math.isclose(20 / math.sqrt(15), 5.164, abs_tol=1e-3)


def test_fewer_readers_than_the_minimum_never_show_through():
    assert shelved(rows("a", 4, 0)).trending() == []
    assert shelved(rows("a", 5, 0)).trending() == ["a"]
    assert shelved([("one", "a", day / 10) for day in range(50)]).trending() == []  # one reader, fifty entries
    assert shelved(rows("a", 5, 0), readers=6).trending() == []


@pytest.mark.parametrize(
    ("days", "counted"), [(-1, (0, 0)), (0, (1, 0)), (6.9, (1, 0)), (7.1, (0, 1)), (34.9, (0, 1)), (35.1, (0, 0))]
)
def test_an_entry_counts_in_the_time_of_its_push_key(days, counted):
    assert shelved([("r", "a", days)]).books.get("a", (0, 0)) == counted


def test_a_reader_counts_when_the_book_was_shelved_first():
    assert shelved([("r", "a", 1), ("r", "a", 10)]).books == {"a": (0, 1)}
    assert shelved([("r", "a", 1), ("r", "a", 100)]).books == {}


def test_an_import_does_not_count():
    assert shelved([("r", f"i{n}", 1) for n in range(MOST_IN_A_WEEK)]).books != {}
    assert shelved([("r", f"i{n}", 1) for n in range(MOST_IN_A_WEEK + 1)]).books == {}
    before = [("r", f"i{n}", 10) for n in range(4 * MOST_IN_A_WEEK + 1)]
    assert shelved([*before, ("r", "new", 1)]).books == {"new": (1, 0)}


def test_keys_that_are_not_push_keys_and_books_that_the_catalogue_lacks_do_not_count():
    counts = Shelved(Trend(), NOW)
    counts.add([Entry("5", "r", "a", 4.0), Entry(key(1), "r", "unknown", 4.0)], Catalogue([Book("a", "", "", "")]))
    assert counts.books == {}


def test_counts_survive_the_database():
    counts = shelved([*rows("a.b", 5, 2), *rows("7", 0, 1)])
    assert read_shelved(counts.to_node(), Trend()).books == {"a.b": (5, 2), "7": (0, 1)}
    assert read_shelved(None, Trend()) is None
    assert read_shelved({"at": NOW, "books": {"a": "x", "b": [1]}}, Trend()).books == {"a": (0, 0), "b": (1, 0)}


@pytest.fixture
def world():
    """Ten readers: six of them shelved isbn003 yesterday."""
    world = World()
    world.clock.now = NOW
    for number in range(10):
        isbn = "isbn003" if number < 6 else "isbn004"
        world.database.update({f"{paths.USER_BOOK}/{key(1, number)}": entry(f"u{number}", isbn)})
    world.backend = build(replace(SETTINGS, sweep_rest_s=0), world._services)
    return world


def shared(world):
    return world.database.get(paths.SHARED_LISTS)


def test_a_sweep_writes_both_lists_once_and_forgets_the_counts(world, monkeypatch):
    world.backend.reconcile()
    lists = shared(world)
    assert [(item["isbn"], item["source"]) for item in lists["trending"]["items"]] == [("isbn003", "popular")]
    newest = [item["isbn"] for item in lists["newest"]["items"]]
    assert newest == [f"isbn{number:03}" for number in range(29, 9, -1)]
    assert lists["newest"]["items"][0] == {
        "isbn": "isbn029",
        "title": "Title 29",
        "author": "Author 29",
        "image": "",
        "source": "newest",
    }
    assert world.database.get(paths.TREND) is None
    update, written = world.database.update, set()
    monkeypatch.setattr(world.database, "update", lambda values: (written.update(values), update(values)))
    world.clock.now += 1000
    world.backend.reconcile()
    assert shared(world) == lists
    assert not [path for path in written if path.startswith(paths.SHARED_LISTS)]


def test_a_book_that_came_into_the_catalogue_last_is_the_newest(world):
    added = {"isbn": "added", "title": "Added", "publishedYear": "1950"}
    world.database.update({f"{paths.ARCHIVE}/{key(2)}": added})
    world.clock.now += 100_000
    world.backend.reconcile()
    assert [item["isbn"] for item in shared(world)["newest"]["items"]][:2] == ["added", "isbn029"]


def test_a_time_that_has_not_come_does_not_make_a_book_the_newest(world):
    """Neither a key from a machine whose clock is wrong, nor an id of twenty letters that is no push key."""
    for number, odd in enumerate([key(-400), "zT4kQe0aBcDeFgHiJkLm"]):
        world.database.update({f"{paths.ARCHIVE}/{odd}": {"isbn": f"odd{number}", "title": f"Odd {number}"}})
    world.database.update({f"{paths.ARCHIVE}/{key(-0.5)}": {"isbn": "added", "title": "Added"}})  # clocks differ
    world.backend.reconcile()
    assert [item["isbn"] for item in shared(world)["newest"]["items"]][:2] == ["added", "isbn029"]


def test_a_list_without_a_book_is_removed(world):
    world.backend.reconcile()
    world.clock.now += 8 * DAY_MS
    world.backend.reconcile()
    assert set(shared(world)) == {"newest"}


def test_a_sweep_of_several_runs_counts_each_reader_once_whatever_becomes_of_a_run(world, monkeypatch):
    monkeypatch.setattr("backend.shelf_walk.READERS", 2)
    monkeypatch.setattr("backend.shelf_walk.ENTRIES", 3)
    monkeypatch.setattr(reconcile, "BUDGET_MS", 0)
    update, dies = world.database.update, [False]

    def dying(values):
        if dies[0] and f"{reconcile.STATE}/sweep" in values:
            dies[0] = False
            raise ConnectionError("the run dies")
        update(values)

    monkeypatch.setattr(world.database, "update", dying)
    kept = []
    for turn in range(60):
        dies[0] = turn % 3 == 1
        try:
            world.backend.reconcile()
        except Exception:
            continue
        kept.append(world.database.get(f"{paths.TREND}/books/isbn003"))
        if shared(world):
            break
    assert max(count[0] for count in kept if count) == 6
    assert [item["isbn"] for item in shared(world)["trending"]["items"]] == ["isbn003"]


def test_readers_who_left_do_not_count(world):
    for number in range(2):
        world.database.update({f"{paths.READERS}/u{number}": "here"})
    world.backend.reconcile()
    assert "trending" not in shared(world)
