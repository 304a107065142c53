"""The reranker: small networks that order the retrieved candidates of a shelf.

They are trained on held-out entries, with candidates and features from models that have not seen them. Their mean is
added to the blend's score and starts at 0: with 0 epochs of training, which validation may choose, the order is that
of the blend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainer.config import Config
from trainer.metrics import CUTOFF, DISCOUNTS
from trainer.model import distributed
from trainer.serving.item_item import MASKED, Reranker

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.serving.tf_graph import Graph

Floats = npt.NDArray[np.float32]

BATCH = 64
MINIMUM_READERS = 20
"""Fewer readers are not enough to learn how to rank for others."""

MOST_LOST = 0.005
"""The share of their NDCG@10 that whole shelves may lose by what helps small ones: less than chance makes of it."""


@dataclass(frozen=True, slots=True)
class Query:
    """A shelf and the books that should be recommended for it.

    Attributes:
        reader: index; all queries of a reader are on the same side of a cross-validation.
        items: int32 [n], the shelf.
        ratings: float32 [n], its stars.
        relevant: item indices that should be recommended.
        hidden: item indices that the reader has but that are neither on this shelf nor relevant.
    """

    reader: int
    items: npt.NDArray[np.int32]
    ratings: Floats
    relevant: frozenset[int]
    hidden: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Examples:
    """Candidates of queries, as input of the reranker.

    Attributes:
        readers: int32 [queries].
        sizes: int32 [queries], number of books on the shelf.
        is_whole: bool [queries], whether that is the reader's whole shelf.
        features: float32 [queries, C, features].
        blend: float32 [queries, C], ``MASKED`` where a candidate does not count.
        labels: float32 [queries, C], 1 where it is relevant.
        ideals: float64 [queries], the greatest possible DCG@10.
    """

    readers: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]
    is_whole: npt.NDArray[np.bool_]
    features: Floats
    blend: Floats
    labels: Floats
    ideals: npt.NDArray[np.float64]

    def select(self, rows: npt.NDArray[np.bool_]) -> Examples:
        """Return the examples of the selected queries."""
        return Examples(
            self.readers[rows],
            self.sizes[rows],
            self.is_whole[rows],
            self.features[rows],
            self.blend[rows],
            self.labels[rows],
            self.ideals[rows],
        )

    def padded(self, width: int) -> Examples:
        """Return the examples with ``width`` candidates each; those that are added do not count."""
        more = ((0, 0), (0, width - self.blend.shape[1]))
        return replace(
            self,
            features=np.pad(self.features, (*more, (0, 0))),
            blend=np.pad(self.blend, more, constant_values=MASKED),
            labels=np.pad(self.labels, more),
        )

    @property
    def useful(self) -> npt.NDArray[np.bool_]:
        """Which queries have a relevant candidate that counts, bool [queries]."""
        return np.asarray(((self.labels > 0) & (self.blend > MASKED / 2)).any(axis=1))

    def ndcg(self, corrections: Floats) -> npt.NDArray[np.float64]:
        """Return each query's NDCG@10 with ``corrections`` [queries, C] added to the blend."""
        order = np.argsort(-(self.blend + corrections), axis=1, kind="stable")[:, :CUTOFF]
        gains = np.take_along_axis(self.labels, order, axis=1) * DISCOUNTS[: order.shape[1]]
        gained: npt.NDArray[np.float64] = gains.sum(axis=1) / self.ideals
        return gained


