"""The notebook's multi-task model, with the reader as a sum over the shelf instead of an id.

A book's vector is its id's vector plus the sum of its metadata's vectors, normalised; a reader's is the sum
of the shelf's. So a reader and a book that training never saw have vectors too.
Source: Vančura et al., "Scalable Linear Shallow Autoencoder for Collaborative Filtering" (RecSys 2022), for the
linear reader; Liang et al., "Variational Autoencoders for Collaborative Filtering" (WWW 2018), for the softmax over
the whole catalogue, in which all books of a shelf are positives and none of them a false negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import tensorflow as tf
import tensorflow_recommenders as tfrs

from trainer.biases import Biases
from trainer.config import LOSS_WEIGHTS, Config, Negatives
from trainer.dataset import Ratings

Batch = dict[str, Any]


class ShelfRetrieval(tfrs.tasks.Retrieval):
    """The retrieval task with a reader's whole shelf as the positives, against all books."""

    def call(
        self, query_embeddings: tf.Tensor, candidate_embeddings: tf.Tensor, shelves: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Return the mean cross-entropy of the shelves.

        Args:
            query_embeddings: float32 [batch, embedding_dim], the sums over the shelves.
            candidate_embeddings: float32 [items, embedding_dim], of length 1.
            shelves: float32 [batch, items] of ones.
            scale: sharpness of the softmax.
        """
        # Each book is predicted from the others: its own summand, of length 1, is taken out.
        scores = tf.matmul(query_embeddings, candidate_embeddings, transpose_b=True) - shelves
        log_shares = tf.nn.log_softmax(scale * tf.math.l2_normalize(scores, axis=1))
        return -tf.reduce_mean(tf.reduce_sum(log_shares * shelves, axis=1) / tf.reduce_sum(shelves, axis=1))


class ShelfModel(tfrs.Model):
    """Two tasks on one set of book vectors: retrieval of a reader's other books, and their ratings.

    Args:
        features: F, CSR [items, features].
        popularity: float32 [items], each book's share of all entries: how likely it is among a batch's targets.
        biases: what the rating task adds its interaction to.
        config: width, sharpness, and through its variant the loss weights.
        negatives: what the retrieval task ranks a reader's books against.
    """

    def __init__(
        self,
        features: sp.csr_matrix,
        popularity: npt.NDArray[np.float32],
        biases: Biases,
        config: Config,
        negatives: Negatives,
    ) -> None:
        super().__init__()
        embedding_dim = dict(config.embedding_dims)[negatives]
        self._rating_weight, self._retrieval_weight = LOSS_WEIGHTS[config.variant]
        self._features = _sparse(features)
        self._item_bias = tf.constant(biases.items)
        self._mean, self._user_shrinkage = biases.mean, biases.user_shrinkage
        initial = tf.keras.initializers.RandomNormal(stddev=embedding_dim**-0.5, seed=config.seed)
        shape = (features.shape[0], embedding_dim)
        self.id_vectors = self.add_weight(name="id_vectors", shape=shape, initializer=initial)
        shape = (features.shape[1], embedding_dim)
        self.feature_vectors = self.add_weight(name="feature_vectors", shape=shape, initializer=initial)
        self.interaction = self.add_weight(name="interaction", shape=(), initializer="zeros")
        scale = tf.keras.initializers.Constant(config.sharpness)
        self.scale = self.add_weight(name="scale", shape=(), initializer=scale)
        self._popularity = tf.constant(popularity)
        if negatives == "catalogue":
            self._retrieve, self.retrieval_task = self._from_catalogue, ShelfRetrieval()
        else:
            self._retrieve = self._from_batch
            self.retrieval_task = tfrs.tasks.Retrieval(temperature=config.temperature, remove_accidental_hits=True)
        self.rating_task = tfrs.tasks.Ranking(
            loss=tf.keras.losses.MeanSquaredError(),
            metrics=[tf.keras.metrics.RootMeanSquaredError()],
        )

    def item_vectors(self) -> tf.Tensor:
        """Return all books' vectors, float32 [items, embedding_dim], each of length 1."""
        with_metadata = self.id_vectors + tf.sparse.sparse_dense_matmul(self._features, self.feature_vectors)
        return tf.math.l2_normalize(with_metadata, axis=1)

    def compute_loss(self, inputs: Batch, training: bool = False) -> tf.Tensor:
        """Return the weighted sum of the tasks' losses.

        ``inputs``: ``shelves`` float32 [batch, items] of ones, ``residuals`` float32 [batch, items] (stars minus
        mean and item bias, 0 where unrated), ``rows`` int32 [pairs] and ``targets`` int32 [pairs] (which reader,
        which of the reader's books), ``stars`` float32 [pairs] (0: not rated).
        """
        vectors = self.item_vectors()
        loss = tf.constant(0.0)
        if self._retrieval_weight:
            loss += self._retrieval_weight * self._retrieve(inputs, vectors)
        rated = tf.cast(inputs["stars"] > 0, tf.float32)
        predicted = self._ratings(inputs, vectors)
        rating_loss = self.rating_task(
            labels=inputs["stars"][:, None], predictions=predicted[:, None], sample_weight=rated[:, None]
        )
        return loss + self._rating_weight * rating_loss

    def _from_catalogue(self, inputs: Batch, vectors: tf.Tensor) -> tf.Tensor:
        return self.retrieval_task(
            query_embeddings=tf.matmul(inputs["shelves"], vectors),
            candidate_embeddings=vectors,
            shelves=inputs["shelves"],
            scale=self.scale,
        )

    def _from_batch(self, inputs: Batch, vectors: tf.Tensor) -> tf.Tensor:
        """Return the softmax over the books of the batch, corrected for how often popular ones are among them.

        Source: Yi et al., "Sampling-bias-corrected neural modeling" (RecSys 2019), eq. 3.
        """
        target_vectors = tf.gather(vectors, inputs["targets"])
        # The target itself is left out of the shelf that is to predict it.
        readers = tf.gather(tf.matmul(inputs["shelves"], vectors), inputs["rows"]) - target_vectors
        summed = self.retrieval_task(
            query_embeddings=tf.math.l2_normalize(readers, axis=1),
            candidate_embeddings=target_vectors,
            candidate_sampling_probability=tf.gather(self._popularity, inputs["targets"]),
            candidate_ids=inputs["targets"],
            compute_metrics=False,
        )
        return summed / tf.cast(tf.shape(inputs["targets"])[0], tf.float32)

    def _ratings(self, inputs: Batch, vectors: tf.Tensor) -> tf.Tensor:
        """Return mean + item bias + reader's bias + interaction, all without the target's own stars [pairs]."""
        rows, targets = inputs["rows"], inputs["targets"]
        target_vectors = tf.gather(vectors, targets)
        own = tf.where(inputs["stars"] > 0, inputs["stars"] - self._mean - tf.gather(self._item_bias, targets), 0.0)
        residuals = inputs["residuals"]
        totals = tf.gather(tf.reduce_sum(residuals, axis=1), rows) - own
        rated = tf.gather(tf.reduce_sum(tf.cast(residuals != 0, tf.float32), axis=1), rows)
        rated = tf.maximum(rated - tf.cast(inputs["stars"] > 0, tf.float32), 0.0)
        user_bias = totals / (rated + self._user_shrinkage)
        taste = tf.gather(tf.matmul(residuals, vectors), rows) - own[:, None] * target_vectors
        likeness = tf.reduce_sum(taste * target_vectors, axis=1) / (rated + self._user_shrinkage)
        return self._mean + tf.gather(self._item_bias, targets) + user_bias + self.interaction * likeness


def batches(ratings: Ratings, biases: Biases, config: Config, epoch: int) -> list[Batch]:
    """Return one epoch's batches: the readers in a new order, and for each some of their books as targets."""
    rng = np.random.default_rng((config.seed, epoch))
    shelves, stars = ratings.matrix(), ratings.star_matrix()
    residuals = biases.residuals(stars)
    sizes = np.diff(shelves.indptr)
    readers = rng.permutation(np.flatnonzero(sizes > 1))
    result = []
    for start in range(0, len(readers), config.batch_users):
        part = readers[start : start + config.batch_users]
        rows, targets = [], []
        for row, reader in enumerate(part):
            books = shelves.indices[shelves.indptr[reader] : shelves.indptr[reader + 1]]
            chosen = rng.permutation(books)[: config.pairs_per_user]
            rows += [row] * len(chosen)
            targets += chosen.tolist()
        given = np.asarray(stars[part[rows], targets]).ravel()
        result.append(
            {
                "shelves": shelves[part].toarray(),
                "residuals": residuals[part].toarray(),
                "rows": np.array(rows, np.int32),
                "targets": np.array(targets, np.int32),
                "stars": given.astype(np.float32),
            }
        )
    return result


def _sparse(matrix: sp.csr_matrix) -> tf.SparseTensor:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    indices = np.stack([rows, matrix.indices], axis=1).astype(np.int64)
    return tf.sparse.reorder(tf.SparseTensor(indices, matrix.data, matrix.shape))
