"""From a snapshot to the files of a model: judge, fit to everything, export, verify, describe."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bookrec.errors import BadModel
from bookrec.life_cycle.manifest import RECOMMEND_MODEL, REQUIRED_FILES, Pointer
from bookrec.recommender import UNKNOWN, Recommender, parse_items
from trainer.config import Config
from trainer.data import dataset
from trainer.data.dataset import Ratings
from trainer.data.features import item_features
from trainer.data.ingest.snapshot import Snapshot, empty_snapshot
from trainer.evaluation import baselines, gate, report
from trainer.evaluation.cold_books import cold_books
from trainer.evaluation.cold_start import cold_start, fit_to_others
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.metrics import finite
from trainer.model import distributed
from trainer.model.catalogue import Catalogue
from trainer.model.fit import Trained, fit, refit
from trainer.publishing import versions
from trainer.run import Order, Product, RefusedModelError
from trainer.serving import tflite
from trainer.serving.batch.making import require_keys
from trainer.serving.batch.shards import publish_lists
from trainer.serving.by_user import export_by_user
from trainer.serving.item_item import ServingModel
from trainer.serving.runtimes import Call, check_runtimes, runtimes

HOLDOUT = 0.2
"""The newest part of each reader's entries, on which the gate judges."""

MINIMUM_READERS = 20
"""Fewer readers with entries newer than the live model's snapshot are no comparison with it."""

JUDGED_READERS = 10_000
"""At most so many readers are judged on: more would narrow the intervals by little, and take minutes."""

