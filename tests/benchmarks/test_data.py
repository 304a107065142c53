"""The sets of the quality benchmark, made of small data."""

import pandas as pd
import pytest

from benchmarks import data
from tests.trainer.small_ratings import clusters, split


@pytest.fixture
def folder(tmp_path, monkeypatch):
    ratings, books = clusters(readers=20, books=40, per_reader=8)
    (tmp_path / "goodbooks" / "splits").mkdir(parents=True)
    (tmp_path / "movielens").mkdir()
    for name, frame in zip(("train", "test"), split(ratings), strict=True):
        for place in ("goodbooks/splits/dev100k", "movielens/devml"):
            frame.to_csv(tmp_path / f"{place}.{name}.csv", index=False)
    unrated = pd.DataFrame({"isbn": ["new"], "title": ["A new tale"], "authors": ["Nobody"]})
    pd.concat([books, unrated]).to_csv(tmp_path / "goodbooks" / "books.csv", index=False)
    descriptions = pd.DataFrame({"isbn": ["new"], "description": ["a tale of words"]})
    descriptions.to_csv(tmp_path / "goodbooks" / "descriptions.csv", index=False)
    monkeypatch.setattr(data, "DATA", tmp_path / "goodbooks")
    return tmp_path / "goodbooks"


def test_the_whole_catalogue_has_unrated_books_and_descriptions(folder):
    train, test, books = data.read_whole("dev100k")
    assert "new" not in {*train["isbn"], *test["isbn"]}
    assert books.set_index("isbn")["description"]["new"] == "a tale of words"
    assert books["isbn"].is_unique
    assert set(books["description"]) == {"", "a tale of words"}
    assert "new" not in set(data.read_split("dev100k")[2]["isbn"])


def test_a_cut_set_has_the_most_rated_books_only(folder):
    train, _, _ = data.read_split("dev100k")
    kept, test, books = data.read_cut("dev100k", 10)
    counts = train["isbn"].value_counts()
    assert kept["isbn"].nunique() == len(books) == 10
    assert kept["isbn"].value_counts().min() >= counts[~counts.index.isin(books["isbn"])].max()
    assert set(test["isbn"]) <= set(books["isbn"])


def test_an_enlarged_set_has_invented_books_of_real_words_that_nobody_has(folder):
    train, test, books = data.read_split("dev100k")
    more, same, enlarged = data.read_enlarged("dev100k", 100)
    pd.testing.assert_frame_equal(more, train)
    pd.testing.assert_frame_equal(same, test)
    assert len(enlarged) == enlarged["isbn"].nunique() == 100
    invented = enlarged[~enlarged["isbn"].isin(books["isbn"])]
    assert not set(invented["isbn"]) & {*train["isbn"], *test["isbn"]}
    for column in ("title", "authors"):
        assert set(" ".join(invented[column]).split()) <= set(" ".join(books[column]).split())
    pd.testing.assert_frame_equal(enlarged, data.read_enlarged("dev100k", 100)[2])


def test_other_sites_have_no_catalogue_and_missing_data_says_what_to_set(folder):
    assert data.read_other("movielens", "devml")[2] is None
    with pytest.raises(FileNotFoundError, match=r"polimi2023: no dev380k\.train\.csv; set BENCH_DATA"):
        data.quality_sets()["dev380k"].read()
