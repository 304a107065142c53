"""Files of a model with random weights of realistic shape, for measurements that depend only on a model's size."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.data import OUT
from bookrec.life_cycle.manifest import ITEMS, RECOMMEND_MODEL

if TYPE_CHECKING:
    from trainer.serving.item_item import ServingModel

BOOKS = 10_000
ROOT = Path(__file__).resolve().parent.parent
MADE_BY = (
    "benchmarks/random_model.py",
    "trainer/serving/tf_graph.py",
    "trainer/serving/tflite.py",
    "trainer/serving/item_item.py",
)


def isbns(books: int = BOOKS) -> tuple[str, ...]:
    """Return the books' ISBNs, ascending, 14 characters each as the app writes them."""
    return tuple(f"0978{book:010}" for book in range(books))


def make(seed: int) -> ServingModel:
    """Return a model for ``BOOKS`` books."""
    from trainer.config import DEFAULTS
    from trainer.data.features import Facts
    from trainer.serving.biases import Biases
    from trainer.serving.item_item import Reranker, ServingModel, Table
    from trainer.serving.reranker_features import FEATURES

    rng = np.random.default_rng(seed)

    popularity = rng.random(BOOKS).astype(np.float32)

    def table(width: int) -> Table:
        """Return a table in which each book is predicted from others, popular ones four times as often as the rest."""
        often = np.where(popularity > np.quantile(popularity, 0.9), 4.0, 1.0)
        near = np.stack([rng.choice(BOOKS, width, replace=False, p=often / often.sum()) for _ in range(BOOKS)])
        by_book = Table.of(near.astype(np.int32), rng.gamma(1, 0.1, near.shape).astype(np.float32))
        return Table(by_book.matrix.T.tocsr(), 0.5)

    vectors = rng.normal(size=(BOOKS, max(dim for _, dim in DEFAULTS.embedding_dims)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = rng.integers(-1, 4_000, (2, BOOKS)).astype(np.int32)
    facts = Facts(groups[0], rng.integers(0, 8, BOOKS).astype(np.float32), groups[1])
    networks, width, count = DEFAULTS.reranker_members, DEFAULTS.reranker_width, len(FEATURES)
    reranker = Reranker(
        np.full(count, -5, np.float32),
        np.full(count, 5, np.float32),
        np.zeros(count, np.float32),
        np.ones(count, np.float32),
        rng.normal(0, 0.1, (networks, count, width)).astype(np.float32),
        np.zeros((networks, width), np.float32),
        rng.normal(0, 0.1, (networks, width)).astype(np.float32),
    )
    return ServingModel(
        isbns(),
        (table(DEFAULTS.neighbours), table(DEFAULTS.ridge_weights // BOOKS)),
        vectors.astype(np.float32),
        popularity,
        Biases(3.9, rng.normal(0, 0.3, BOOKS).astype(np.float32), DEFAULTS.user_shrinkage),
        facts,
        0.5,
        0.5,
        reranker,
    )


def files(seed: int) -> dict[str, bytes]:
    """Return the exported files by name.

    A separate process makes them, so that the measuring process does not load TensorFlow. They are made once for the
    same seed and code, because that takes half a minute.
    """
    code = b"".join((ROOT / name).read_bytes() for name in MADE_BY)
    folder = OUT / "bench" / f"model-{hashlib.sha256(code + str(seed).encode()).hexdigest()[:12]}"
    if not (folder / ITEMS).exists():
        words = [sys.executable, "-m", "benchmarks.random_model", str(folder), f"--seed={seed}"]
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {name: (folder / name).read_bytes() for name in (RECOMMEND_MODEL, ITEMS)}


def main() -> None:
    """Make the files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.random_model", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    from trainer.serving import tflite

    made = tflite.export(make(arguments.seed))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in (RECOMMEND_MODEL, ITEMS):
        (arguments.folder / name).write_bytes(made[name])


if __name__ == "__main__":
    main()
