"""``make bench-quality``: the model and its baselines on each set of ratings; writes out/quality.json and plots.

Each result is written to out/quality/SET/seedN.json as soon as it is there. If the code has not changed since, the next
start takes it from there.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import logging
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data import DATA, OUT, Set, quality_sets
from trainer.commands.evaluate import evaluate_split, show
from trainer.config import DEFAULTS, LOSS_WEIGHTS, Config
from trainer.data import dataset
from trainer.evaluation import baselines, plots
from trainer.evaluation.cold_books import cold_books
from trainer.evaluation.ranking_baselines import Baseline
from trainer.metrics import OURS, finite, rmse
from trainer.model.fit import fit

FOLDER = OUT / "quality"

NOTEBOOK = "notebook"
NOTEBOOK_LARGE, NOTEBOOK_EPOCHS_LARGE = 20_000, 10
"""With so many entries it runs so many epochs instead of 100: one takes a minute even without metrics, and overfitting
starts at once."""

COLD = "cold_books_of_all"

MOST_LOST = 0.01
"""By adding books that nobody has, so much of NDCG@10 on rated books may be lost."""


@dataclass(frozen=True, slots=True)
class Result:
    """A set's figures: a result of ``evaluate_split`` for each seed, the first with baselines; or why it failed."""

    runs: Sequence[Mapping[str, Any]]
    failed: str = ""

    @property
    def rows(self) -> dict[str, Mapping[str, Any]]:
        """Metrics by model, of the first seed."""
        first = self.runs[0]
        notebook = {NOTEBOOK: first[NOTEBOOK]["metrics"]} if NOTEBOOK in first else {}
        return {OURS: first["model"], **first["baselines"], **notebook}

    def values(self, name: str, measure: str) -> list[float]:
        """Return a model's mean, of each seed for ours; none if the model has no such figure."""
        rows = [run["model"] for run in self.runs] if name == OURS else [self.rows.get(name, {})]
        values = [row[measure] for row in rows if row.get(measure) is not None]
        return [value["mean"] if isinstance(value, Mapping) else value for value in values]