PARITY_SHELVES = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was learned about the model before it was fitted to everything."""

    trained: Trained
    metrics: Mapping[str, Any]
    verdict: gate.Verdict
    examples: Sequence[Mapping[str, Any]]
    changes: Mapping[str, Any] | None


def make(config: Config, order: Order, step: Callable[[str], None]) -> Product:
    """Return the files of a model that the gate lets pass.

    Raises:
        RefusedModelError: with the gate's reason.
        BadModel: where the exported files do not agree with TensorFlow.
        BadSetting: a runtime that the files have to be checked in is missing or broken.
    """
    if distributed.is_chief():
        check_runtimes()  # a missing or broken one is known before anything is fitted
    snapshot = distributed.shared(order.snapshot)
    if config.lists:
        require_keys(snapshot.ratings)
    ratings, dropped = _clean(snapshot)
    log.info("read %d entries of %d readers, %d books; rejected: %s", *_size(ratings), dropped or "none")
    step("judging")
    catalogue = Catalogue(ratings, snapshot.books, config)
    judged = _judge(ratings, snapshot.books, config, catalogue, _live_model(order))
    if not distributed.agree(judged.verdict.passed):
        raise RefusedModelError(judged.verdict.reason, judged.metrics)
    log.info("the gate lets it pass: %s", judged.verdict.reason)
    step("fitting")
    serving = refit(ratings, catalogue, judged.trained.choices)
    if not distributed.is_chief():
        return Product({}, {})
    step("exporting")
    module = tflite.make_module(serving)
    files = tflite.export(serving, module)
    shelves = tflite.sample_shelves(serving, PARITY_SHELVES, config.seed)
    verified_in = tflite.verify(serving, files, shelves, module=module)
    if config.by_user:
        files |= export_by_user(serving, tflite.load(files, "by user"), ratings, config.by_user)
    details = _details(ratings, snapshot, dropped, config, judged, order.snapshot_at)
    details["verifiedIn"] = verified_in
    named = {**details, "version": order.version}
    files["metrics.json"] = json.dumps(finite({**details, "histories": judged.trained.histories}), indent=1).encode()
    files[report.REPORT] = report.render(named, judged.trained.histories, judged.examples, judged.changes).encode()
    files[report.MODEL_CARD] = report.model_card(named, files).encode()
    lists = partial(publish_lists, serving, order.version, snapshot) if config.lists else None
    return Product(files, details, lists)


def help_out(config: Config) -> None:
    """Train as one of several workers, with what the chief has read; the chief alone exports and publishes.

    Raises:
        RefusedModelError: the chief's gate refuses the model.
        WorkerLost: another worker is no longer there.
    """

    def read(name: str) -> bytes:
        raise BadModel(f"{name} is for the chief to read")

    make(config, Order("", empty_snapshot("the chief"), 0, None, read), lambda step: log.info("%s", step))


def answers(version: str, model: bytes, items: bytes) -> None:
    """Check that an uploaded model loads and answers in each runtime.

    Raises:
        BadModel: saying which runtime, and why.
        BadSetting: a runtime that the model has to be checked in is missing.
    """
    try:
        known = parse_items(items)
    except BadModel as problem:
        raise BadModel(f"the uploaded model of version {version} does not answer: {problem}") from problem
    empty = {"items": np.array([UNKNOWN], np.int32), "ratings": np.zeros(1, np.float32)}
    targets = np.array([0, UNKNOWN], np.int32)
    calls = [Call(RECOMMEND_MODEL, "recommend", empty), Call(RECOMMEND_MODEL, "rate", {**empty, "targets": targets})]
    for runtime, run in runtimes().items():
        try:
            listed, rated = run({RECOMMEND_MODEL: model}, calls)
            books = listed["indices"] != UNKNOWN
            indices, scores = listed["indices"][books], listed["scores"][books]
            ratings = rated["predicted_ratings"]
        except (BadModel, KeyError) as problem:
            raise BadModel(f"the uploaded model of version {version} does not answer: {problem}") from problem
        if not books.any() or not np.isfinite(scores).all() or not np.isfinite(ratings).all():
            raise BadModel(
                f"the uploaded model of version {version} answers with nothing, or nothing finite, in {runtime}"
            )
        if indices.min() < 0 or indices.max() >= len(known.isbns):
            raise BadModel(f"the uploaded model of version {version} answers with unknown books in {runtime}")


def _clean(snapshot: Snapshot) -> tuple[Ratings, dict[str, int]]:
    rows, dropped = dataset.clean(snapshot.ratings)
    merged = {**snapshot.rejected, **{f"entry:{reason}": count for reason, count in dropped.items()}}
    if rows.empty:
        counts = ", ".join(f"{reason} {count}" for reason, count in sorted(merged.items()))
        raise RefusedModelError(f"there is no usable entry to train on; rejected: {counts or 'none'}")
    return dataset.build(rows, snapshot.books), merged


def _judge(
    ratings: Ratings,
    books: pd.DataFrame,
    config: Config,
    catalogue: Catalogue,
    live: tuple[Recommender, Pointer] | None,
) -> Judged:
    """Fit to the older entries and judge on the newest: the recipe that passes is then fitted to all of them."""
    held = dataset.holdout(ratings, HOLDOUT, config.seed)
    train, test = ratings.select(~held), ratings.select(held)
    test = test.select(np.isin(test.users, dataset.sample_readers(test, JUDGED_READERS, config.seed)))
    trained = fit(train, books, config, catalogue)
    candidate = tflite.as_served(trained.serving, "candidate")
    rows = _frame(test)
    result = evaluate(candidate, train, rows, config.seed, item_features(train.isbns, books, config.features))
    compared = baselines.compare(train, books, rows, config)
    verdict = gate.judge(result.rows, {"popularity": compared.models["popularity"]["rows"]}, config.seed)
    metrics: dict[str, Any] = {"model": result.metrics, "baselines": compared.metrics}
    if config.baselines:
        metrics["baselineChoices"] = compared.choices
        metrics |= _cold_start(train, books, config, trained, compared.left_out, compared.choices)
    changes = None
    if live is not None:
        model, pointer = live
        changes = report.changes(result.top, evaluate(model, train, rows, config.seed).top, pointer.version, books)
        if verdict.passed:
            verdict = _against_live(candidate, live, train, test, config, verdict)
    shown = report.examples(result.top, train, books, config.seed)
    return Judged(trained, metrics, verdict, shown, changes)


def _cold_start(
    train: Ratings,
    books: pd.DataFrame,
    config: Config,
    trained: Trained,
    left_out: Mapping[str, str],
    choices: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the cold-start curve, the cold books' figures, and by name why a part of the comparison is left out."""
    curve, cold = "the cold-start curve", "the cold books"

    def fit_again(part: Ratings) -> ServingModel:
        return refit(part, trained.catalogue, trained.choices)

    work: dict[str, Callable[[], Mapping[str, Any]]] = {
        curve: partial(cold_start, train, books, config, fit_to_others(train, books, config), choices),
        cold: partial(cold_books, train, books, config, lambda part: fit_again(part).blend),
    }
    if len(distributed.workers()) > 1:  # a worker that went on without one of them would leave the others waiting
        return {"coldStart": work[curve](), "coldBooks": work[cold](), "baselinesLeftOut": {**left_out}}
    figures, missing = baselines.attempt(work)
    missing = {**left_out, **missing}
    return {"coldStart": figures.get(curve), "coldBooks": figures.get(cold), "baselinesLeftOut": missing}


