"""A training run, from data to a published model: load, split, fit, evaluate, judge, export, verify, publish."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from bookrec import paths
from bookrec.errors import BadModel, BookrecError
from bookrec.manifest import ITEMS, RECOMMEND_MODEL, Pointer, parse_manifest
from bookrec.recommender import Recommender
from trainer import dataset, export, gate, peers, publish, report, training
from trainer.by_user import export_by_user
from trainer.cold_start import cold_start
from trainer.config import Config
from trainer.dataset import Ratings
from trainer.evaluate import Evaluation, evaluate
from trainer.holder import LeaseHolder
from trainer.metrics import finite
from trainer.services import Bucket, Database
from trainer.sources import Snapshot, read_pages
from trainer.training import Choices

HOLDOUT = 0.2
"""The newest part of each reader's entries, on which the gate judges."""

MINIMUM_READERS = 20
"""Fewer readers with entries newer than the live model's snapshot are no comparison with it."""

PARITY_SHELVES = 200

log = logging.getLogger(__name__)


class RefusedModelError(BookrecError):
    """The gate refuses the model; the live one stays."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was learned about the model before it was fitted to everything."""

    choices: Choices
    histories: Mapping[str, Any]
    metrics: Mapping[str, Any]
    verdict: gate.Verdict
    examples: Sequence[Mapping[str, Any]]
    changes: Mapping[str, Any] | None


def run(
    database: Database,
    bucket: Bucket,
    config: Config,
    run_id: str,
    fence: int | None,
    read: Callable[[], Snapshot] | None = None,
) -> Pointer:
    """Train and publish the result; return the new pointer.

    Args:
        database: where entries, lease and pointer are.
        bucket: where models are published.
        config: options.
        run_id: this run's name.
        fence: of the lease that was taken for this run; None takes one.
        read: where the entries come from; None reads the database as it stands.

    Raises:
        RefusedModelError: the gate's reason; what changed until now counts as trained on.
        LeaseLost: another run is live, or has published.
        BadModel: the exported files do not agree with TensorFlow, or the bucket altered them.
    """
    with LeaseHolder(database, run_id, fence) as lease:
        state: dict[str, object] = {"runId": run_id, "fence": lease.fence}
        try:
            pointer = _train_and_publish(database, bucket, config, lease, state, read)
        except Exception as problem:
            outcome = "refused" if isinstance(problem, RefusedModelError) else "failed"
            database.record_run({**state, "outcome": outcome, "reason": str(problem)[:1000]})
            raise
        database.record_run({**state, "outcome": "published", "reason": "", "version": pointer.version})
        return pointer


def _train_and_publish(
    database: Database,
    bucket: Bucket,
    config: Config,
    lease: LeaseHolder,
    state: dict[str, object],
    read: Callable[[], Snapshot] | None,
) -> Pointer:
    database.record_run({**state, "outcome": "running", "reason": ""})
    snapshot_at = database.server_time()
    snapshot = read() if read else read_pages(database.pages, "database")
    ratings, dropped = _clean(snapshot)
    log.info("read %d entries of %d readers, %d books; set aside: %s", *_size(ratings), dropped or "none")
    judged = _judge(ratings, snapshot.books, config, _live_model(database.pointer(), bucket))
    if not judged.verdict.passed:
        database.clear_marks(paths.CHANGES, snapshot_at)  # the same entries would give the same model
        raise RefusedModelError(judged.verdict.reason)
    log.info("the gate lets it pass: %s", judged.verdict.reason)
    serving = training.refit(ratings, snapshot.books, config, judged.choices)
    files = export.export(serving)
    export.verify(serving, files, export.sample_shelves(serving, PARITY_SHELVES, config.seed))
    if config.by_user:
        files |= export_by_user(serving, export.load(files, "by user"), ratings, config.by_user)
    version = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{lease.fence}"
    details = _details(ratings, snapshot, dropped, config, judged, snapshot_at)
    named = {**details, "version": version}
    files["metrics.json"] = json.dumps(finite({**details, "histories": judged.histories}), indent=1).encode()
    files[report.REPORT] = report.render(named, judged.histories, judged.examples, judged.changes).encode()
    files[report.MODEL_CARD] = report.model_card(named, files).encode()
    manifest = publish.make_manifest(version, files, details)
    content = publish.upload(bucket, files, manifest)
    lease.check()
    pointer = publish.make_pointer(version, content, lease.fence, int(time.time() * 1000), snapshot_at)
    database.publish(pointer)
    log.info("version %s is live", version)
    for marks in (paths.CHANGES, paths.DIRTY):
        database.clear_marks(marks, snapshot_at)
    return pointer


def _clean(snapshot: Snapshot) -> tuple[Ratings, dict[str, int]]:
    rows, dropped = dataset.clean(snapshot.ratings)
    if rows.empty:
        raise RefusedModelError("there is no usable entry to train on")
    merged = {**snapshot.refused, **{f"entry:{reason}": count for reason, count in dropped.items()}}
    return dataset.build(rows, snapshot.books), merged


def _judge(ratings: Ratings, books: pd.DataFrame, config: Config, live: tuple[Recommender, Pointer] | None) -> Judged:
    """Fit to the older entries and judge on the newest: the recipe that passes is then fitted to all of them."""
    held = dataset.holdout(ratings, HOLDOUT, config.seed)
    train, test = ratings.select(~held), ratings.select(held)
    trained = training.fit(train, books, config)
    candidate = export.load(export.export(trained.serving), "candidate")
    rows = _frame(test)
    result = evaluate(candidate, train, rows, config.seed)
    found = peers.compare(train, books, rows, config)
    verdict = gate.judge(result.rows, {"popularity": found["popularity"]["rows"]}, config.seed)
    curve = cold_start(train, books, config, lambda part: training.refit(part, books, config, trained.choices))
    metrics = {
        "model": result.metrics,
        "baselines": {name: peer["metrics"] for name, peer in found.items()},
        "coldStart": curve,
    }
    changes = None
    if live is not None:
        model, pointer = live
        changes = report.changes(result.top, evaluate(model, train, rows, config.seed).top, pointer.version, books)
        if verdict.passed:
            verdict = _against_live(candidate, live, train, test, config, verdict)
    shown = report.examples(result.top, train, books, config.seed)
    return Judged(trained.choices, trained.histories, metrics, verdict, shown, changes)


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


def _live_model(pointer: Pointer | None, bucket: Bucket) -> tuple[Recommender, Pointer] | None:
    """Load what is live; a model that cannot be loaded is no reason to keep it."""
    if pointer is None:
        return None
    try:
        manifest = parse_manifest(json.loads(bucket.read(pointer.manifest)))
        files = {name: bucket.read(paths.model_object(pointer.version, name)) for name in (RECOMMEND_MODEL, ITEMS)}
        for name, content in files.items():
            manifest.files[name].check(name, content)
        return export.load(files, pointer.version), pointer
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
    """Return what the manifest says beside the files: nothing in it names a reader."""
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
        "choices": judged.choices.to_json(),
        "metrics": finite(dict(judged.metrics)),
        "gate": judged.verdict.to_json(),
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__, "pandas": pd.__version__},
    }


def _size(ratings: Ratings) -> tuple[int, int, int]:
    return len(ratings.users), len(ratings.user_ids), len(ratings.isbns)
