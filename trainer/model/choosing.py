"""Every choice, made on the held-out entries of all folds, and in a cluster by the chief alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from trainer.config import Config
from trainer.metrics import rmse
from trainer.model import distributed, diversity, reranker
from trainer.model.assembly import Choices
from trainer.model.fold import Fold
from trainer.model.pool import Blend, Pool
from trainer.serving.biases import fit_biases
from trainer.serving.item_item import MASKED

SCALES = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Factors to choose from that make a blend, in deviations of a reader's scores, the logarithm of odds."""

Choice = TypeVar("Choice")


def choose_ridge(folds: Sequence[Fold], config: Config) -> Choices:
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


def choose_blend(folds: Sequence[Fold], choices: Choices, config: Config) -> Choices:
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


def choose_biases(folds: Sequence[Fold], choices: Choices, config: Config) -> Choices:
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


def choose_rating(folds: Sequence[Fold], choices: Choices, config: Config) -> Choices:
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


def train_reranker(folds: Sequence[Fold], choices: Choices, config: Config, networks: reranker.Networks) -> Choices:
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


def choose_diversity(folds: Sequence[Fold], choices: Choices, config: Config, networks: reranker.Networks) -> Choices:
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


def _best(options: Sequence[Choice], figures: npt.ArrayLike) -> tuple[Choice, float]:
    """Return the first option with the greatest figure, and that figure: the chief's options and figures count."""
    place = int(np.argmax(figures))
    return distributed.chosen(lambda: (options[place], float(np.asarray(figures)[place])))
