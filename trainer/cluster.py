"""Training on several machines: who takes part, one strategy for all, and one opinion where it counts.

Vertex AI describes a custom job's machines in ``TF_CONFIG``; without it a run is alone. All workers run the same
program on the same entries; each takes its share of every step's groups, and gradients are added up. Whatever
decides how the program goes on (when to stop, which candidate is better) is the chief's opinion, so that two machines
that round differently cannot part ways.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from bookrec.errors import BookrecError

PATIENCE_S = float(os.environ.get("WORKERS_PATIENCE_SECONDS") or 300)
"""How long the first workers wait for the last."""


class WorkerLost(BookrecError):
    """A worker did not come, or is no longer there: the run ends, and the next one begins anew."""


def workers() -> list[str]:
    """Return the addresses of all workers, the chief's first; empty where a run is alone.

    Raises:
        ValueError: where ``TF_CONFIG`` is not what TensorFlow documents.
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
    """Tell whether this worker holds the lease, exports and publishes."""
    return rank() == 0


@cache
def strategy() -> Any:
    """Return the ``tf.distribute.Strategy`` of this process. Several workers must ask before TensorFlow does anything.

    Raises:
        WorkerLost: where not all workers came within ``PATIENCE_S``.
    """
    import tensorflow as tf

    if len(workers()) <= 1:
        return tf.distribute.get_strategy()
    made: list[Any] = []
    # TensorFlow waits for ever, and takes signals for itself meanwhile: so it waits in a thread that may be left.
    waiting = threading.Thread(target=lambda: made.append(_connected()), daemon=True)
    waiting.start()
    waiting.join(PATIENCE_S)
    if not made:
        raise WorkerLost(
            f"worker {rank()} waited {PATIENCE_S:.0f} s, and not all of {', '.join(workers())} came: "
            "look at the others' logs, or set WORKERS_PATIENCE_SECONDS"
        )
    return made[0]


def _connected() -> Any:
    import tensorflow as tf

    ring = tf.distribute.experimental.CommunicationImplementation.RING
    options = tf.distribute.experimental.CommunicationOptions(implementation=ring)
    return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


def agree(value: float) -> float:
    """Return the chief's ``value``, on every worker; each has to ask at the same place of the program.

    Raises:
        WorkerLost: where one is no longer there.
    """
    if len(workers()) <= 1:
        return value
    import tensorflow as tf

    mine = tf.constant(value if is_chief() else 0.0, tf.float64)
    with lost_workers():
        return float(_added_up()(mine))


@cache
def _added_up() -> Any:
    import tensorflow as tf

    joined = strategy()

    @tf.function(input_signature=[tf.TensorSpec([], tf.float64)])
    def total(value: Any) -> Any:
        return joined.reduce(tf.distribute.ReduceOp.SUM, joined.run(lambda mine: mine, args=(value,)), axis=None)

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
    found = _config().get("cluster", {})
    return {name: list(found.get(name, [])) for name in ("chief", "worker")} if found else {}


def _config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        if config and config.get("cluster"):
            int(config["task"]["type"] in {"chief", "worker"} and config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"TF_CONFIG is no JSON object with cluster and task: {text[:200]}") from problem
    return dict(config)
