"""What validation chooses: with the configuration and the entries, it determines the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.config import Negatives
from trainer.model.pool import Blend
from trainer.serving.item_item import Reranker


@dataclass(frozen=True, slots=True)
class Choices:
    """What validation chose; with the configuration and the entries, it determines the model.

    Attributes:
        regularisation: λ of the local ridge.
        ridge_neighbours: k of the local ridge.
        negatives: of the retrieval task.
        epochs: of the multi-task model.
        blend: of the learned model's table, the first, and the local ridge's.
        scale: factor that makes the blend the logarithm of a book's odds, to which the reranker adds.
        unrated_seen: mean number of unrated books in the folds; if a catalogue has more, their scores are lower.
        item_shrinkage, user_shrinkage: of the biases, in ratings.
        interaction: in the predicted rating.
        reranker: the reranker, trained on the held-out entries; None where the blend's order was no worse.
        diversity: the strength with which near-duplicates move down in a list.
        figures: the validation figures behind it.
    """

    regularisation: float
    ridge_neighbours: int
    negatives: Negatives
    epochs: int
    blend: Blend
    scale: float = 1.0
    unrated_seen: float = 0.0
    item_shrinkage: float = 5.0
    user_shrinkage: float = 5.0
    interaction: float = 0.0
    reranker: Reranker | None = None
    diversity: float = 0.0
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, without the network's weights."""
        left_out = ("blend", "reranker", "figures")
        chosen = {name: getattr(self, name) for name in self.__slots__ if name not in left_out}
        return {**chosen, **asdict(self.blend), **self.figures}
