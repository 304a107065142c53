"""Diversity: near-duplicates move down, in the same order wherever a list is made."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.guards.list_sample import is_of_model
from backend.list_writes import make_list
from bookrec.catalogue import Book, Catalogue
from bookrec.errors import BadModel
from bookrec.list_shards import ShardEntry, pack, read_shard, sha256, to_line
from bookrec.ranking import Candidate, by_score
from bookrec.recommender import Items, parse_items
from bookrec.reordering.diversity import OFF, Diversity, diversified
from bookrec.shelf import build_shelf
from tests.fakes import load_fake

ISBNS = [f"i{number:02}" for number in range(24)]
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        isbn=st.sampled_from(ISBNS),
        score=st.floats(-4, 4, width=32) | st.sampled_from([0.0, 0.5, 1.0]),
        predicted_rating=st.just(4.0),
        source=st.just("personal"),
    ),
    max_size=24,
    unique_by=lambda candidate: candidate.isbn,
)
KIN = st.dictionaries(st.sampled_from(ISBNS), st.tuples(st.integers(0, 3), st.integers(0, 3)))
STRENGTHS = st.floats(0, 2) | st.just(0.0)


def likeness(one, other, kin):
    (series, author), (its_series, its_author) = kin.get(one, (0, 0)), kin.get(other, (0, 0))
    if series and series == its_series:
        return 1.0
    return 0.5 if author and author == its_author else 0.0


def one_by_one(candidates, kin, strength):
    """Choose as the definition says, without any shortcut."""
    left, chosen = list(candidates), []
    while left:
        now = [
            replace(one, score=one.score - strength * sum(likeness(one.isbn, other.isbn, kin) for other in chosen))
            for one in left
        ]
        best = by_score(now)[0]
        chosen.append(best)
        left = [one for one in left if one.isbn != best.isbn]
    return chosen


@given(CANDIDATES, KIN, STRENGTHS)
def test_the_order_is_that_of_the_definition(candidates, kin, strength):
    assert list(diversified(candidates, kin, strength)) == one_by_one(candidates, kin, strength)


@given(CANDIDATES, KIN, STRENGTHS)
def test_sorting_by_score_again_changes_nothing(candidates, kin, strength):
    made = list(diversified(candidates, kin, strength))
    assert by_score(made) == made


@given(CANDIDATES, KIN)
def test_without_strength_the_order_is_that_of_the_scores(candidates, kin):
    assert list(diversified(candidates, kin, 0.0)) == by_score(candidates)


def test_a_third_book_of_an_author_moves_down_further_than_the_second():
    kin = {"a": (0, 1), "b": (0, 1), "c": (0, 1), "d": (0, 2)}
    candidates = [Candidate(isbn, 1.0, None, "personal") for isbn in "abcd"]
    assert [(one.isbn, one.score) for one in diversified(candidates, kin, 0.5)] == [
        ("a", 1.0),
        ("d", 1.0),
        ("b", 0.75),
        ("c", 0.5),
    ]


def test_a_model_without_diversity_has_the_file_of_earlier_releases():
    items = Items(("a", "b"), ("b",))
    assert set(items.to_json()) == {"isbns", "popular"}
    assert parse_items(json.dumps(items.to_json()).encode()).diversity == OFF


def test_items_with_diversity_come_back_from_their_file():
    items = Items(("a", "b", "c"), ("b",), Diversity(0.25, (1, 1, 0), (0, 2, 2)), (0, 2))
    assert parse_items(json.dumps(items.to_json()).encode()) == items


@pytest.mark.parametrize(
    "change",
    [
        {"diversity": -0.1},
        {"diversity": True},
        {"diversity": "0.1"},
        {"diversity": float("nan")},
        {"diversity": float("inf")},
        {"diversity": 1e9},
        {"series": [1]},
        {"series": None},
        {"authors": [0, -1]},
        {"authors": [0, 1.5]},
        {"authors": [0, True]},
        {"rare": [2]},
        {"rare": [-1]},
        {"rare": "01"},
    ],
)
def test_damaged_items_are_rejected(change):
    good = Items(("a", "b"), ("b",), Diversity(0.25, (1, 1), (0, 0)), (0,)).to_json()
    parse_items(json.dumps(good).encode())
    with pytest.raises(BadModel, match=r"items\.json"):
        parse_items(json.dumps({**good, **change}).encode())


def model_of(strength, scores, series, isbns=ISBNS):
    """Return a model with these scores for any shelf."""
    items = Items(tuple(isbns), (), Diversity(strength, tuple(series), (0,) * len(isbns)))
    model = load_fake("v", b"v", json.dumps(items.to_json()).encode())

    def recommend(items, ratings):
        out = model.recommend(items=items, ratings=ratings)
        return {**out, "scores": [scores[index] for index in out["indices"].tolist()]}

    class Scores(dict):
        def __getitem__(self, name):
            value = super().__getitem__(name)
            return value if hasattr(value, "tolist") else _List(value)

    class _List(list):
        def tolist(self):
            return list(self)

    return replace(model, recommend=lambda **inputs: Scores(recommend(**inputs)))


def catalogue_of(titles):
    return Catalogue([Book(isbn, title, "Author", "") for isbn, title in titles.items()])


def test_what_a_list_may_not_contain_moves_nothing_down():
    catalogue = catalogue_of({isbn: f"Title {isbn}" for isbn in ISBNS if isbn != "i00"})  # the best one is missing
    scores = [1.0 - number / 100 for number in range(len(ISBNS))]
    series = [1 if isbn in ("i00", "i01") else 0 for isbn in ISBNS]
    made = make_list(build_shelf("u", []), model_of(0.5, scores, series), catalogue)
    assert made.isbns[0] == "i01"
    assert made.items[0].score == 0.99


def test_books_with_about_equal_scores_may_change_places_also_if_others_follow_from_it():
    catalogue = catalogue_of({isbn: f"Title {isbn}" for isbn in ISBNS})
    shelf = build_shelf("u", [])

    def judged(step):
        """Make a list with scores that differ in the last digits, and compare it with the model's."""
        scores = [1.0 - number / 50 for number in range(len(ISBNS))]
        scores[4] = scores[3] - step
        other = scores[:]
        other[3], other[4] = scores[4], scores[3]
        series = [1 if number in (3, 5) else 2 if number in (4, 6) else 0 for number in range(len(ISBNS))]
        series[4] = 1  # of i03 and i04, the second moves down
        model, trainers = model_of(0.1, scores, series), model_of(0.1, other, series)
        made = make_list(shelf, trainers, catalogue)
        assert made.isbns != make_list(shelf, model, catalogue).isbns
        content = pack([to_line(made, catalogue)])
        ready = read_shard(content, ShardEntry(sha256(content), 1, "u"))["u"]
        return is_of_model(ready, shelf, model, catalogue)

    assert judged(2e-4)
    assert not judged(1e-2)
