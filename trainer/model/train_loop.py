"""Training of the multi-task model, on one machine or several, with early stopping on held-out entries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from tqdm import tqdm

from trainer.config import Config, Negatives
from trainer.data.dataset import Ratings
from trainer.model import distributed
from trainer.model.batches import Feed, Group, Shelves, groups_a_step
from trainer.model.validation import Validation
from trainer.serving.biases import fit_biases


@dataclass(slots=True)
class Learned:
    """Book vectors after the best epoch.

    Attributes:
        vectors: float32 [items, embedding_dim], each of length 1.
        epochs: how many it took.
        history: by measure, a value an epoch: ``loss`` and ``rmse`` on the training part, ``ndcg`` and
            ``validation_rmse`` on the held-out part.
        seconds: that each epoch took, with its validation.
    """

    vectors: npt.NDArray[np.float32]
    epochs: int
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def learn(
    part: Ratings,
    features: sp.csr_matrix,
    config: Config,
    negatives: Negatives,
    validation: Validation | None,
    epochs: int,
) -> Learned:
    """Train the multi-task model; with ``validation`` stop early and keep the best epoch's vectors."""
    import tensorflow as tf

    from trainer.model.shelf_model import ShelfModel

    strategy, workers = distributed.strategy(), max(len(distributed.workers()), 1)
    tf.keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    biases = fit_biases(part.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    share = (np.bincount(part.items, minlength=len(part.isbns)) + 0.5) / max(len(part.items), 1)
    groups = groups_a_step(config, len(part.user_ids), workers)
    feed = Feed(Shelves.of(part), biases, config, negatives, groups, slice(distributed.rank(), None, workers))
    with strategy.scope():
        model = ShelfModel(features, share.astype(np.float32), biases, config, negatives)
        step = _make_step(model, config, strategy, groups)
    best, best_figure = Learned(model.item_vectors().numpy(), 0), -1.0
    history: dict[str, list[float]] = {"loss": [], "rmse": [], "validation_rmse": [], "ndcg": []}
    progress = tqdm(range(1, epochs + 1), desc=f"{config.variant:>9}", leave=False, mininterval=1, disable=None)
    began = [time.monotonic()]
    for epoch in progress:
        model.reset_metrics()
        with distributed.lost_workers():
            losses = [float(step(found)) for found in feed.steps(epoch)]
        history["loss"].append(float(np.mean(losses)) if losses else 0.0)
        history["rmse"].append(float(model.metrics[0].result()))
        vectors = model.item_vectors().numpy()
        if validation is None:
            best = Learned(vectors, epoch)
            continue
        figure = distributed.agree(validation.ndcg_of_vectors(vectors))
        history["ndcg"].append(figure)
        history["validation_rmse"].append(validation.rmse(biases, vectors, float(tf.identity(model.interaction))))
        progress.set_postfix(validation_ndcg=f"{figure:.4f}", loss=f"{history['loss'][-1]:.3f}")
        if figure > best_figure:
            best, best_figure = Learned(vectors, epoch), figure
        began.append(time.monotonic())
        if epoch - best.epochs >= config.patience:
            break
    best.history, best.seconds = history, np.diff(began).tolist()
    return best


def _make_step(model: Any, config: Config, strategy: Any, groups: int) -> Callable[[Sequence[Group]], Any]:
    """Return one optimiser step as a compiled function of this worker's part of ``groups`` groups."""
    import tensorflow as tf

    from trainer.model.shelf_model import GROUP

    optimiser = tf.keras.optimizers.legacy.Adam(config.learning_rate)

    def replica_step(found: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(found, training=True) / groups
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimiser.apply_gradients([(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None])
        return loss

    @tf.function(input_signature=[[GROUP] * (groups // strategy.num_replicas_in_sync)])
    def step(found: Any) -> Any:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica_step, args=(found,)), axis=None)

    return lambda found: step([{name: tf.constant(value) for name, value in group.items()} for group in found])