def main() -> int:
    """Run the benchmark."""
    known = quality_sets()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"run only these: {', '.join(known)}")
    parser.add_argument("--seeds", type=_seeds, default=[42, 43, 44], help="of the training; the splits are fixed")
    parser.add_argument("--quick", action="store_true", help="the first seed only, without the notebook's model")
    parser.add_argument("--again", action="store_true", help="measure again what was measured with the same code")
    arguments = parser.parse_args()
    unknown = set(arguments.sets) - set(known)
    if unknown:
        parser.error(f"unknown set {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
    code = _code()
    results: dict[str, Result] = {}
    for one in known.values():
        if not arguments.sets or one.name in arguments.sets:
            results[one.name] = _result(
                one, seeds, code, with_notebook=one.with_notebook and not arguments.quick, again=arguments.again
            )
            _keep(results, [known[name] for name in results], seeds, code)
    shown = [known[name] for name in results]
    print("\n== Figures\n" + "\n".join(_table(results, shown)))
    print("\n== Targets\n" + "\n".join(_verdicts(_targets(results, shown))))
    print(f"\nwritten: {OUT}/quality.json, {FOLDER}/*/report.html, {FOLDER}/*.svg")
    return int(any(result.failed for result in results.values()))


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _code() -> str:
    """Return a hash of the code that the figures depend on, committed or not."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for folder in ("trainer", "functions/bookrec", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _result(one: Set, seeds: Sequence[int], code: str, *, with_notebook: bool, again: bool) -> Result:
    """Return a set's figures, measured now or before; a set that fails does not end the others."""
    runs: list[Mapping[str, Any]] = []
    for seed in seeds:
        kept = FOLDER / one.name / f"seed{seed}.json"
        is_first = not runs
        asked = {"code": code, "data": str(DATA), "baselines": is_first, NOTEBOOK: with_notebook and is_first}
        record = json.loads(kept.read_text()) if kept.exists() and not again else {}
        if all(record.get(name) in (value, True) for name, value in asked.items()):
            print(f"\n== {one.name}, seed {seed}: from {kept}", flush=True)
            runs.append(record["metrics"])
            continue
        print(f"\n== {one.name}, seed {seed}", flush=True)
        try:
            metrics = finite(_measure(one, seed, is_first=is_first, with_notebook=with_notebook and is_first))
        except Exception as problem:
            traceback.print_exc()
            return Result(runs, f"seed {seed}: {type(problem).__name__}: {problem}")
        kept.write_text(json.dumps({**asked, "metrics": metrics}, indent=1, allow_nan=False))
        runs.append(metrics)
    return Result(runs)


def _measure(one: Set, seed: int, *, is_first: bool, with_notebook: bool) -> dict[str, Any]:
    import tensorflow as tf

    tf.keras.backend.clear_session()
    gc.collect()
    _forget_peak()
    train, test, books = one.read()
    config = replace(DEFAULTS, seed=seed, baselines=is_first)
    folder = FOLDER / one.name if is_first else FOLDER / one.name / f"seed{seed}"
    began = time.monotonic()
    usable, dropped = dataset.clean(train, foreign=True)
    metrics = evaluate_split(
        usable,
        test,
        books,
        config,
        folder,
        step=lambda name: print(f"{time.monotonic() - began:6.0f} s: {name}", flush=True),
        dropped=dropped,
    )
    show(metrics)
    if one.cold_target and is_first:
        metrics[COLD] = _cold(pd.concat([train, test], ignore_index=True), books, replace(config, baselines=False))
    if with_notebook:
        ratings = dataset.build(usable, books, foreign=True)
        held_out = test[["userId", "isbn"]].assign(myRate=test["myRate"].astype(float))
        metrics[NOTEBOOK] = _notebook(ratings, held_out, seed)
    return metrics


def _cold(rows: pd.DataFrame, books: pd.DataFrame | None, config: Config) -> Mapping[str, Any]:
    """Return the figures of cold books among ``rows``."""
    ratings = dataset.build(dataset.clean(rows, foreign=True)[0], books, foreign=True)
    figures = cold_books(ratings, books, config, lambda part: fit(part, books, config).serving.blend)
    for name, row in figures["models"].items():
        print(f"cold books among all ratings, {name}: NDCG@10 {row['mean']:.4f}")
    return figures


def _forget_peak() -> None:
    """Let the process's peak memory start again from what it has now, where the system can do that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak memory is that of all sets so far")


def _notebook(ratings: dataset.Ratings, held_out: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the figures of the notebook's joint model by epoch, on the training and the test data."""
    from benchmarks import notebook_model

    epochs = notebook_model.EPOCHS if len(ratings.users) < NOTEBOOK_LARGE else NOTEBOOK_EPOCHS_LARGE
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
    baseline = Baseline(NOTEBOOK, lambda block: np.stack([by_shelf.get(r.indices.tobytes(), nobody) for r in block]))
    ranked = baselines.rank(baseline, ratings, held_out, seed)["metrics"]
    figures = {**ranked, "rmse": history["validation_rmse"][-1]}
    errors, best = history["validation_rmse"], int(np.argmin(history["validation_rmse"]))
    print(
        f"notebook, {epochs} joint epochs in {seconds:.0f} s: NDCG@10 {figures['ndcg']['mean']:.4f}, top-100 accuracy "
        f"{figures['top_100_accuracy']['mean']:.3f}, RMSE on train {history['rmse'][-1]:.3f}, on test {errors[-1]:.3f} "
        f"(least {errors[best]:.3f}, after epoch {best + 1})"
    )
    return {"epochs": epochs, "metrics": figures, "history": history, "seconds": seconds}


def _summary(result: Result) -> dict[str, dict[str, float]]:
    """Return the model's figures over the seeds: mean, interval over readers (mean of the seeds'), least and most."""
    summary = {}
    for measure, value in result.runs[0]["model"].items() if result.runs else ():
        if isinstance(value, Mapping):
            of_seeds = [run["model"][measure] for run in result.runs if measure in run["model"]]
            means = [one["mean"] for one in of_seeds]
            summary[measure] = {
                **{part: float(np.mean([one[part] for one in of_seeds])) for part in ("mean", "low", "high")},
                "least_seed": min(means),
                "most_seed": max(means),
            }
        elif value is not None:
            values = result.values(OURS, measure)
            summary[measure] = {"mean": float(np.mean(values)), "least_seed": min(values), "most_seed": max(values)}
    return summary


def _table(results: Mapping[str, Result], sets: Sequence[Set]) -> Iterator[str]:
    heads = f"{'NDCG@10':>8} {'95%':>13} {'seeds':>13} {'rated':>7} {'RMSE':>7} {'seconds':>8} {'MB':>6}"
    yield f"{'':14} {heads}  best baseline"
    for one in sets:
        result, summary = results[one.name], _summary(results[one.name])
        if result.failed:
            yield f"{one.name:14} FAILED: {result.failed}"
        if "ndcg" not in summary:
            continue
        ndcg, first = summary["ndcg"], result.runs[0]
        best = _best(_means([result], "ndcg"))
        cells = (
            f"{ndcg['mean']:8.4f}",
            f"{ndcg['low']:.4f}–{ndcg['high']:.4f}",
            f"{ndcg['least_seed']:.4f}–{ndcg['most_seed']:.4f}",
            f"{summary['ndcg_rated']['mean']:7.4f}" if "ndcg_rated" in summary else f"{'–':>7}",
            f"{summary['rmse']['mean']:7.4f}" if "rmse" in summary else f"{'–':>7}",
            f"{sum(first['seconds'].values()):8.0f}",
            f"{first['peak_memory_mb']:6.0f}",
        )
        yield f"{one.name:14} {' '.join(cells)}  {best[0]} {best[1]:.4f}"


def _means(group: Sequence[Result], measure: str) -> dict[str, float]:
    """Return the mean of a measure over sets and seeds, for each model that has it in all of these sets."""
    means = {}
    for name in group[0].rows:
        values = [result.values(name, measure) for result in group]
        if all(values):
            means[name] = float(np.mean([np.mean(of_set) for of_set in values]))
    return means


def _best(means: Mapping[str, float]) -> tuple[str, float]:
    """Return the best baseline with its figure."""
    others = {name: value for name, value in means.items() if name != OURS}
    name = max(others, key=lambda name: (others[name], name))
    return name, others[name]


def _targets(results: Mapping[str, Result], sets: Sequence[Set]) -> list[dict[str, Any]]:
    """Return each target as ``name``, ``measured``, ``bound``, ``met`` and ``note``; a set that failed misses it."""
    groups: dict[str, list[Set]] = {}
    for one in sets:
        groups.setdefault(one.group, []).append(one)
    rows = []
    for name, members in groups.items():
        failed = next((results[one.name].failed for one in members if results[one.name].failed), "")
        if failed:
            rows.append(_row(f"{name}: failed ({failed})", float("nan"), members[0].target, met=False))
            continue
        rows += _of_group(members[0], [results[one.name] for one in members], results)
        for one in members:
            rows += _of_unseen_readers(one.name, results[one.name].runs[0]["cold_start"])
    return rows


def _of_group(one: Set, group: Sequence[Result], results: Mapping[str, Result]) -> Iterator[dict[str, Any]]:
    ndcg = _means(group, "ndcg")
    best, figure = _best(ndcg)
    what = f"{one.group}{f' (mean of {len(group)})' if len(group) > 1 else ''}"
    note = f"{ndcg[OURS]:.4f} against {best} {figure:.4f}" + (f"; aim {one.aim:.4g}" if one.aim else "")
    ratio = ndcg[OURS] / figure if figure else float("inf")
    yield _row(f"{what}: NDCG@10, times the best baseline's", ratio, one.target, met=ratio >= one.target, note=note)
    errors = _means(group, "rmse")
    if one.biases and OURS in errors:
        ours, theirs = errors[OURS], errors["biases"]
        yield _row(f"{what}: RMSE, at most the biases'", ours, theirs, met=ours <= theirs)
    other = results.get(one.like)
    if one.like and other and not other.failed:
        ours, theirs = _means(group, "ndcg_rated")[OURS], _means([other], "ndcg_rated")[OURS]
        share = ours / theirs
        name = f"{what}: NDCG@10 on rated books, times that of {one.like}"
        note = f"{ours:.4f} against {theirs:.4f}"
        yield _row(name, share, 1 - MOST_LOST, met=share >= 1 - MOST_LOST, note=note)
    cold = group[0].runs[0].get(COLD)
    if one.cold_target and cold and cold["models"]:
        figures = {name: row["mean"] for name, row in cold["models"].items()}
        note = ", ".join(f"{name} {value:.4f}" for name, value in figures.items() if name != OURS)
        name = f"{what}: NDCG@10 of {cold['books']:,} cold books"
        target, cosines = one.cold_target
        yield _row(name, figures[OURS], target, met=figures[OURS] >= target, note=note)
        ratio, least = figures[OURS] / figures["sum of cosines"], target / cosines
        yield _row(f"{name}, times the sum of cosines'", ratio, least, met=ratio >= least)


def _of_unseen_readers(name: str, curve: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    for place, size in enumerate(curve["sizes"] if curve and curve["models"] else ()):
        means = {name: points[place]["mean"] for name, points in curve["models"].items()} if curve else {}
        best, figure = _best(means)
        told = f"{name}: NDCG@10 of unseen readers, {size} on the shelf"
        yield _row(told, means[OURS], figure, met=means[OURS] >= figure, note=f"{best}'s")


def _row(name: str, measured: float, bound: float, *, met: bool, note: str = "") -> dict[str, Any]:
    return {"name": name, "measured": measured, "bound": bound, "met": met, "note": note}


def _verdicts(targets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in targets:
        note = f"; {row['note']}" if row["note"] else ""
        verdict = "met   " if row["met"] else "MISSED"
        yield f"{verdict} {row['name']}: {row['measured']:.4f} (target {row['bound']:.4g}{note})"


def _keep(results: Mapping[str, Result], sets: Sequence[Set], seeds: Sequence[int], code: str) -> None:
    """Write what there is so far, and the plots of the newest set."""
    written = {
        name: {
            "summary": _summary(result),
            "seeds": dict(zip(map(str, seeds), result.runs, strict=False)),
            **({"failed": result.failed} if result.failed else {}),
        }
        for name, result in results.items()
    }
    figures = {"code": code, "seeds": list(seeds), "sets": written, "targets": _targets(results, sets)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (OUT / "quality.json").write_text(json.dumps(finite(figures), indent=1, allow_nan=False))
    newest = sets[-1].name
    if not results[newest].runs:
        return
    first, rows = results[newest].runs[0], results[newest].rows
    ranked = sorted(((n, row["ndcg"]) for n, row in rows.items() if "ndcg" in row), key=lambda pair: -pair[1]["mean"])
    drawn = {
        "ndcg": plots.intervals(dict(ranked), f"NDCG@10 on {newest}"),
        "coverage": plots.coverage(rows),
        "beyond": plots.beyond(rows),
    }
    if NOTEBOOK in first:
        drawn[NOTEBOOK] = plots.curves({"notebook, joint": first[NOTEBOOK]["history"]})
    if first["cold_start"] and first["cold_start"]["models"]:
        drawn["cold_start"] = plots.cold_start(first["cold_start"])
    if first["cold_books"] and first["cold_books"]["models"]:
        drawn["cold_books"] = plots.intervals(first["cold_books"]["models"], f"NDCG@10 of cold books on {newest}")
    for name, text in drawn.items():
        (FOLDER / f"{newest}_{name}.svg").write_text(text)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
