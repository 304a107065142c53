"""The notebook's multi-task model, with a reader represented by the sum over the shelf instead of by an id.

A book's vector is its id's vector plus the sum of its metadata's vectors, normalised; a reader's vector is the sum
of the shelf's vectors. So readers and books that training never saw have vectors too.
Source: Vančura et al., "Scalable Linear Shallow Autoencoder for Collaborative Filtering" (RecSys 2022), for the
linear reader; Liang et al., "Variational Autoencoders for Collaborative Filtering" (WWW 2018), for the softmax over
all books with entries, in which all books of a shelf are positives and none of them is a false negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
import tensorflow_recommenders as tfrs

from trainer.config import LOSS_WEIGHTS, Config, Negatives
from trainer.model.batches import Group

GROUP = {
    "readers": tf.TensorSpec([], tf.int32),
    "shelf_rows": tf.TensorSpec([None], tf.int32),
    "shelf": tf.TensorSpec([None], tf.int32),
    "residuals": tf.TensorSpec([None], tf.float32),
    "rows": tf.TensorSpec([None], tf.int32),
    "targets": tf.TensorSpec([None], tf.int32),
    "stars": tf.TensorSpec([None], tf.float32),
    "mean": tf.TensorSpec([], tf.float32),
    "columns": tf.TensorSpec([None], tf.int32),
    "column_weights": tf.TensorSpec([None], tf.float32),
    "column_bias": tf.TensorSpec([None], tf.float32),
    "column_popularity": tf.TensorSpec([None], tf.float32),
}
"""One group of readers: their number; ``columns``, the group's items, ascending, how many books each represents,
their biases and their shares of all entries; ``mean``, of all ratings, in stars;
for each entry of their shelves the reader (0 to readers − 1, ascending), the item, and the stars minus mean and item
bias (0 if unrated); for each target the reader, the item and the stars (0: not rated). Items are places in ``columns``.
"""


class ShelfRetrieval(tfrs.tasks.Retrieval):
    """The retrieval task with a reader's whole shelf as the positives, against all books."""

    def call(
        self,
        query_embeddings: tf.Tensor,
        candidate_embeddings: tf.Tensor,
        shelves: tf.Tensor,
        scale: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """Return the mean cross-entropy of the shelves.

        A sampled candidate counts ``weights`` times in the softmax's denominator.
        Source: Jean et al., "On Using Very Large Target Vocabulary" (ACL 2015), eq. 10, for the sampled softmax.

        Args:
            query_embeddings: float32 [batch, embedding_dim], the sums over the shelves.
            candidate_embeddings: float32 [candidates, embedding_dim], of length 1.
            shelves: float32 [batch, candidates] of ones.
            scale: sharpness of the softmax.
            weights: float32 [candidates], 1 for every book that is on a shelf.
        """
        # Each book is predicted from the others: its own summand, of length 1, is subtracted.
        scores = tf.matmul(query_embeddings, candidate_embeddings, transpose_b=True) - shelves
        norms = tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(scores) * weights, axis=1, keepdims=True), 1e-12))
        log_shares = tf.nn.log_softmax(scale * scores / norms + tf.math.log(weights))
        return -tf.reduce_mean(tf.reduce_sum(log_shares * shelves, axis=1) / tf.reduce_sum(shelves, axis=1))


