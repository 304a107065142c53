"""The benchmark of similar books, on a model whose vectors are known: what counts as a hit, and what is popular."""

from dataclasses import replace

import numpy as np

from benchmarks import similar
from tests.trainer.serving.batch.models import random_model
from trainer.data.dataset import Ratings

BOOKS = 200


def ratings(model, pairs):
    users, items = (np.array(column, np.int32) for column in zip(*sorted(pairs), strict=True))
    readers = tuple(f"u{number:03}" for number in range(users.max() + 1))
    return Ratings(readers, model.isbns, users, items, np.full(len(users), 4, np.float32), np.full(len(users), -1))


def test_a_later_book_of_the_same_reader_is_a_hit_if_it_is_among_the_ten_nearest():
    angles = np.linspace(0, np.pi / 2, BOOKS)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    popularity = np.full(BOOKS, 0.5, np.float32)
    popularity[-20:] = 0
    model = replace(random_model(BOOKS, seed=1), vectors=vectors, popularity=popularity)
    train = ratings(model, [(reader, 2 * reader) for reader in range(80)])
    next_to = ratings(model, [(reader, 2 * reader + 3) for reader in range(80)])
    far_away = ratings(model, [(reader, (2 * reader + 90) % 180) for reader in range(80)])
    name = "rated: cosine + 0.3 popularity"
    assert similar.compare(model, train, next_to, False, 1)[name]["hit_rate"] == 1
    assert similar.compare(model, train, far_away, False, 1)[name]["hit_rate"] == 0
    unrated = ratings(model, [(reader, 185) for reader in range(80)])
    assert "unrated: cosine + 0.3 popularity" in similar.compare(model, train, unrated, False, 1)


def test_a_weight_that_is_all_gives_every_book_the_popular_ones():
    model = random_model(BOOKS, seed=1)
    pairs = [(reader, reader) for reader in range(80)]
    found = similar.compare(model, ratings(model, pairs), ratings(model, [(r, r + 80) for r, _ in pairs]), True, 1)
    weights = [row["popular_share"] for name, row in found.items() if "cosine" in name]
    assert weights == sorted(weights)
    assert {name for name in found if "item-kNN" in name} == {f"rated: item-kNN, shrink {n}" for n in similar.SHRINKS}