def queries(
    shelves: Iterable[tuple[int, npt.NDArray[np.int32], Floats, frozenset[int]]],
    sizes: Sequence[int],
    per_reader: int,
    seed: int,
) -> list[Query]:
    """Return each reader's whole shelf as a query, and a few small parts of it: reranking must suit new readers too.

    Args:
        shelves: reader, items, ratings, relevant items.
        sizes: sizes of the parts to draw from.
        per_reader: number of parts.
        seed: seed of the draw.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for reader, items, ratings, relevant in shelves:
        drawn.append(Query(reader, items, ratings, relevant))
        possible = [size for size in sizes if size < len(items)]
        for size in rng.choice(possible, min(per_reader, len(possible)), replace=False) if possible else ():
            kept = np.zeros(len(items), bool)
            kept[rng.choice(len(items), size, replace=False)] = True
            hidden = frozenset(items[~kept].tolist())
            drawn.append(Query(reader, items[kept], ratings[kept], relevant, hidden))
    return drawn


def examples(graph: Graph, asked: Sequence[Query]) -> Examples:
    """Return the candidates that a model retrieves for the queries."""
    import tensorflow as tf

    @partial(
        tf.function,
        input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)],
        autograph=False,
    )
    def see(items: tf.Tensor, ratings: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        rows = graph.rows(items)
        indices, known = graph.retrieve(rows)
        blend = known["blend"] + tf.gather(graph.offsets, indices)
        return indices, graph.features(rows, ratings, indices, known), blend

    features, blends, labels = [], [], []
    for query in asked:
        indices, seen, blend = (part.numpy() for part in see(query.items, query.ratings))
        features.append(seen)
        left_out = np.isin(indices, list(query.hidden))
        blends.append(np.where(left_out, MASKED, blend))
        labels.append(np.isin(indices, list(query.relevant)).astype(np.float32))
    counts = np.minimum([len(query.relevant) for query in asked], CUTOFF)
    return Examples(
        np.array([query.reader for query in asked], np.int32),
        np.array([len(query.items) for query in asked], np.int32),
        np.array([not query.hidden for query in asked]),
        np.stack(features),
        np.stack(blends),
        np.stack(labels),
        np.concatenate([[1.0], np.cumsum(DISCOUNTS)])[counts],
    )


def choose(by_fold: Sequence[Examples], networks: Networks) -> tuple[int, float, dict[str, dict[str, float]]]:
    """Return the number of epochs to train, the reach, and each choice's figure, by cross-validation over readers.

    A choice's figure is the mean of NDCG@10 for whole shelves and for parts of them. What helps new readers must cost
    the others next to nothing: a choice with which whole shelves lose more than ``MOST_LOST`` is not taken. For each
    number of epochs, the greatest other reach counts: a smaller one is for data on which large shelves lose, and
    figures of almost the same choices differ by chance. With fewer than ``MINIMUM_READERS`` readers, or no relevant
    candidate to learn from, it returns 0 epochs and no figures. If several workers train, the chief chooses for all.

    Args:
        by_fold: examples from each fold of the training entries.
        networks: the networks to train, with their options.
    """
    return distributed.chosen(lambda: _choose(by_fold, networks))


def _choose(by_fold: Sequence[Examples], networks: Networks) -> tuple[int, float, dict[str, dict[str, float]]]:
    config = networks.config
    readers = np.unique(np.concatenate([part.readers for part in by_fold]))
    if len(readers) < MINIMUM_READERS:
        return 0, np.inf, {}
    ndcg: dict[tuple[int, float], list[float]] = {}
    is_whole: list[bool] = []
    networks.crossed = []
    groups = np.random.default_rng(config.seed).permutation(len(readers)) % config.reranker_folds
    for group in range(config.reranker_folds):
        tested = readers[groups == group]
        trained = [part.select(~np.isin(part.readers, tested)) for part in by_fold]
        judged = [part.select(np.isin(part.readers, tested)) for part in by_fold]
        if not any(part.useful.any() for part in trained):
            return 0, np.inf, {}
        is_whole.extend(whole for part in judged for whole in part.is_whole.tolist())
        rerankers = train(trained, networks, config.reranker_epochs)
        networks.crossed.append((frozenset(tested.tolist()), dict(rerankers)))
        for epochs, reranker in rerankers:
            for part in judged:
                corrections = reranker.corrections(part.features, part.sizes)
                for reach in config.reranker_reaches if epochs else (np.inf,):
                    weight = replace(reranker, reach=reach).weight(part.sizes)[:, None]
                    ndcg.setdefault((epochs, reach), []).extend(part.ndcg(corrections * weight).tolist())
    options, are_whole = list(ndcg), np.array(is_whole)
    whole = np.array([np.array(values)[are_whole].mean() for values in ndcg.values()])
    figures = (whole + [np.array(v)[~are_whole].mean() for v in ndcg.values()]) / 2 if not all(is_whole) else whole
    none = options.index((0, np.inf))
    passed = np.flatnonzero(whole >= (1 - MOST_LOST) * whole[none]).tolist()
    by_epochs = {options[place][0]: place for place in sorted(passed, key=lambda place: options[place][1])}
    compared = [none, *by_epochs.values()]
    epochs, reach = options[max(compared, key=lambda place: figures[place])]
    named = zip(options, whole.tolist(), np.asarray(figures).tolist(), strict=True)
    return epochs, reach, {f"{e} epochs, reach {r:g}": {"whole": w, "figure": f} for (e, r), w, f in named}


class Networks:
    """The networks that are trained, with their compiled step, which several trainings use.

    Attributes:
        crossed: of the last cross-validation, by group of readers, what was trained without them, by epochs; the
            chief's alone, if several workers train.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.crossed: list[tuple[frozenset[int], dict[int, Reranker]]] = []
        self._variables: Sequence[tf.Variable] = ()
        self._step: Callable[..., None] | None = None

    def start(self, blank: Reranker) -> None:
        """Begin to train with untrained networks."""
        import tensorflow as tf

        weights = (blank.hidden, blank.bias, blank.out)
        if self._step is None:
            self._variables = [tf.Variable(part) for part in weights]
            self._optimiser = tf.keras.optimizers.legacy.Adam(self.config.reranker_learning_rate)
            self._step = tf.function(self._make_step, reduce_retracing=True, autograph=False)
            return
        for variable, part in zip(self._variables, weights, strict=True):
            variable.assign(part)
        for variable in self._optimiser.variables():
            variable.assign(tf.zeros_like(variable))

    def step(self, features: Floats, blend: Floats, labels: Floats) -> None:
        """Make one step of the optimiser on queries, as in ``Examples``, with standardised features."""
        import tensorflow as tf

        assert self._step is not None
        self._step(tf.constant(features), tf.constant(blend), tf.constant(labels))

    def _make_step(self, seen: tf.Tensor, base: tf.Tensor, wanted: tf.Tensor) -> None:
        import tensorflow as tf

        variables = self._variables
        with tf.GradientTape() as tape:
            hidden, bias, out = variables
            # All networks in one product: [queries · C, features] by [features, networks · width].
            joined = tf.reshape(tf.transpose(hidden, [1, 0, 2]), [seen.shape[2], -1])
            active = tf.nn.relu(tf.matmul(tf.reshape(seen, [-1, seen.shape[2]]), joined) + tf.reshape(bias, [-1]))
            parts = tf.reshape(active * tf.reshape(out, [-1]), [-1, seen.shape[1], *out.shape])
            scores = base[:, :, None] + tf.reduce_sum(parts, axis=3)
            shares = tf.nn.log_softmax(scores, axis=1)
            losses = -tf.reduce_sum(shares * wanted[:, :, None], axis=1) / tf.reduce_sum(wanted, axis=1)[:, None]
            loss = tf.reduce_sum(tf.reduce_mean(losses, axis=0))
        self._optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for variable in variables:
            variable.assign(variable * (1 - self.config.reranker_decay * self.config.reranker_learning_rate))

    def trained(self, blank: Reranker) -> Reranker:
        """Return the networks as they are now; ``blank`` says how features are standardised."""
        hidden, bias, out = (variable.numpy() for variable in self._variables)
        return replace(blank, hidden=hidden, bias=bias, out=out)


