"""Training: ratings per second, time to the target, memory and growth, compared with the notebook and other libraries.

Each row is measured in a separate process, because of its peak memory. LensKit is not among the requirements:
``BASELINES_PYTHON`` names a Python with ``lenskit==2025.8.1``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import synthetic
from benchmarks.data import keep, read_split
from trainer.config import DEFAULTS, LOSS_WEIGHTS
from trainer.data import dataset
from trainer.data.dataset import Ratings

TARGET_SHARE = 0.99
"""The target is this share of the best validation NDCG@10 of a training."""

NOTEBOOK_ENTRIES = 640
"""The notebook's loop is measured on this many entries, twenty of its steps: an epoch would take minutes."""

FACTORS, ITERATIONS = 128, 15
"""Of both ALS models: implicit's defaults, except for the factors, as in the quality benchmark."""

MOST_TIMES_THE_TIME = 12.0
"""For ten times the ratings."""

_LENSKIT = """
import json, resource, sys, time, warnings
import numpy as np, pandas as pd
warnings.simplefilter("ignore")
from lenskit.als import ImplicitMFScorer
from lenskit.data import from_interactions_df
ratings = np.load(sys.argv[1])
data = from_interactions_df(pd.DataFrame({"user_id": ratings["users"], "item_id": ratings["items"]}))
model = ImplicitMFScorer(embedding_size=int(sys.argv[2]), epochs=int(sys.argv[3]))
began = time.perf_counter()
model.train(data)
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def measure(seed: int, quick: bool) -> dict[str, Any]:
    """Return rows by data set and model, and the cost of the last data set relative to the one before."""
    sets = ["synthetic-20000", "synthetic-200000"] if quick else ["dev100k", "synthetic-1000000", "synthetic-10000000"]
    figures: dict[str, Any] = {"seed": seed, "quick": quick, "data": {}}
    for name in sets:
        rows = {kind: in_process(kind, name, seed, quick) for kind in ("batch", "catalogue", "implicit", "LensKit")}
        if not quick and name != sets[-2]:
            rows["notebook"] = in_process("notebook", name, seed, quick)
        figures["data"][name] = rows
        _show(name, rows)
    figures["targets"] = [_growth(kind, figures["data"], sets[-2:]) for kind in ("batch", "catalogue")]
    for row in figures["targets"]:
        print(f"{row['name']}: {row['measured']:.1f} (target {row['bound']:.0f}): {'met' if row['met'] else 'MISSED'}")
    return figures


def _growth(kind: str, data: dict[str, Any], sets: list[str]) -> dict[str, Any]:
    small, large = (data[name][kind]["epoch_seconds"] for name in sets)
    name = f"{kind} negatives, an epoch of {sets[1]} in epochs of {sets[0]}"
    return {
        "name": name,
        "measured": large / small,
        "bound": MOST_TIMES_THE_TIME,
        "met": large / small <= MOST_TIMES_THE_TIME,
    }


def _show(name: str, rows: dict[str, Any]) -> None:
    print(f"\n== {name}")
    for kind, row in rows.items():
        if "missing" in row:
            print(f"{kind:>10}: {row['missing']}")
            continue
        target = f", to {TARGET_SHARE:.0%} of its best NDCG@10 {row['target_seconds']:.1f} s" if "best" in row else ""
        print(
            f"{kind:>10}: {row['entries'] / row['epoch_seconds']:,.0f} ratings/s, {row['epoch_seconds']:.2f} s an epoch"
            f"{target}, {row['peak_mb']:.0f} MB at most ({row['entries']:,} entries, {row['epochs']} epochs run)"
        )


def in_process(kind: str, name: str, seed: int, quick: bool) -> dict[str, Any]:
    """Return one row, measured in a separate process; ``quick`` runs two of our epochs.

    Raises:
        RuntimeError: the process failed; the message has the end of its output.
    """
    if kind == "LensKit" and not os.environ.get("BASELINES_PYTHON"):
        return {"missing": "BASELINES_PYTHON does not name an environment with LensKit"}
    words = [sys.executable, "-m", "benchmarks.training", "--one", kind, "--data", name, "--seed", str(seed)]
    done = subprocess.run([*words, *(["--quick"] if quick else [])], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kind} on {name} ended with {done.returncode}: {done.stderr[-2000:]}")
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _load(name: str, seed: int) -> tuple[Ratings, Any]:
    """Return the ratings of a data set and its catalogue."""
    if name.startswith("synthetic-"):
        made = synthetic.make(int(name.removeprefix("synthetic-")), seed)
        return made.ratings(), made.catalogue()
    train, _, books = read_split(name)
    return dataset.build(dataset.clean(train, foreign=True)[0], books, foreign=True), books


def _one(kind: str, name: str, seed: int, quick: bool) -> dict[str, Any]:
    ratings, books = _load(name, seed)
    run: Callable[[], dict[str, Any]]
    if kind in dict(DEFAULTS.embedding_dims):
        row = _ours(kind, ratings, books, seed, 2 if quick else DEFAULTS.epochs)
    else:
        run = {"implicit": lambda: _implicit(ratings, seed), "LensKit": lambda: _lenskit(ratings)}.get(
            kind, lambda: _notebook(ratings, seed)
        )
        row = {"entries": len(ratings.users), **run()}
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **row}


def _ours(kind: Any, ratings: Ratings, books: Any, seed: int, epochs: int) -> dict[str, Any]:
    from dataclasses import replace

    from trainer.data.features import item_features
    from trainer.model.train_loop import Steps, learn
    from trainer.model.validation import Validation

    config = replace(DEFAULTS, seed=seed)
    held = dataset.holdout(ratings, config.validation_fraction, seed)
    part = ratings.select(~held)
    validation = Validation(part, ratings.select(held))
    features = item_features(ratings.isbns, books, config.features)
    learned = learn(part, Steps(features, config, keep=False), kind, validation, epochs)
    figures, seconds = learned.history["ndcg"], learned.seconds
    reached = next(n for n, figure in enumerate(figures, 1) if figure >= TARGET_SHARE * max(figures))
    return {
        "entries": len(part.users),
        "epoch_seconds": float(np.median(seconds[1:])),  # the first one compiles
        "epochs": len(figures),
        "target_seconds": sum(seconds[:reached]),
        "best": max(figures),
    }


def _implicit(ratings: Ratings, seed: int) -> dict[str, Any]:
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=FACTORS, iterations=ITERATIONS, random_state=seed)
        began = time.perf_counter()
        model.fit(ratings.matrix(), show_progress=False)
    return {"epoch_seconds": (time.perf_counter() - began) / ITERATIONS, "epochs": ITERATIONS}


def _lenskit(ratings: Ratings) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.npz"
        np.savez(path, users=ratings.users, items=ratings.items)
        words = [os.environ["BASELINES_PYTHON"], "-c", _LENSKIT, str(path), str(FACTORS), str(ITERATIONS)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    return {"epoch_seconds": row["seconds"] / ITERATIONS, "epochs": ITERATIONS, "peak_mb": row["peak_mb"]}


def _notebook(ratings: Ratings, seed: int) -> dict[str, Any]:
    """Measure some steps of an epoch, including the metrics that the notebook computes in each step."""
    from benchmarks import notebook_model

    rows = np.zeros(len(ratings.users), bool)
    rows[np.random.default_rng(seed).choice(len(rows), min(NOTEBOOK_ENTRIES, len(rows)), replace=False)] = True
    part = ratings.select(rows)
    _, first = notebook_model.fit(part, LOSS_WEIGHTS["joint"], epochs=1, with_metrics=True, seed=seed)
    _, both = notebook_model.fit(part, LOSS_WEIGHTS["joint"], epochs=2, with_metrics=True, seed=seed)
    share = (both - first) / len(part.users)  # the first epoch traces the graph
    return {"epoch_seconds": share * len(ratings.users), "epochs": 0, "steps_run_on": len(part.users)}


def main() -> None:
    """Run the benchmark, or one row of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small synthetic data, two epochs, no notebook")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_one(arguments.one, arguments.data, arguments.seed, arguments.quick)))
        return
    figures = measure(arguments.seed, arguments.quick)
    print(f"\nwritten: {keep('training', figures)}")


if __name__ == "__main__":
    main()
