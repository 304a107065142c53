"""Ranking baselines that learn item-item weights: popularity, item-kNN, RP3β, EASE, EASE with metadata, SLIM.

Each function fits one kind of model with each of several options, and yields the models one by one: they share what
they can, and only one has to be in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainer.data.dataset import Ratings
from trainer.evaluation.ease import ease
from trainer.serving.item_item import MASKED, popularity

DEPTH = 100
BLOCK = 256

PRODUCT_ROWS = 256
"""Rows of an item-item matrix in memory at a time: 300 MB with 38,000 books if none of its entries is 0."""

SLIM_BOOKS, SLIM_SWEEPS, SLIM_CHANGE = 512, 50, 1e-4
"""Books whose weights are solved for at a time, and when the descent ends: sweeps, or the greatest change in one."""

Floats = npt.NDArray[np.float32]

Options = Mapping[str, float]
"""A model's hyperparameters, by name."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A fitted ranking model that takes any shelves, also those of readers whom it has never seen.

    Attributes:
        name: as it is shown.
        scores: from shelves, CSR [users, items] of ones, to scores, float32 [users, items].
    """

    name: str
    scores: Callable[[sp.csr_matrix], Floats]

    def top(self, shelves: sp.csr_matrix, depth: int = DEPTH) -> npt.NDArray[np.int32]:
        """Return the best items that are not on the shelves, int32 [users, depth], the best first, ties by index."""
        blocks = []
        for start in range(0, shelves.shape[0], BLOCK):
            block = shelves[start : start + BLOCK]
            scores = np.array(self.scores(block), np.float32)
            scores[block.nonzero()] = MASKED
            blocks.append(_best(scores, depth))
        return np.concatenate(blocks) if blocks else np.zeros((0, depth), np.int32)


Fits = Callable[[Ratings, Sequence[Options]], Iterator[tuple[Options, Baseline]]]
"""From entries and several options to a fitted model for each of these, in any order."""


def _best(scores: Floats, depth: int) -> npt.NDArray[np.int32]:
    """Return each row's best items, ties by index: a full sort of 22,000 scores takes ten times as long."""
    bits = (-scores + np.float32(0)).view(np.int32).astype(np.int64)  # adding 0 makes −0 and 0 equal
    keys = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits) * (1 << 32) + np.arange(scores.shape[1])
    if depth < scores.shape[1]:
        keys = np.partition(keys, depth, axis=1)[:, :depth]
    return (np.sort(keys, axis=1) & 0xFFFFFFFF).astype(np.int32)


def popularity_models(ratings: Ratings, grid: Sequence[Options]) -> Iterator[tuple[Options, Baseline]]:
    """Yield the baseline that gives everybody the most popular books; it has no options."""
    prior = popularity(ratings.items, len(ratings.isbns))
    for options in grid:
        yield options, Baseline("popularity", lambda shelves: np.broadcast_to(prior, shelves.shape))


def item_knn(ratings: Ratings, grid: Sequence[Options]) -> Iterator[tuple[Options, Baseline]]:
    """Yield item-based neighbourhoods: a book's score is the sum of its similarities to its k nearest on the shelf.

    The similarity is x_i·x_j / (‖x_i‖ ‖x_j‖ + shrink). ``implicit`` has no shrinkage.
    Source: Sarwar et al., "Item-Based Collaborative Filtering" (WWW 2001), section 3.1; the shrinkage as in Ferrari
    Dacrema et al., "Are We Really Making Much Progress?" (RecSys 2019).

    Options: ``k``, and ``shrink`` in readers.
    """
    for shrink, several in groupby(sorted(grid, key=lambda o: (o["shrink"], -o["k"])), lambda o: o["shrink"]):
        nearest: sp.csr_matrix | None = None
        for options in several:
            k = int(options["k"])
            nearest = cosine_neighbours(ratings.matrix(), k, shrink) if nearest is None else _strongest(nearest, k)
            yield options, _linear("item-kNN", nearest.T.tocsr())


def rp3beta(ratings: Ratings, grid: Sequence[Options]) -> Iterator[tuple[Options, Baseline]]:
    """Yield random walks of three steps over the graph of readers and books, with popular books held back.

    The weight of i for j is Σ_u p(i→u)^α p(u→j)^α / (readers of j)^β. The k greatest are kept: of each i, as is usual,
    or of each j, as in item-kNN.
    Source: Paudel et al., "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive Applications"
    (ACM TiiS 2017), section 3.

    Options: ``alpha``, ``beta``, ``k``, and ``by_target`` (1: of each j).
    """

    def walk(options: Options) -> tuple[float, float, bool]:
        return options["alpha"], options["beta"], bool(options["by_target"])

    for (alpha, beta, by_target), several in groupby(sorted(grid, key=lambda o: (*walk(o), -o["k"])), walk):
        nearest: sp.csr_matrix | None = None
        for options in several:
            k = int(options["k"])
            nearest = _walks(ratings.matrix(), alpha, beta, k, by_target) if nearest is None else _strongest(nearest, k)
            yield options, _linear("RP3beta", nearest.T.tocsr() if by_target else nearest)


