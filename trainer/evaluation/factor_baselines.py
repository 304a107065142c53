"""Ranking baselines that learn vectors: iALS, ELSA, BPR.

Each function fits one kind of model with each of several options, and yields the models one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby

import numpy as np
import scipy.sparse as sp
from threadpoolctl import ThreadpoolController

from trainer.data.dataset import Ratings
from trainer.evaluation.ranking_baselines import Baseline, Floats, Options

ALS_SWEEPS, ALS_STEPS, FOLD_IN_STEPS = 16, 3, 20
"""Sweeps of ALS, and steps of its conjugate gradients: from the last vectors in a sweep, from 0 for a new shelf."""

ALS_ROWS = 512
"""Rows that a thread solves for at a time."""

LEAST = np.float32(1e-20)
"""What a square is at least, where it divides: a row that is solved has none left."""

PAIRS = 1 << 16
"""Vectors of pairs in memory at a time."""

ELSA_BATCH, ELSA_LEAST_BATCHES, ELSA_RATE = 128, 8, 0.01
"""Readers in a batch, batches in an epoch where that would be fewer, and Adam's learning rate."""

BPR_EPOCHS = 100


def ials(seed: int, ratings: Ratings, grid: Sequence[Options]) -> Iterator[tuple[Options, Baseline]]:
    """Yield ALS for implicit feedback; a shelf's vector is solved for, as in training.

    Minimises Σ_{(u,i) read} (1 − w_u·h_i)² + α₀ Σ_{all u,i} (w_u·h_i)² + λ (Σ_u n_u^ν ‖w_u‖² + Σ_i m_i^ν ‖h_i‖²), where
    n_u is u's books plus α₀ · all books, and m_i likewise. λ is scaled: the sum of λ n^ν is the same for every ν.
    Own code: ``implicit`` has the same regularisation for every row (ν = 0).
    Sources: Rendle et al., "Revisiting the Performance of iALS on Item Recommendation Benchmarks" (RecSys 2022), for
    the objective and its scaling; Takács et al., "Applications of the Conjugate Gradient Method for Implicit Feedback
    Collaborative Filtering" (RecSys 2011), for the solver.

    Options: ``factors``, ``unobserved`` (α₀), ``regularisation`` (λ), ``frequency`` (ν).
    """
    shelves = ratings.matrix()
    readers = shelves.T.tocsr()
    for options in grid:
        als, factors = Als.of(shelves, options), int(options["factors"])
        deviation = 0.1 / np.sqrt(factors)
        books = np.random.default_rng(seed).normal(0, deviation, (shelves.shape[1], factors)).astype(np.float32)
        users = np.zeros((shelves.shape[0], factors), np.float32)
        for _ in range(ALS_SWEEPS):
            users = als.solve(shelves, books, users, ALS_STEPS)
            books = als.solve(readers, users, books, ALS_STEPS)
        yield options, Baseline("iALS", partial(als.scores, books))


