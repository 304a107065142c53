"""The options of a training run, with defaults that suit a thousand ratings as well as a hundred thousand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Variant = Literal["rating", "retrieval", "joint"]

Negatives = Literal["batch", "catalogue"]

Optimiser = Literal["adam", "adamw"]

LOSS_WEIGHTS: dict[Variant, tuple[float, float]] = {"rating": (1.0, 0.0), "retrieval": (0.0, 1.0), "joint": (1.0, 1.0)}
"""The notebook's three variants: the weights of the rating loss and the retrieval loss."""


@dataclass(frozen=True, slots=True)
class FeatureWeights:
    """The weight of each kind of feature in a book's vector, before tf-idf and normalisation."""

    author: float = 1.0
    series: float = 1.0
    title: float = 0.3
    genre: float = 0.3
    decade: float = 0.1
    language: float = 0.2
    description: float = 0.3


@dataclass(frozen=True, slots=True)
class Config:
    """Options of a run.

    Attributes:
        variant: which of the notebook's three models is the learned candidate.
        embedding_dims: width of a book's vector, by the negatives of the retrieval task: ``batch``, the other readers'
            books of a step, which suits little data; or ``catalogue``, all books with entries. Validation chooses.
        epochs: greatest number of passes over the readers.
        shelves_learned: greatest number of shelves in all passes together; ``patience`` passes are made in any case.
        optimiser: of the learned candidate: Adam, or the notebook's AdamW with Keras' default weight decay.
        patience: training stops after so many epochs without a better validation figure.
        batch_users: readers per group, the smallest unit of training; a batch's negatives come from one group.
        groups: groups per step; 0 chooses by the number of readers.
        catalogue_sample: books that a group is ranked among, if more have entries.
        pairs_per_user: books per reader and step that are predicted from the others.
        learning_rate: of the optimiser.
        temperature: of the softmax over the books of a batch.
        sharpness: initial scale of a reader's scores before the softmax over the catalogue; it is learned.
        validation_fraction: of each reader's training entries; every choice is made on it.
        folds: greatest number of validation parts: one alone says little if there are few entries.
        fold_entries: more than one fold only if all have at most so many entries together: that bounds a run's time.
        batch_negatives_limit: with more entries, the negatives of a ``batch`` are not tried.
        regularisations: λ of the local ridge; validation chooses.
        ridge_neighbours: bounds of k, the number of books from which the local ridge predicts each one. Validation
            chooses between the least k, and the greatest with which the table has at most ``ridge_weights`` weights.
        ridge_weights: bounds the exported file: about 10 MB with 10,000 books.
        feature_weight: w of the local ridge: the weight of metadata relative to the ratings.
        dropout: p of the local ridge's second regularisation, which grows with a book's popularity.
        reader_norm: α of the local ridge, a power: the greater it is, the less readers with many books count.
        unrated_regularisation: λ of the ridge on metadata alone, for books without any entry ("unrated").
        unrated_neighbours: k of that ridge.
        unrated_strengths: factors for unrated books' weights, in each table; validation chooses.
        unrated_offsets: added to unrated books' scores, in deviations of a reader's scores; validation chooses.
        shares: shares of the learned model in the blend with the local ridge; validation chooses.
        popularity_weights: weights of log popularity, 0–1, in deviations of a reader's scores; validation chooses.
        neighbours: number of books from which the learned model predicts each one in the exported file.
        item_shrinkage, user_shrinkage: of the biases that the learned model starts from, in ratings.
        item_shrinkages, user_shrinkages: the same in the exported biases; validation chooses.
        interaction_scales: how much of the neighbours' residuals is added to a rating; validation chooses.
        reranker_members: number of the reranker's networks, whose mean counts.
        reranker_width: hidden units of each network.
        reranker_epochs: epochs to choose from by cross-validation; 0 means no reranker.
        reranker_reaches: sizes of shelves, in books, beyond which its corrections shrink; the greatest counts with
            which whole shelves lose next to nothing. A million is no limit.
        reranker_folds: folds of that cross-validation, over readers.
        reranker_learning_rate: learning rate of the reranker's Adam.
        reranker_decay: weight decay of the reranker, per step and unit of the learning rate.
        reranker_sizes: sizes of the partial shelves that it is trained on in addition to whole ones.
        reranker_parts: partial shelves per reader.
        diversities: strengths to choose from with which near-duplicates move down in a list, in units of the score,
            ascending after 0, which is off. Validation chooses the greatest that costs next to nothing.
        by_user: books per list in the files that take a reader's key; 0 publishes no such files.
        lists: whether the run makes all readers' lists; otherwise the functions do.
        baselines: whether the field's baselines, the notebook's three variants, the cold-start curve and the figures of
            cold books are also computed; they are for people and decide nothing.
        seed: seed of all randomness.
    """

    variant: Variant = "joint"
    embedding_dims: tuple[tuple[Negatives, int], ...] = (("batch", 256), ("catalogue", 384))
    epochs: int = 40
    shelves_learned: int = 150_000
    optimiser: Optimiser = "adam"
    patience: int = 4
    batch_users: int = 128
    groups: int = 0
    catalogue_sample: int = 12_000
    pairs_per_user: int = 8
    learning_rate: float = 0.01
    temperature: float = 0.2
    sharpness: float = 20.0
    validation_fraction: float = 0.2
    folds: int = 4
    fold_entries: int = 150_000
    batch_negatives_limit: int = 50_000
    regularisations: tuple[float, ...] = (20.0, 50.0, 100.0, 200.0)
    ridge_neighbours: tuple[int, int] = (50, 120)
    ridge_weights: int = 640_000
    feature_weight: float = 5.0
    dropout: float = 0.2
    reader_norm: float = 0.25
    unrated_regularisation: float = 2.0
    unrated_neighbours: int = 50
    unrated_strengths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    unrated_offsets: tuple[float, ...] = (0.0, -0.5, -1.0, -2.0, -4.0)
    shares: tuple[float, ...] = (0.0, 0.1, 0.25, 0.4, 0.55, 0.75, 1.0)
    popularity_weights: tuple[float, ...] = (0.001, 0.1, 0.25, 0.5, 1.0, 2.0)
    neighbours: int = 50
    item_shrinkage: float = 5.0
    user_shrinkage: float = 5.0
    item_shrinkages: tuple[float, ...] = (2.5, 5.0, 10.0, 20.0)
    user_shrinkages: tuple[float, ...] = (2.5, 5.0, 10.0)
    interaction_scales: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0)
    reranker_members: int = 4
    reranker_width: int = 16
    reranker_epochs: tuple[int, ...] = (0, 10, 20, 40)
    reranker_reaches: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 1e6)
    reranker_folds: int = 3
    reranker_learning_rate: float = 0.005
    reranker_decay: float = 0.01
    reranker_sizes: tuple[int, ...] = (1, 2, 3, 5, 10, 20)
    reranker_parts: int = 2
    diversities: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
    by_user: int = 0
    lists: bool = False
    baselines: bool = False
    seed: int = 42
    features: FeatureWeights = field(default_factory=FeatureWeights)

    def most_epochs(self, readers: int) -> int:
        """Return the greatest number of epochs for so many readers."""
        return min(self.epochs, max(self.patience, self.shelves_learned // max(readers, 1)))

    def fold_count(self, entries: int) -> int:
        """Return the number of folds that choices are made on with so many entries."""
        return min(self.folds, max(1, self.fold_entries // max(entries, 1)))


DEFAULTS = Config()
"""The default options."""