def ease_models(
    features: sp.csr_matrix | None, most: int, ratings: Ratings, grid: Sequence[Options]
) -> Iterator[tuple[Options, Baseline]]:
    """Yield EASE, or EASE with metadata, over the ``most`` most rated books: it is cubic in their number.

    All other books score below these. Sources: see ``trainer.evaluation.ease``.

    Options: ``regularisation`` (λ) and, with features, ``feature_weight`` (w).
    """
    counts = np.bincount(ratings.items, minlength=len(ratings.isbns))
    fitted = np.sort(np.argsort(-counts, kind="stable")[:most])
    shelves = ratings.matrix()[:, fitted]
    metadata = sp.csr_matrix((len(fitted), 1), dtype=np.float32) if features is None else features[fitted]
    for options in grid:
        weights = ease(shelves, metadata, options["regularisation"], options.get("feature_weight", 0.0))
        yield options, _over_some("EASE" if features is None else "CEASE", weights, fitted, len(counts))


def slim(ratings: Ratings, grid: Sequence[Options]) -> Iterator[tuple[Options, Baseline]]:
    """Yield SLIM: each book's column predicted from others with weights ≥ 0 by an elastic net.

    The weights w of book j minimise ½‖x_j − X_N w‖² + l2/2 ‖w‖² + l1 ‖w‖₁, where N are its k nearest books by cosine;
    coordinate descent, for many books at a time.
    Source: Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems" (ICDM 2011), eq. 4, with the
    restriction to neighbours of its section V (fsSLIM). Descent: Friedman et al., "Regularization Paths for Generalized
    Linear Models via Coordinate Descent" (2010), eq. 5.

    Options: ``k``, ``l1`` and ``l2``.
    """
    for k, several in groupby(sorted(grid, key=lambda o: o["k"]), lambda o: int(o["k"])):
        same = list(several)
        for options, weights in zip(same, _slim_weights(ratings.matrix(), k, same), strict=True):
            yield options, _linear("SLIM", weights)


def _slim_weights(shelves: sp.csr_matrix, k: int, grid: Sequence[Options]) -> list[sp.csr_matrix]:
    """Return the weights, CSR [items, items], with each of several options, which share the Gram matrices."""
    nearest, columns = cosine_neighbours(shelves, k, 0.0), shelves.tocsc()
    solved: list[list[sp.csr_matrix]] = [[] for _ in grid]
    for start in range(0, shelves.shape[1], SLIM_BOOKS):
        books = nearest[start : start + SLIM_BOOKS]
        grams, targets, present = _local_grams(columns, books, start)
        for blocks, options in zip(solved, grid, strict=True):
            weights = nonnegative_elastic_net(grams, targets, options["l1"], options["l2"])
            # A copy: without it, removing zeros would compact the indices that the other options share.
            rows = sp.csr_matrix((weights[present], books.indices, books.indptr), shape=books.shape, copy=True)
            rows.eliminate_zeros()
            blocks.append(rows)
    return [sp.vstack(blocks).T.tocsr() for blocks in solved]


def _linear(name: str, weights: sp.csr_matrix) -> Baseline:
    """Return the model in which a shelf's scores are the sum of its books' rows of ``weights``."""
    return Baseline(name, lambda shelves: (shelves @ weights).toarray())


def _over_some(name: str, weights: Floats, fitted: npt.NDArray[np.int64], items: int) -> Baseline:
    def scores(shelves: sp.csr_matrix) -> Floats:
        if len(fitted) == items:
            every: Floats = shelves @ weights
            return every
        scored = np.full(shelves.shape, MASKED / 2, np.float32)  # above the books on the shelf, below all others
        scored[:, fitted] = shelves[:, fitted] @ weights
        return scored

    return Baseline(name, scores)