class ShelfModel(tfrs.Model):
    """Two tasks on one set of book vectors: retrieval of a reader's other books, and their ratings.

    Args:
        features: F, CSR [items, features].
        config: width, sharpness, seed, shrinkage, and the loss weights of its variant.
        negatives: which books the retrieval task ranks a reader's books against.
    """

    def __init__(self, features: sp.csr_matrix, config: Config, negatives: Negatives) -> None:
        super().__init__()
        embedding_dim = dict(config.embedding_dims)[negatives]
        self._rating_weight, self._retrieval_weight = LOSS_WEIGHTS[config.variant]
        self._features = _sparse(features)
        self._user_shrinkage = config.user_shrinkage
        random = tf.keras.initializers.RandomNormal(stddev=embedding_dim**-0.5, seed=config.seed)
        self._initial: list[tuple[tf.Variable, Any]] = []
        self.id_vectors = self._weight("id_vectors", (features.shape[0], embedding_dim), random)
        self.feature_vectors = self._weight("feature_vectors", (features.shape[1], embedding_dim), random)
        self.interaction = self._weight("interaction", (), tf.keras.initializers.Zeros())
        self.scale = self._weight("scale", (), tf.keras.initializers.Constant(config.sharpness))
        if negatives == "catalogue":
            self._retrieve, self.retrieval_task = self._from_catalogue, ShelfRetrieval()
        else:
            self._retrieve = self._from_batch
            self.retrieval_task = tfrs.tasks.Retrieval(temperature=config.temperature, remove_accidental_hits=True)
        self.rating_task = tfrs.tasks.Ranking(
            loss=tf.keras.losses.MeanSquaredError(reduction=tf.keras.losses.Reduction.SUM),
            metrics=[tf.keras.metrics.RootMeanSquaredError()],
        )

    def start_again(self) -> None:
        """Make the weights what they were before training."""
        for weight, initial in self._initial:
            weight.assign(initial(weight.shape))

    def _weight(self, name: str, shape: tuple[int, ...], initial: Any) -> tf.Variable:
        weight = self.add_weight(name=name, shape=shape, initializer=initial)
        self._initial.append((weight, initial))
        return weight

    def item_vectors(self) -> tf.Tensor:
        """Return all books' vectors, float32 [items, embedding_dim], each of length 1."""
        with_metadata = self.id_vectors + tf.sparse.sparse_dense_matmul(self._features, self.feature_vectors)
        return tf.math.l2_normalize(with_metadata, axis=1)

    def compute_loss(self, inputs: Sequence[Group], training: bool = False) -> tf.Tensor:
        """Return the weighted sum of the tasks' losses, summed over groups.

        ``inputs``: groups as ``GROUP`` describes them; they share the books' vectors.
        """
        vectors = self.item_vectors()
        return tf.add_n([self._group_loss(group, vectors) for group in inputs])

    def _group_loss(self, group: Group, vectors: tf.Tensor) -> tf.Tensor:
        # From here on, gradients have the size of the group's books, not of the catalogue.
        vectors = tf.gather(vectors, group["columns"])
        loss = tf.constant(0.0)
        if self._retrieval_weight:
            loss += self._retrieval_weight * self._retrieve(group, vectors)
        rated = tf.cast(group["stars"] > 0, tf.float32)
        predicted = self._ratings(group, vectors)
        rating_loss = self.rating_task(
            labels=group["stars"][:, None], predictions=predicted[:, None], sample_weight=rated[:, None]
        )
        return loss + self._rating_weight * rating_loss / tf.cast(tf.size(rated), tf.float32)

    def _from_catalogue(self, group: Group, vectors: tf.Tensor) -> tf.Tensor:
        where, ones = tf.stack([group["shelf_rows"], group["shelf"]], axis=1), tf.ones_like(group["residuals"])
        return self.retrieval_task(
            query_embeddings=self._summed(group, ones, vectors),
            candidate_embeddings=vectors,
            shelves=tf.scatter_nd(where, ones, [group["readers"], tf.shape(vectors)[0]]),
            scale=self.scale,
            weights=group["column_weights"],
        )

    def _from_batch(self, group: Group, vectors: tf.Tensor) -> tf.Tensor:
        """Return the softmax over the books of the group, corrected for how often popular ones are among them.

        Source: Yi et al., "Sampling-bias-corrected neural modeling" (RecSys 2019), eq. 3.
        """
        targets = group["targets"]
        target_vectors = tf.gather(vectors, targets)
        # The target itself is removed from the shelf that predicts it.
        summed = self._summed(group, tf.ones_like(group["residuals"]), vectors)
        readers = tf.gather(summed, group["rows"]) - target_vectors
        total = self.retrieval_task(
            query_embeddings=tf.math.l2_normalize(readers, axis=1),
            candidate_embeddings=target_vectors,
            candidate_sampling_probability=tf.gather(group["column_popularity"], targets),
            candidate_ids=targets,
            compute_metrics=False,
        )
        return total / tf.cast(tf.shape(targets)[0], tf.float32)

    def _ratings(self, group: Group, vectors: tf.Tensor) -> tf.Tensor:
        """Return mean + item bias + reader's bias + interaction, all without the target's own stars [pairs]."""
        rows, targets, residuals = group["rows"], group["targets"], group["residuals"]
        target_vectors = tf.gather(vectors, targets)
        mean, item_bias = group["mean"], tf.gather(group["column_bias"], targets)
        own = tf.where(group["stars"] > 0, group["stars"] - mean - item_bias, 0.0)
        totals = tf.gather(self._per_reader(group, residuals), rows) - own
        rated = tf.gather(self._per_reader(group, tf.cast(residuals != 0, tf.float32)), rows)
        rated = tf.maximum(rated - tf.cast(group["stars"] > 0, tf.float32), 0.0)
        user_bias = totals / (rated + self._user_shrinkage)
        taste = tf.gather(self._summed(group, residuals, vectors), rows) - own[:, None] * target_vectors
        likeness = tf.reduce_sum(taste * target_vectors, axis=1) / (rated + self._user_shrinkage)
        return mean + item_bias + user_bias + self.interaction * likeness

    def _summed(self, group: Group, summands: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """Return each reader's sum of the shelf's vectors times ``summands``, float32 [readers, embedding_dim]."""
        where = tf.cast(tf.stack([group["shelf_rows"], group["shelf"]], axis=1), tf.int64)
        shape = tf.cast(tf.stack([group["readers"], tf.shape(vectors)[0]]), tf.int64)
        return tf.sparse.sparse_dense_matmul(tf.SparseTensor(where, summands, shape), vectors)

    def _per_reader(self, group: Group, summands: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(summands, group["shelf_rows"], group["readers"])


def _sparse(matrix: sp.csr_matrix) -> tf.SparseTensor:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    indices = np.stack([rows, matrix.indices], axis=1).astype(np.int64)
    return tf.sparse.reorder(tf.SparseTensor(indices, matrix.data, matrix.shape))
