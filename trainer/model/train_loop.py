"""Training of the multi-task model, on one machine or several, with early stopping on held-out entries."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from tqdm import tqdm

from trainer.config import Config, Negatives, Variant
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
        feature_vectors: float32 [features, embedding_dim]; a book's vector is its own plus the sum of its features'.
        epochs: how many it took.
        history: by measure, a value an epoch: ``loss`` and ``rmse`` on the training part, ``ndcg`` and
            ``validation_rmse`` on the held-out part.
        seconds: that each epoch took, with its validation.
    """

    vectors: npt.NDArray[np.float32]
    feature_vectors: npt.NDArray[np.float32]
    epochs: int
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


class Steps:
    """Models with their compiled steps; compiling one takes as long as training on little data.

    Args:
        features: F, CSR [items, features], of all models.
        config: options of all; the variant may be another.
        keep: whether a model is kept for whatever is trained in the same way next; a large one takes too much memory.
    """

    def __init__(self, features: sp.csr_matrix, config: Config, *, keep: bool = True) -> None:
        self.features, self.config, self._keep = features, config, keep
        self._kept: dict[tuple[Variant, Negatives, int], _Step] = {}

    def get(self, variant: Variant, negatives: Negatives, groups: int) -> _Step:
        """Return a model as it is before training, with its optimiser step for this worker's part of ``groups``."""
        key = (variant, negatives, groups)
        step = self._kept.get(key)
        if step is None:
            step = _Step(self.features, replace(self.config, variant=variant), negatives, groups)
        else:
            step.start_again()
        if self._keep:
            self._kept[key] = step
        return step


class _Step:
    """A model, and one optimiser step of it as a compiled function."""

    def __init__(self, features: sp.csr_matrix, config: Config, negatives: Negatives, groups: int) -> None:
        import tensorflow as tf

        from trainer.model.shelf_model import GROUP, ShelfModel

        strategy = distributed.strategy()
        with strategy.scope():
            model = ShelfModel(features, config, negatives)
            kinds = {"adam": tf.keras.optimizers.legacy.Adam, "adamw": tf.keras.optimizers.AdamW}
            optimiser = kinds[config.optimiser](config.learning_rate)

        def replica_step(batch: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = model.compute_loss(batch, training=True) / groups
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimiser.apply_gradients([(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None])
            return loss

        def step(batch: Any) -> Any:
            return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica_step, args=(batch,)), axis=None)

        signature = [[GROUP] * (groups // strategy.num_replicas_in_sync)]
        self.model, self._optimiser, self._strategy = model, optimiser, strategy
        self._step = tf.function(step, input_signature=signature)

    def __call__(self, step: Sequence[Group]) -> float:
        """Make one step; return the loss."""
        import tensorflow as tf

        return float(self._step([{name: tf.constant(value) for name, value in group.items()} for group in step]))

    def start_again(self) -> None:
        """Make model and optimiser what they were before training."""
        import tensorflow as tf

        with self._strategy.scope():
            self.model.start_again()
            for variable in self._optimiser.variables():
                variable.assign(tf.zeros_like(variable))


def learn(
    part: Ratings,
    steps: Steps,
    negatives: Negatives,
    validation: Validation | None,
    epochs: int,
    variant: Variant | None = None,
) -> Learned:
    """Train the multi-task model; with ``validation`` stop early and keep the best epoch's vectors.

    Args:
        part: the entries.
        steps: of the catalogue, with the options.
        negatives: of the retrieval task.
        validation: entries that are held out, or None.
        epochs: at most so many.
        variant: another than the options name.
    """
    import tensorflow as tf

    config, workers = steps.config, max(len(distributed.workers()), 1)
    distributed.strategy()  # several workers meet before TensorFlow does anything
    tf.keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    biases = fit_biases(part.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    share = ((np.bincount(part.items, minlength=len(part.isbns)) + 0.5) / max(len(part.items), 1)).astype(np.float32)
    groups = groups_a_step(config, len(part.user_ids), workers)
    worker = slice(distributed.rank(), None, workers)
    feed = Feed(Shelves.of(part), biases, share, config, negatives, groups, worker)
    step = steps.get(variant or config.variant, negatives, groups)
    model = step.model
    best, best_figure = Learned(model.item_vectors().numpy(), model.feature_vectors.numpy(), 0), -1.0
    history: dict[str, list[float]] = {"loss": [], "rmse": [], "validation_rmse": [], "ndcg": []}
    progress = tqdm(
        range(1, epochs + 1), desc=f"{variant or config.variant:>9}", leave=False, mininterval=1, disable=None
    )
    began = [time.monotonic()]
    for epoch in progress:
        model.reset_metrics()
        with distributed.lost_workers():
            losses = [step(batch) for batch in feed.steps(epoch)]
        history["loss"].append(float(np.mean(losses)) if losses else 0.0)
        history["rmse"].append(float(model.metrics[0].result()))
        vectors = model.item_vectors().numpy()
        if validation is None:
            best = Learned(vectors, model.feature_vectors.numpy(), epoch)
            continue
        figure = distributed.agree(validation.ndcg_of_vectors(vectors))
        history["ndcg"].append(figure)
        history["validation_rmse"].append(validation.rmse(biases, vectors, float(tf.identity(model.interaction))))
        progress.set_postfix(validation_ndcg=f"{figure:.4f}", loss=f"{history['loss'][-1]:.3f}")
        if figure > best_figure:
            best, best_figure = Learned(vectors, model.feature_vectors.numpy(), epoch), figure
        began.append(time.monotonic())
        if epoch - best.epochs >= config.patience:
            break
    best.history, best.seconds = history, np.diff(began).tolist()
    return best
