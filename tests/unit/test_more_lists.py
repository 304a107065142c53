"""The lists besides the ten: what follows them, and the reader's strongest genres."""

from dataclasses import replace

import pytest

from backend import parameters, shelf_walk
from backend.composition import build
from backend.handlers.entry_written import EntryWritten
from backend.list_writes import make_list
from bookrec import catalogue, paths
from bookrec.catalogue import MAX_GENRE, Book, Catalogue, parse_genres
from bookrec.entries import Entry
from bookrec.errors import BadSetting
from bookrec.further.genres import strongest
from bookrec.further.making import continued, with_more
from bookrec.further.shared import Trend
from bookrec.further.sizes import Sizes, read_sizes
from bookrec.ranking import Candidate, by_score, top_list
from bookrec.shelf import build_shelf
from tests.fakes import SETTINGS, World, entry

GENRES = ("Fantasy", "Crime", "History")


@pytest.fixture
def world():
    """Thirty books of three genres in turn, and a model."""
    world = World()
    for number in range(30):
        world.database.update({f"{paths.ARCHIVE}/a{number:03}/genre": GENRES[number % 3]})
    world.publish("v1", 1)
    return world


def rate(world, key, value):
    before = world.database.entry(key)
    world.database.update({f"{paths.USER_BOOK}/{key}": value})
    world.backend.entry_written(EntryWritten("e", key, before, value, None))


def more_of(world, user_id):
    return world.database.get(paths.more_lists(user_id))


def isbns_of(items):
    return [item["isbn"] for item in items]


def catalogue_of(genres):
    return Catalogue([Book(isbn, "", "", "") for isbn in genres], genres)


def shelf_of(*books):
    return build_shelf("u", [Entry(f"k{n:03}", "u", isbn, stars) for n, (isbn, stars) in enumerate(books)])


def test_pages_continue_the_ten_without_a_repeat_and_say_whose_they_are(world):
    rate(world, "k1", entry("u", "isbn000"))
    ten, more = world.list_of("u"), more_of(world, "u")
    assert (more["listId"], more["digest"]) == (ten["listId"], ten["basedOn"]["digest"])
    assert ten["more"] == "4+3"
    assert [len(page) for page in more["next"]] == [10, 9]  # thirty books, ten listed, one on the shelf
    order = [*isbns_of(ten["items"]), *(isbn for page in more["next"] for isbn in isbns_of(page))]
    assert order == [
        *(f"isbn{number:03}" for number in range(1, 21)),
        *order[20:],
    ]  # the model's order, then what fills
    assert len(set(order)) == 29
    assert "isbn000" not in order


def test_an_item_has_what_a_client_shows_and_neither_score_nor_reasons(world):
    rate(world, "k1", entry("u", "isbn000"))
    assert more_of(world, "u")["next"][0][0] == {
        "isbn": "isbn011",
        "title": "Title 11",
        "author": "Author 11",
        "image": "",
        "predictedRating": 4.0,
        "source": "personal",
    }


def test_a_genres_list_has_candidates_then_popular_books_with_predicted_ratings(world):
    rate(world, "k1", entry("u", "isbn003"))
    assert [one["genre"] for one in more_of(world, "u")["genres"]] == ["Fantasy"]
    items = more_of(world, "u")["genres"][0]["items"]
    assert all(int(item["isbn"][-3:]) % 3 == 0 for item in items)
    # The model's candidates are the twenty books after isbn003.
    assert isbns_of(items)[:6] == [f"isbn{number:03}" for number in (6, 9, 12, 15, 18, 21)]
    assert [(item["isbn"], item["source"], item["predictedRating"]) for item in items[6:]] == [
        ("isbn000", "popular", 3.5),  # the only popular one of the genre that is left
        ("isbn027", "newest", 3.5),
        ("isbn024", "newest", 3.5),
    ]


