"""Cleaning, arrays, holdout, features."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from trainer.data import dataset
from trainer.data.features import FeatureWeights, item_facts, item_features
from trainer.data.sources import read_pages


def frame(*rows):
    return pd.DataFrame(rows, columns=["userId", "isbn", "myRate"])


def test_cleaning_keeps_usable_rows_and_counts_the_others_by_reason():
    rows, dropped = dataset.clean(
        frame(("u", "007", "3.5"), ("u", "007", "4"), ("u", "7", "0"), ("u", "8", "six"), ("u", "8", "7"),
              ("", "8", "1"), ("u", "\N{DRAGON}", "1"), ("u", "9", "nan"), ("u", "9", "3.3"))
    )  # fmt: skip
    assert rows[["isbn", "myRate"]].to_numpy().tolist() == [["007", 4.0], ["7", 0.0]]
    assert dropped == {
        "duplicate": 1,
        "rating_not_number": 2,
        "rating_out_of_range": 1,
        "user_missing": 1,
        "isbn_invalid": 1,
        "rating_not_half": 1,
    }


def test_ratings_of_another_site_need_no_database_keys_and_no_half_stars():
    rows, dropped = dataset.clean(
        frame(("a.b/c", "97/8 x", "3.3"), ("", "1", "4"), ("u", "", "4"), ("u", "1", "6"), ("u", "1", "")), foreign=True
    )
    assert rows[["userId", "isbn", "myRate"]].to_numpy().tolist() == [["a.b/c", "97/8 x", 3.3]]
    assert dropped == {"user_missing": 1, "isbn_missing": 1, "rating_out_of_range": 1, "rating_not_number": 1}
    assert dataset.build(rows, pd.DataFrame({"isbn": ["#", ""]}), foreign=True).isbns == ("#", "97/8 x")


def test_an_unrated_duplicate_does_not_take_the_stars_away():
    rows, _ = dataset.clean(frame(("u", "a", "4"), ("u", "a", "0")))
    assert rows["myRate"].tolist() == [4.0]


@given(st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdef"), st.integers(0, 10)), min_size=1))
def test_arrays_hold_exactly_the_rows(rows):
    cleaned, _ = dataset.clean(frame(*[(u, i, n / 2) for u, i, n in rows]))
    ratings = dataset.build(cleaned, pd.DataFrame({"isbn": ["z", "a"]}))
    built_rows = {
        (ratings.user_ids[u], ratings.isbns[i], float(s))
        for u, i, s in zip(ratings.users, ratings.items, ratings.stars, strict=True)
    }
    assert built_rows == set(cleaned[["userId", "isbn", "myRate"]].itertuples(index=False, name=None))
    assert "z" in ratings.isbns
    assert ratings.matrix().sum() == len(cleaned)


def test_the_holdout_takes_each_readers_newest_and_leaves_at_least_one():
    cleaned = pd.DataFrame(
        [("u", f"i{n}", 4.0, n) for n in range(20)] + [("v", "i0", 4.0, 0)], columns=["userId", "isbn", "myRate", "at"]
    )
    ratings = dataset.build(cleaned, None)
    held = dataset.holdout(ratings, 0.2, seed=3)
    assert not held[ratings.users == 1].any()
    assert set(ratings.at[held]) == {16, 17, 18, 19}


def test_features_are_normalised_and_books_without_metadata_have_none():
    books = pd.DataFrame(
        {
            "isbn": ["a", "b", "c"],
            "title": ["Red Fox (Foxes, #1)", "Blue Fox (Foxes, #2)", ""],
            "authors": ["X", "X", ""],
        }
    )
    features = item_features(("a", "b", "c", "d"), books, FeatureWeights()).toarray()
    shared = features[:, (features > 0).sum(axis=0) > 1]  # what one book alone has does not count
    np.testing.assert_allclose(np.linalg.norm(shared, axis=1), [1, 1, 0, 0], atol=1e-6)
    assert features.shape[1] > shared.shape[1]
    assert features[0] @ features[1] > 0.9


def test_books_that_nobody_has_rated_change_no_row_of_a_rated_one():
    words = ["fox", "hill", "river", "stone", "lamp", "night", "glass", "tower"]
    rng = np.random.default_rng(5)

    def invented(name, n, more=()):
        texts = [" ".join(rng.choice([*words, *more], 4)) for _ in range(n)]
        return pd.DataFrame(
            {
                "isbn": [f"{name}{i}" for i in range(n)],
                "title": [f"{text} (Saga {i % 9}, #{i})" for i, text in enumerate(texts)],
                "authors": [f"Author {i % 23}" for i in range(n)],
                "description": texts[::-1],
            }
        )

    few, many = invented("r", 40), invented("u", 5000, more=["anchor", "zebra"])
    isbns = tuple(few["isbn"])
    before = item_features(isbns, few, FeatureWeights(), np.ones(40, bool))
    order = rng.permutation(5040)
    books = pd.concat([many, few]).iloc[order]
    rated = books["isbn"].str.startswith("r").to_numpy()
    after = item_features(tuple(books["isbn"]), books, FeatureWeights(), rated)
    places = {isbn: i for i, isbn in enumerate(books["isbn"])}
    rows = after[[places[isbn] for isbn in isbns]]
    assert before.shape[1] == after.shape[1]
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(before, part), getattr(rows, part))
    assert after[~rated].getnnz(axis=1).min() > 0


def test_a_feature_of_a_single_rated_book_links_it_to_a_book_that_nobody_has_rated():
    books = pd.DataFrame({"isbn": ["a", "b", "c"], "title": ["One", "Two", "Three"], "authors": ["X", "Y", "X"]})
    features = item_features(("a", "b", "c"), books, FeatureWeights(), np.array([True, True, False])).toarray()
    assert features[2] @ features[0] > 0.9
    assert features[2] @ features[1] == 0


def test_a_database_is_read_in_pages_with_a_report():
    tree = {
        "User_Book": {
            "-NWcEFgMwmdaYcA4ndml": {"userId": "u", "bookId": "b", "isbn": "1", "myRate": 4},
            "k2": {"userId": "u", "bookId": "b", "myRate": 4},
        },
        "archive": {
            "a": {"isbn": "1", "title": "T", "author": "A", "publishedYear": "1999"},
            "b": {"title": "no isbn"},
        },
    }

    def pages(path, size):
        for key in sorted(tree[path]):
            yield {key: tree[path][key]}

    snapshot = read_pages(pages, "test")
    assert snapshot.ratings[["userId", "isbn", "myRate"]].to_numpy().tolist() == [["u", "1", 4.0]]
    assert pd.Timestamp(snapshot.ratings["at"].iloc[0], unit="ms").year == 2023
    assert snapshot.books["year"].tolist() == ["1999"]
    assert snapshot.rejected == {"entry:isbn_missing": 1, "book:isbn_missing": 1}


def test_a_number_after_a_title_is_a_place_only_if_a_series_can_be_so_long():
    titles = ["A (Long Road, #3)", "B (Long Road, #" + "9" * 39 + ")", "C (Long Road, #2.5)", "D"]
    books = pd.DataFrame({"isbn": list("1234"), "title": titles, "authors": "X", "year": ["1999", "9" * 5000, "x", ""]})
    assert item_facts(("1", "2", "3", "4"), books).numbers.tolist() == [3.0, 0.0, 2.5, 0.0]
    assert np.isfinite(item_features(("1", "2", "3", "4"), books, FeatureWeights()).data).all()


def test_categorical_columns_are_cleaned_as_texts_are():
    rows = frame(("u", "a", 4), ("v", "#", 3), ("", "b", 2), ("u", "a", 0.0), ("v", "b", 0.5), ("u", "b", 9))
    texts, dropped = dataset.clean(rows)
    categories = rows.assign(userId=rows["userId"].astype("category"), isbn=rows["isbn"].astype("category"))
    cleaned, also_dropped = dataset.clean(categories.assign(myRate=rows["myRate"].astype(np.float32)))
    assert also_dropped == dropped == {"isbn_invalid": 1, "user_missing": 1, "rating_out_of_range": 1, "duplicate": 1}
    assert cleaned["isbn"].dtype == "category"
    assert cleaned.astype(object).values.tolist() == texts.astype(object).values.tolist()
    ours, theirs = dataset.build(cleaned, None), dataset.build(texts, None)
    assert (ours.user_ids, ours.isbns) == (theirs.user_ids, theirs.isbns) == (("u", "v"), ("a", "b"))
    assert ours.items.tolist() == theirs.items.tolist()


def test_true_is_not_a_rating_of_one():
    assert dataset.clean(frame(("u", "a", 1), ("u", "b", True)))[1] == {"rating_not_number": 1}
