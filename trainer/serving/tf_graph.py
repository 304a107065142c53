"""The serving model as a TensorFlow graph for one shelf: retrieval of candidates, then reranking.

The same functions compute the features for training the reranker and build the exported file, so the served model
is the trained one. The constants come from ``trainer/serving/arrays.py``, as in all other forms of the model, so
every runtime gives TensorFlow's scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bookrec.recommender import UNKNOWN
from trainer.serving.arrays import CANDIDATES, CHUNK, NO_VECTOR, REASONS, SIMILAR, Quantised, QuantisedTable
from trainer.serving.item_item import (
    LEAST_DEVIATION,
    LEAST_SHARE,
    MASKED,
    SIMILAR_POPULARITY,
    Reranker,
    ServingModel,
)
from trainer.serving.reranker_features import FAR, Maths, Seen, features

SUM_BLOCK = 128

VECTORS_AT_ONCE = 2048
"""So many vectors are floats at a time when a book is compared with all: 3 MB."""

OTHERS = 1e3 * MASKED
"""Added to the blend of books of the other kind: puts them below all others, even masked ones."""

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


@dataclass(frozen=True, slots=True)
class ShelfWeights:
    """A table's weights for a shelf, one after another.

    Attributes:
        shelf: int32 [weights], the place on the shelf of the book whose weight it is.
        books: int32 [weights], the book whose score it adds to.
        weights: float32 [weights].
    """

    shelf: Any
    books: Any
    weights: Any


class Graph(tf.Module):
    """Scores one shelf at a time.

    A shelf is ``items`` int32 [n], positions in the catalogue or −1, and ``ratings`` float32 [n], 0 if not rated.
    """

    def __init__(self, serving: ServingModel) -> None:
        super().__init__()
        self.serving = serving
        arrays = Quantised(serving)
        self.book_count, self.retrieved = arrays.book_count, arrays.retrieved
        self.retrieved_rated, self.retrieved_unrated = arrays.retrieved_rated, arrays.retrieved_unrated
        self.tables, self.base = arrays.tables, arrays.base
        self.vectors, self.vector_scales = arrays.vectors, arrays.vector_scales
        self.bias, self.popular = arrays.bias, arrays.popular
        self.series, self.numbers, self.authors = arrays.series, arrays.numbers, arrays.authors
        # Added to the blend, these put the books of one kind before all others.
        self.first_rated = np.where(arrays.is_rated, np.float32(0), OTHERS)
        self.first_rated[arrays.always] = -MASKED / 2
        self.first_unrated = np.where(arrays.is_rated, OTHERS, np.float32(0))
        self.is_rated = arrays.is_rated.astype(np.float32)
        self.offsets = arrays.offsets

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
        blend = tf.constant(self.base)
        counted = tf.cast(tf.logical_not(on_shelf), tf.float32) * self.is_rated
        count = tf.maximum(self._total(counted), 1.0)
        parts, summands = [], []
        for table in self.tables:
            of_shelf = self._shelf_weights(table, rows)
            sums = tf.scatter_nd(of_shelf.books[:, None], of_shelf.weights, [self.book_count])
            mean, deviation = self._moments(sums, counted, count)
            parts.append((sums - mean) / deviation)
            summands.append((np.float32(table.share) / deviation, of_shelf))
            blend += np.float32(table.share) * parts[-1]
        blend = tf.where(on_shelf, MASKED, blend)
        indices = tf.math.top_k(blend + self.first_rated, self.retrieved_rated)[1]
        if self.retrieved_unrated:
            unrated = tf.math.top_k(blend + self.first_unrated, self.retrieved_unrated)[1]
            indices = tf.concat([indices, unrated], axis=0)
        known = {"blend": tf.gather(blend, indices)}
        known["parts"] = [tf.gather(part, indices) for part in parts]
        places = tf.scatter_nd(indices[:, None], tf.range(1, self.retrieved + 1), [self.book_count])
        known["contributions"] = [
            scale * self._weights_between(of_shelf, places, tf.shape(rows)[0]) for scale, of_shelf in summands
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
            unrated=1.0 - tf.gather(self.is_rated, indices),
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
        scores = known["blend"] + tf.gather(self.offsets, indices)
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

    def similar(self, item: Any) -> dict[str, Any]:
        """Return the books that are most similar to ``item`` int32 [1]: see ``ServingModel.similarities``."""
        row = self.rows(item)
        # Always 0, but only known at run time: otherwise the converter would store the vectors as floats.
        zero = tf.minimum(row[0], 0)
        blocks = []
        for start in range(0, self.book_count, VECTORS_AT_ONCE):
            others = tf.range(start, min(start + VECTORS_AT_ONCE, self.book_count)) + zero
            scores = self._likeness(row, others)[0] + np.float32(SIMILAR_POPULARITY) * tf.gather(self.popular, others)
            blocks.append(tf.where(self._has_vector(others), scores, MASKED))
        itself = tf.one_hot(row[0], self.book_count, on_value=2 * MASKED, off_value=np.float32(0))
        scores = tf.where(self._has_vector(row), tf.concat(blocks, axis=0) + itself, MASKED)
        best, indices = tf.math.top_k(scores, min(SIMILAR, self.book_count))
        is_book = best > MASKED / 2
        return {"indices": tf.where(is_book, indices, UNKNOWN), "scores": tf.where(is_book, best, 0.0)}

    def _has_vector(self, rows: Any) -> Any:
        return tf.gather(self.vector_scales, rows) > NO_VECTOR

    def _corrections(self, reranker: Reranker, features: Any, rows: Any) -> Any:
        """Return the reranker's corrections, float32 [C]; 0 for an empty shelf, whose list is by popularity."""
        hidden, bias, out = reranker.joined()
        held = tf.minimum(tf.maximum(features, reranker.low), reranker.high)
        active = tf.nn.relu(tf.matmul((held - reranker.mean) / reranker.deviation, hidden) + bias)
        size = tf.reduce_sum(tf.cast(rows < self.book_count, tf.float32))
        weight = tf.minimum(tf.minimum(size, 1.0), np.float32(min(reranker.reach, FAR)) / tf.maximum(size, 1.0))
        return tf.squeeze(tf.matmul(active, out[:, None]), axis=1) * weight

    def rating(self, rows: Any, ratings: Any, targets: Any) -> Any:
        """Return the predicted ratings of the books at the rows ``targets``, float32 [m]."""
        biases = self.serving.biases
        known = tf.cast((ratings > 0) & (rows < self.book_count), tf.float32)
        residuals = self._residuals(rows, ratings)
        doubt = tf.reduce_sum(known) + np.float32(biases.user_shrinkage)
        predicted = np.float32(biases.mean) + tf.gather(self.bias, targets) + tf.reduce_sum(residuals) / doubt
        if self.serving.interaction:
            likeness = tf.zeros([self.book_count])
            for table in self.tables:
                of_shelf = self._shelf_weights(table, rows)
                weights = of_shelf.weights * tf.gather(residuals, of_shelf.shelf) * np.float32(table.share)
                likeness += tf.scatter_nd(of_shelf.books[:, None], weights, [self.book_count])
            likeness = tf.concat([likeness, [0.0]], axis=0) / doubt
            predicted += np.float32(self.serving.interaction) * tf.gather(likeness, targets)
        return tf.clip_by_value(predicted, 0.5, 5.0)

    def _shelf_weights(self, table: QuantisedTable, rows: Any) -> ShelfWeights:
        """Return a table's weights for the shelf's books: the chunks of their rows, one after another.

        With an open size there are as many places for chunks as the shelf needs, with a fixed size as many as the
        longest rows need. Places left over have weight 0.
        """
        counts = tf.gather(table.counts, rows)
        size = rows.shape[0]
        total = tf.maximum(tf.reduce_sum(counts), 1) if size is None else _longest(table.counts, size)
        ends = tf.minimum(tf.cumsum(counts), total)
        # How many books end at or before a place: that is the place on the shelf of the book it belongs to.
        ended = tf.cumsum(tf.scatter_nd(ends[:, None], tf.ones_like(ends), [total + 1]))[:-1]
        shelf = tf.minimum(ended, tf.shape(rows)[0] - 1)
        within = tf.range(total) - tf.gather(ends - counts, shelf)
        chunks = tf.minimum(tf.gather(tf.gather(table.first, rows), shelf) + within, len(table.weights) - 1)
        books = tf.cast(tf.gather(table.neighbours, chunks), tf.int32)
        weights = tf.cast(tf.gather(table.weights, chunks), tf.float32) * table.unit
        weights *= tf.cast(ended < tf.shape(rows)[0], tf.float32)[:, None]
        shelf = tf.reshape(tf.tile(shelf[:, None], [1, CHUNK]), [-1])
        return ShelfWeights(shelf, tf.reshape(books, [-1]), tf.reshape(weights, [-1]))

    def _weights_between(self, of_shelf: ShelfWeights, places: Any, size: Any) -> Any:
        """Return a table's weights from the shelf's books to the candidates, float32 [n, C].

        ``places``: int32 [items], each candidate's place, counted from 1, and 0 for other books.
        """
        where = tf.stack([of_shelf.shelf, tf.gather(places, of_shelf.books)], axis=1)
        return tf.scatter_nd(where, of_shelf.weights, [size, self.retrieved + 1])[:, 1:]

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

    def _moments(self, sums: Any, counted: Any, count: Any) -> tuple[Any, Any]:
        """Return mean and deviation over the ``count`` books that are 1 in ``counted``."""
        kept = sums * counted
        mean = self._total(kept) / count
        deviation = tf.sqrt(self._total(tf.square((sums - mean) * counted)) / count)
        least = LEAST_SHARE * tf.reduce_max(tf.abs(kept))
        return mean, tf.maximum(deviation, tf.maximum(LEAST_DEVIATION, least))

    def _total(self, values: Any) -> Any:
        """Return the sum over all books, added in two steps: adding thousands one by one would lose precision."""
        rows = -(-self.book_count // SUM_BLOCK)
        padded = tf.pad(values, [[0, rows * SUM_BLOCK - self.book_count]])
        return tf.reduce_sum(tf.reduce_sum(tf.reshape(padded, [rows, SUM_BLOCK]), axis=1))


def _longest(counts: npt.NDArray[np.int32], size: int) -> int:
    """Return the greatest number of chunks that ``size`` different books can have."""
    return max(1, int(np.sort(counts)[-size:].sum()))
