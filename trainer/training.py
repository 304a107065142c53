"""Fitting: candidates are trained on one part of the entries and chosen on the other, then fitted to all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from tqdm import tqdm

from trainer.biases import fit_biases
from trainer.closed_form import cease
from trainer.config import LOSS_WEIGHTS, Config, Negatives, Variant
from trainer.dataset import Ratings, holdout
from trainer.features import item_features
from trainer.metrics import rmse, user_metrics
from trainer.serving import (
    MASKED,
    ServingModel,
    Table,
    neighbours_of_matrix,
    neighbours_of_vectors,
    popularity,
    standardised,
)

VALIDATION_USERS = 2_000
"""At most so many readers are ranked for a validation figure."""

BLOCK = 256


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
    folds = [_Fold(ratings, features, config, fold) for fold in range(_fold_count(ratings, config))]
    negatives, share, weight, ndcg = _choose_blend(folds, config)
    chosen = [fold.learned[negatives].epochs for fold in folds]
    choices: dict[str, Any] = {
        "negatives": negatives,
        "epochs": max(1, round(float(np.mean(chosen)))),
        "share": share,
        "popularity_weight": weight,
        "validation_ndcg": ndcg,
        "interaction": 0.0,
    }
    choices |= _choose_rating(folds, choices, config)
    return Trained(refit(ratings, books, config, choices), choices, _compare_variants(folds[0], features, config))


def _compare_variants(fold: _Fold, features: sp.csr_matrix, config: Config) -> dict[Variant, dict[str, list[float]]]:
    """Return the curves of the notebook's three variants, all with the same negatives."""
    negatives = config.embedding_dims[0][0]
    histories = {config.variant: fold.learned[negatives].history}
    for variant in LOSS_WEIGHTS:
        if variant != config.variant:
            other = replace(config, variant=variant)
            learned = _learn(fold.part, features, other, negatives, fold.validation, config.epochs)
            histories[variant] = learned.history
    return histories


def refit(ratings: Ratings, books: pd.DataFrame | None, config: Config, choices: Mapping[str, Any]) -> ServingModel:
    """Return the model that ``choices`` name, fitted to all of ``ratings``."""
    features, share, tables = item_features(ratings.isbns, books, config.features), choices["share"], []
    if share > 0:
        learned = _learn(ratings, features, config, choices["negatives"], None, choices["epochs"])
        tables.append(replace(_table_of_vectors(ratings, learned.vectors, config), share=share))
    if share < 1:
        tables.append(replace(_table_of_closed_form(ratings, features, config), share=1 - share))
    return _serving(ratings, tables, choices, config)


def _fold_count(ratings: Ratings, config: Config) -> int:
    return config.folds if len(ratings.users) < config.small else 1


class _Fold:
    """One split of the training entries, with every candidate fitted to its greater part."""

    def __init__(self, ratings: Ratings, features: sp.csr_matrix, config: Config, number: int) -> None:
        seed, by_time = config.seed + number, number == 0
        held = holdout(ratings, config.validation_fraction, seed, by_time=by_time)
        self.part = ratings.select(~held)
        self.validation = Validation(self.part, ratings.select(held))
        self.learned = {
            negatives: _learn(self.part, features, config, negatives, self.validation, config.epochs)
            for negatives, _ in config.embedding_dims
        }
        with_closed_form = len(ratings.isbns) <= config.closed_form_limit
        closed = [_table_of_closed_form(self.part, features, config)] if with_closed_form else []
        self.tables = {
            negatives: [_table_of_vectors(self.part, learned.vectors, config), *closed]
            for negatives, learned in self.learned.items()
        }


class Validation:
    """Held-out entries to be found again, among all books that are not on the reader's shelf.

    Attributes:
        held: the entries.
        shelves: CSR [users, items], the shelves of the users who have any, at most ``VALIDATION_USERS``.
    """

    def __init__(self, part: Ratings, held: Ratings) -> None:
        wanted = held.matrix()
        users = np.flatnonzero(np.diff(wanted.indptr))[:VALIDATION_USERS]
        self.held, self.shelves, self._wanted = held, part.matrix()[users], wanted[users]

    def ndcg(self, score: Callable[[slice], npt.NDArray[np.float32]]) -> float:
        """Return the mean NDCG@10; ``score`` gives [rows, items] for some rows of ``shelves``, and may lose them."""
        figures = []
        for start in range(0, self.shelves.shape[0], BLOCK):
            rows = slice(start, start + BLOCK)
            scores = score(rows)
            scores[self.shelves[rows].nonzero()] = MASKED
            best = np.argpartition(-scores, min(10, scores.shape[1] - 1), axis=1)[:, :10]
            order = np.lexsort((best, -np.take_along_axis(scores, best, axis=1)), axis=1)
            ranked = np.take_along_axis(best, order, axis=1).astype(np.int32)
            for row, found in enumerate(ranked, start=start):
                relevant = set(self._wanted[row].indices.tolist())
                figures.append(user_metrics(found, relevant, set())["ndcg"])
        return float(np.mean(figures)) if figures else 0.0


