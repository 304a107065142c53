"""Everything that shapes a training run, with defaults that suit a thousand ratings as well as a hundred thousand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from trainer.features import FeatureWeights

Variant = Literal["rating", "retrieval", "joint"]

LOSS_WEIGHTS: dict[Variant, tuple[float, float]] = {"rating": (1.0, 0.0), "retrieval": (0.0, 1.0), "joint": (1.0, 1.0)}
"""The notebook's three variants: weights of the rating and of the retrieval loss."""


@dataclass(frozen=True, slots=True)
class Config:
    """Options of a run.

    Attributes:
        variant: which of the notebook's three models is the learned candidate.
        embedding_dim: width of a book's vector.
        epochs: at most so many passes over the readers.
        patience: stop after so many epochs without a better validation figure.
        batch_users: readers a step.
        pairs_per_user: held-back books a reader and step, the positives of the retrieval task.
        learning_rate: of Adam.
        temperature: of the softmax over the books of a batch.
        validation_fraction: of each reader's training entries; every choice is made on it.
        closed_form_limit: largest catalogue for which the closed form, cubic in it, is a candidate.
        regularisation: λ of the closed form.
        feature_weight: w of the closed form: how much metadata counts beside the ratings.
        popularity_weights: the blends that validation chooses from; in units of a reader's best personal score.
        neighbours: outgoing neighbours a book in the exported file.
        item_shrinkage, user_shrinkage: ratings' worth of doubt in a bias.
        interaction_scales: how much of the neighbours' residuals to add to a rating; validation chooses.
        seed: of everything that is random.
    """

    variant: Variant = "joint"
    embedding_dim: int = 256
    epochs: int = 60
    patience: int = 6
    batch_users: int = 128
    pairs_per_user: int = 8
    learning_rate: float = 0.01
    temperature: float = 0.1
    validation_fraction: float = 0.1
    closed_form_limit: int = 12_000
    regularisation: float = 100.0
    feature_weight: float = 5.0
    popularity_weights: tuple[float, ...] = (0.001, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    neighbours: int = 50
    item_shrinkage: float = 5.0
    user_shrinkage: float = 5.0
    interaction_scales: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0)
    seed: int = 42
    features: FeatureWeights = field(default_factory=FeatureWeights)


DEFAULTS = Config()
"""The options as they come."""
