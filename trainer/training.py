"""Fitting: candidates are trained on one part of the entries and chosen on the other, then fitted to all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from tqdm import tqdm

from trainer.biases import fit_biases
from trainer.closed_form import cease
from trainer.config import LOSS_WEIGHTS, Config, Variant
from trainer.dataset import Ratings, holdout
from trainer.features import item_features
from trainer.metrics import rmse, user_metrics
from trainer.serving import MASKED, ServingModel, neighbours_of_matrix, neighbours_of_vectors, popularity

Score = Callable[[sp.csr_matrix], npt.NDArray[np.float32]]

VALIDATION_USERS = 2_000
"""At most so many readers are ranked for a validation figure."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model and how it came about.

    Attributes:
        serving: what is exported.
        choices: what validation chose, with the figures.
        histories: by variant and by measure, a value an epoch: the notebook's curves.
    """

    serving: ServingModel
    choices: Mapping[str, Any]
    histories: Mapping[Variant, Mapping[str, list[float]]]


@dataclass(slots=True)
class _Learned:
    """Book vectors after the best epoch."""

    vectors: npt.NDArray[np.float32]
    epochs: int
    history: dict[str, list[float]] = field(default_factory=dict)


def fit(ratings: Ratings, books: pd.DataFrame | None, config: Config) -> Trained:
    """Return the best model for ``ratings``: everything is tuned on a validation part of them.

    Args:
        ratings: the training entries.
        books: the catalogue's metadata, or None.
        config: options.
    """
    features = item_features(ratings.isbns, books, config.features)
    held = holdout(ratings, config.validation_fraction, config.seed)
    part, validation = ratings.select(~held), ratings.select(held)
    histories, epochs, best = {}, {}, None
    for name, serving, learned in _candidates(part, features, validation, config):
        if learned is not None:
            histories[name], epochs[name] = learned.history, learned.epochs
        if name not in (config.variant, "closed_form"):
            continue  # the other variants are there to be compared
        for weight in config.popularity_weights:
            blended = replace(serving, popularity=popularity(part.items, len(part.isbns)) * np.float32(weight))
            figure = validation_ndcg(blended.scores, part, validation)
            if best is None or figure > best[0]:
                best = (figure, name, weight, blended)
    assert best is not None
    ndcg, name, weight, blended = best
    rating_choices = _choose_rating(blended, part, validation, config)
    choices = {"model": name, "validation_ndcg": ndcg, "popularity_weight": weight, "epochs": epochs, **rating_choices}
    return Trained(refit(ratings, books, config, choices), choices, histories)


def refit(ratings: Ratings, books: pd.DataFrame | None, config: Config, choices: Mapping[str, Any]) -> ServingModel:
    """Return the model that ``choices`` name, fitted to all of ``ratings``."""
    features, name = item_features(ratings.isbns, books, config.features), choices["model"]
    if name == "closed_form":
        serving = _closed_form(ratings, features, config)
    else:
        learned = _learn(ratings, features, replace(config, variant=name), None, choices["epochs"][name])
        serving = _serve_vectors(ratings, learned.vectors, config)
    prior = popularity(ratings.items, len(ratings.isbns)) * np.float32(choices["popularity_weight"])
    return replace(serving, popularity=prior, interaction=float(choices["interaction"]))


def validation_ndcg(score: Score, part: Ratings, validation: Ratings) -> float:
    """Return the mean NDCG@10 of the validation entries, ranked without what is in ``part``.

    Args:
        score: from shelves, CSR [users, items], to scores, float32 [users, items].
        part: the entries that make the shelves.
        validation: the entries to find.
    """
    shelves, wanted = part.matrix(), validation.matrix()
    users = np.flatnonzero(np.diff(wanted.indptr))[:VALIDATION_USERS]
    figures = []
    for start in range(0, len(users), 256):
        block = users[start : start + 256]
        scores = score(shelves[block])
        scores[shelves[block].nonzero()] = MASKED
        best = np.argpartition(-scores, min(10, scores.shape[1] - 1), axis=1)[:, :10]
        order = np.lexsort((best, -np.take_along_axis(scores, best, axis=1)), axis=1)
        ranked = np.take_along_axis(best, order, axis=1).astype(np.int32)
        for row, user in enumerate(block):
            relevant = set(wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]].tolist())
            figures.append(user_metrics(ranked[row], relevant, set())["ndcg"])
    return float(np.mean(figures)) if figures else 0.0


def _candidates(
    part: Ratings, features: sp.csr_matrix, validation: Ratings, config: Config
) -> Iterator[tuple[Any, ServingModel, _Learned | None]]:
    """Yield each candidate by name, fitted to ``part``."""
    for variant in LOSS_WEIGHTS:
        learned = _learn(part, features, replace(config, variant=variant), validation, config.epochs)
        yield variant, _serve_vectors(part, learned.vectors, config), learned
    if len(part.isbns) <= config.closed_form_limit:
        yield "closed_form", _closed_form(part, features, config), None


def _closed_form(ratings: Ratings, features: sp.csr_matrix, config: Config) -> ServingModel:
    weights = cease(ratings.matrix(), features, config.regularisation, config.feature_weight)
    return _serving(ratings, *neighbours_of_matrix(weights, config.neighbours), config)


def _serve_vectors(ratings: Ratings, vectors: npt.NDArray[np.float32], config: Config) -> ServingModel:
    return _serving(ratings, *neighbours_of_vectors(vectors, config.neighbours), config)


def _serving(
    ratings: Ratings, neighbours: npt.NDArray[np.int32], weights: npt.NDArray[np.float32], config: Config
) -> ServingModel:
    biases = fit_biases(ratings.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    prior = popularity(ratings.items, len(ratings.isbns)) * np.float32(config.popularity_weights[0])
    return ServingModel(ratings.isbns, neighbours, weights, prior, biases).rescaled(ratings.matrix())


def _learn(part: Ratings, features: sp.csr_matrix, config: Config, validation: Ratings | None, epochs: int) -> _Learned:
    """Train the multi-task model; with ``validation`` stop early and keep the best epoch's vectors."""
    import tensorflow as tf

    from trainer.model import ShelfModel, batches

    tf.keras.utils.set_random_seed(config.seed)
    biases = fit_biases(part.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    share = (np.bincount(part.items, minlength=len(part.isbns)) + 0.5) / max(len(part.items), 1)
    model = ShelfModel(features, np.log(share).astype(np.float32), biases, config)
    step = _make_step(model, config)
    best, best_figure = _Learned(model.item_vectors().numpy(), 0), -1.0
    history: dict[str, list[float]] = {"loss": [], "rmse": [], "ndcg": []}
    progress = tqdm(range(1, epochs + 1), desc=f"{config.variant:>9}", leave=False, mininterval=1, disable=None)
    for epoch in progress:
        model.reset_metrics()
        losses = [float(step(batch)) for batch in batches(part, biases, config, epoch)]
        history["loss"].append(float(np.mean(losses)) if losses else 0.0)
        history["rmse"].append(float(model.metrics[0].result()))
        vectors = model.item_vectors().numpy()
        if validation is None:
            best = _Learned(vectors, epoch)
            continue
        figure = validation_ndcg(lambda shelves: (shelves @ vectors) @ vectors.T, part, validation)  # noqa: B023
        history["ndcg"].append(figure)
        progress.set_postfix(validation_ndcg=f"{figure:.4f}", loss=f"{history['loss'][-1]:.3f}")
        if figure > best_figure:
            best, best_figure = _Learned(vectors, epoch), figure
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


def _choose_rating(serving: ServingModel, part: Ratings, validation: Ratings, config: Config) -> dict[str, float]:
    """Return the interaction's scale with the least validation error, and that error."""
    rated = validation.stars > 0
    users, items, stars = validation.users[rated], validation.items[rated], validation.stars[rated]
    if not len(stars):
        return {"interaction": 0.0, "validation_rmse": float("nan")}
    matrix = part.star_matrix()
    errors = {}
    for scale in config.interaction_scales:
        predicted = np.empty(len(stars), np.float32)
        for start in range(0, matrix.shape[0], 256):
            rows = (users >= start) & (users < start + 256)
            block = replace(serving, interaction=scale).ratings(matrix[start : start + 256])
            predicted[rows] = block[users[rows] - start, items[rows]]
        errors[scale] = rmse(predicted, stars)
    chosen = min(errors, key=lambda scale: (errors[scale], scale))
    return {"interaction": chosen, "validation_rmse": errors[chosen]}