def _choose_blend(folds: list[_Fold], config: Config) -> tuple[Negatives, float, float, float]:
    """Return the negatives, the learned model's share, popularity's weight, and the mean figure that they reach."""
    figures: dict[tuple[Negatives, float, float], list[float]] = {}
    for fold in folds:
        shelves, prior = fold.validation.shelves, popularity(fold.part.items, len(fold.part.isbns))
        on_shelf = shelves.toarray() > 0
        for negatives, tables in fold.tables.items():
            parts = [standardised((shelves @ table.matrix).toarray(), on_shelf) for table in tables]
            for share in config.shares if len(tables) == 2 else (1.0,):
                blended = sum(np.float32(w) * p for w, p in zip((share, 1 - share), parts, strict=False))
                for weight in config.popularity_weights:
                    scores: npt.NDArray[np.float32] = blended + np.float32(weight) * prior
                    figure = fold.validation.ndcg(scores.__getitem__)
                    figures.setdefault((negatives, share, weight), []).append(figure)
    means = {choice: float(np.mean(values)) for choice, values in figures.items()}
    best = max(means, key=lambda choice: (means[choice], choice))
    return (*best, means[best])


def _shared(tables: list[Table], share: float) -> list[Table]:
    """Return the tables that count at all, with their shares."""
    shares = [share, 1 - share][: len(tables)]
    return [replace(table, share=part) for table, part in zip(tables, shares, strict=True) if part > 0]


def _table_of_closed_form(ratings: Ratings, features: sp.csr_matrix, config: Config) -> Table:
    weights = cease(
        ratings.matrix(),
        features,
        config.regularisation,
        config.feature_weight,
        config.dropout,
        config.reader_norm,
    )
    return Table(*neighbours_of_matrix(weights, config.neighbours)).rescaled(ratings.matrix())


def _table_of_vectors(ratings: Ratings, vectors: npt.NDArray[np.float32], config: Config) -> Table:
    return Table(*neighbours_of_vectors(vectors, config.neighbours)).rescaled(ratings.matrix())


def _serving(ratings: Ratings, tables: list[Table], choices: Mapping[str, Any], config: Config) -> ServingModel:
    biases = fit_biases(ratings.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    prior = popularity(ratings.items, len(ratings.isbns)) * np.float32(choices["popularity_weight"])
    return ServingModel(ratings.isbns, tuple(tables), prior, biases, float(choices["interaction"]))


def _learn(
    part: Ratings,
    features: sp.csr_matrix,
    config: Config,
    negatives: Negatives,
    validation: Validation | None,
    epochs: int,
) -> _Learned:
    """Train the multi-task model; with ``validation`` stop early and keep the best epoch's vectors."""
    import tensorflow as tf

    from trainer.model import ShelfModel, batches

    tf.keras.utils.set_random_seed(config.seed)
    biases = fit_biases(part.star_matrix(), config.item_shrinkage, config.user_shrinkage)
    share = (np.bincount(part.items, minlength=len(part.isbns)) + 0.5) / max(len(part.items), 1)
    model = ShelfModel(features, share.astype(np.float32), biases, config, negatives)
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
        readers = validation.shelves @ vectors
        figure = validation.ndcg(lambda rows: readers[rows] @ vectors.T)  # noqa: B023
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


def _choose_rating(folds: list[_Fold], choices: Mapping[str, Any], config: Config) -> dict[str, float]:
    """Return the interaction's scale with the least validation error, and that error."""
    errors: dict[float, list[float]] = {scale: [] for scale in config.interaction_scales}
    for fold in folds:
        held, matrix = fold.validation.held, fold.part.star_matrix()
        rated = held.stars > 0
        users, items, stars = held.users[rated], held.items[rated], held.stars[rated]
        tables = _shared(fold.tables[choices["negatives"]], choices["share"])
        serving = _serving(fold.part, tables, choices, config)
        for scale, found in errors.items():
            scaled, predicted = replace(serving, interaction=scale), np.empty(len(stars), np.float32)
            for start in range(0, matrix.shape[0], BLOCK):
                rows = (users >= start) & (users < start + BLOCK)
                block = scaled.ratings(matrix[start : start + BLOCK])
                predicted[rows] = block[users[rows] - start, items[rows]]
            found.extend([rmse(predicted, stars)] if len(stars) else [])
    if not errors[config.interaction_scales[0]]:
        return {"interaction": 0.0, "validation_rmse": float("nan")}
    means = {scale: float(np.mean(found)) for scale, found in errors.items()}
    chosen = min(means, key=lambda scale: (means[scale], scale))
    return {"interaction": chosen, "validation_rmse": means[chosen]}
