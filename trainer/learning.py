"""Training of the multi-task model, with early stopping on held-out entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from tqdm import tqdm

from trainer.biases import fit_biases
from trainer.config import Config, Negatives
from trainer.dataset import Ratings
from trainer.validation import Validation


@dataclass(slots=True)
class Learned:
    """Book vectors after the best epoch.

    Attributes:
        vectors: float32 [items, embedding_dim], each of length 1.
        epochs: how many it took.
        history: by measure, a value an epoch: ``loss`` and ``rmse`` on the training part, ``ndcg`` and
            ``validation_rmse`` on the held-out part.
    """

    vectors: npt.NDArray[np.float32]
    epochs: int
    history: dict[str, list[float]] = field(default_factory=dict)


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

    from trainer.model import ShelfModel, batches

    tf.keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    biases = fit_biases(part.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    share = (np.bincount(part.items, minlength=len(part.isbns)) + 0.5) / max(len(part.items), 1)
    model = ShelfModel(features, share.astype(np.float32), biases, config, negatives)
    step = _make_step(model, config)
    best, best_figure = Learned(model.item_vectors().numpy(), 0), -1.0
    history: dict[str, list[float]] = {"loss": [], "rmse": [], "validation_rmse": [], "ndcg": []}
    progress = tqdm(range(1, epochs + 1), desc=f"{config.variant:>9}", leave=False, mininterval=1, disable=None)
    for epoch in progress:
        model.reset_metrics()
        losses = [float(step(batch)) for batch in batches(part, biases, config, epoch)]
        history["loss"].append(float(np.mean(losses)) if losses else 0.0)
        history["rmse"].append(float(model.metrics[0].result()))
        vectors = model.item_vectors().numpy()
        if validation is None:
            best = Learned(vectors, epoch)
            continue
        readers = validation.shelves @ vectors
        figure = validation.ndcg(lambda rows: readers[rows] @ vectors.T)  # noqa: B023
        history["ndcg"].append(figure)
        history["validation_rmse"].append(validation.rmse(biases, vectors, float(model.interaction)))
        progress.set_postfix(validation_ndcg=f"{figure:.4f}", loss=f"{history['loss'][-1]:.3f}")
        if figure > best_figure:
            best, best_figure = Learned(vectors, epoch), figure
        elif epoch - best.epochs >= config.patience:
            break
    best.history = history
    return best


def _make_step(model: Any, config: Config) -> Callable[[Mapping[str, Any]], Any]:
    """Return one optimiser step as a compiled function of a batch."""
    import tensorflow as tf

    optimiser = tf.keras.optimizers.legacy.Adam(config.learning_rate)

    @tf.function(reduce_retracing=True)
    def step(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(batch, training=True)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimiser.apply_gradients([(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None])
        return loss

    return lambda batch: step({name: tf.constant(value) for name, value in batch.items()})
