"""One worker of a cluster, for test_distributed.py: ``python -m tests.trainer.model.worker_program MODE OUT``."""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from bookrec.errors import BookrecError
from tests.trainer.small_ratings import clusters
from trainer.config import DEFAULTS
from trainer.data import dataset
from trainer.data.features import item_features
from trainer.data.ingest.snapshot import Snapshot, empty_snapshot
from trainer.model import distributed
from trainer.model.train_loop import Steps, learn
from trainer.model.validation import Validation
from trainer.pipeline import help_out, make
from trainer.run import Order

CONFIG = replace(
    DEFAULTS, epochs=4, folds=1, groups=2, batch_users=16, embedding_dims=(("batch", 16), ("catalogue", 16))
)


def snapshot():
    """The data is the chief's alone, and so has to be shared."""
    ratings, books = clusters(readers=64)
    return Snapshot(ratings.assign(key="", at=-1), books, {"entry:isbn_missing": 2}, "a test")


def train(out):
    found = distributed.shared(snapshot() if distributed.is_chief() else empty_snapshot("the chief"))
    assert found.rejected == {"entry:isbn_missing": 2}
    ratings = dataset.build(dataset.clean(found.ratings)[0], found.books)
    held = dataset.holdout(ratings, 0.2, 1)
    part = ratings.select(~held)
    steps = Steps(item_features(ratings.isbns, found.books, CONFIG.features), CONFIG)
    validation = Validation(part, ratings.select(held))
    for negatives, _ in CONFIG.embedding_dims:
        learned = learn(part, steps, negatives, validation, CONFIG.epochs)
        np.save(out / f"{negatives}-{distributed.rank()}.npy", learned.vectors)


def publishes(out):
    config = replace(CONFIG, epochs=1, embedding_dims=(("batch", 16),), reranker_epochs=(0,))
    if not distributed.is_chief():
        help_out(config)
        return
    product = make(config, Order("v-1", snapshot(), 0, None, lambda name: b""), logging.warning)
    (out / "files.txt").write_text("\n".join(sorted(product.files)))


def dies(out):
    """Worker 1 is killed in the middle of training."""
    if distributed.rank() == 1:
        from trainer.model.batches import Feed

        whole = Feed.steps

        def steps(self, epoch):
            for number, found in enumerate(whole(self, epoch)):
                if (epoch, number) == (2, 1):
                    os._exit(9)
                yield found

        Feed.steps = steps
    train(out)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    try:
        distributed.strategy()
        {"train": train, "publishes": publishes, "dies": dies}[sys.argv[1]](Path(sys.argv[2]))
    except BookrecError as problem:
        sys.exit(f"trainer: {problem}")
