"""The diversity benchmark's own parts: the catalogue of a set, and the figure of a list."""

import pandas as pd
import pytest

from benchmarks.data import catalogue_of
from benchmarks.diversity import ndcg_of


def test_the_catalogue_needs_only_the_columns_that_every_set_has():
    columns = ["isbn", "title", "authors", "original_publication_year", "language_code", "image_url"]
    books = pd.DataFrame([["a", "Emma", "Jane Austen", "1815", "eng", ""], ["b", "", "", "", "", ""]], columns=columns)
    catalogue = catalogue_of(books)
    assert list(catalogue) == ["a", "b"]
    assert catalogue.edition("a") == ("emma", "jane austen")


def test_a_list_with_all_wanted_books_first_has_the_best_figure():
    isbns = [f"b{number}" for number in range(10)]
    assert ndcg_of(isbns, {"b0", "b1"}) == pytest.approx(1)
    assert ndcg_of(isbns, {"b0", "elsewhere"}) == pytest.approx(1 / (1 + 0.6309), abs=1e-4)
    assert ndcg_of(isbns, {"elsewhere"}) == 0
