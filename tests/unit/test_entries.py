"""Entries: which are accepted and which are rejected, with which reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookrec.entries import parse_entry
from bookrec.errors import BadData
from bookrec.shelf import build_shelf, sort_out
from tests.fakes import entry

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(("userId", "bookId", "myRate", "isbn", "extra"), JSON))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"userId": None}, "user_missing"),
        ({"userId": 7}, "user_not_text"),
        ({"userId": "a/b"}, "user_invalid"),
        ({"userId": "x" * 129}, "user_invalid"),
        ({"isbn": None}, "isbn_missing"),
        ({"isbn": ""}, "isbn_missing"),
        ({"isbn": 9780143036357}, "isbn_not_text"),
        ({"isbn": "\N{DRAGON}"}, "isbn_invalid"),
        ({"isbn": "1" * 1_000_000}, "isbn_invalid"),
        ({"myRate": None}, "rating_missing"),
        ({"myRate": "five"}, "rating_not_number"),
        ({"myRate": True}, "rating_not_number"),
        ({"myRate": math.nan}, "rating_not_number"),
        ({"myRate": 7}, "rating_out_of_range"),
        ({"myRate": -0.5}, "rating_out_of_range"),
        ({"myRate": 3.3}, "rating_not_half"),
        ({"bookId": 3}, "book_id_invalid"),
        ({"extra": 1}, "unknown_field"),
    ],
)
def test_a_bad_field_has_its_reason_and_is_not_repeated(change, reason):
    node = {**entry("u1", "isbn1"), **change}
    with pytest.raises(BadData) as caught:
        parse_entry("k", node)
    assert caught.value.reason == reason
    assert "1111" not in caught.value.message


def test_a_rating_of_0_is_a_shelf_entry_not_a_low_rating():
    assert not parse_entry("k", entry("u1", "isbn1", 0)).is_rated


@given(JSON | FIELDS)
def test_any_node_of_the_database_is_an_entry_or_bad_data(node):
    valid, rejected = sort_out({"k": node})
    assert len(valid) + len(rejected) == 1


def test_a_book_with_two_entries_counts_once_with_the_newest_stars():
    nodes = {"k1": entry("u", "a", 2), "k2": entry("u", "a", 4.5), "k3": entry("u", "a", 0)}
    shelf = build_shelf("u", sort_out(nodes)[0])
    assert shelf.ratings == {"a": 4.5}
    assert len(shelf.entries) == 3


@given(st.permutations(range(6)))
def test_the_digest_does_not_depend_on_the_order_of_reading(order):
    entries = [parse_entry(f"k{n}", entry("u", f"isbn{n}", n / 2)) for n in range(6)]
    assert build_shelf("u", [entries[n] for n in order]).digest == build_shelf("u", entries).digest