@dataclass(frozen=True, slots=True)
class Als:
    """The least squares of one side of iALS, given the other side's vectors.

    Attributes:
        unobserved: α₀.
        scale: λ, scaled.
        power: ν.
    """

    unobserved: float
    scale: float
    power: float

    @staticmethod
    def of(shelves: sp.csr_matrix, options: Options) -> Als:
        """Return it for shelves [users, items], which λ's scale depends on."""
        unobserved, power = options["unobserved"], options["frequency"]
        users, items = shelves.shape
        by_user = np.asarray(shelves.sum(axis=1), np.float64).ravel() + unobserved * items
        by_item = np.asarray(shelves.sum(axis=0), np.float64).ravel() + unobserved * users
        sizes = np.concatenate([by_user, by_item])
        return Als(unobserved, options["regularisation"] * float(sizes.sum() / (sizes**power).sum()), power)

    def scores(self, books: Floats, shelves: sp.csr_matrix) -> Floats:
        """Return the scores of any shelves, float32 [users, items]."""
        start = np.zeros((shelves.shape[0], books.shape[1]), np.float32)
        scored: Floats = self.solve(shelves, books, start, FOLD_IN_STEPS) @ books.T
        return scored

    def solve(self, shelves: sp.csr_matrix, vectors: Floats, start: Floats, steps: int) -> Floats:
        """Return the rows' vectors, float32 [rows, factors], by conjugate gradients for many rows at once.

        Args:
            shelves: CSR [rows, columns] of ones.
            vectors: the columns' vectors, float32 [columns, factors].
            start: where to start, float32 [rows, factors].
            steps: number of steps.
        """
        gram = np.float32(self.unobserved) * (vectors.T @ vectors)

        def some(first: int) -> Floats:
            rows = slice(first, first + ALS_ROWS)
            return self._solve_some(shelves[rows], vectors, gram, start[rows], steps)

        with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.concatenate([*pool.map(some, range(0, shelves.shape[0], ALS_ROWS)), start[:0]])

    def _solve_some(self, shelves: sp.csr_matrix, vectors: Floats, gram: Floats, start: Floats, steps: int) -> Floats:
        sizes = np.diff(shelves.indptr) + self.unobserved * len(vectors)
        ridge = (self.scale * sizes**self.power).astype(np.float32)[:, None]
        solved = start.copy()
        rest = shelves @ vectors - _normal_product(shelves, vectors, gram, ridge, solved)
        direction, square = rest.copy(), _squares(rest)
        for _ in range(steps):
            product = _normal_product(shelves, vectors, gram, ridge, direction)
            step = square / np.maximum(np.einsum("rf,rf->r", direction, product)[:, None], LEAST)
            solved += step * direction
            rest -= step * product
            before, square = square, _squares(rest)
            direction = rest + square / np.maximum(before, LEAST) * direction
        return solved


@cache
def _libraries() -> ThreadpoolController:
    """Return what sets the threads of the linear algebra; looking for its libraries takes longer than a small solve."""
    return ThreadpoolController()


def _normal_product(shelves: sp.csr_matrix, vectors: Floats, gram: Floats, ridge: Floats, rows: Floats) -> Floats:
    """Return the normal equations' matrix of each row, times this row of ``rows``."""
    owners = np.repeat(np.arange(shelves.shape[0]), np.diff(shelves.indptr))
    likeness = np.empty(len(owners), np.float32)
    for first in range(0, len(owners), PAIRS):
        some = slice(first, first + PAIRS)
        np.einsum("pf,pf->p", rows[owners[some]], vectors[shelves.indices[some]], out=likeness[some])
    observed = sp.csr_matrix((likeness, shelves.indices, shelves.indptr), shape=shelves.shape)
    product: Floats = rows @ gram + observed @ vectors + ridge * rows
    return product


def _squares(rows: Floats) -> Floats:
    squares: Floats = np.einsum("rf,rf->r", rows, rows)[:, None]
    return squares


