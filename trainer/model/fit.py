"""Fitting: candidates are trained on one part of the entries and chosen on the other, then fitted to all.

Only books with entries are learned from. All others come in at the end, by their metadata alone, so however many books
a catalogue has that nobody has rated, the model of the rated ones is the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from trainer.config import LOSS_WEIGHTS, Config, Negatives
from trainer.data.dataset import Ratings, holdout, sample_readers
from trainer.data.features import Facts, item_facts, item_features
from trainer.metrics import rmse
from trainer.model import distributed, diversity, reranker
from trainer.model.local_ridge import LocalRidge, observations
from trainer.model.pool import Blend, Pool, pool_of
from trainer.model.train_loop import Learned, Steps, learn
from trainer.model.validation import Validation
from trainer.serving.biases import fit_biases
from trainer.serving.item_item import (
    MASKED,
    Reranker,
    ServingModel,
    Table,
    popularity,
    rare,
    weights_of_vectors,
)

COMPARED_READERS = 5_000
"""The notebook's variants are compared on at most so many readers: their curves are for people."""

SCALES = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Factors to choose from that make a blend, in deviations of a reader's scores, the logarithm of odds."""

Floats = npt.NDArray[np.float32]

Choice = TypeVar("Choice")


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


class Catalogue:
    """The books of a run, and what its models have in common.

    Args:
        ratings: all entries of the run; the books that have one are learned, with the same places in all its models.
        books: the catalogue's metadata, or None.
        config: options.

    Attributes:
        isbns: all books, by item index.
        learned: int64 [learned], ascending: the items with entries.
        features: F, CSR [items, features].
        facts: what the reranker knows of each item.
        steps: the learned model's training steps, for the books that are learned.
    """

    def __init__(self, ratings: Ratings, books: pd.DataFrame | None, config: Config) -> None:
        is_rated = np.bincount(ratings.items, minlength=len(ratings.isbns)) > 0
        self.isbns, self.learned, self.config = ratings.isbns, np.flatnonzero(is_rated), config
        self.features = item_features(ratings.isbns, books, config.features, is_rated)
        self.facts = item_facts(ratings.isbns, books)
        is_small = config.fold_count(len(ratings.users)) > 1 and len(self.learned) <= config.catalogue_sample
        self.steps = Steps(self.shared(self.features[self.learned]), config, keep=is_small)

    def shared(self, features: sp.csr_matrix) -> sp.csr_matrix:
        """Return only what at least two books that are learned have: for a single one, it is a second id."""
        return features[:, self.features[self.learned].getnnz(axis=0) > 1]

    def of_learned(self, ratings: Ratings) -> Ratings:
        """Return entries with the books that are learned as the items."""
        isbns = tuple(self.isbns[item] for item in self.learned)
        return replace(ratings, isbns=isbns, items=np.searchsorted(self.learned, ratings.items).astype(np.int32))

    @property
    def facts_of_learned(self) -> Facts:
        """The facts of the books that are learned."""
        facts = self.facts
        return Facts(facts.series[self.learned], facts.numbers[self.learned], facts.authors[self.learned])


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model and how it came about.

    Attributes:
        serving: what is exported.
        choices: what validation chose, with the figures.
        histories: by variant and by measure, a value an epoch: the notebook's curves of the configuration's variant,
            and with ``config.baselines`` of all three.
        catalogue: with which a model of the same books may be fitted to other entries.
    """

    serving: ServingModel
    choices: Choices
    histories: Mapping[str, Mapping[str, list[float]]]
    catalogue: Catalogue


def fit(ratings: Ratings, books: pd.DataFrame | None, config: Config, catalogue: Catalogue | None = None) -> Trained:
    """Return the best model for ``ratings``: everything is tuned on a validation part of them.

    Args:
        ratings: the training entries.
        books: the catalogue's metadata, or None.
        config: options.
        catalogue: of a run to which these entries belong; None if they are all.
    """
    catalogue = catalogue or Catalogue(ratings, books, config)
    own = catalogue.of_learned(ratings)
    folds = [_Fold(own, catalogue, fold) for fold in range(config.fold_count(len(ratings.users)))]
    choices = _choose_ridge(folds, config)
    for fold in folds:
        fold.settle(choices)
    choices = _choose_biases(folds, _choose_blend(folds, choices, config), config)
    choices = _choose_rating(folds, choices, config)
    networks = reranker.Networks(config)
    choices = _choose_diversity(folds, _train_reranker(folds, choices, config, networks), config, networks)
    histories = _histories(folds[0])
    folds.clear()  # the model for all entries needs the memory
    return Trained(refit(ratings, catalogue, choices), choices, histories, catalogue)


def refit(ratings: Ratings, catalogue: Catalogue, choices: Choices) -> ServingModel:
    """Return the model that ``choices`` name, fitted to all of ``ratings``, for all books of the catalogue."""
    config = catalogue.config
    learned = learn(catalogue.of_learned(ratings), catalogue.steps, choices.negatives, None, choices.epochs)
    shared_features = catalogue.shared(catalogue.features)
    vectors = _vectors_by_metadata(learned, shared_features)
    vectors[catalogue.learned] = learned.vectors
    ridge = _ridge(ratings, shared_features, config, choices.ridge_neighbours)
    weights = ridge.weights(choices.regularisation, config.dropout, choices.ridge_neighbours)
    del ridge  # the systems of unrated books need the memory
    parts = (_learned_part(ratings, vectors, config), _ridge_part(ratings, weights, catalogue.features, config))
    return _serving(ratings, parts, vectors, catalogue.facts, choices)


def _histories(fold: _Fold) -> dict[str, dict[str, list[float]]]:
    """Return the curves of the variants that are wanted, all with the same negatives and on not too many readers."""
    steps = fold.catalogue.steps
    config = steps.config
    negatives = next(iter(fold.learned))
    histories: dict[str, dict[str, list[float]]] = {config.variant: fold.learned[negatives].history}
    if not config.baselines:
        return histories
    part, validation = fold.part, fold.validation
    readers = sample_readers(part, COMPARED_READERS, config.seed)
    if len(readers) < len(np.unique(part.users)):
        held = validation.held
        part = part.select(np.isin(part.users, readers))
        validation = Validation(part, held.select(np.isin(held.users, readers)))
        histories = {}
    epochs = config.most_epochs(len(readers))
    for variant in LOSS_WEIGHTS:
        if variant not in histories:
            histories[variant] = learn(part, steps, negatives, validation, epochs, variant).history
    return histories


@dataclass(frozen=True, slots=True)
class _Part:
    """The weights of a table in units of the mean reader's best score: for rated books, and for unrated ones.

    Both are float32 CSR [items, items]; the latter are as long, book by book, as the former are on average, or as they
    come if no rated book says anything about another: metadata are then all that there is to go by.
    """

    rated: sp.csr_matrix
    unrated: sp.csr_matrix

    @staticmethod
    def of(rated: sp.csr_matrix, unrated: sp.csr_matrix, shelves: sp.csr_matrix) -> _Part:
        """Return the part, rescaled, of raw weights and the shelves that they are fitted to."""
        rescaled = Table(rated).rescaled(shelves).matrix
        lengths = [np.sqrt(np.asarray(part.multiply(part).sum(axis=0)).ravel()) for part in (rescaled, unrated)]
        means = [float(of_part[of_part > 0].mean()) if (of_part > 0).any() else 0.0 for of_part in lengths]
        return _Part(rescaled, unrated * np.float32(means[0] / means[1] if all(means) else 1))

    def table(self, strength: float, share: float) -> Table:
        """Return the table for the blend."""
        matrix = (self.rated + self.unrated * np.float32(strength)).tocsr()
        matrix.eliminate_zeros()
        return Table(matrix, share)


class _Fold:
    """One split of the training entries, with every candidate fitted to its greater part.

    Books whose entries are all held out are unrated here: the choices for unrated books are judged by them.
    """

    def __init__(self, ratings: Ratings, catalogue: Catalogue, number: int) -> None:
        config, self.catalogue = catalogue.config, catalogue
        seed, by_time = config.seed + number, number == 0
        held = holdout(ratings, config.validation_fraction, seed, by_time=by_time)
        self.part = ratings.select(~held)
        self.validation = Validation(self.part, ratings.select(held))
        self.features = catalogue.features[catalogue.learned]
        self.shared_features = catalogue.shared(self.features)
        self.popularity = popularity(self.part.items, len(self.part.isbns))
        self.is_rated = self.popularity > 0
        self.ridges = self._ridges(config)
        epochs = config.most_epochs(len(ratings.user_ids))
        few = len(ratings.users) <= config.batch_negatives_limit
        self.learned = {
            negatives: learn(self.part, catalogue.steps, negatives, self.validation, epochs)
            for negatives, _ in config.embedding_dims
            if few or negatives != "batch" or len(config.embedding_dims) == 1
        }
        self.parts: dict[Negatives, tuple[_Part, _Part]] = {}

    def neighbours(self, config: Config) -> list[int]:
        """Return the values of k to choose from, ascending."""
        least, greatest = config.ridge_neighbours
        return sorted({least, min(max(config.ridge_weights // len(self.is_rated), least), greatest)})

    def _ridges(self, config: Config) -> dict[tuple[float, int], sp.csr_matrix]:
        """Return the local ridge's weights by λ and k: a hundredth of the systems, which would be 1 GB a fold."""
        options = list(itertools.product(config.regularisations, self.neighbours(config)))
        ridge = _ridge(self.part, self.shared_features, config, max(self.neighbours(config)))
        return {option: ridge.weights(option[0], config.dropout, option[1]) for option in options}

    def settle(self, choices: Choices) -> None:
        """Make the tables' parts, with the local ridge that was chosen, and forget the others."""
        config = self.catalogue.config
        weights = self.ridges[choices.regularisation, choices.ridge_neighbours]
        ridge = _ridge_part(self.part, weights, self.features, config)
        self.parts = {
            negatives: (_learned_part(self.part, self.vectors(negatives), config), ridge) for negatives in self.learned
        }
        self.ridges = {}

    def pool(self, negatives: Negatives) -> Pool:
        """Return the pool on which blends of the tables are tried."""
        parts = self.parts[negatives]
        rated, unrated = [part.rated for part in parts], [part.unrated for part in parts]
        return pool_of(self.validation, rated, unrated, self.popularity)

    def vectors(self, negatives: Negatives) -> Floats:
        """Return the learned vectors, those of unrated books by their metadata alone."""
        learned = self.learned[negatives]
        vectors = _vectors_by_metadata(learned, self.shared_features)
        vectors[self.is_rated] = learned.vectors[self.is_rated]
        return vectors

    def serving(self, choices: Choices) -> ServingModel:
        """Return the model that ``choices`` name, fitted to the fold's greater part."""
        parts, vectors = self.parts[choices.negatives], self.vectors(choices.negatives)
        return _serving(self.part, parts, vectors, self.catalogue.facts_of_learned, choices)


