"""Lists: what they may contain, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from bookrec.catalogue import Book, Catalogue, parse_catalogue
from bookrec.entries import parse_entry
from bookrec.ranking import LIST_SIZE, Candidate, top_list
from bookrec.shelf import build_shelf
from tests.fakes import entry

ISBNS = st.sampled_from([f"i{n}" for n in range(16)])
BOOKS = st.lists(
    st.builds(
        Book,
        isbn=ISBNS,
        title=st.sampled_from(["", "Dune", "DUNE!", "Emma", "Ulysses", "Solaris (Lem, #1)", "Solaris"]),
        author=st.sampled_from(["", "A", "B"]),
        image=st.just(""),
    ),
    max_size=16,
)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        isbn=ISBNS,
        score=st.floats(0, 1),
        predicted_rating=st.just(4.0),
        source=st.just("personal"),
    ),
    max_size=20,
)


def shelf_of(*isbns):
    return build_shelf("u", [parse_entry(f"k{n}", entry("u", isbn)) for n, isbn in enumerate(isbns)])


def fill_of(catalogue):
    return [Candidate(isbn, 0.0, 3.0, "newest") for isbn in catalogue.newest]


@given(BOOKS, CANDIDATES, st.lists(ISBNS, max_size=5))
def test_the_rules_of_a_list_hold_for_any_input(books, candidates, on_shelf):
    catalogue, shelf = Catalogue(books), shelf_of(*on_shelf)
    items = top_list(shelf, "v", candidates, fill_of(catalogue), catalogue).items
    isbns = [item.isbn for item in items]
    editions = [catalogue[isbn].edition for isbn in isbns if catalogue[isbn].edition]
    shelved = {catalogue[isbn].edition for isbn in on_shelf if isbn in catalogue} - {None}
    assert len(set(isbns)) == len(isbns)
    assert all(isbn in catalogue for isbn in isbns)
    assert not set(isbns) & set(on_shelf)
    assert len(set(editions)) == len(editions)
    assert not set(editions) & shelved
    personal = [item.score for item in items if item.source == "personal"]
    assert personal == sorted(personal, reverse=True)


def test_a_list_has_ten_books():
    catalogue = Catalogue([Book(f"i{n}", f"T{n}", "A", "") for n in range(30)])
    assert len(top_list(shelf_of("i0"), "v", [], fill_of(catalogue), catalogue).items) == 10


@given(BOOKS, st.lists(ISBNS, max_size=5))
def test_a_list_is_full_wherever_the_catalogue_has_enough_left(books, on_shelf):
    catalogue, shelf = Catalogue(books), shelf_of(*on_shelf)
    shelved = {catalogue[isbn].edition for isbn in on_shelf if isbn in catalogue} - {None}
    left, seen = 0, set(shelved)
    for isbn in catalogue.newest:
        edition = catalogue[isbn].edition
        if isbn not in on_shelf and (edition is None or edition not in seen):
            left += 1
            seen.add(edition)
    assert len(top_list(shelf, "v", [], fill_of(catalogue), catalogue).items) == min(LIST_SIZE, left)


def test_equal_scores_come_in_isbn_order():
    catalogue = Catalogue([Book(f"i{n}", f"T{n}", "A", "") for n in range(5)])
    candidates = [Candidate(f"i{n}", 1.0, 4.0, "personal") for n in (3, 1, 4, 0, 2)]
    items = top_list(shelf_of(), "v", candidates, [], catalogue).items
    assert [item.isbn for item in items] == ["i0", "i1", "i2", "i3", "i4"]


def test_the_same_input_gives_the_same_list_id_and_another_shelf_another():
    catalogue = Catalogue([Book(f"i{n}", f"T{n}", "A", "") for n in range(5)])
    first, again = (top_list(shelf_of("i1"), "v", [], fill_of(catalogue), catalogue) for _ in range(2))
    other = top_list(shelf_of("i2"), "v", [], fill_of(catalogue), catalogue)
    assert first.list_id == again.list_id != other.list_id


def test_the_catalogue_uses_what_it_can_of_odd_nodes():
    nodes = {"a": {"isbn": "1", "title": 7, "publishedYear": "c. 1999"}, "b": "text", "c": {"title": "no isbn"}}
    catalogue, rejected = parse_catalogue(nodes)
    assert list(catalogue) == ["1"]
    assert {key: problem.reason for key, problem in rejected.items()} == {"b": "not_an_object", "c": "isbn_missing"}
