"""A training run, from data to a published model: lease, snapshot, make, upload, verify, publish, clean up."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bookrec import paths
from bookrec.environment import whole
from bookrec.errors import BookrecError, LeaseLost
from bookrec.life_cycle.manifest import Manifest, Pointer, usable_pointer
from bookrec.list_shards import ShardIndex
from bookrec.server_values import TIMESTAMP, increment
from bookrec_operations.lease_holder import Heart, LeaseHolder
from bookrec_operations.switch import switch
from trainer.data.ingest.pages import pages
from trainer.data.sources import Snapshot, read_pages
from trainer.publishing import versions

if TYPE_CHECKING:
    from bookrec_database.database import FirebaseDatabase

log = logging.getLogger(__name__)


class RefusedModelError(BookrecError):
    """The gate refuses the model; the live one stays.

    Attributes:
        metrics: the metrics that it was judged by, as in the manifest; empty if there was nothing to judge.
    """

    def __init__(self, reason: str, metrics: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.metrics = metrics or {}


@dataclass(frozen=True, slots=True)
class Services:
    """The services that a run needs.

    Attributes:
        database: has entries, lease and pointer.
        bucket: where models are published.
        answers: checks that an uploaded model loads and answers.
        now_ms: the clock, in milliseconds since 1970.
        heart: renews the lease while the run works.
    """

    database: FirebaseDatabase
    bucket: versions.Bucket
    answers: versions.Answers
    now_ms: Callable[[], int]
    heart: Heart

    def lease(self, *, purpose: str = "manual", run_id: str = "", fence: int | None = None) -> LeaseHolder:
        """Return the lease for a run, not taken yet.

        How long a run may be silent, and how long it may take in all, is in ``LEASE_SECONDS`` and
        ``TRAINER_TIMEOUT_SECONDS``: the functions hand down their settings.
        """
        lease_ms, limit_ms = (
            whole(name, os.environ.get(name), default) * 1000
            for name, default in (("LEASE_SECONDS", 120), ("TRAINER_TIMEOUT_SECONDS", 3_600))
        )
        return LeaseHolder(
            self.database, self.now_ms, self.heart, lease_ms, limit_ms, purpose=purpose, run_id=run_id, fence=fence
        )

    def verify(self, version: str, manifest_sha256: str) -> Manifest:
        """Read a version back whole, and let its model answer; raise ``BadModel`` if it is not what it should be."""
        return versions.verify(self.bucket, version, manifest_sha256, self.answers)


@dataclass(frozen=True, slots=True)
class Order:
    """The model to be made.

    Attributes:
        version: the model's name.
        snapshot: the data that it is made from.
        snapshot_at: when reading began, by the database's clock (milliseconds since 1970).
        live: the model that it would replace.
        read: returns an object of the bucket by name.
    """

    version: str
    snapshot: Snapshot
    snapshot_at: int
    live: Pointer | None
    read: Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Product:
    """A model that may be published: files by name, and the manifest's other details.

    Attributes:
        lists: makes and uploads all readers' lists, and returns the index of their shards; None leaves the lists to
            the functions.
    """

    files: Mapping[str, bytes]
    details: Mapping[str, Any]
    lists: Callable[[versions.Bucket], ShardIndex] | None = None


Read = Callable[["FirebaseDatabase", int], Snapshot]
"""Reads the training data, given the database and its clock before reading (milliseconds since 1970)."""

Make = Callable[[Order, Callable[[str], None]], Product]
"""Makes a model, naming each step as it begins; raises ``RefusedModelError`` if the model is not good enough."""


def run(
    services: Services,
    make: Make,
    run_id: str = "",
    fence: int | None = None,
    read: Read | None = None,
) -> Pointer:
    """Train and publish the result; return the new pointer.

    Args:
        services: the services.
        make: turns the snapshot into the model's files.
        run_id: holder of the lease that was taken for this run, with its ``fence``; without a fence, one is taken.
        fence: the fence of that lease.
        read: reads the training data; None reads the whole database, page by page.

    Raises:
        RefusedModelError: with the gate's reason; the changes so far count as trained on.
        LeaseLost: another run is live, or has published.
        BadModel: the files are damaged, before or after the upload.
    """
    with services.lease(run_id=run_id, fence=fence) as lease:
        record = _Record(services.database, lease, services.now_ms())
        try:
            pointer = _train_and_publish(services, make, lease, record, read)
        except LeaseLost:
            raise  # the record belongs to another run by now
        except (Exception, KeyboardInterrupt) as problem:
            _ended_early(problem, lease, record)
            raise
        return pointer


def _ended_early(problem: BaseException, lease: LeaseHolder, record: _Record) -> None:
    """Record how a run ended that raised an error, or that was interrupted by hand.

    If its version is live by then, it has published, whatever came after the switch. If nobody can tell, nothing is
    recorded, and the lease expires: whoever frees it looks at the pointer. Nothing is recorded either if it was freed
    already: that was recorded, and another run may have published since.
    """
    live = None
    try:
        lease.check()
        live = lease.published() if lease.is_switching else None
    except LeaseLost as lost:
        log.warning("how the run has ended was recorded when its lease was freed: %s", lost)
        return
    except Exception as unknown:
        log.warning("whether the lease is still held is not known: %s", unknown)
        if lease.is_switching:
            lease.leave()
            return
    if live is not None:
        lease.outcome = "published"
        log.warning("version %s is live all the same", live.version)
        record.write(outcome="published", version=live.version)
        return
    refusal = problem.__context__ if isinstance(problem, KeyboardInterrupt) else problem
    if isinstance(refusal, RefusedModelError):
        lease.outcome = "refused"
        record.write(outcome="refused", reason=_reason(refusal), **figures(refusal.metrics))
    elif isinstance(problem, KeyboardInterrupt):
        record.write(outcome="failed", reason="interrupted by hand")  # the lease is freed, and counts no failure
    else:
        lease.outcome = "failed"
        record.write(outcome="failed", reason=_reason(problem))


def _reason(problem: BaseException) -> str:
    return str(problem)[:1000] or type(problem).__name__


def figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures that a judged model's record holds: its NDCG@10, and that of popularity."""
    rows = {"ndcg": metrics.get("model"), "popularity": (metrics.get("baselines") or {}).get("popularity")}
    means = {name: ((row or {}).get("ndcg") or {}).get("mean") for name, row in rows.items()}
    return {name: mean for name, mean in means.items() if isinstance(mean, float) and math.isfinite(mean)}


