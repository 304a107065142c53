"""``evaluate``: fit to one file, score another, write what a benchmark needs."""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trainer.config import DEFAULTS, Config, Variant

if TYPE_CHECKING:
    import pandas as pd

    from trainer.evaluate import Evaluation


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("evaluate", help="fit to TRAIN, score TEST, write metrics.json, top.csv, ratings.csv")
    parser.add_argument("--train", type=Path, required=True, help="CSV: userId,isbn,myRate (0: not rated)")
    parser.add_argument(
        "--test", type=Path, required=True, help="CSV with the same columns; the split is taken as it is"
    )
    parser.add_argument("--books", type=Path, help="CSV: isbn,title,authors and, where present, more")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--variant", choices=get_args(Variant), default=DEFAULTS.variant, help="the learned candidate")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    from trainer.sources import BOOKS, RATINGS, read_csv

    train = read_csv(arguments.train, RATINGS)
    test = read_csv(arguments.test, RATINGS)
    books = read_csv(arguments.books, BOOKS) if arguments.books else None
    config = replace(Config(), variant=arguments.variant, seed=arguments.seed)
    evaluate_split(train, test, books, config, arguments.out)
    return 0


def evaluate_split(
    train: pd.DataFrame, test: pd.DataFrame, books: pd.DataFrame | None, config: Config, out: Path
) -> dict[str, Any]:
    """Fit to ``train``, score ``test``, write the three files; return what ``metrics.json`` holds."""
    from trainer import dataset, export, training
    from trainer.evaluate import baselines, evaluate

    began = time.monotonic()
    _make_folder(out)
    rows, dropped = dataset.clean(train, foreign=True)
    if rows.empty:
        raise ValueError(f"no usable rating in the training data; dropped: {dropped}")
    ratings = dataset.build(rows, books, foreign=True)
    trained = training.fit(ratings, books, config)
    fitted = time.monotonic()
    files = export.export(trained.serving)
    export.verify(trained.serving, files, export.sample_shelves(trained.serving, 50, config.seed))
    export.write(files, out / "model")
    exported = time.monotonic()
    held_out = test[["userId", "isbn"]].assign(myRate=[_stars(value) for value in test["myRate"]])
    model = export.load(files, "evaluated")
    result = evaluate(model, ratings, held_out, config.seed)
    peers = baselines(trained.serving, ratings, held_out, config.seed)
    metrics = {
        "model": result.metrics,
        "baselines": {name: peer["metrics"] for name, peer in peers.items()},
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
        "seconds": {"fit": fitted - began, "export": exported - fitted, "score": time.monotonic() - exported},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "model_bytes": len(files["recommend.tflite"]),
        "histories": trained.histories,
    }
    _write(out, metrics, result, test)
    _show(metrics)
    return metrics


def _write(out: Path, metrics: dict[str, Any], result: Evaluation, test: pd.DataFrame) -> None:
    import pandas as pd

    (out / "metrics.json").write_text(json.dumps(_finite(metrics), indent=1, allow_nan=False))
    rows = [
        (user, rank, candidate.isbn, candidate.score)
        for user in result.users
        for rank, candidate in enumerate(result.top[user], start=1)
    ]
    pd.DataFrame(rows, columns=["userId", "rank", "isbn", "score"]).to_csv(out / "top.csv", index=False)
    test[["userId", "isbn"]].assign(predicted=result.predicted).to_csv(out / "ratings.csv", index=False)


def _show(metrics: dict[str, Any]) -> None:
    print(f"{'':14}NDCG@10  Recall@10  HR@10  coverage   RMSE")
    popularity, model = metrics["baselines"]["popularity"], metrics["model"]
    for name, row in (("popularity", popularity), ("this model", {**model})):
        cells = [f"{row[m]['mean']:8.4f}" if m in row else "       -" for m in ("ndcg", "recall", "hit_rate")]
        coverage = f"{row['coverage']:8.3f}" if "coverage" in row else "       -"
        error = f"{row['rmse']:8.4f}" if "rmse" in row else f"{metrics['baselines']['biases']['rmse']:8.4f}*"
        print(f"{name:12}", *cells, coverage, error)
    choices = metrics["choices"]
    print(
        f"* biases alone; learned with negatives from the {choices['negatives']}, share {choices['share']} beside the"
    )
    print(f"  closed form, popularity {choices['popularity_weight']}; fit in {metrics['seconds']['fit']:.1f} s")


def _stars(value: object) -> float:
    """Return a test row's stars; one that cannot be read is not rated, and is still predicted."""
    from bookrec.errors import BadData
    from trainer.dataset import any_stars

    try:
        return any_stars(value)
    except BadData:
        return 0.0


def _make_folder(out: Path) -> None:
    """Create the folder before minutes are spent on what goes into it."""
    try:
        (out / "model").mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ValueError(f"{out}: cannot be written ({problem.strerror}); give another folder with --out") from problem


def _finite(value: Any) -> Any:
    """Return a JSON value in which a figure that does not exist (no rated row, say) is null: JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
