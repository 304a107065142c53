"""The exported arrays: tables in chunks of whole numbers, and the candidates of either kind."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from tests.trainer.serving.batch.models import random_model
from trainer.serving.arrays import (
    CANDIDATES,
    CHUNK,
    RETRIEVED,
    RETRIEVED_POPULAR,
    RETRIEVED_UNRATED,
    Quantised,
)
from trainer.serving.item_item import Table

HALF = 0.505
"""Half a unit, and what float32 loses with whole numbers of up to 32,767."""


def model(matrix, popularity=None, **changes):
    """Return a model of one table, with as many books as ``matrix`` [items, items] has rows."""
    books = matrix.shape[0]
    popular = np.linspace(1, 0.1, books).astype(np.float32) if popularity is None else popularity
    table = Table(sp.csr_matrix(matrix.astype(np.float32)), 0.75)
    return replace(random_model(books), tables=(table,), popularity=popular, **changes)


LENGTHS = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 50, 0, 0, 3)


def rows_of_many_lengths(books=60, seed=0):
    """Return a dense matrix whose rows have ``LENGTHS`` weights, over and over; the last row is empty."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((books, books), np.float32)
    for row in range(books - 1):
        length = LENGTHS[row % len(LENGTHS)]
        matrix[row, rng.choice(books, length, replace=False)] = rng.normal(size=length)
    return matrix


@pytest.mark.parametrize("books", [60, 61, 240])
def test_a_stored_table_is_the_table_within_half_a_unit(books):
    matrix = rows_of_many_lengths(books)
    stored = Quantised(model(matrix)).tables[0]
    back = stored.matrix
    assert (back.shape, back.dtype, stored.share) == ((books + 1, books), np.float32, 0.75)
    assert stored.unit == pytest.approx(np.abs(matrix).max() / 32_767)
    assert np.abs(back.toarray()[:-1] - matrix).max() <= stored.unit * HALF
    assert back[-1].nnz == 0  # an unknown book
    lengths = np.count_nonzero(matrix, axis=1)
    np.testing.assert_array_equal(stored.counts, np.append(-(-lengths // CHUNK), 0))
    assert len(stored.weights) == len(stored.neighbours) == stored.counts.sum()
    for book in range(books):  # the layout that runtimes read: a row's chunks follow one another
        rows = slice(stored.first[book], stored.first[book] + stored.counts[book])
        weights = np.zeros(books)
        np.add.at(weights, stored.neighbours[rows].ravel(), stored.weights[rows].ravel() * float(stored.unit))
        np.testing.assert_allclose(weights, back[book].toarray().ravel(), atol=1e-6)


def test_a_row_may_be_as_long_as_the_catalogue():
    matrix = np.random.default_rng(1).normal(size=(5 * CHUNK, 5 * CHUNK)).astype(np.float32)
    stored = Quantised(model(matrix)).tables[0]
    assert (stored.counts[:-1] == 5).all()
    assert np.abs(stored.matrix.toarray()[:-1] - matrix).max() <= stored.unit * HALF


def test_a_table_without_any_weight_has_one_chunk_of_nothing():
    stored = Quantised(model(np.zeros((7, 7)))).tables[0]
    assert stored.weights.shape == stored.neighbours.shape == (1, CHUNK)
    assert not stored.counts.any()
    assert (stored.matrix.shape, stored.matrix.nnz) == ((8, 7), 0)


@pytest.mark.parametrize(("books", "kind"), [(32_767, np.int16), (32_768, np.int32)])
def test_the_last_of_many_books_is_still_a_neighbour(books, kind):
    matrix = sp.csr_matrix(([1.0], ([0], [books - 1])), shape=(books, books))
    serving = replace(
        random_model(50),
        isbns=tuple(map(str, range(books))),
        tables=(Table(matrix.astype(np.float32)),),
        popularity=np.ones(books, np.float32),
    )
    stored = Quantised(serving).tables[0]
    assert stored.neighbours.dtype == kind
    assert stored.matrix[0, books - 1] == pytest.approx(1)


def test_the_unit_is_that_of_the_rated_books_and_greater_weights_are_held_to_it():
    matrix = rows_of_many_lengths()
    popularity = np.where(np.arange(60) % 3 == 0, 0, 0.5).astype(np.float32)
    unrated = popularity == 0
    alone = Quantised(model(np.where(unrated, 0, matrix), popularity)).tables[0]
    matrix[:, unrated] *= 50
    stored = Quantised(model(matrix, popularity)).tables[0]
    assert stored.unit == alone.unit
    back, greatest = stored.matrix.toarray()[:-1], stored.unit * 32_767
    np.testing.assert_array_equal(back[:, ~unrated], alone.matrix.toarray()[:-1][:, ~unrated])
    assert np.abs(matrix[:, unrated]).max() > 2 * greatest
    expected = np.clip(matrix[:, unrated], -greatest, greatest)
    assert np.abs(back[:, unrated] - expected).max() <= stored.unit * HALF


@pytest.mark.parametrize(
    ("rated", "unrated", "expected"),
    [
        (1000, 1000, (RETRIEVED, RETRIEVED_UNRATED)),
        (1000, 0, (RETRIEVED, 0)),
        (50, 1000, (50, RETRIEVED_UNRATED)),
        (20, 1000, (20, CANDIDATES - 20)),
        (20, 30, (20, 30)),
        (149, 49, (149, 49)),
    ],
)
def test_either_kind_of_books_has_places_of_its_own(rated, unrated, expected):
    popularity = np.append(np.zeros(unrated), np.linspace(0.1, 1, rated)).astype(np.float32)
    arrays = Quantised(model(np.zeros((rated + unrated,) * 2), popularity))
    assert (arrays.retrieved_rated, arrays.retrieved_unrated) == expected
    assert arrays.retrieved == sum(expected) >= min(CANDIDATES, rated + unrated)  # as many as the contract says
    np.testing.assert_array_equal(arrays.is_rated, np.arange(rated + unrated) >= unrated)
    # The most popular come last here, and no unrated book is among them.
    most = np.arange(rated + unrated)[::-1][: min(RETRIEVED_POPULAR, rated)]
    np.testing.assert_array_equal(arrays.always, most)


def test_vectors_are_stored_within_half_a_unit_of_their_row():
    serving = random_model(100)
    serving = replace(serving, vectors=serving.vectors * np.arange(100, dtype=np.float32)[:, None])
    arrays = Quantised(serving)
    back = arrays.vectors * arrays.vector_scales[:, None]
    assert (np.abs(back[:-1] - serving.vectors) <= arrays.vector_scales[:-1, None] * HALF).all()
    assert not back[-1].any()
    for of_item in (arrays.bias, arrays.popular, arrays.series, arrays.numbers, arrays.authors):
        assert len(of_item) == 101
    assert (arrays.series[-1], arrays.authors[-1], arrays.popular[-1]) == (-1, -1, 0)