def _train_and_publish(
    services: Services, make: Make, lease: LeaseHolder, record: _Record, read: Read | None
) -> Pointer:
    database, bucket = services.database, services.bucket
    record.step("reading")
    snapshot, snapshot_at = read_snapshot(database, read)
    version = versions.version_name(services.now_ms(), lease.fence)
    try:
        live = usable_pointer(database.pointer())
        product = make(Order(version, snapshot, snapshot_at, live, bucket.read), record.step)
    except RefusedModelError:
        # The same entries would give the same model.
        _afterwards(lambda: database.clear_marks(paths.CHANGES, snapshot_at), "clearing the changes")
        raise
    record.step("uploading")
    manifest = versions.make_manifest(version, product.files, product.details)
    content = versions.upload(bucket, product.files, manifest, services.answers)
    index = None
    if product.lists:
        record.step("lists")
        index = product.lists(bucket)
    lease.check()
    pointer = versions.make_pointer(version, content, lease.fence, services.now_ms(), snapshot_at, index)
    lease.is_switching = True
    pointer = switch(database, pointer)
    lease.outcome = "published"
    log.info("version %s is live", version)
    for marks in (paths.CHANGES, paths.DIRTY):
        _afterwards(lambda: database.clear_marks(marks, snapshot_at), f"clearing {marks}")  # noqa: B023
    _afterwards(lambda: versions.retire(bucket, pointer, services.now_ms()), "removing old versions")
    record.write(outcome="published", version=pointer.version, **figures(product.details.get("metrics") or {}))
    return pointer


def read_snapshot(database: FirebaseDatabase, read: Read | None) -> tuple[Snapshot, int]:
    """Return the training data, and when reading began by the database's clock (milliseconds since 1970)."""
    began = database.server_time()
    snapshot = read(database, began) if read else read_pages(partial(pages, database), "database")
    return snapshot.without(database.gone()), min(began, snapshot.taken or began)


def _afterwards(work: Callable[[], object], what: str) -> None:
    """Do work that the published model does not depend on; the reconciler or the next run makes up for a failure."""
    try:
        work()
    except Exception as problem:
        log.warning("%s failed: %s", what, problem)


class _Record:
    """``/Recommender/status/training/run``: the run's status. It is for people: failing to write it fails no run.

    The outcome is written, and counted, once: an interrupted write may have taken effect.
    """

    def __init__(self, database: FirebaseDatabase, lease: LeaseHolder, started_at: int) -> None:
        self._database, self._lease, self._started_at = database, lease, started_at
        self._has_outcome = False

    def step(self, name: str) -> None:
        """Record that a step begins; raise ``LeaseLost`` if the run should stop."""
        try:
            self._lease.check()
        except LeaseLost:
            raise
        except Exception as problem:
            log.warning("the lease could not be renewed: %s", problem)
        self.write(outcome="running", step=name)

    def write(self, **state: object) -> None:
        if self._has_outcome:
            return
        self._has_outcome = state["outcome"] != "running"
        run = {"runId": self._lease.run_id, "fence": self._lease.fence, "startedAt": self._started_at, **state}
        _afterwards(lambda: self._database.update(run_record(run)), "recording the run")


def run_record(run: Mapping[str, object]) -> dict[str, object]:
    """Return the values by path that record a run's status and count its outcome."""
    training, node = f"{paths.STATUS}/training", {**run, "at": TIMESTAMP}
    values: dict[str, object] = {f"{training}/run": node}
    if run["outcome"] != "running":
        values[f"{training}/outcomes/{run['outcome']}"] = increment(1)
        values[f"{training}/runs/{run['fence']}"] = node  # the functions forget the oldest
    return values