def test_list_and_lists_beside_it_are_one_update(world, monkeypatch):
    updates = []
    update = world.database.update
    monkeypatch.setattr(world.database, "update", lambda values: (updates.append(values), update(values)))
    rate(world, "k1", entry("u", "isbn000"))
    (values,) = [values for values in updates if paths.recommendations("u") in values]
    assert values[paths.more_lists("u")]["listId"] == values[paths.recommendations("u")]["listId"]


def test_an_event_and_a_sweep_never_read_the_lists_beside_the_ten(world):
    rate(world, "k1", entry("u", "isbn000"))
    memory, read = world.database.memory, []
    reference = memory.reference
    memory.reference = lambda path: (read.append(path), reference(path))[1]
    rate(world, "k2", entry("u", "isbn001"))
    assert not [path for path in read if paths.more_lists("u") in path]


def test_a_list_without_them_gets_them_and_a_right_one_is_left_alone(world):
    rate(world, "k1", entry("u", "isbn000"))
    before = world.list_of("u"), more_of(world, "u")
    assert "lists" not in world.backend.reconcile(rests=False)
    world.database.update({f"{paths.recommendations('u')}/more": None, paths.more_lists("u"): None})
    assert world.backend.reconcile(rests=False)["lists"] == 1
    assert (world.list_of("u"), more_of(world, "u")) == before


@pytest.mark.parametrize(("sizes", "pages", "genres"), [(Sizes(1, 0), 1, 0), (Sizes(0, 1), 0, 1)])
def test_a_sweep_follows_the_settings(world, sizes, pages, genres):
    rate(world, "k1", entry("u", "isbn000"))
    world.backend = build(replace(SETTINGS, sizes=sizes), world._services)
    assert world.backend.reconcile(rests=False)["lists"] == 1
    more = more_of(world, "u")
    assert (len(more.get("next", [])), len(more.get("genres", []))) == (pages, genres)
    assert "lists" not in world.backend.reconcile(rests=False)


def test_no_lists_are_a_setting_too(world):
    rate(world, "k1", entry("u", "isbn000"))
    world.backend = build(replace(SETTINGS, sizes=Sizes(0, 0)), world._services)
    world.backend.reconcile(rests=False)
    assert more_of(world, "u") is None
    assert "more" not in world.list_of("u")


def test_a_new_model_with_the_same_ten_writes_nothing(world):
    rate(world, "k1", entry("u", "isbn000"))
    before = world.list_of("u"), more_of(world, "u")
    world.publish("v4", 2)
    world.backend.reconcile(rests=False)
    assert (world.list_of("u"), more_of(world, "u")) == before


def test_the_lists_of_a_reader_who_left_are_removed(world):
    world.database.update({f"{paths.USERS}/u/firstname": "R"})
    rate(world, "k1", entry("u", "isbn000"))
    world.database.update({f"{paths.USERS}/u": None})
    world.backend.reconcile(rests=False)
    assert more_of(world, "u") is None


@pytest.mark.parametrize("leaver", ["u", "12", "zz"])
def test_what_is_left_of_a_reader_who_was_nobody_is_removed_by_a_sweep_and_nothing_else(world, leaver):
    rate(world, "k1", entry(leaver, "isbn000"))
    rate(world, "k2", entry("other", "isbn001"))
    world.database.update({f"{paths.USERS}/{leaver}": None, f"{paths.USER_BOOK}/k1": None})  # no profile was ever seen
    before = world.list_of("other"), more_of(world, "other")
    world.backend.reconcile(rests=False)
    assert more_of(world, leaver) is None
    assert world.database.get(f"{paths.LIST_WRITES}/{leaver}") is None
    assert (world.list_of("other"), more_of(world, "other")) == before


