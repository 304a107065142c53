"""Training on several machines: who takes part, one strategy for all, and one opinion where it counts.

Vertex AI describes a custom job's machines in ``TF_CONFIG``; without it a run is alone. All workers run the same
program on the same entries; each takes its share of every step's groups, and gradients are added up. Whatever
decides how the program goes on (when to stop, which candidate is better) is the chief's opinion, sent as a whole: two
machines that round differently would choose differently, and wait for each other for ever.
"""

from __future__ import annotations

import faulthandler
import io
import json
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from bookrec.environment import whole
from bookrec.errors import BadInput, BookrecError
from trainer.data.ingest.snapshot import RATING_COLUMNS, Snapshot

WORDS_AT_A_TIME = 1 << 24
"""What is shared goes in pieces of 64 MB."""

LEARNED_FROM = [name for name in RATING_COLUMNS if name != "key"]

_LENGTH = 8
"""Bytes that say how long the part of a snapshot that follows is."""

log = logging.getLogger(__name__)

Choice = TypeVar("Choice")


class WorkerLost(BookrecError):
    """Another worker is no longer there: the run ends, and the next one begins anew."""


def workers() -> list[str]:
    """Return the addresses of all workers, the chief's first; empty where a run is alone.

    Raises:
        BadInput: where ``TF_CONFIG`` is not what TensorFlow documents.
    """
    tasks = _tasks()
    return [*tasks.get("chief", []), *tasks.get("worker", [])] if tasks else []


def rank() -> int:
    """Return this worker's place among ``workers``; the chief's is 0."""
    tasks = _tasks()
    if not tasks:
        return 0
    task = _config()["task"]
    return int(task["index"]) + (len(tasks.get("chief", [])) if task["type"] == "worker" else 0)


def is_chief() -> bool:
    """Return whether this worker holds the lease, exports and publishes."""
    return rank() == 0


@cache
def strategy() -> Any:
    """Return the ``tf.distribute.Strategy`` of this process. Several workers must ask before TensorFlow does anything.

    Where not all workers come within ``WORKERS_PATIENCE_SECONDS``, the process ends. TensorFlow waits for ever, holds
    Python's lock and takes signals for itself meanwhile, so that no exception can be raised: the last line of the log
    says why.

    Raises:
        BadSetting: where that is no number.
    """
    patience_s = whole("WORKERS_PATIENCE_SECONDS", os.environ.get("WORKERS_PATIENCE_SECONDS"), 300)
    import tensorflow as tf

    if len(workers()) <= 1:
        return tf.distribute.get_strategy()
    log.warning(
        "worker %d waits for all of %s; if one has not come in %d s, this process ends with an error "
        "(look at the others' logs, or set WORKERS_PATIENCE_SECONDS)",
        rank(),
        ", ".join(workers()),
        patience_s,
    )
    faulthandler.dump_traceback_later(patience_s, exit=True)
    ring = tf.distribute.experimental.CommunicationImplementation.RING
    options = tf.distribute.experimental.CommunicationOptions(implementation=ring)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    finally:
        faulthandler.cancel_dump_traceback_later()


def agree(value: float) -> float:
    """Return the chief's ``value``, on every worker; each has to ask at the same place of the program.

    Raises:
        WorkerLost: where one is no longer there.
    """
    if len(workers()) <= 1:
        return value
    return float(_from_chief(np.array([value], np.float64))[0])


def chosen(choose: Callable[[], Choice]) -> Choice:
    """Return what ``choose`` returns to the chief, on every worker; only the chief calls it.

    Each worker has to ask at the same place of the program.

    Raises:
        WorkerLost: where one is no longer there.
    """
    if len(workers()) <= 1:
        return choose()
    if is_chief():
        choice = choose()
        share(pickle.dumps(choice))
        return choice
    received: Choice = pickle.loads(share(b""))  # from the same program, which has sent gradients in the same way
    return received


def share(content: bytes) -> bytes:
    """Return the chief's ``content``, on every worker; each has to ask at the same place of the program.

    Raises:
        WorkerLost: where one is no longer there.
    """
    if len(workers()) <= 1:
        return content
    size = int(agree(len(content)))
    words = np.frombuffer((content if is_chief() else b"").ljust(-(-size // 4) * 4, b"\0"), np.int32)
    parts = [_from_chief(words[start : start + WORDS_AT_A_TIME]) for start in range(0, len(words), WORDS_AT_A_TIME)]
    return np.concatenate(parts).tobytes()[:size] if parts else b""


def shared(snapshot: Snapshot) -> Snapshot:
    """Return the chief's snapshot on every worker; alone, what it was given.

    Raises:
        WorkerLost: where a worker is no longer there.
    """
    if len(workers()) <= 1:
        return snapshot
    content = share(to_bytes(snapshot) if is_chief() else b"")
    return snapshot if is_chief() else from_bytes(content)


def to_bytes(snapshot: Snapshot) -> bytes:
    """Return what is learned from a snapshot: all but the keys of its entries."""
    columns = [name for name in LEARNED_FROM if name in snapshot.ratings]
    parts = [json.dumps({"refused": dict(snapshot.rejected), "source": snapshot.source}).encode()]
    for frame in (snapshot.ratings[columns], snapshot.books):
        parquet = io.BytesIO()
        frame.to_parquet(parquet, index=False)
        parts.append(parquet.getvalue())
    return b"".join(len(part).to_bytes(_LENGTH, "big") + part for part in parts)


def from_bytes(content: bytes) -> Snapshot:
    """Return the snapshot that ``to_bytes`` was given, without the keys."""
    parts = []
    while content:
        size = int.from_bytes(content[:_LENGTH], "big")
        parts.append(content[_LENGTH : _LENGTH + size])
        content = content[_LENGTH + size :]
    about = json.loads(parts[0])
    ratings, books = (pd.read_parquet(io.BytesIO(part)) for part in parts[1:])
    return Snapshot(ratings, books, about["refused"], about["source"])


def _from_chief(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the chief's values, of the same shape everywhere: all others add zeros."""
    import tensorflow as tf

    total = _added_up()  # first of all: it connects the workers
    with lost_workers():
        shared: npt.NDArray[Any] = total(tf.constant(values if is_chief() else np.zeros_like(values))).numpy()
    return shared


@cache
def _added_up() -> Any:
    joined = strategy()
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def total(values: Any) -> Any:
        return joined.reduce(tf.distribute.ReduceOp.SUM, joined.run(lambda mine: mine, args=(values,)), axis=None)

    return total


@contextmanager
def lost_workers() -> Iterator[None]:
    """Turn what TensorFlow raises when another worker is gone into ``WorkerLost``."""
    import tensorflow as tf

    errors = tf.errors
    gone = (errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.DeadlineExceededError)
    try:
        yield
    except (*gone, errors.InternalError, errors.FailedPreconditionError) as problem:
        if len(workers()) <= 1:
            raise
        raise WorkerLost(
            f"worker {rank()} of {len(workers())} lost another in the middle of training; nothing was published: "
            f"look at the logs of {', '.join(workers())} ({type(problem).__name__})"
        ) from problem


def _tasks() -> dict[str, list[str]]:
    cluster = _config().get("cluster", {})
    return {name: list(cluster.get(name, [])) for name in ("chief", "worker")} if cluster else {}


def _config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        if config.get("cluster"):
            int(config["task"]["type"] in {"chief", "worker"} and config["task"]["index"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as problem:
        raise BadInput(f"TF_CONFIG is not a JSON object with cluster and task: {text[:200]}") from problem
    return dict(config)