def train(by_fold: Sequence[Examples], networks: Networks, stops: Sequence[int]) -> list[tuple[int, Reranker]]:
    """Return the networks after each number of epochs in ``stops``, which ascend.

    The loss is the cross-entropy between the softmax of the scores and the relevant candidates.
    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach" (ICML 2007), section 4.
    """
    config = networks.config
    # Folds differ in how many books are unrated, and with few books in how many are retrieved.
    width = max(part.blend.shape[1] for part in by_fold)
    by_fold = [part.padded(width) for part in by_fold]
    useful = np.concatenate([part.useful for part in by_fold])
    features = np.concatenate([part.features for part in by_fold])
    blend = np.concatenate([part.blend for part in by_fold])
    labels = np.concatenate([part.labels for part in by_fold]) * (blend > MASKED / 2)
    if not useful.any():
        raise ValueError("no query has a relevant candidate: the reranker has nothing to learn from")
    features, blend, labels = features[useful], blend[useful], labels[useful]
    blank = Reranker.blank(features[blend > MASKED / 2], config.reranker_members, config.reranker_width, config.seed)
    networks.start(blank)
    rng, snapshots = np.random.default_rng(config.seed), []
    scaled = blank.scaled(features)
    for epoch in range(max(stops) + 1):
        if epoch in stops:
            snapshots.append((epoch, networks.trained(blank)))
        if epoch == max(stops):
            break
        order = rng.permutation(len(scaled))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            networks.step(scaled[rows], blend[rows], labels[rows])
    return snapshots