def test_of_many_who_were_nobody_a_sweep_removes_a_bounded_number_and_the_next_one_goes_on(world, monkeypatch):
    monkeypatch.setattr(shelf_walk, "LISTED", 3)
    leavers = [f"u{number}" for number in range(5)]
    for number, user_id in enumerate(leavers):
        rate(world, f"k{number}", entry(user_id, "isbn000"))
        world.database.update({f"{paths.USERS}/{user_id}": None, f"{paths.USER_BOOK}/k{number}": None})
    left = []
    for _ in range(2):
        world.backend.reconcile(rests=False)
        left.append(sum(more_of(world, user_id) is not None for user_id in leavers))
    assert left == [2, 0]


def test_a_list_that_is_written_while_left_ones_are_removed_is_made_again(world):
    rate(world, "k1", entry("u", "isbn000"))
    world.database.update({f"{paths.USERS}/u": None, f"{paths.USER_BOOK}/k1": None})
    present = world.database.present

    def late(user_ids):
        found = present(user_ids)
        world.database.present = present
        rate(world, "k1", entry("u", "isbn000"))
        return found

    world.database.present = late
    world.backend.reconcile(rests=False)
    assert more_of(world, "u") is None
    assert "more" not in world.list_of("u")
    world.backend.reconcile(rests=False)
    assert more_of(world, "u")["listId"] == world.list_of("u")["listId"]


def test_without_a_model_the_pages_have_the_books_with_the_best_ratings():
    books = [Book(f"i{n:03}", f"T{n}", f"A{n}", "", 2000, n / 10) for n in range(40)]
    catalogue = Catalogue(books, {book.isbn: "Fantasy" for book in books})
    made = make_list(shelf_of(("i000", 5)), None, catalogue)
    assert [item.isbn for item in made.more.next] == [f"i{n:03}" for n in range(29, 0, -1)]
    (genre,) = made.more.genres
    assert [item.isbn for item in genre.items] == list(made.isbns)
    assert {item.predicted_rating for item in genre.items} == {None}


def test_pages_keep_whatever_order_the_ten_has():
    catalogue = Catalogue([Book(f"i{n:02}", f"T{n}", f"A{n}", "") for n in range(30)])
    candidates = by_score([Candidate(f"i{n:02}", 30.0 - n, 4.0, "personal") for n in range(30)])
    made = top_list(shelf_of(), "v", candidates, (), catalogue)
    moved = replace(made, items=(*made.items[:9], candidates[20]))
    more = with_more(moved, candidates, lambda: (), None, catalogue, Sizes(1, 0)).more
    assert [item.isbn for item in more.next] == [f"i{n:02}" for n in range(9, 19)]


def test_pages_continue_a_ten_whose_last_place_was_given_to_another_book():
    catalogue = Catalogue([Book(f"i{n:02}", f"T{n}", f"A{n}", "") for n in range(30)])
    candidates = by_score([Candidate(f"i{n:02}", 30.0 - n, 4.0, "personal") for n in range(30)])
    made = top_list(shelf_of(), "v", candidates, (), catalogue)
    made = with_more(made, candidates, lambda: (), None, catalogue, Sizes(1, 0))
    explored = replace(made, items=(*made.items[:9], replace(candidates[15], source="exploration")))
    more = continued(explored, made, catalogue).more
    assert [item.isbn for item in more.next] == [f"i{n:02}" for n in (9, 10, 11, 12, 13, 14, 16, 17, 18, 19)]
    assert continued(made, made, catalogue) == made


def test_pages_have_one_edition_of_a_book():
    catalogue = Catalogue([Book(f"i{n:02}", f"T{n % 15}", "A", "") for n in range(30)])
    candidates = by_score([Candidate(f"i{n:02}", 30.0 - n, 4.0, "personal") for n in range(30)])
    made = top_list(shelf_of(), "v", candidates, (), catalogue)
    more = with_more(made, candidates, lambda: (), None, catalogue, Sizes()).more
    assert [item.isbn for item in more.next] == [f"i{n:02}" for n in range(10, 15)]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("Fantasy", ["Fantasy"]),
        ("Fantasy, Science  Fiction ,fantasy", ["Fantasy", "Science Fiction"]),
        ("A,B,C,D,E,F", ["A", "B", "C", "D", "E"]),
        (" ,, - ,", []),
        ("x" * 100, ["x" * MAX_GENRE]),
        ("a\x00b", ["a b"]),
        (None, []),
        (7, []),
        (["Fantasy"], []),
    ],
)
def test_genres_of_a_field(field, expected):
    assert [name for _, name in parse_genres(field)] == expected


