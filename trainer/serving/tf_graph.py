"""The serving model as a TensorFlow graph for one shelf: retrieval of candidates, then reranking.

The same functions compute the features for training the reranker and build the exported file, so the served model
is the trained one. The constants come from ``trainer/serving/arrays.py``, as in all other forms of the model, so
every runtime gives TensorFlow's scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bookrec.recommender import UNKNOWN
from trainer.serving.arrays import CANDIDATES, REASONS, Quantised
from trainer.serving.item_item import LEAST_DEVIATION, LEAST_SHARE, MASKED, Reranker, ServingModel
from trainer.serving.reranker_features import FAR, Maths, Seen, features

SUM_BLOCK = 128

TENSORFLOW = Maths(
    total=tf.reduce_sum,
    greatest=tf.reduce_max,
    greatest_known=lambda values, known: tf.reduce_max(values + (known[..., None] - 1.0) * FAR, axis=-2),
    maximum=tf.maximum,
    sqrt=tf.sqrt,
    log1p=tf.math.log1p,
    ones_like=tf.ones_like,
    stack=tf.stack,
    equal=lambda one, other: tf.cast(tf.equal(one, other), tf.float32),
)


class Graph(tf.Module):
    """Scores one shelf at a time.

    A shelf is ``items`` int32 [n], positions in the catalogue or −1, and ``ratings`` float32 [n], 0 if not rated.
    """

    def __init__(self, serving: ServingModel) -> None:
        super().__init__()
        self.serving = serving
        arrays = Quantised(serving)
        self.book_count, self.retrieved = arrays.book_count, arrays.retrieved
        self.tables = [(table.neighbours, table.weights, table.unit, table.share) for table in arrays.tables]
        self.vectors, self.vector_scales = arrays.vectors, arrays.vector_scales
        self.bias, self.popular = arrays.bias, arrays.popular
        self.series, self.numbers, self.authors = arrays.series, arrays.numbers, arrays.authors
        self.always = np.zeros(self.book_count, np.float32)
        self.always[arrays.always] = -MASKED / 2

    def rows(self, items: Any) -> Any:
        """Return ``items`` as rows; an unknown book gets the row after the last."""
        return tf.where((items < 0) | (items >= self.book_count), self.book_count, items)

    def retrieve(self, rows: Any) -> tuple[Any, dict[str, Any]]:
        """Return the candidates' indices int32 [C], and by name what is known about them, each [C].

        Some may be on the shelf: their ``blend`` is ``MASKED``. ``contributions`` [tables, n, C] are each shelf book's
        summands of the blend.
        """
        ones = tf.ones_like(rows, tf.float32)
        on_shelf = tf.scatter_nd(rows[:, None], ones, [self.book_count + 1])[:-1] > 0
        blend = tf.constant(self.serving.popularity * np.float32(self.serving.popularity_weight))
        left = tf.cast(tf.logical_not(on_shelf), tf.float32)
        count = tf.maximum(self._total(left), 1.0)
        parts, summands = [], []
        for neighbours, weights, unit, share in self.tables:
            near, weight = self._near(neighbours, weights, unit, rows)
            sums = tf.scatter_nd(tf.reshape(near, [-1, 1]), tf.reshape(weight, [-1]), [self.book_count])
            mean, deviation = self._moments(sums, left, count)
            parts.append((sums - mean) / deviation)
            summands.append((share / deviation, near, weight))
            blend += share * parts[-1]
        blend = tf.where(on_shelf, MASKED, blend)
        _, indices = tf.math.top_k(blend + self.always, self.retrieved)
        known = {"blend": tf.gather(blend, indices)}
        known["parts"] = [tf.gather(part, indices) for part in parts]
        places = tf.scatter_nd(indices[:, None], tf.range(1, self.retrieved + 1), [self.book_count])
        known["contributions"] = [
            scale * self._weights_between(near, weight, places) for scale, near, weight in summands
        ]
        return indices, known

    def features(self, rows: Any, ratings: Any, indices: Any, known: dict[str, Any]) -> Any:
        """Return the reranker's features of the candidates, float32 [C, features]."""
        seen = Seen(
            on_shelf=tf.cast(rows < self.book_count, tf.float32),
            residuals=self._residuals(rows, ratings),
            shelf_popularity=tf.gather(self.popular, rows),
            shelf_numbers=tf.gather(self.numbers, rows),
            blend=known["blend"],
            parts=known["parts"],
            popularity=tf.gather(self.popular, indices),
            numbers=tf.gather(self.numbers, indices),
            likeness=self._likeness(rows, indices),
            contributions=tf.add_n(known["contributions"]),
            series=self._pairs(self.series, rows, indices),
            authors=self._pairs(self.authors, rows, indices),
        )
        return features(TENSORFLOW, seen)

    def recommend(self, items: Any, ratings: Any) -> dict[str, Any]:
        """Return the best books: see ``functions/bookrec/recommender.py``."""
        rows = self.rows(items)
        indices, known = self.retrieve(rows)
        scores = known["blend"]
        if self.serving.reranker is not None:
            scores += self._corrections(self.serving.reranker, self.features(rows, ratings, indices, known), rows)
        best, places = tf.math.top_k(scores, min(CANDIDATES, self.retrieved))
        is_book = best > MASKED / 2
        indices = tf.gather(indices, places)
        contributions = tf.gather(tf.transpose(tf.add_n(known["contributions"])), places)
        padded = tf.pad(contributions, [[0, 0], [0, REASONS]])  # a shelf may be smaller than the reasons asked for
        values, positions = tf.math.top_k(padded, REASONS)
        because = tf.where(values > 0, positions, UNKNOWN)
        return {
            "indices": tf.where(is_book, indices, UNKNOWN),
            "scores": tf.where(is_book, best, 0.0),
            "predicted_ratings": tf.where(is_book, self.rating(rows, ratings, indices), 0.0),
            "because": tf.where(is_book[:, None], because, UNKNOWN),
        }

    def _corrections(self, reranker: Reranker, features: Any, rows: Any) -> Any:
        """Return the reranker's corrections, float32 [C]; 0 for an empty shelf, whose list is by popularity."""
        hidden, bias, out = reranker.joined()
        active = tf.nn.relu(tf.matmul((features - reranker.mean) / reranker.deviation, hidden) + bias)
        personal = tf.reduce_max(tf.cast(rows < self.book_count, tf.float32))
        return tf.squeeze(tf.matmul(active, out[:, None]), axis=1) * personal

    def rating(self, rows: Any, ratings: Any, targets: Any) -> Any:
        """Return the predicted ratings of the books at the rows ``targets``, float32 [m]."""
        biases = self.serving.biases
        known = tf.cast((ratings > 0) & (rows < self.book_count), tf.float32)
        residuals = self._residuals(rows, ratings)
        doubt = tf.reduce_sum(known) + np.float32(biases.user_shrinkage)
        predicted = np.float32(biases.mean) + tf.gather(self.bias, targets) + tf.reduce_sum(residuals) / doubt
        if self.serving.interaction:
            likeness = tf.zeros([self.book_count])
            for neighbours, weights, unit, share in self.tables:
                near, weight = self._near(neighbours, weights, unit, rows)
                weight *= residuals[:, None] * share
                likeness += tf.scatter_nd(tf.reshape(near, [-1, 1]), tf.reshape(weight, [-1]), [self.book_count])
            likeness = tf.concat([likeness, [0.0]], axis=0) / doubt
            predicted += np.float32(self.serving.interaction) * tf.gather(likeness, targets)
        return tf.clip_by_value(predicted, 0.5, 5.0)

    def _near(self, neighbours: Any, weights: Any, unit: np.float32, rows: Any) -> tuple[Any, Any]:
        near = tf.cast(tf.gather(neighbours, rows), tf.int32)
        return near, tf.cast(tf.gather(weights, rows), tf.float32) * unit

    def _weights_between(self, near: Any, weight: Any, places: Any) -> Any:
        """Return a table's weights from the shelf's books to the candidates, float32 [n, C].

        ``places``: int32 [items], each candidate's place, counted from 1, and 0 for other books.
        """
        column = tf.gather(places, near)
        shelf = tf.broadcast_to(tf.range(tf.shape(near)[0])[:, None], tf.shape(near))
        where = tf.stack([tf.reshape(shelf, [-1]), tf.reshape(column, [-1])], axis=1)
        return tf.scatter_nd(where, tf.reshape(weight, [-1]), [tf.shape(near)[0], self.retrieved + 1])[:, 1:]

    def _likeness(self, rows: Any, indices: Any) -> Any:
        """Return the inner products of the learned vectors of shelf and candidates, float32 [n, C]."""
        shelf, candidates = self._vectors(rows), self._vectors(indices)
        return tf.matmul(shelf, candidates, transpose_b=True)

    def _vectors(self, rows: Any) -> Any:
        whole = tf.cast(tf.gather(self.vectors, rows), tf.float32)
        return whole * tf.gather(self.vector_scales, rows)[:, None]

    def _residuals(self, rows: Any, ratings: Any) -> Any:
        known = (ratings > 0) & (rows < self.book_count)
        return tf.where(known, ratings - np.float32(self.serving.biases.mean) - tf.gather(self.bias, rows), 0.0)

    def _pairs(self, groups: npt.NDArray[np.int32], rows: Any, indices: Any) -> Any:
        """Return 1 where a shelf book and a candidate are in the same group, float32 [n, C]; −1 means no group."""
        shelf, candidates = tf.gather(groups, rows)[:, None], tf.gather(groups, indices)[None, :]
        return tf.cast(tf.equal(shelf, candidates) & (candidates >= 0), tf.float32)

    def _moments(self, sums: Any, left: Any, count: Any) -> tuple[Any, Any]:
        """Return mean and deviation over the ``count`` books not on the shelf, which are 1 in ``left``."""
        kept = sums * left
        mean = self._total(kept) / count
        deviation = tf.sqrt(self._total(tf.square((sums - mean) * left)) / count)
        least = LEAST_SHARE * tf.reduce_max(tf.abs(kept))
        return mean, tf.maximum(deviation, tf.maximum(LEAST_DEVIATION, least))

    def _total(self, values: Any) -> Any:
        """Return the sum over all books, added in two steps: adding thousands one by one would lose precision."""
        rows = -(-self.book_count // SUM_BLOCK)
        padded = tf.pad(values, [[0, rows * SUM_BLOCK - self.book_count]])
        return tf.reduce_sum(tf.reduce_sum(tf.reshape(padded, [rows, SUM_BLOCK]), axis=1))