def _choose_ridge(folds: Sequence[_Fold], config: Config) -> Choices:
    """Choose the local ridge's λ and k, by how well it ranks rated books on its own."""
    options = list(folds[0].ridges)
    means = np.zeros(len(options))
    for fold in folds:
        for number, option in enumerate(options):
            weights = fold.ridges[option]
            figures: list[float] = []
            for rows in fold.validation.blocks():
                scores = (fold.validation.shelves[rows] @ weights).toarray()
                scores[:, ~fold.is_rated] = MASKED
                figures += fold.validation.figures(rows, scores)
            means[number] += float(np.mean(figures)) / len(folds) if figures else 0.0
    (regularisation, neighbours), figure = _best(options, means)
    figures_of_ridge = {"ridge_ndcg": figure}
    return Choices(regularisation, neighbours, config.embedding_dims[0][0], 1, Blend(0, 0), figures=figures_of_ridge)


def _choose_blend(folds: Sequence[_Fold], choices: Choices, config: Config) -> Choices:
    """Choose the negatives, the learned model's share, popularity's weight, and how unrated books come in."""
    candidates: list[Choices] = []
    unrated = [int((~fold.is_rated).sum()) for fold in folds]
    for negatives in folds[0].learned:
        pools = [fold.pool(negatives) for fold in folds]

        def best(options: Iterable[Blend], pools: Sequence[Pool] = pools) -> tuple[Blend, float]:
            tried = list(options)
            return _best(tried, [np.mean([pool.ndcg(blend) for pool in pools]) for blend in tried])

        blend = Blend(config.shares[0], config.popularity_weights[0])
        if any(unrated) and folds[0].features.nnz:
            strengths = itertools.product(config.unrated_strengths, config.unrated_strengths)
            ways = itertools.product(config.shares, strengths, config.unrated_offsets)
            middle = config.popularity_weights[len(config.popularity_weights) // 2]
            blend, _ = best(Blend(share, middle, factors, offset) for share, factors, offset in ways)
        others = itertools.product(config.shares, config.popularity_weights)
        blend, figure = best(replace(blend, share=share, popularity_weight=weight) for share, weight in others)
        epochs = max(1, round(float(np.mean([fold.learned[negatives].epochs for fold in folds]))))
        scale, _ = _best(SCALES, [-np.mean([pool.loss(blend, scale) for pool in pools]) for scale in SCALES])
        figures = {**choices.figures, "blend_ndcg": figure}
        candidates.append(
            replace(choices, negatives=negatives, epochs=epochs, blend=blend, scale=scale, figures=figures)
        )
    chosen = _best(candidates, [candidate.figures["blend_ndcg"] for candidate in candidates])[0]
    return replace(chosen, unrated_seen=float(np.mean(unrated)))


def _best(options: Sequence[Choice], figures: npt.ArrayLike) -> tuple[Choice, float]:
    """Return the first option with the greatest figure, and that figure: the chief's options and figures count."""
    place = int(np.argmax(figures))
    return distributed.chosen(lambda: (options[place], float(np.asarray(figures)[place])))


def _choose_biases(folds: Sequence[_Fold], choices: Choices, config: Config) -> Choices:
    """Choose the biases' shrinkages by the least validation error."""
    options = list(itertools.product(config.item_shrinkages, config.user_shrinkages))
    errors: list[list[float]] = [[] for _ in options]
    for fold in folds:
        rows, items, stars = fold.validation.held_stars()
        for (of_items, of_users), of_option in zip(options, errors, strict=True) if len(stars) else ():
            biases = fit_biases(fold.part.star_matrix(), of_items, of_users)
            predicted = biases.mean + biases.items[items] + biases.users(fold.validation.stars)[rows]
            of_option.append(rmse(predicted, stars))
    if not errors[0]:
        return choices
    (of_items, of_users), _ = _best(options, [-np.mean(of_option) for of_option in errors])
    return replace(choices, item_shrinkage=of_items, user_shrinkage=of_users)


def _choose_rating(folds: Sequence[_Fold], choices: Choices, config: Config) -> Choices:
    """Choose the interaction's scale by the least validation error."""
    errors: dict[float, list[float]] = {scale: [] for scale in config.interaction_scales}
    for fold in folds:
        rows, items, stars = fold.validation.held_stars()
        if not len(stars):
            continue
        serving = fold.serving(replace(choices, interaction=1.0))
        likeness, biases = serving.likeness, serving.biases
        interactions = np.empty(len(stars))
        for block in fold.validation.blocks():
            here = (rows >= block.start) & (rows < block.stop)
            summed = serving.interactions(fold.validation.stars[block], likeness)
            interactions[here] = summed[rows[here] - block.start, items[here]]
        base = biases.mean + biases.items[items] + biases.users(fold.validation.stars)[rows]
        for scale, of_scale in errors.items():
            of_scale.append(rmse(np.clip(base + scale * interactions, 0.5, 5.0), stars))
    if not errors[config.interaction_scales[0]]:
        return choices
    means = [-float(np.mean(of_scale)) for of_scale in errors.values()]
    chosen, figure = _best(list(errors), means)
    return replace(choices, interaction=chosen, figures={**choices.figures, "rmse": -figure})


def _train_reranker(folds: Sequence[_Fold], choices: Choices, config: Config, networks: reranker.Networks) -> Choices:
    """Train the reranker on the held-out entries, where cross-validation over readers says that it helps."""
    from trainer.serving.tf_graph import Graph

    examples = []
    for fold in folds:
        readers = list(fold.validation.readers())
        if readers:
            asked = reranker.queries(readers, config.reranker_sizes, config.reranker_parts, config.seed)
            examples.append(reranker.examples(Graph(fold.serving(choices)), asked))
    if not examples:
        return choices
    epochs, reach, figures = reranker.choose(examples, networks)
    trained = distributed.chosen(
        lambda: replace(reranker.train(examples, networks, [epochs])[0][1], reach=reach) if epochs else None
    )
    figures_of_ranking = {"ranking_epochs": epochs, "ndcg": figures}
    return replace(choices, reranker=trained, figures={**choices.figures, **figures_of_ranking})


def _choose_diversity(folds: Sequence[_Fold], choices: Choices, config: Config, networks: reranker.Networks) -> Choices:
    """Choose the greatest strength of diversity that loses next to nothing of NDCG@10."""

    def choose() -> tuple[float, dict[str, dict[str, float]]]:
        judged: list[diversity.Judged] = []
        for fold in folds:
            serving = fold.serving(choices)
            if choices.reranker is None:
                judged.append((serving, fold.validation, None))
                continue
            # Each reader is ranked by networks that were trained without that reader.
            for readers, by_epochs in networks.crossed:
                without = replace(by_epochs[choices.figures["ranking_epochs"]], reach=choices.reranker.reach)
                judged.append((replace(serving, reranker=without), fold.validation, readers))
        return diversity.choose(judged, config.diversities)

    strength, figures = distributed.chosen(choose)
    return replace(choices, diversity=strength, figures={**choices.figures, "diversities": figures})


def _ridge(ratings: Ratings, features: sp.csr_matrix, config: Config, neighbours: int) -> LocalRidge:
    """Return the local ridge's systems for the rated books."""
    rated = _rated(ratings)
    columns = observations(ratings.matrix(), features, config.feature_weight, config.reader_norm)
    return LocalRidge(columns, rated, rated, neighbours)


def _ridge_part(ratings: Ratings, weights: sp.csr_matrix, features: sp.csr_matrix, config: Config) -> _Part:
    """Return the local ridge's part, from its weights; those of unrated books are a ridge on the metadata alone."""
    rated = _rated(ratings)
    unrated = np.setdiff1d(np.arange(len(ratings.isbns)), rated)
    by_metadata = LocalRidge(features.T.tocsc(), unrated, rated, config.unrated_neighbours)
    return _Part.of(
        weights,
        by_metadata.weights(config.unrated_regularisation, 0.0, config.unrated_neighbours),
        ratings.matrix(),
    )


def _learned_part(ratings: Ratings, vectors: Floats, config: Config) -> _Part:
    rated = _rated(ratings)
    unrated = np.setdiff1d(np.arange(len(ratings.isbns)), rated)
    of_rated, of_unrated = (
        weights_of_vectors(vectors, targets, rated, config.neighbours) for targets in (rated, unrated)
    )
    return _Part.of(of_rated, of_unrated, ratings.matrix())


def _vectors_by_metadata(learned: Learned, features: sp.csr_matrix) -> Floats:
    """Return the vectors that books have by their metadata alone, float32 [items, embedding_dim]; 0 without any."""
    vectors = np.asarray(features @ learned.feature_vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, np.float32(1e-12))


def _rated(ratings: Ratings) -> npt.NDArray[np.int64]:
    return np.unique(ratings.items).astype(np.int64)


def _serving(
    ratings: Ratings,
    parts: tuple[_Part, _Part],
    vectors: Floats,
    facts: Facts,
    choices: Choices,
) -> ServingModel:
    blend, unrated = choices.blend, len(ratings.isbns) - len(_rated(ratings))
    # Of n times as many unrated books, each is n times less likely to be the next; scores are logarithms of odds.
    more = unrated / max(choices.unrated_seen, 1.0)
    shares = (choices.scale * blend.share, choices.scale * (1 - blend.share))
    return ServingModel(
        ratings.isbns,
        tuple(part.table(*values) for part, *values in zip(parts, blend.strengths, shares, strict=True)),
        vectors,
        popularity(ratings.items, len(ratings.isbns)),
        fit_biases(ratings.star_matrix(), choices.item_shrinkage, choices.user_shrinkage),
        facts,
        choices.scale * blend.popularity_weight,
        choices.interaction / choices.scale,
        choices.reranker,
        choices.scale * blend.offset - float(np.log(max(more, 1.0))),
        choices.diversity,
        rare(ratings.items, len(ratings.isbns)),
    )
