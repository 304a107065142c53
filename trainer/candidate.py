"""A model in a folder: trained, judged and exported by one run, reviewed by people, published by another run.

The second run is a run like any other (``trainer/run.py``): lease, fence, upload, verification, pointer. It takes its
model from the folder instead of training one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bookrec.errors import BadModel, BookrecError, LeaseLost
from bookrec.life_cycle.manifest import MAX_FILE_BYTES, FileEntry, Pointer, parse_manifest, sha256, usable_pointer
from bookrec.life_cycle.ranges import LATEST_MS, whole
from trainer.data.exchange.new_folder import new_folder
from trainer.data.exchange.regular_file import UnreadableError, read_regular
from trainer.data.ingest.snapshot import Snapshot, empty_snapshot
from trainer.evaluation.report import MODEL_CARD, REPORT
from trainer.metrics import finite
from trainer.publishing.versions import Bucket
from trainer.run import Make, Order, Product, Read, RefusedModelError, Services, read_snapshot, run

RECORD = "candidate.json"
"""The record next to the files: where they come from, the gate's verdict, and the SHA-256 of each."""

MAX_RECORD_BYTES = 4 << 20
"""The record holds a manifest's details, which are at most a megabyte."""

NAMED = (REPORT, MODEL_CARD)
"""The files for people, which contain the version's name: a candidate gets its version when it is published."""


_NAME = re.compile(r"\d{8}T\d{6}Z-candidate")
"""The candidate's name is replaced in the files for people: nothing else in them may match it."""


class NoCandidateError(ValueError):
    """The folder does not hold a model that ``train --out`` wrote; the message says what is wrong."""