def cosine_neighbours(shelves: sp.csr_matrix, k: int, shrink: float) -> sp.csr_matrix:
    """Return each book's k nearest others with their similarities, CSR [items, items]."""
    norms = np.sqrt(np.asarray(shelves.sum(axis=0)).ravel())

    def similar(block: sp.csr_matrix, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
        return block.data / (norms[rows] * norms[block.indices] + shrink)

    return _products(shelves.T.tocsr(), shelves, similar, k)


def _walks(shelves: sp.csr_matrix, alpha: float, beta: float, k: int, by_target: bool) -> sp.csr_matrix:
    """Return the k greatest weights of walks from each book to others, or by target of walks to it from others."""
    readers = np.asarray(shelves.sum(axis=0)).ravel()
    to_readers, to_books = _steps(shelves.T.tocsr(), alpha), _steps(shelves, alpha)

    def held_back(block: sp.csr_matrix, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
        return block.data / readers[rows if by_target else block.indices] ** beta

    if by_target:
        return _products(to_books.T.tocsr(), to_readers.T.tocsr(), held_back, k)
    return _products(to_readers, to_books, held_back, k)


def _steps(edges: sp.csr_matrix, alpha: float) -> sp.csr_matrix:
    """Return the probabilities of a step along ``edges`` of ones, each to the power of ``alpha``."""
    lengths = np.diff(edges.indptr)
    data = np.repeat(np.maximum(lengths, 1).astype(np.float32) ** -alpha, lengths)
    return sp.csr_matrix((data, edges.indices, edges.indptr), shape=edges.shape)


def _products(
    left: sp.csr_matrix,
    right: sp.csr_matrix,
    weigh: Callable[[sp.csr_matrix, npt.NDArray[np.int64]], npt.NDArray[np.floating]],
    k: int,
) -> sp.csr_matrix:
    """Return the k greatest weights in each row of ``left`` @ ``right`` without its diagonal, a block at a time.

    Args:
        left: CSR [items, users].
        right: CSR [users, items].
        weigh: from a block of the product and the row of each of its entries to these entries' weights.
        k: entries to keep.
    """
    blocks = []
    for start in range(0, left.shape[0], PRODUCT_ROWS):
        block = (left[start : start + PRODUCT_ROWS] @ right).tocsr()
        rows = np.repeat(np.arange(start, start + block.shape[0]), np.diff(block.indptr))
        block.data = weigh(block, rows).astype(np.float32)
        block.data[block.indices == rows] = 0
        block.eliminate_zeros()
        blocks.append(_strongest(block, k))
    return sp.vstack(blocks).tocsr()


def _strongest(matrix: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Return ``matrix`` with the k greatest entries of each row, ties by column."""
    lengths = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(len(rows)) - np.repeat(matrix.indptr[:-1], lengths)
    kept = order[place < k]
    return sp.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)


def _local_grams(
    columns: sp.csc_matrix, neighbours: sp.csr_matrix, first: int
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return for each book the Gram matrix of its neighbours, and their products with it.

    Args:
        columns: X, CSC [users, items].
        neighbours: CSR [books, items].
        first: the first book's item index.

    Returns:
        float32 [books, width, width] and [books, width], 0 where a book has fewer neighbours; and bool [books, width].
    """
    lengths = np.diff(neighbours.indptr)
    width = max(int(lengths.max(initial=0)), 1)
    grams = np.zeros((len(lengths), width, width), np.float32)
    targets = np.zeros((len(lengths), width), np.float32)
    for row, length in enumerate(lengths.tolist()):
        if length:
            own = neighbours.indices[neighbours.indptr[row] : neighbours.indptr[row + 1]]
            some = columns[:, np.append(own, first + row)]
            gram = (some.T @ some).toarray()
            grams[row, :length, :length], targets[row, :length] = gram[:-1, :-1], gram[-1, :-1]
    return grams, targets, np.arange(width) < lengths[:, None]


def nonnegative_elastic_net(grams: Floats, targets: Floats, l1: float, l2: float) -> Floats:
    """Return the weights ≥ 0, float32 [problems, width], that minimise ½wᵀGw − tᵀw + l1·Σw + l2/2·‖w‖² for each.

    Args:
        grams: G, float32 [problems, width, width].
        targets: t, float32 [problems, width].
        l1: of the sum.
        l2: of the squares, above 0.
    """
    weights = np.zeros_like(targets)
    for _ in range(SLIM_SWEEPS):
        before = weights.copy()
        for place in range(weights.shape[1]):
            own = grams[:, place, place]
            rest = targets[:, place] - np.einsum("pw,pw->p", grams[:, place], weights) + own * weights[:, place]
            weights[:, place] = np.maximum(rest - np.float32(l1), 0) / (own + np.float32(l2))
        if np.abs(weights - before).max(initial=0) < SLIM_CHANGE:
            break
    return weights
