"""Blends tried on a pool of books, compared with rankings of the whole catalogue."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from trainer.data.dataset import Ratings
from trainer.model import pool
from trainer.model.pool import Blend, pool_of
from trainer.model.validation import Validation
from trainer.serving.item_item import standardised

READERS, BOOKS, UNRATED = 30, 90, 30
OFFSETS = (0.0, -0.5, -3.0, 40.0)
BLENDS = [
    Blend(0.3, 0.25),
    Blend(1.0, 0.0),
    Blend(0.0, 5.0),
    *(Blend(0.4, 0.5, strengths, offset) for strengths in ((0.0, 1.0), (1.0, 0.25), (0.5, 2.0)) for offset in OFFSETS),
    Blend(1.0, 1.0, (2.0, 0.0), -1.0),
]


def ratings_of(rows):
    """Return entries of a dense bool matrix [readers, books]."""
    users, items = np.nonzero(rows)
    names = tuple(tuple(f"{kind}{n:03}" for n in range(count)) for kind, count in zip("ub", rows.shape, strict=True))
    stars = np.full(len(users), 4, np.float32)
    return Ratings(*names, users.astype(np.int32), items.astype(np.int32), stars, np.full(len(users), -1))


def world(seed=0, books=BOOKS, unrated=UNRATED, readers=READERS, density=1.0):
    """Return a validation, and per table its weights for rated and for unrated books, and the popularity.

    The first ``unrated`` books are on no shelf, but readers have them among the held-out ones.
    """
    rng = np.random.default_rng(seed)
    part = rng.random((readers, books)) < 0.15
    part[:, :unrated] = False
    held = (rng.random((readers, books)) < 0.1) & ~part
    held[0] = False  # this one is not validated
    tables = []
    for _ in range(2):
        weights = rng.normal(size=(books, books)) * (rng.random((books, books)) < density)
        weights[:unrated] = 0
        kinds = weights.copy(), weights
        kinds[0][:, :unrated] = 0
        kinds[1][:, unrated:] = 0
        tables.append(tuple(sp.csr_matrix(kind.astype(np.float32)) for kind in kinds))
    popularity = rng.random(books).astype(np.float32) * 0.9 + 0.1
    popularity[:unrated] = 0
    return Validation(ratings_of(part), ratings_of(held)), tables, popularity


def scores_by_hand(validation, tables, popularity, blend):
    """Return the scores of all books, dense [readers, books]."""
    is_rated = popularity > 0
    counted = (validation.shelves.toarray() == 0) & is_rated
    scores = blend.popularity_weight * popularity + blend.offset * ~is_rated + np.zeros(counted.shape)
    for (rated, unrated), share, strength in zip(tables, (blend.share, 1 - blend.share), blend.strengths, strict=True):
        sums = (validation.shelves @ (rated + strength * unrated)).toarray()
        scores += share * standardised(sums, counted)
    return scores


def ndcg_by_hand(validation, tables, popularity, blend):
    scores = scores_by_hand(validation, tables, popularity, blend)
    return np.mean(np.concatenate([validation.figures(rows, scores[rows].copy()) for rows in validation.blocks()]))


def pool_for(validation, tables, popularity):
    return pool_of(validation, [rated for rated, _ in tables], [unrated for _, unrated in tables], popularity)


@pytest.mark.parametrize("blend", BLENDS, ids=str)
def test_a_pool_of_all_books_gives_the_figure_of_the_whole_ranking(blend):
    given = world()
    assert pool_for(*given).ndcg(blend) == pytest.approx(ndcg_by_hand(*given, blend), abs=1e-6)


def test_the_blends_differ():
    made = pool_for(*world())
    different = {round(made.ndcg(blend), 6) for blend in BLENDS}
    assert len(different) > len(BLENDS) - 4


@pytest.mark.parametrize("blend", [Blend(0.3, 0.25, offset=-0.5), Blend(0.0, 5.0, (2.0, 2.0), -4.0)], ids=str)
def test_an_empty_shelf_is_ranked_by_popularity(blend):
    _, tables, popularity = world()
    rows = np.zeros((2, BOOKS), bool)
    held = rows.copy()
    held[:, UNRATED::7] = True
    empty = Validation(ratings_of(rows), ratings_of(held))
    assert not empty.shelves.nnz
    assert pool_for(empty, tables, popularity).ndcg(blend) == pytest.approx(
        ndcg_by_hand(empty, tables, popularity, Blend(0, 1)), abs=1e-6
    )


def test_every_book_is_in_the_pool_of_a_small_catalogue_once():
    validation, tables, popularity = world()
    made = pool_for(validation, tables, popularity)
    assert len(made.ideals) == len(validation.users) == READERS - 1
    np.testing.assert_array_equal(made.counts.sum(axis=1), BOOKS - np.diff(validation.shelves.indptr))
    held = validation.relevant_counts()
    np.testing.assert_array_equal((made.labels * made.counts).sum(axis=1), held)
    np.testing.assert_array_equal((made.is_unrated * made.counts).sum(axis=1), UNRATED)


@pytest.mark.parametrize("readers", [1, 3, READERS])
def test_the_size_of_blocks_does_not_matter(readers, monkeypatch):
    given = world()
    at_once = pool_for(*given)
    monkeypatch.setattr("trainer.model.validation.BLOCK", readers)
    in_blocks = pool_for(*given)
    for blend in BLENDS[:5]:
        assert in_blocks.ndcg(blend) == pytest.approx(at_once.ndcg(blend), abs=1e-9)


def test_without_unrated_books_the_figure_is_that_of_the_whole_ranking():
    validation, tables, popularity = world(unrated=0)
    made = pool_for(validation, tables, popularity)
    for blend in BLENDS:
        expected = ndcg_by_hand(validation, tables, popularity, blend)
        assert made.ndcg(blend) == pytest.approx(expected, abs=1e-6)


def test_the_best_books_by_each_table_and_the_most_popular_are_in_the_pool_of_a_large_catalogue(monkeypatch):
    monkeypatch.setattr(pool, "BEST", 20)
    monkeypatch.setattr(pool, "BEST_UNRATED", 12)
    monkeypatch.setattr(pool, "POPULAR", 25)
    given = world(seed=3, books=400, unrated=150)
    made = pool_for(*given)
    assert made.counts.shape[1] == 25 + 2 * (20 + 12)
    # The ten best by one table alone, or by popularity, or of the unrated books, are all in it.
    for blend in (
        Blend(1.0, 0.0, (0.0, 0.0), -40.0),
        Blend(0.0, 0.0, (0.0, 0.0), -40.0),
        Blend(0.5, 1e4, (1.0, 1.0), -1e6),
        Blend(1.0, 0.0, (1.0, 1.0), 1e3),
        Blend(0.0, 0.0, (1.0, 1.0), 1e3),
    ):
        assert made.ndcg(blend) == pytest.approx(ndcg_by_hand(*given, blend), abs=1e-6), blend


def test_the_loss_is_the_cross_entropy_over_the_pool():
    validation, tables, popularity = given = world()
    made = pool_for(*given)
    for blend in (BLENDS[0], BLENDS[8]):
        for scale in (0.1, 1.0):
            scores = scores_by_hand(validation, tables, popularity, blend) * scale
            losses = []
            for row, on_shelf in enumerate(validation.shelves.toarray() > 0):
                wanted = validation.labels(slice(row, row + 1), np.arange(BOOKS)[None, :])[0] > 0
                left = scores[row][~on_shelf]
                shares = np.exp(left - left.max()) / np.exp(left - left.max()).sum()
                losses.append(-np.log(shares[wanted[~on_shelf]]).mean())
            assert made.loss(blend, scale) == pytest.approx(np.mean(losses), rel=1e-4)


def test_without_readers_there_are_no_figures():
    validation, tables, popularity = world()
    made = pool_for(validation, tables, popularity)
    nobody = replace(
        made,
        parts=[part[:0] for part in made.parts],
        slopes=[slope[:0] for slope in made.slopes],
        popularity=made.popularity[:0],
        is_unrated=made.is_unrated[:0],
        counts=made.counts[:0],
        labels=made.labels[:0],
        ideals=made.ideals[:0],
    )
    assert (nobody.ndcg(BLENDS[0]), nobody.loss(BLENDS[0], 1.0)) == (0, 0)


def test_a_validation_without_readers_has_a_pool():
    part = ratings_of(np.ones((3, 20), bool))
    none = part.select(np.zeros(len(part.users), bool))
    weights = sp.csr_matrix((20, 20), dtype=np.float32)
    made = pool_of(Validation(part, none), [weights] * 2, [weights] * 2, np.ones(20, np.float32))
    assert (made.ndcg(BLENDS[0]), made.loss(BLENDS[0], 1.0)) == (0, 0)
