"""Each ranking baseline against its formula, written out with dense matrices and loops."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp

from trainer.data.dataset import Ratings
from trainer.evaluation import ranking_baselines
from trainer.evaluation.factor_baselines import Als, bpr, elsa, elsa_gradient, ials
from trainer.evaluation.ranking_baselines import Baseline, ease_models, item_knn, popularity_models, rp3beta, slim
from trainer.serving.item_item import MASKED

USERS, ITEMS = 30, 17


def ratings_of(shelves):
    users, items = np.nonzero(shelves)
    return Ratings(
        tuple(f"reader-{user:02}" for user in range(shelves.shape[0])),
        tuple(f"book-{item:02}" for item in range(shelves.shape[1])),
        users.astype(np.int32),
        items.astype(np.int32),
        np.zeros(len(users), np.float32),
        np.full(len(users), -1, np.int64),
    )


@pytest.fixture
def shelves():
    rng = np.random.default_rng(3)
    dense = rng.random((USERS, ITEMS)) < np.linspace(0.6, 0.1, ITEMS)
    dense[:, 5] = False  # a book that nobody has
    dense[4] = False  # a reader without books
    return dense.astype(np.float64)


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    monkeypatch.setattr(ranking_baselines, "PRODUCT_ROWS", 5)
    monkeypatch.setattr(ranking_baselines, "SLIM_BOOKS", 4)
    monkeypatch.setattr("trainer.evaluation.factor_baselines.ALS_ROWS", 7)
    monkeypatch.setattr("trainer.evaluation.factor_baselines.PAIRS", 11)


def scored(fits, shelves, grid):
    """Return by options what each fitted model gives the shelves that it was fitted to."""
    models = {tuple(sorted(options.items())): model for options, model in fits(ratings_of(shelves), grid)}
    asked = sp.csr_matrix(shelves, dtype=np.float32)
    return [np.asarray(models[tuple(sorted(options.items()))].scores(asked)) for options in grid]


def greatest(values, k):
    return sorted((place for place in range(len(values)) if values[place] > 0), key=lambda p: (-values[p], p))[:k]


def test_popularity_is_the_same_for_everybody(shelves):
    (scores,) = scored(popularity_models, shelves, [{}])
    assert (scores == scores[0]).all()
    assert (np.argsort(-scores[0], kind="stable") == np.argsort(-shelves.sum(0), kind="stable")).all()


def test_item_knn_adds_the_shrunken_cosines_of_the_nearest(shelves):
    grid = [{"k": k, "shrink": shrink} for k in (3, 30, 6) for shrink in (0.0, 4.0)]
    for options, scores in zip(grid, scored(item_knn, shelves, grid), strict=True):
        expected = np.zeros_like(shelves)
        for book in range(ITEMS):
            norms = np.sqrt(shelves.sum(0) * shelves[:, book].sum())
            cosines = shelves.T @ shelves[:, book] / np.maximum(norms + options["shrink"], 1e-9)
            cosines[book] = 0
            for near in greatest(cosines, options["k"]):
                expected[:, book] += shelves[:, near] * cosines[near]
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


def test_rp3beta_walks_three_steps_and_holds_popular_books_back(shelves):
    values = {"alpha": (0.4, 1.0), "beta": (0.2, 0.6), "k": (4, 30), "by_target": (0, 1)}
    grid = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    to_books = shelves / np.maximum(shelves.sum(1, keepdims=True), 1)
    to_readers = (shelves / np.maximum(shelves.sum(0), 1)).T
    for options, scores in zip(grid, scored(rp3beta, shelves, grid), strict=True):
        weights = to_readers ** options["alpha"] @ to_books ** options["alpha"]
        weights /= np.maximum(shelves.sum(0), 1) ** options["beta"]
        np.fill_diagonal(weights, 0)
        kept = np.zeros_like(weights)
        for book in range(ITEMS):
            one = (slice(None), book) if options["by_target"] else book
            near = greatest(weights[one], options["k"])
            kept[one][near] = weights[one][near]
        np.testing.assert_allclose(scores, shelves @ kept, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("most", [ITEMS, 9])
@pytest.mark.parametrize("with_metadata", [False, True])
def test_ease_is_the_inverse_of_the_gram_matrix_of_the_most_rated_books(shelves, most, with_metadata):
    features = np.random.default_rng(0).random((ITEMS, 4))
    grid = [{"regularisation": 10.0, "feature_weight": w} for w in (1.0, 3.0)]
    given = sp.csr_matrix(features, dtype=np.float32) if with_metadata else None
    fitted = np.sort(np.argsort(-shelves.sum(0), kind="stable")[:most])
    others = np.setdiff1d(np.arange(ITEMS), fitted)

    def fits(ratings, grid):
        return ease_models(given, most, ratings, grid)

    for options, scores in zip(grid, scored(fits, shelves, grid), strict=True):
        part = shelves[:, fitted]
        gram = part.T @ part + 10.0 * np.eye(most)
        if with_metadata:
            gram += options["feature_weight"] ** 2 * features[fitted] @ features[fitted].T
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        np.testing.assert_allclose(scores[:, fitted], part @ weights, rtol=1e-3, atol=1e-4)
        assert (scores[:, others] < scores[:, fitted].min()).all()
        assert (scores > MASKED).all()


def test_slim_minimises_its_elastic_net_over_the_nearest_books(shelves, monkeypatch):
    monkeypatch.setattr(ranking_baselines, "SLIM_SWEEPS", 2000)
    monkeypatch.setattr(ranking_baselines, "SLIM_CHANGE", 1e-7)
    grid = [{"k": k, "l1": l1, "l2": l2} for k in (4, 30) for l1 in (0.1, 1.0) for l2 in (1.0, 5.0)]
    norms = np.sqrt(np.maximum(shelves.sum(0), 1))
    cosines = shelves.T @ shelves / np.outer(norms, norms)
    np.fill_diagonal(cosines, 0)
    for options, scores in zip(grid, scored(slim, shelves, grid), strict=True):
        weights = np.zeros((ITEMS, ITEMS))
        for book in range(ITEMS):
            near = greatest(cosines[book], options["k"])
            if near:
                gram = shelves[:, near].T @ shelves[:, near] + options["l2"] * np.eye(len(near))
                root = np.linalg.cholesky(gram)
                target = shelves[:, near].T @ shelves[:, book] - options["l1"]
                weights[near, book] = scipy.optimize.nnls(
                    root.T, scipy.linalg.solve_triangular(root, target, lower=True)
                )[0]
        np.testing.assert_allclose(scores, shelves @ weights, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_ials_solves_the_normal_equations_of_its_objective(shelves, power):
    options = {"factors": 6, "unobserved": 0.2, "regularisation": 0.05, "frequency": power}
    als = Als.of(sp.csr_matrix(shelves), options)
    sizes = np.concatenate([shelves.sum(1) + 0.2 * ITEMS, shelves.sum(0) + 0.2 * USERS])
    assert (als.scale * sizes**power).sum() == pytest.approx(0.05 * sizes.sum())
    books = np.random.default_rng(1).normal(size=(ITEMS, 6))
    start = np.zeros((USERS, 6), np.float32)
    solved = als.solve(sp.csr_matrix(shelves, dtype=np.float32), books.astype(np.float32), start, 40)
    for reader in range(USERS):
        own = books[shelves[reader] > 0]
        matrix = 0.2 * books.T @ books + own.T @ own + als.scale * sizes[reader] ** power * np.eye(6)
        np.testing.assert_allclose(solved[reader], np.linalg.solve(matrix, own.sum(0)), rtol=1e-2, atol=1e-3)


def test_elsa_goes_down_the_gradient_of_its_loss(shelves):
    own = shelves[shelves.sum(1) > 0][:5]
    raw = np.random.default_rng(2).normal(size=(ITEMS, 4))

    def loss(values):
        vectors = values / np.linalg.norm(values, axis=1, keepdims=True)
        scores = own @ vectors @ vectors.T - own
        lengths = np.linalg.norm(scores, axis=1, keepdims=True)
        return ((own / np.linalg.norm(own, axis=1, keepdims=True) - scores / lengths) ** 2).sum()

    gradient = elsa_gradient(raw.astype(np.float32), sp.csr_matrix(own, dtype=np.float32))
    for item, dim in itertools.product(range(ITEMS), range(4)):
        moved = np.zeros_like(raw)
        moved[item, dim] = 1e-5
        slope = (loss(raw + moved) - loss(raw - moved)) / 2e-5
        assert gradient[item, dim] == pytest.approx(slope, abs=1e-3)


def test_elsa_that_is_trained_on_is_what_training_at_once_gives(shelves):
    several = scored(lambda ratings, grid: elsa(1, ratings, grid), shelves, [{"dims": 8, "epochs": e} for e in (2, 5)])
    (alone,) = scored(lambda ratings, grid: elsa(1, ratings, grid), shelves, [{"dims": 8, "epochs": 5}])
    np.testing.assert_array_equal(several[1], alone)
    assert np.abs(several[0] - alone).max() > 1e-3


def tastes(readers=60, books=40, kinds=4):
    """Return shelves of readers who have books of one kind only, and of each reader the books of the kind not read."""
    rng = np.random.default_rng(5)
    own = (np.arange(readers)[:, None] % kinds) == (np.arange(books)[None, :] % kinds)
    shelves = own & (rng.random((readers, books)) < 0.7)
    return shelves.astype(np.float64), own & ~shelves


@pytest.mark.parametrize(
    ("fits", "options"),
    [
        (item_knn, {"k": 10, "shrink": 0.0}),
        (rp3beta, {"k": 10, "alpha": 1.0, "beta": 0.2, "by_target": 0}),
        (slim, {"k": 10, "l1": 0.1, "l2": 1.0}),
        (lambda *a: ease_models(None, 40, *a), {"regularisation": 5.0}),
        (lambda *a: ials(1, *a), {"factors": 8, "unobserved": 0.1, "regularisation": 0.01, "frequency": 1.0}),
        (lambda *a: elsa(1, *a), {"dims": 16, "epochs": 10}),
        (lambda *a: bpr(1, *a), {"factors": 8, "rate": 0.05, "regularisation": 0.01}),
    ],
    ids=["item-kNN", "RP3beta", "SLIM", "EASE", "iALS", "ELSA", "BPR"],
)
def test_what_readers_of_the_same_taste_have_comes_first_for_known_and_new_readers(fits, options):
    shelves, missing = tastes()
    ((_, model),) = fits(ratings_of(shelves), [options])
    for shelf, wanted in ((shelves, missing), (shelves[:4] * (np.arange(40) < 24), None)):
        wanted = (np.arange(4)[:, None] == np.arange(40)[None, :] % 4) & ~(shelf > 0) if wanted is None else wanted
        top = model.top(sp.csr_matrix(shelf, dtype=np.float32), 40)
        hits = [
            wanted[row, items[: int(wanted[row].sum())]].mean() for row, items in enumerate(top) if wanted[row].any()
        ]
        assert np.mean(hits) > 0.9


def test_the_best_items_are_those_of_a_full_sort_with_ties_by_index():
    rng = np.random.default_rng(0)
    scores = rng.integers(-3, 4, (300, 50)).astype(np.float32) * np.float32(0.5)
    scores[rng.random(scores.shape) < 0.1] = -0.0
    scores[:, 7] = MASKED / 2
    shelves = sp.csr_matrix((rng.random((300, 50)) < 0.2).astype(np.float32))
    model = Baseline("planted", lambda block: scores[:256] if block.shape[0] == 256 else scores[256:])
    masked = np.where(shelves.toarray() > 0, MASKED, scores)
    expected = np.argsort(-masked, axis=1, kind="stable")
    np.testing.assert_array_equal(model.top(shelves, 12), expected[:, :12])
    np.testing.assert_array_equal(model.top(shelves, 100), expected)
