"""``make bench-quality``: the model, its baselines and the notebook's model on each split; out/quality.json, plots."""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data import OUT, read_split
from trainer.commands.evaluate import evaluate_split, show
from trainer.config import DEFAULTS, LOSS_WEIGHTS
from trainer.data import dataset
from trainer.evaluation import baselines, plots
from trainer.evaluation.ranking_baselines import Baseline
from trainer.metrics import OURS, finite, rmse

SMALL = ("dev1k_0", "dev1k_1", "dev1k_2", "dev1k_3")
LARGE = ("dev100k",)

NOTEBOOK_EPOCHS_LARGE = 10
"""Instead of 100 on the large split: an epoch takes a minute even without metrics, and overfitting starts at once."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("splits", nargs="*", default=[*SMALL, *LARGE])
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    arguments = parser.parse_args()
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    by_split = {}
    for split in arguments.splits:
        print(f"\n== {split}, seed {arguments.seed}")
        by_split[split] = _measure(split, arguments.seed)
    _summarise(by_split)
    OUT.mkdir(exist_ok=True)
    (OUT / "quality.json").write_text(json.dumps(finite(by_split), indent=1, allow_nan=False))
    print(f"\nwritten: {OUT}/quality.json, {OUT}/quality/*/report.html, {OUT}/quality/*.svg")


def _measure(split: str, seed: int) -> dict[str, Any]:
    train, test, books = read_split(split)
    config = replace(DEFAULTS, seed=seed, baselines=True)
    metrics = evaluate_split(train, test, books, config, OUT / "quality" / split)
    show(metrics)
    ratings = dataset.build(dataset.clean(train, foreign=True)[0], books, foreign=True)
    held_out = test[["userId", "isbn"]].assign(myRate=test["myRate"].astype(float))
    metrics["notebook"] = _notebook(ratings, held_out, seed)
    return metrics


def _notebook(ratings: dataset.Ratings, held_out: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the figures of the notebook's joint model by epoch, on the training and the test data."""
    from benchmarks import notebook_model

    epochs = notebook_model.EPOCHS if len(ratings.users) < DEFAULTS.small else NOTEBOOK_EPOCHS_LARGE
    rated = held_out[held_out["myRate"] > 0]
    own = ratings.stars > 0
    seen = [ratings.user_ids[user] for user in ratings.users[own]], [ratings.isbns[item] for item in ratings.items[own]]
    history: dict[str, list[float]] = {"rmse": [], "validation_rmse": []}

    def after_epoch(model: notebook_model.NotebookModel) -> None:
        trained = notebook_model.predict(model, *seen)
        held = notebook_model.predict(model, list(rated["userId"]), list(rated["isbn"]))
        history["rmse"].append(rmse(trained, ratings.stars[own]))
        history["validation_rmse"].append(rmse(held, rated["myRate"]))

    model, seconds = notebook_model.fit(
        ratings, LOSS_WEIGHTS["joint"], epochs=epochs, seed=seed, after_epoch=after_epoch
    )
    shelves = ratings.matrix()
    table = notebook_model.scores(model, ratings, np.arange(len(ratings.user_ids)))
    # A baseline is given shelves, but this model knows users, so each shelf is looked up among the training data.
    by_shelf = {row.indices.tobytes(): scores for row, scores in zip(shelves, table, strict=True)}
    nobody = np.zeros(len(ratings.isbns), np.float32)
    baseline = Baseline("notebook", lambda block: np.stack([by_shelf.get(r.indices.tobytes(), nobody) for r in block]))
    ranked = baselines.rank(baseline, ratings, held_out, seed)["metrics"]
    figures = {**ranked, "rmse": history["validation_rmse"][-1]}
    errors, best = history["validation_rmse"], int(np.argmin(history["validation_rmse"]))
    print(
        f"notebook, {epochs} joint epochs in {seconds:.0f} s: NDCG@10 {figures['ndcg']['mean']:.4f}, top-100 accuracy "
        f"{figures['top_100_accuracy']['mean']:.3f}, RMSE on train {history['rmse'][-1]:.3f}, on test {errors[-1]:.3f} "
        f"(least {errors[best]:.3f}, after epoch {best + 1})"
    )
    return {"epochs": epochs, "metrics": figures, "history": history, "seconds": seconds}


def _summarise(by_split: dict[str, Any]) -> None:
    print("\n== Targets")
    large = [by_split[name] for name in LARGE if name in by_split]
    small = [by_split[name] for name in SMALL if name in by_split]
    for name, group in (("dev100k", large), ("mean of the dev1k", small)):
        if not group:
            continue
        ndcg = _mean(group, "ndcg")
        errors = _mean(group, "rmse")
        rated = {k: v for k, v in errors.items() if k != OURS}
        ranked = {k: v for k, v in ndcg.items() if k != OURS}
        best, least = max(ranked, key=ranked.__getitem__), min(rated, key=rated.__getitem__)
        ratio = ndcg[OURS] / ranked[best] - 1
        print(f"{name}: NDCG@10 {ndcg[OURS]:.4f}, {best} {ranked[best]:.4f} ({ratio:+.1%})")
        print(f"{name}: RMSE {errors[OURS]:.4f}, {least} {rated[least]:.4f}, biases {errors['biases']:.4f}")
        coverage = {k: float(np.mean([_rows(g)[k]["coverage"] for g in group])) for k in ndcg}
        print(f"{name}: coverage {coverage[OURS]:.3f}, {best} {coverage[best]:.3f}")
    (OUT / "quality").mkdir(parents=True, exist_ok=True)
    for split, metrics in by_split.items():
        rows = _rows(metrics)
        shown = sorted(((n, r["ndcg"]) for n, r in rows.items() if "ndcg" in r), key=lambda r: -r[1]["mean"])
        drawn = {
            "ndcg": plots.intervals(dict(shown), f"NDCG@10 on {split}"),
            "coverage": plots.coverage(rows),
            "notebook": plots.curves({"notebook, joint": metrics["notebook"]["history"]}),
        }
        if metrics["cold_start"] and metrics["cold_start"]["models"]:
            drawn["cold_start"] = plots.cold_start(metrics["cold_start"])
            _check_cold_start(split, metrics["cold_start"])
        for name, text in drawn.items():
            (OUT / "quality" / f"{split}_{name}.svg").write_text(text)


def _check_cold_start(split: str, curve: dict[str, Any]) -> None:
    for place, size in enumerate(curve["sizes"]):
        means = {name: points[place]["mean"] for name, points in curve["models"].items()}
        ours = means.pop(OURS)
        best = max(means, key=means.__getitem__)
        verdict = "at least as good" if ours >= means[best] else "MISSED"
        print(f"{split}: {size} entries: {ours:.4f}, {best} {means[best]:.4f}: {verdict}")


def _rows(metrics: dict[str, Any]) -> dict[str, Any]:
    return {OURS: metrics["model"], **metrics["baselines"], "notebook": metrics["notebook"]["metrics"]}


def _mean(group: list[dict[str, Any]], measure: str) -> dict[str, float]:
    """Return the mean of a measure over splits, for each model that has it."""
    names = [name for name, row in _rows(group[0]).items() if measure in row]
    values = {name: [_rows(metrics)[name][measure] for metrics in group] for name in names}
    return {n: float(np.mean([v["mean"] if isinstance(v, dict) else v for v in row])) for n, row in values.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
