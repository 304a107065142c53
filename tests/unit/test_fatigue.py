"""Fatigue: what was shown often and never taken sinks slowly, no list gets shorter, and what is not shown recovers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookrec.ranking import LIST_SIZE, Candidate
from bookrec.reordering.fatigue import FREE_SHOWINGS, reorder, sunk
from bookrec.usage.showings import (
    MAX_BOOKS,
    RECOVERY_MS,
    RECOVERY_SHOWINGS,
    Seen,
    Showing,
    after,
    read_seen,
    read_showing,
)

BOOKS = [f"b{number:03}" for number in range(100)]
DAY_MS = 86_400_000
SHOWINGS = st.dictionaries(st.sampled_from(BOOKS), st.floats(0, 1e6))
SCORES = st.lists(st.sampled_from([-1.5, 0.0, 0.1, 0.5, 2.0]) | st.floats(-10, 10), min_size=1, max_size=len(BOOKS))


def candidates(scores):
    return [Candidate(isbn, score, 4.0, "personal") for isbn, score in zip(BOOKS, scores, strict=False)]


def ordered(candidates):
    """Return the books as ``ranking.top_list`` orders them."""
    return [book.isbn for book in sorted(candidates, key=lambda book: (-book.score, book.isbn))]


RANKED = candidates([1 - number / 100 for number in range(100)])


def shown(seen, isbns, at, version="v1"):
    return after(seen, Showing(f"list-{at}", at), version, isbns)


def week(half_life, showings, every_ms=DAY_MS):
    """Yield the list and the memory of a reader who looks at each list and takes nothing."""
    seen = Seen()
    for number in range(showings):
        listed = ordered(reorder(RANKED, seen.books, half_life))[:LIST_SIZE]
        seen = shown(seen, listed, (number + 1) * every_ms)
        yield listed, seen


# -- the formula -----------------------------------------------------------------------------------------------------


def test_a_book_falls_to_twice_its_place_with_each_half_life():
    assert [sunk(1, FREE_SHOWINGS + number, 4) for number in (0, 4, 8)] == [1, 2, 4]
    assert sunk(10, FREE_SHOWINGS + 4, 4) == 20


def test_the_first_showings_change_nothing():
    books = dict.fromkeys(BOOKS, float(FREE_SHOWINGS))
    assert reorder(RANKED, books, 1) == RANKED


@given(SCORES, SHOWINGS)
def test_without_a_half_life_nothing_changes(scores, showings):
    given_ones = candidates(scores)
    assert reorder(given_ones, showings, 0) == given_ones


@given(SCORES, SHOWINGS, st.sampled_from([0.1, 1, 5, 1000]))
def test_all_books_stay_with_the_scores_in_the_same_places(scores, showings, half_life):
    before = candidates(scores)
    result = reorder(before, showings, half_life)
    assert sorted(book.isbn for book in result) == sorted(book.isbn for book in before)
    falling = sorted(scores[: len(before)], reverse=True)
    assert sorted((book.score for book in result), reverse=True) == pytest.approx(falling)


@given(SCORES, SHOWINGS, st.sampled_from([0.1, 1, 5, 1000]))
def test_the_order_is_the_same_once_sorted_by_score_and_does_not_depend_on_the_order_given(scores, showings, half_life):
    before = candidates(scores)
    result = ordered(reorder(before, showings, half_life))
    assert result == ordered(reorder(before[::-1], showings, half_life))
    most = max((showings.get(book.isbn, 0.0) for book in before), default=0.0)
    if most > FREE_SHOWINGS and half_life > 0:
        assert [book.isbn for book in reorder(before, showings, half_life)] == result


@given(SCORES, st.sampled_from([0.5, 3]))
def test_a_book_that_was_shown_more_often_is_never_higher_for_it(scores, half_life):
    before = candidates(scores)
    book = before[0].isbn
    places = [ordered(reorder(before, {book: float(number)}, half_life)).index(book) for number in range(0, 40, 4)]
    assert places == sorted(places)


# -- over time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_life", [0.5, 1, 3, 10])
def test_every_list_of_a_reader_who_takes_nothing_is_full_and_the_memory_stays_bounded(half_life):
    most = 1 / (1 - 0.5 ** (DAY_MS / RECOVERY_MS))  # the limit for a book that is on every list, once a day
    for listed, seen in week(half_life, 200):
        assert len(set(listed)) == LIST_SIZE
        assert len(seen.books) <= MAX_BOOKS
        assert max(seen.books.values()) < most


def test_such_a_reader_sees_more_books_and_the_best_ones_again():
    lists = [listed for listed, _ in week(5, 60)]
    assert lists[:FREE_SHOWINGS] == [BOOKS[:LIST_SIZE]] * FREE_SHOWINGS
    often = {isbn: sum(isbn in listed for listed in lists) for isbn in BOOKS}
    assert sum(number > 0 for number in often.values()) > 2 * LIST_SIZE
    assert min(often[isbn] for isbn in BOOKS[:5]) > max(often[isbn] for isbn in BOOKS[2 * LIST_SIZE :])


def test_lists_change_slowly():
    lists = [set(listed) for listed, _ in week(5, 20)]
    changed = [len(later - one) for one, later in pairwise(lists)]
    assert (max(changed[:5]), max(changed[:10])) == (1, 3)
    assert max(changed) < LIST_SIZE


def test_without_a_showing_a_list_does_not_change():
    *_, (_, seen) = week(2, 12)
    assert reorder(RANKED, seen.books, 2) == reorder(RANKED, read_seen(seen.to_node()).books, 2)


def test_a_book_that_left_the_list_recovers_with_the_showings_of_others():
    seen = Seen(books={"a": 8.0})
    for number in range(1, int(RECOVERY_SHOWINGS) + 1):
        seen = shown(seen, ["x"], number)
    assert seen.books["a"] == pytest.approx(4, abs=0.01)
    for number in range(int(RECOVERY_SHOWINGS) + 1, 200):
        seen = shown(seen, ["x"], number)
    assert set(seen.books) == {"x"}


def test_all_books_recover_with_time():
    seen = shown(Seen(at=1, books={"a": 8.0, "b": 8.0}), ["b"], 1 + int(RECOVERY_MS))
    assert seen.books["b"] == 5
    assert seen.books["a"] == pytest.approx(4 * 0.5 ** (1 / RECOVERY_SHOWINGS), abs=0.001)


# -- the memory ------------------------------------------------------------------------------------------------------


def test_a_showing_is_added_once_and_none_that_is_older():
    seen = shown(Seen(), ["a"], 10)
    assert seen == Seen("list-10", 10, "v1", 1, {"a": 1.0})
    assert shown(seen, ["a"], 10) is None
    assert shown(seen, ["b"], 9) is None
    assert shown(seen, ["a"], 11).books == {"a": pytest.approx(2, abs=0.001)}


def test_the_number_of_lists_begins_again_with_another_model():
    seen = shown(shown(Seen(), ["a"], 1), ["a"], 2)
    assert (seen.counted("v1"), seen.counted("v2")) == (2, 0)
    assert shown(seen, ["a"], 3, "v2").lists == 1


def test_with_fatigue_off_no_books_are_remembered():
    assert shown(Seen(books={"a": 1.0}), None, 1).books == {}


@given(st.lists(st.lists(st.sampled_from([f"978.{n}" for n in range(200)]), max_size=10, unique=True), max_size=30))
def test_a_memory_of_any_showings_is_bounded_and_survives_the_database(lists):
    seen = Seen()
    for at, isbns in enumerate(lists, 1):
        seen = shown(seen, isbns, at)
        assert len(seen.books) <= MAX_BOOKS
    assert read_seen(seen.to_node()) == seen


FIELDS = st.sampled_from(["listId", "at", "last", "books", "lists", "version"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(LEAVES, lambda parts: st.lists(parts) | st.dictionaries(FIELDS, parts)))
def test_no_value_in_place_of_a_memory_raises(node):
    seen = read_seen(node)
    assert shown(seen, ["a"], seen.at + 1).to_node()
    read_showing(node)
