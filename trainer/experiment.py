"""An A/B split, started and ended by hand: under the rules that the operator's function has too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bookrec import paths
from bookrec.errors import BadArgument
from bookrec.experiment import Experiment, is_share
from bookrec.manifest import usable_pointer
from bookrec.publishing import experiment_ended, experiment_started, kept_manifest
from trainer.publishing import versions

NodeAt = Callable[[str], Any]


def start(
    node_at: NodeAt, bucket: versions.Bucket, answers: versions.Answers, version: str, share: float, now_ms: int
) -> Experiment:
    """Give a share of the readers another kept version's lists; return the experiment.

    Raises:
        BadArgument: where the share is none.
        BadModel: where the version is not kept, or its files are not what they were.
        NotNow: where it is live, or another experiment runs.
    """
    if not is_share(share):
        raise BadArgument("the share lies between 0 and 1, and is neither")
    node = node_at(paths.MODEL).get()
    experiment_started(node, version, share, now_ms)  # what forbids it is said before the download
    live = usable_pointer(node)
    versions.verify(bucket, version, kept_manifest(live, version), answers)
    node = node_at(paths.MODEL).transaction(lambda present: experiment_started(present, version, share, now_ms))
    begun = usable_pointer(node)
    assert begun is not None
    assert begun.experiment is not None
    return begun.experiment


def end(node_at: NodeAt) -> Experiment | None:
    """Give all readers the live model's lists; return the experiment that was running, if any."""
    live = usable_pointer(node_at(paths.MODEL).get())
    if live is None or live.experiment is None:
        return None

    def ended(present: object) -> object:
        after = experiment_ended(present)
        return present if after is None else after  # somebody else has ended it

    node_at(paths.MODEL).transaction(ended)
    return live.experiment