def _against_live(
    candidate: Recommender,
    live: tuple[Recommender, Pointer],
    train: Ratings,
    test: Ratings,
    config: Config,
    so_far: gate.Verdict,
) -> gate.Verdict:
    """Compare on entries that are newer than the live model's snapshot: all others it has seen."""
    model, pointer = live
    newer = _frame(test.select(test.at > pointer.snapshot_at))
    if newer["userId"].nunique() < MINIMUM_READERS:
        reason = f"fewer than {MINIMUM_READERS} readers have entries that the live model has not seen"
        return gate.Verdict(True, f"{so_far.reason}; {reason}")
    ours: Evaluation = evaluate(candidate, train, newer, config.seed)
    theirs = evaluate(model, train, newer, config.seed)
    verdict = gate.judge(ours.rows, {f"the live model {pointer.version}": theirs.rows}, config.seed)
    return gate.Verdict(verdict.passed, f"{so_far.reason}; {verdict.reason}" if verdict.passed else verdict.reason)


def _live_model(order: Order) -> tuple[Recommender, Pointer] | None:
    """Load what is live; a model that cannot be loaded is no reason to keep it."""
    pointer = order.live
    if pointer is None:
        return None
    try:
        _, files = versions.read_version(order.read, pointer.version, pointer.manifest_sha256, REQUIRED_FILES)
        return tflite.load(files, pointer.version), pointer
    except (BadModel, OSError, ValueError, RuntimeError) as problem:
        log.warning("the live model cannot be compared with: %s", problem)
        return None


def _frame(ratings: Ratings) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "userId": [ratings.user_ids[user] for user in ratings.users],
            "isbn": [ratings.isbns[item] for item in ratings.items],
            "myRate": ratings.stars.astype(np.float64),
        }
    )


def _details(
    ratings: Ratings, snapshot: Snapshot, dropped: dict[str, int], config: Config, judged: Judged, snapshot_at: int
) -> dict[str, Any]:
    """Return what the manifest says besides the files; nothing in it names a reader."""
    import tensorflow as tf

    entries, users, items = _size(ratings)
    return {
        "createdAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "source": snapshot.source,
            "fingerprint": ratings.fingerprint(),
            "entries": entries,
            "users": users,
            "items": items,
            "setAside": dropped,
            "snapshotAt": snapshot_at,
        },
        "config": asdict(config),
        "choices": judged.trained.choices.to_json(),
        "metrics": finite(dict(judged.metrics)),
        "gate": judged.verdict.to_json(),
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__, "pandas": pd.__version__},
    }


def _size(ratings: Ratings) -> tuple[int, int, int]:
    return len(ratings.users), len(ratings.user_ids), len(ratings.isbns)
