"""``evaluate``: fit to one file, score another, write what a benchmark needs."""

from __future__ import annotations

import argparse
import csv
import json
import resource
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bookrec.errors import BadInput
from trainer.command_line.options import READING, Done, add_learned, add_reading, declare, learned, reading
from trainer.command_line.progress import Progress
from trainer.config import DEFAULTS, Config

if TYPE_CHECKING:
    import pandas as pd

    from trainer.evaluation.evaluate import Evaluation


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "evaluate",
        "fit to one file, score another, and write figures and a report",
        run,
        about="No database is needed, and nothing is published. FOLDER gets metrics.json, top.csv, ratings.csv,\n"
        "report.html and the model. Figures per model go to the screen. Of a reader's rows the newest 2,000 are\n"
        "trained on, as of entries in the database; the others are counted as shelf_full.\n\n" + READING,
        examples=[
            "--train train.csv --test test.csv --books books.csv --out out/evaluation",
            "--source out/export --out out/evaluation --baselines",
        ],
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--train", type=Path, help="CSV: userId,isbn,myRate (0: not rated)")
    data.add_argument(
        "--source",
        help="what `train --source` takes: a backup or an export (a path or gs://BUCKET/NAME), or a CSV; TEST is each "
        "reader's newest fifth, or a random one if there are no times",
    )
    parser.add_argument("--test", type=Path, help="CSV with the columns of TRAIN; the split is taken as it is")
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors and, where present, more")
    add_reading(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="folder for the results")
    add_learned(parser, DEFAULTS)
    parser.add_argument(
        "--baselines",
        action="store_true",
        help="also fit and score the baselines, and measure new readers and cold books (minutes)",
    )
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="random seed")


def run(arguments: argparse.Namespace) -> Done:
    """Run the command."""
    from trainer.metrics import finite

    if (arguments.train is None) != (arguments.test is None):
        raise BadInput("give --train and --test, or --source alone")
    train, test, books, dropped = _read(arguments)
    config = replace(DEFAULTS, **learned(arguments), seed=arguments.seed, baselines=arguments.baselines)
    with Progress("evaluating") as progress:
        metrics = evaluate_split(train, test, books, config, arguments.out, step=progress.step, dropped=dropped)
    told = {name: metrics[name] for name in ("model", "baselines", "choices", "data", "seconds")}
    return Done("\n".join(_shown(metrics)), {"out": str(arguments.out), **finite(told)})


def _read(
    arguments: argparse.Namespace,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None, Mapping[str, int]]:
    """Return training and test data, the catalogue, and how many rows of the training data are dropped, by reason."""
    from trainer.data.files.reading import read_tables
    from trainer.data.sources import apart, read_usable

    how = reading(arguments, foreign=True)
    if arguments.source:
        usable = read_usable(arguments.source, arguments.books, how)
        train, test = apart(usable.rows, arguments.seed)
        return train, test, usable.books, usable.dropped
    train_tables = read_tables(arguments.train, arguments.books, how)
    test_tables = read_tables(arguments.test, arguments.books, replace(how, all_entries=True), least=0)
    for tables in (train_tables, test_tables):
        tables.report.log()
    return train_tables.usable, test_tables.ratings, train_tables.books, train_tables.dropped