class StaleCandidateError(BookrecError):
    """The live model is not the one that the candidate was compared with."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """``candidate.json``.

    Attributes:
        name: its name in the files until it is published.
        snapshot_at: when reading its entries began, by the database's clock (milliseconds since 1970).
        compared_with: version and manifest SHA-256 of the model that was live; None if there was none.
        passed: whether the gate lets it pass.
        reason: the gate's reason.
        details: the manifest's details other than the files; the figures if the gate refused the model.
        files: size and SHA-256 by name; none if the gate refused the model.
    """

    name: str
    snapshot_at: int
    compared_with: tuple[str, str] | None
    passed: bool
    reason: str
    details: Mapping[str, Any]
    files: Mapping[str, FileEntry]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        live = self.compared_with
        return {
            "schema": 1,
            "version": self.name,
            "snapshotAt": self.snapshot_at,
            "comparedWith": {"version": live[0], "manifestSha256": live[1]} if live else None,
            "gate": {"passed": self.passed, "reason": self.reason},
            "details": dict(self.details),
            "files": {name: {"size": file.size, "sha256": file.sha256} for name, file in sorted(self.files.items())},
        }


def train(services: Services, make: Make, read: Read | None, folder: Path, step: Callable[[str], None]) -> Candidate:
    """Train, judge and export into a new folder; publish nothing, and take no lease.

    Args:
        services: database and bucket are only read, except for the database's clock.
        make: as for ``run``.
        read: as for ``run``.
        folder: the new folder; for a refused model it gets the verdict only.
        step: called with the name of each step as it begins.

    Raises:
        FolderError: if the folder cannot be written, before anything is read.
        RefusedModelError: with the gate's reason, which is in the folder too.
        BadModel: if the exported files do not agree with TensorFlow.
    """
    refused: RefusedModelError | None = None
    with new_folder(folder) as written:
        step("reading")
        snapshot, taken = read_snapshot(services.database, read)
        name = f"{datetime.fromtimestamp(services.now_ms() / 1000, UTC):%Y%m%dT%H%M%SZ}-candidate"
        live = usable_pointer(services.database.pointer())
        compared = (live.version, live.manifest_sha256) if live else None
        candidate = Candidate(name, taken, compared, False, "", {}, {})
        try:
            product = make(Order(name, snapshot, taken, live, services.bucket.read), step)
            candidate = _with_files(candidate, product, written)
        except RefusedModelError as problem:
            figures = {"metrics": finite(dict(problem.metrics))}
            refused, candidate = problem, replace(candidate, reason=str(problem), details=figures)
        (written / RECORD).write_text(json.dumps(candidate.to_json(), indent=1, allow_nan=False) + "\n")
    if refused:
        raise refused
    return candidate


def _with_files(candidate: Candidate, product: Product, folder: Path) -> Candidate:
    for name, content in product.files.items():
        (folder / name).write_bytes(content)
    files = {name: FileEntry(len(content), sha256(content)) for name, content in product.files.items()}
    verdict = product.details.get("gate", {})
    return replace(
        candidate, passed=True, reason=str(verdict.get("reason", "")), details=dict(product.details), files=files
    )


def read_candidate(folder: Path) -> Candidate:
    """Return the candidate in a folder's record.

    Raises:
        NoCandidateError: if it is missing or damaged.
    """
    path = folder / RECORD
    try:
        record = json.loads(read_regular(path, MAX_RECORD_BYTES))
    except UnreadableError as problem:
        raise NoCandidateError(
            f"{path}: cannot be read ({problem}); give a folder that `train --out` has written"
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise NoCandidateError(f"{path}: is not JSON; train again with `train --out`") from problem
    try:
        return _parsed(record)
    except (LookupError, TypeError, AttributeError, ValueError, BadModel, RecursionError) as problem:
        raise NoCandidateError(f"{path}: is not the record of a candidate ({problem}); train again") from problem


def _parsed(record: Any) -> Candidate:
    if record["schema"] != 1:
        raise ValueError("another schema than 1")
    if not _NAME.fullmatch(record["version"]):
        raise ValueError("the version is not the name of a candidate")
    live, gate, files = record["comparedWith"], record["gate"], record["files"]
    if not isinstance(gate["passed"], bool) or not isinstance(files, Mapping):
        raise ValueError("a field has the wrong type")
    if gate["passed"]:
        files = parse_manifest({"schema": 1, "version": record["version"], "files": files}).files
    return Candidate(
        name=record["version"],
        snapshot_at=whole(record["snapshotAt"], LATEST_MS, "snapshotAt"),
        compared_with=(str(live["version"]), str(live["manifestSha256"])) if live else None,
        passed=gate["passed"],
        reason=str(gate["reason"]),
        details=dict(record["details"]),
        files=files,
    )


def publish(services: Services, folder: Path) -> Pointer:
    """Publish a folder's model; return the new pointer.

    Raises:
        NoCandidateError: the folder is not from ``train --out``.
        RefusedModelError: the gate refused its model.
        BadModel: a file is missing or was changed, in the folder or in the bucket.
        StaleCandidateError: the live model is not the one that it was compared with.
        LeaseLost: another run is live, or has published meanwhile.
    """
    candidate = read_candidate(folder)
    if not candidate.passed:
        raise RefusedModelError(f"{folder}: the gate refused this model: {candidate.reason}")
    files = _files(folder, candidate)
    problem = _stale(folder, candidate, usable_pointer(services.database.pointer()))
    if problem:
        raise StaleCandidateError(problem)

    def read(database: object, taken: int) -> Snapshot:
        return replace(empty_snapshot(f"folder {folder.name}"), taken=candidate.snapshot_at)

    def make(order: Order, step: Callable[[str], None]) -> Product:
        problem = _stale(folder, candidate, order.live)
        if problem:  # another run has published since the check above: neither model nor run has failed
            raise LeaseLost(problem)
        named = {name: files[name].replace(candidate.name.encode(), order.version.encode()) for name in files}
        return Product({name: (named if name in NAMED else files)[name] for name in files}, candidate.details)

    return run(services, make, read=read)


def _files(folder: Path, candidate: Candidate) -> dict[str, bytes]:
    files = {}
    for name, entry in candidate.files.items():
        try:
            files[name] = read_regular(folder / name, MAX_FILE_BYTES, entry.size)
        except UnreadableError as problem:
            raise BadModel(f"{folder / name}: cannot be used ({problem}); train again") from problem
        try:
            entry.check(name, files[name])
        except BadModel as problem:
            raise BadModel(f"{folder}: {problem}; it was changed after training: train again") from problem
    return files


def _stale(folder: Path, candidate: Candidate, live: Pointer | None) -> str:
    """Return why the gate's verdict no longer holds, and what to do; an empty text if it holds."""
    now_live = (live.version, live.manifest_sha256) if live else None
    if now_live == candidate.compared_with:
        return ""
    now = f"version {live.version} is live" if live else "no model is live"
    if candidate.compared_with is None:
        return f"{folder}: {now}, and there was none to compare with: train again with `train --out`"
    before = candidate.compared_with[0]
    back = f", or make {before} live again first (`rollback {before}`)" if live and before in live.kept else ""
    return f"{folder}: {now}, but the model was compared with {before}: train again with `train --out`{back}"


class WatchedBucket:
    """A bucket that reports when uploading and verifying begin. Implements ``versions.Bucket``."""

    def __init__(self, bucket: Bucket, step: Callable[[str], None]) -> None:
        self._bucket, self._step, self._said = bucket, step, ""
        self.created, self.delete = bucket.created, bucket.delete

    def create(self, name: str, content: bytes, content_type: str) -> None:
        """Write a new object."""
        self._say("uploading")
        self._bucket.create(name, content, content_type)

    def read(self, name: str) -> bytes:
        """Return an object's content."""
        if self._said:
            self._say("verifying")
        return self._bucket.read(name)

    def _say(self, step: str) -> None:
        if step != self._said:
            self._said = step
            self._step(step)