def test_a_genre_has_one_key_in_all_spellings_and_the_most_common_one_as_its_name():
    spellings = ["Sci-Fi", "sci fi", "Sci-Fi", "SCI FI"]
    catalogue = catalogue_of({f"i{n}": genre for n, genre in enumerate(spellings)})
    assert catalogue.genre_sizes == {"sci fi": 4}
    assert catalogue.genre_name("sci fi") == "Sci-Fi"


def test_genres_are_parsed_rarely_and_only_as_many_as_count(monkeypatch):
    """Neither a catalogue of thousands of genres nor a book with hundreds makes lists slow."""
    parsed, parse, normalised, normalise = [], catalogue.parse_genres, [], catalogue._normalise
    monkeypatch.setattr(catalogue, "parse_genres", lambda field: (parsed.append(field), parse(field))[1])
    monkeypatch.setattr(catalogue, "_normalise", lambda text: (normalised.append(text), normalise(text))[1])
    several = catalogue_of({f"i{n}": ",".join(f"many {n}-{m}" for m in range(50)) for n in range(40)})
    assert several.genre_sizes["many 7 4"] == 1
    assert "many 7 5" not in several.genre_sizes
    for number in range(40):
        assert several.of_genre(f"many {number} 0") == (f"i{number}",)
        assert several.genre_name(f"many {number} 0") == f"many {number}-0"
        assert several.genres(f"i{number}")[0] == several.genres(f"i{number}")[0] == f"many {number} 0"
    assert len(parsed) == 2 * 40  # all at once, and each book that is asked for
    assert len(normalised) == 40 * catalogue.MAX_GENRES


def test_the_strongest_genres_follow_the_formula():
    genres = {f"f{n}": "Fiction" for n in range(80)} | {f"h{n}": "History" for n in range(20)}
    catalogue = catalogue_of({**genres, "both": "Fiction, Humour"})
    # Fiction: (1 + 1/3 + 1/2) ln(1 + 101/81) = 1.48; History: 2/3 ln(1 + 101/20) = 1.20; Humour: 1/2 ln(102) = 2.31
    shelf = shelf_of(("f0", 5), ("f1", 0), ("both", 5), ("h0", 4), ("h1", 2), ("h2", 1), ("unknown", 5))
    assert strongest(shelf, catalogue, 3) == ["humour", "fiction", "history"]
    assert strongest(shelf, catalogue, 1) == ["humour"]
    assert strongest(shelf_of(("h0", 2)), catalogue, 3) == []
    assert strongest(shelf_of(), catalogue, 3) == []


def test_sizes_come_from_the_environment():
    assert read_sizes({}) == Sizes(4, 3)
    assert read_sizes({"MORE_PAGES": "0", "MORE_GENRES": "50"}) == Sizes(0, 9)
    with pytest.raises(BadSetting, match="MORE_PAGES"):
        read_sizes({"MORE_PAGES": "-1"})
    assert Sizes(0, 0).form is None


def test_the_parameters_have_the_defaults_of_sizes_and_trend():
    given = [parameters.MORE_PAGES, parameters.MORE_GENRES]
    assert [one.default for one in given] == [Sizes().pages, Sizes().genres]
    given = [parameters.TREND_DAYS, parameters.TREND_DAYS_BEFORE, parameters.TREND_READERS, parameters.SHARED_LIST_SIZE]
    assert [one.default for one in given] == [Trend().days, Trend().days_before, Trend().readers, Trend().size]
