"""Models for tests of lists: a random one, in which every part counts."""

import numpy as np

from trainer.data.features import Facts
from trainer.serving.biases import Biases
from trainer.serving.item_item import Reranker, ServingModel, Table
from trainer.serving.reranker_features import FEATURES


def random_model(books=1500, dim=48, seed=0, tables=2, popularity_weight=0.25, levels=1000):
    """Return a model with random weights; popularity has ``levels`` values, so few levels make many ties."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    def table(share):
        neighbours = np.stack([rng.choice(books, min(50, books), replace=False) for _ in range(books)])
        return Table.of(neighbours.astype(np.int32), normal(*neighbours.shape) * 0.1 + 0.1, share)

    vectors, count = normal(books, dim), len(FEATURES)
    return ServingModel(
        isbns=tuple(f"{number:08}" for number in range(books)),
        tables=tuple(table(share) for share in (0.4, 0.6)[:tables]),
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        popularity=np.floor(rng.random(books) * levels).astype(np.float32) / levels,
        biases=Biases(3.8, normal(books) * 0.2, 5.0),
        facts=Facts(
            rng.integers(-1, books // 4, books).astype(np.int32),
            rng.integers(0, 5, books).astype(np.float32),
            rng.integers(-1, books // 5, books).astype(np.int32),
        ),
        popularity_weight=popularity_weight,
        interaction=0.5,
        reranker=Reranker(
            normal(count) * 0.1 - 3,
            normal(count) * 0.1 + 3,
            normal(count) * 0.1,
            np.abs(normal(count)) + 0.5,
            normal(4, count, 16) * 0.3,
            normal(4, 16) * 0.1,
            normal(4, 16) * 0.5,
        ),
    )
