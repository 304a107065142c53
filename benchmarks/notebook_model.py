"""The research notebook's multi-task model and its training loop, for comparison.

Two id embeddings of width 64, a rating network of 512-256-128-32-1 on their concatenation, retrieval against the other
books of a batch, AdamW at 0.001, batches of 32 that a cache freezes after the first epoch, 100 epochs. Its
dropout layers are called without ``training=True``, never drop anything, and are left out here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs
from tqdm import tqdm

from trainer.data.dataset import Ratings

EMBEDDING_DIM = 64
BATCH = 32
EPOCHS = 100

Floats = npt.NDArray[np.float32]


class NotebookModel(tfrs.Model):
    """The joint model over ids, with weights for its two losses.

    Args:
        user_ids: the readers.
        isbns: the books.
        weights: of the rating loss and the retrieval loss.
        with_metrics: compute top-k accuracies over all books in every training step, as the notebook does.
    """

    def __init__(
        self, user_ids: list[str], isbns: list[str], weights: tuple[float, float], *, with_metrics: bool
    ) -> None:
        super().__init__()
        self.rating_weight, self.retrieval_weight = weights
        self.user_model = _embedding(user_ids)
        self.item_model = _embedding(isbns)
        self.rating_model = tf.keras.Sequential(
            [*(tf.keras.layers.Dense(width, "relu") for width in (512, 256, 128, 32)), tf.keras.layers.Dense(1)]
        )
        candidates = tf.data.Dataset.from_tensor_slices(isbns).batch(16).map(self.item_model)
        metrics = tfrs.metrics.FactorizedTopK(candidates=candidates) if with_metrics else None
        self.retrieval = tfrs.tasks.Retrieval(metrics=metrics)
        self.rating = tfrs.tasks.Ranking(
            loss=tf.keras.losses.MeanSquaredError(), metrics=[tf.keras.metrics.RootMeanSquaredError()]
        )
        self._with_metrics = with_metrics

    def call(self, features: dict[str, Any]) -> Any:
        """Return both embeddings, float32 [batch, 64], and the predicted ratings, float32 [batch, 1]."""
        users, items = self.user_model(features["user"]), self.item_model(features["item"])
        return users, items, self.rating_model(tf.concat([users, items], axis=1))

    def compute_loss(self, features: dict[str, Any], training: bool = False) -> Any:
        """Return the weighted sum of both losses."""
        users, items, predicted = self(features)
        rating = self.rating(labels=features["stars"], predictions=predicted)
        retrieval = self.retrieval(users, items, compute_metrics=self._with_metrics)
        return self.rating_weight * rating + self.retrieval_weight * retrieval


def fit(
    ratings: Ratings,
    weights: tuple[float, float] = (1.0, 1.0),
    *,
    epochs: int = EPOCHS,
    with_metrics: bool = False,
    seed: int = 42,
    after_epoch: Callable[[NotebookModel], None] | None = None,
) -> tuple[NotebookModel, float]:
    """Return the model after ``epochs``, and the seconds that its training took.

    Args:
        ratings: unrated entries are left out; the notebook would treat them as 0 stars.
        weights: of the losses.
        epochs: 100 in the notebook.
        with_metrics: as for the model; the result is the same without, and faster.
        seed: of all randomness.
        after_epoch: called with the model after each epoch.
    """
    tf.keras.utils.set_random_seed(seed)
    rated = ratings.stars > 0
    columns = {
        "user": [ratings.user_ids[user] for user in ratings.users[rated]],
        "item": [ratings.isbns[item] for item in ratings.items[rated]],
        "stars": ratings.stars[rated],
    }
    model = NotebookModel(list(ratings.user_ids), list(ratings.isbns), weights, with_metrics=with_metrics)
    model.compile(optimizer=tf.keras.optimizers.AdamW(0.001))
    batches = tf.data.Dataset.from_tensor_slices(columns).shuffle(int(rated.sum()), seed=seed).batch(BATCH).cache()
    clock = _Clock(after_epoch, tqdm(total=epochs, desc="notebook", leave=False, disable=None))
    model.fit(batches, epochs=epochs, verbose=0, callbacks=[clock])
    return model, clock.seconds


class _Clock(tf.keras.callbacks.Callback):
    """Counts the seconds of training only, without what is done after an epoch."""

    def __init__(self, after_epoch: Callable[[NotebookModel], None] | None, progress: Any) -> None:
        super().__init__()
        self.seconds = 0.0
        self._after_epoch, self._progress = after_epoch, progress

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds += time.monotonic() - self._began
        self._progress.update()
        if self._after_epoch:
            self._after_epoch(self.model)


def scores(model: NotebookModel, ratings: Ratings, users: npt.NDArray[np.int64]) -> Floats:
    """Return the retrieval scores of all books, float32 [users, items]."""
    readers = model.user_model(tf.constant([ratings.user_ids[user] for user in users]))
    books = model.item_model(tf.constant(list(ratings.isbns)))
    scored: Floats = tf.matmul(readers, books, transpose_b=True).numpy()
    return scored


def predict(model: NotebookModel, user_ids: list[str], isbns: list[str]) -> npt.NDArray[np.float64]:
    """Return the predicted ratings of pairs, float64 [pairs]."""
    _, _, predicted = model({"user": tf.constant(user_ids), "item": tf.constant(isbns)})
    return np.asarray(predicted.numpy().ravel(), np.float64)


def _embedding(texts: list[str]) -> Any:
    return tf.keras.Sequential(
        [
            tf.keras.layers.StringLookup(vocabulary=sorted(texts), mask_token=None),
            tf.keras.layers.Embedding(len(texts) + 1, EMBEDDING_DIM),
        ]
    )