def elsa(seed: int, ratings: Ratings, grid: Sequence[Options]) -> Iterator[tuple[Options, Baseline]]:
    """Yield ELSA: scores x·A·Aᵀ − x, where A's rows have length 1.

    Adam minimises Σ ‖x/‖x‖ − s/‖s‖‖² over readers; options that differ in their epochs alone share one training.
    Source: Vančura et al., "Scalable Linear Shallow Autoencoder for Collaborative Filtering" (RecSys 2022), eq. 4–7.

    Options: ``dims`` and ``epochs``.
    """
    shelves = ratings.matrix()
    shelves = shelves[np.flatnonzero(np.diff(shelves.indptr))]
    batch = max(1, min(ELSA_BATCH, shelves.shape[0] // ELSA_LEAST_BATCHES))
    for dims, several in groupby(sorted(grid, key=lambda o: (o["dims"], o["epochs"])), lambda o: int(o["dims"])):
        rng = np.random.default_rng(seed)
        deviation = np.sqrt(2 / (shelves.shape[1] + dims))  # Glorot and Bengio (AISTATS 2010), eq. 12
        raw = rng.normal(0, deviation, (shelves.shape[1], dims)).astype(np.float32)
        adam, done = _Adam(raw, ELSA_RATE), 0
        for options in several:
            for _ in range(done, int(options["epochs"])):
                order = rng.permutation(shelves.shape[0])
                for start in range(0, len(order), batch):
                    adam.step(elsa_gradient(raw, shelves[order[start : start + batch]]))
            done = int(options["epochs"])
            yield options, _elsa_scorer(raw / _norms(raw))


def elsa_gradient(raw: Floats, shelves: sp.csr_matrix) -> Floats:
    """Return the gradient of ELSA's loss, summed over ``shelves`` [users, items], for A as it is before normalisation.

    Args:
        raw: float32 [items, dims].
        shelves: CSR [users, items] of ones.
    """
    norms = _norms(raw)
    vectors = raw / norms
    shelf = shelves.toarray()
    wanted = shelf / _norms(shelf)
    readers = shelves @ vectors
    scores = readers @ vectors.T - shelf
    lengths = _norms(scores)
    scores /= lengths
    inner = np.einsum("ui,ui->u", wanted, scores)[:, None]
    by_score = -2 * (wanted - inner * scores) / lengths
    by_vector = by_score.T @ readers + shelves.T @ (by_score @ vectors)
    gradient: Floats = (by_vector - np.einsum("id,id->i", by_vector, vectors)[:, None] * vectors) / norms
    return gradient


def _elsa_scorer(vectors: Floats) -> Baseline:
    return Baseline(
        "ELSA", lambda shelves: (shelves @ vectors) @ vectors.T
    )  # the books of the shelf are left out anyway


def _norms(rows: Floats) -> Floats:
    norms: Floats = np.maximum(np.sqrt(_squares(rows)), np.float32(1e-12))
    return norms


class _Adam:
    """Adam on one array, in place. Source: Kingma and Ba (ICLR 2015), algorithm 1."""

    def __init__(self, values: Floats, rate: float) -> None:
        self.values, self.rate, self.steps = values, rate, 0
        self.mean, self.square = np.zeros_like(values), np.zeros_like(values)

    def step(self, gradient: Floats) -> None:
        self.steps += 1
        self.mean += np.float32(0.1) * (gradient - self.mean)
        self.square += np.float32(0.001) * (gradient**2 - self.square)
        rate = np.float32(self.rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps))
        self.values -= rate * self.mean / (np.sqrt(self.square) + np.float32(1e-8))


def bpr(seed: int, ratings: Ratings, grid: Sequence[Options]) -> Iterator[tuple[Options, Baseline]]:
    """Yield matrix factorisation by pairwise ranking, by ``implicit``, on one thread: with several, runs differ.

    A shelf of the training data has the vector that was learned for its reader. Any other has the mean vector of its
    books, at the learned vectors' mean length.
    Source: Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback" (UAI 2009), section 4.

    Options: ``factors``, ``rate``, ``regularisation``.
    """
    from implicit.bpr import BayesianPersonalizedRanking

    shelves = ratings.matrix()
    places = {row.indices.tobytes(): place for place, row in enumerate(shelves)}
    for options in grid:
        model = BayesianPersonalizedRanking(
            factors=int(options["factors"]),
            learning_rate=options["rate"],
            regularization=options["regularisation"],
            iterations=BPR_EPOCHS,
            num_threads=1,
            random_state=seed,
        )
        model.fit(shelves, show_progress=False)
        yield options, _bpr_scorer(model.user_factors, model.item_factors, places)


def _bpr_scorer(users: Floats, books: Floats, places: dict[bytes, int]) -> Baseline:
    own, biases = books[:, :-1], books[:, -1]  # the last column holds the books' biases; the readers' is 1
    length = float(np.linalg.norm(users[:, :-1], axis=1).mean())

    def scores(shelves: sp.csr_matrix) -> Floats:
        readers = np.asarray(shelves @ own)
        readers *= length / _norms(readers)
        for row, shelf in enumerate(shelves):
            place = places.get(shelf.indices.tobytes())
            if place is not None:
                readers[row] = users[place, :-1]
        scored: Floats = readers @ own.T + biases
        return scored

    return Baseline("BPR", scores)
