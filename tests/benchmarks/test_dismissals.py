"""The benchmark of weak negatives on made-up readers: it chooses a strength on one half, and reports on the other."""

import pytest

from benchmarks import dismissals
from benchmarks.dismissals import Reader, measure, ndcg
from bookrec.catalogue import Book, Catalogue
from bookrec.entries import parse_entry
from bookrec.ranking import Candidate
from bookrec.shelf import build_shelf
from tests.fakes import entry

CATALOGUE = Catalogue(
    [Book(f"b{number}", f"Title {number}", "Bad" if number < 12 else "Good", "") for number in range(30)]
)


def reader(number):
    """A reader who dismissed a book by one author, and wants books by another, which come after ten of the first."""
    shelf = build_shelf(f"u{number}", [parse_entry("k", entry(f"u{number}", "b29"))], ["b0"])
    candidates = [Candidate(f"b{n}", 30.0 - n, None, "personal") for n in range(1, 25)]
    return Reader(shelf, candidates, candidates[:11], frozenset({"b12", "b13"}))


def test_a_strength_that_helps_is_chosen_with_its_gain(monkeypatch):
    monkeypatch.setattr(dismissals, "readers_of", lambda *given: ([reader(number) for number in range(8)], CATALOGUE))
    figures = measure("made up", 1, quick=True)
    assert figures["readers"] == 8
    for way in figures["ways"].values():
        assert way["chosen on"]["0.0"] == way["reported on"]["0.0"] == 0
        assert way["strength"] > 0
        assert way["gain"] == pytest.approx(way["reported on"][str(way["strength"])])
        assert way["interval"][0] <= way["gain"] <= way["interval"][1]


def test_a_dismissed_book_counts_for_nobody():
    assert ndcg(reader(1), [Candidate("b0", 1.0, None, "personal")], CATALOGUE) == 0
    assert ndcg(reader(1), [Candidate(isbn, 1.0, None, "personal") for isbn in ("b12", "b13")], CATALOGUE) == 1