def evaluate_split(
    train: pd.DataFrame,
    test: pd.DataFrame,
    books: pd.DataFrame | None,
    config: Config,
    out: Path,
    *,
    step: Callable[[str], object] = lambda name: None,
    dropped: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Fit to ``train``, score ``test``, write figures, lists, model and report; return what ``metrics.json`` holds.

    Args:
        train: as ``dataset.clean`` returns it.
        test, books: more data; ``books`` may be None.
        config: options; with ``baselines``, the models of the field are fitted and scored too.
        out: a folder.
        step: is told of each step as it begins.
        dropped: rows of the training data that are not in ``train``, by reason.
    """
    from trainer.data import dataset
    from trainer.data.features import item_features
    from trainer.evaluation import baselines, report
    from trainer.evaluation.cold_books import cold_books
    from trainer.evaluation.cold_start import cold_start, fit_to_others
    from trainer.evaluation.evaluate import evaluate
    from trainer.model.fit import fit, refit
    from trainer.serving import tflite

    began = time.monotonic()
    _make_folder(out)
    dropped = dict(dropped or {})
    if train.empty:
        raise BadInput(f"no usable rating in the training data; dropped: {dropped}")
    ratings = dataset.build(train, books, foreign=True)
    step("fitting")
    trained = fit(ratings, books, config)
    fitted = time.monotonic()
    step("exporting")
    module = tflite.make_module(trained.serving)
    files = tflite.export(trained.serving, module)
    shelves = tflite.sample_shelves(trained.serving, 50, config.seed)
    verified_in = tflite.verify(trained.serving, files, shelves, module=module)
    tflite.write(files, out / "model")
    exported = time.monotonic()
    step("scoring")
    held_out = test[["userId", "isbn"]].assign(myRate=[_stars(value) for value in test["myRate"]])
    model = tflite.load(files, "evaluated")
    features = item_features(ratings.isbns, books, config.features)
    result = evaluate(model, ratings, held_out, config.seed, features)
    scored = time.monotonic()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    step("comparing")
    compared = baselines.compare(ratings, books, held_out, config, every=True)
    curve = cold = None
    if config.baselines:
        again = partial(refit, catalogue=trained.catalogue, choices=trained.choices)
        curve = cold_start(ratings, books, config, fit_to_others(ratings, books, config), compared.choices)
        cold = cold_books(ratings, books, config, lambda part: again(part).blend)
    metrics = {
        "model": result.metrics,
        "baselines": compared.metrics,
        "baseline_choices": compared.choices,
        "baselines_left_out": dict(compared.left_out),
        "cold_start": curve,
        "cold_books": cold,
        "choices": trained.choices.to_json(),
        "config": asdict(config),
        "data": {
            "fingerprint": ratings.fingerprint(),
            "users": len(ratings.user_ids),
            "items": len(ratings.isbns),
            "entries": len(ratings.users),
            "dropped": dropped,
            "held_out": len(held_out),
        },
        "seconds": {"fit": fitted - began, "export": exported - fitted, "score": scored - exported},
        "peak_memory_mb": memory,
        "model_bytes": len(files["recommend.tflite"]),
        "verified_in": verified_in,
        "histories": trained.histories,
    }
    _write(out, metrics, result, test)
    details = {
        "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": metrics["data"],
        "choices": metrics["choices"],
        "verifiedIn": verified_in,
        "metrics": {
            "model": result.metrics,
            "baselines": compared.metrics,
            "baselinesLeftOut": metrics["baselines_left_out"],
            "coldStart": curve,
            "coldBooks": cold,
        },
    }
    shown = report.examples(result.top, ratings, books, config.seed)
    (out / report.REPORT).write_text(report.render(details, trained.histories, shown))
    (out / "model" / report.MODEL_CARD).write_text(report.model_card(details, files))
    return metrics


def _write(out: Path, metrics: dict[str, Any], result: Evaluation, test: pd.DataFrame) -> None:
    from trainer.metrics import finite

    (out / "metrics.json").write_text(json.dumps(finite(metrics), indent=1, allow_nan=False))
    with (out / "top.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["userId", "rank", "isbn", "score"])
        for user in result.users:
            isbns, scores = result.ranked[user]
            writer.writerows((user, rank, *row) for rank, row in enumerate(zip(isbns, scores.tolist(), strict=True), 1))
    test[["userId", "isbn"]].assign(predicted=result.predicted).to_csv(out / "ratings.csv", index=False)


def show(metrics: dict[str, Any]) -> None:
    """Print the figures with those of the baselines."""
    print("\n".join(_shown(metrics)))


def _shown(metrics: dict[str, Any]) -> Iterator[str]:
    from trainer.metrics import BEYOND, OURS

    heads = ("NDCG@10", "Recall", "HR", "rated", "RMSE", "coverage", "Gini", "distance", "unrated", "popular")
    yield " ".join([f"{'':14}", *(f"{head:>8}" for head in heads)])
    for name, row in (*metrics["baselines"].items(), (OURS, metrics["model"])):
        ranking = ("ndcg", "recall", "hit_rate", "ndcg_rated")
        cells = [row[measure]["mean"] if measure in row else None for measure in ranking]
        cells += [row.get(measure) for measure in ("rmse", *BEYOND)]
        yield " ".join([f"{name:14}", *("       -" if cell is None else f"{cell:8.4f}" for cell in cells)])
    told = {"rated": "NDCG@10 on books that somebody has in the training data", **dict(BEYOND.values())}
    yield textwrap.fill("; ".join(f"{head}: {what}" for head, what in told.items()), 110)
    for name, reason in metrics["baselines_left_out"].items():
        yield f"{name:14} left out: {reason}"
    choices = metrics["choices"]
    yield (
        f"learned with negatives from the {choices['negatives']}, share {choices['share']}, popularity "
        f"{choices['popularity_weight']}, ranking {choices.get('ranking_epochs', 0)} epochs; "
        f"diversity {choices.get('diversity', 0):g}; fit in {metrics['seconds']['fit']:.1f} s"
    )
    if metrics["cold_start"]:
        sizes = metrics["cold_start"]["sizes"]
        yield f"\nNDCG@10 for {metrics['cold_start']['readers']} unseen readers, by entries on the shelf"
        yield " ".join([f"{'':14}", *(f"{size:7}" for size in sizes)])
        for name, curve in metrics["cold_start"]["models"].items():
            yield " ".join([f"{name:14}", *(f"{point['mean']:7.4f}" for point in curve)])
    if metrics["cold_books"] and metrics["cold_books"]["models"]:
        cold = metrics["cold_books"]
        yield f"\nNDCG@10 with only {cold['books']:,} books ranked that no model has seen an entry of"
        for name, figure in cold["models"].items():
            yield f"{name:14} {figure['mean']:8.4f} {figure['low']:8.4f}–{figure['high']:.4f}"


def _stars(value: object) -> float:
    """Return a test row's stars; one that cannot be read is not rated, and is still predicted."""
    from bookrec.errors import BadData
    from trainer.data.dataset import any_stars

    try:
        return any_stars(value)
    except BadData:
        return 0.0


def _make_folder(out: Path) -> None:
    """Create the folder before minutes are spent on what goes into it."""
    try:
        (out / "model").mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BadInput(f"{out}: cannot be written ({problem.strerror}); give another folder with --out") from problem
