"""An experiment: an A/B split between the live model and another kept version, started and ended by hand."""

from __future__ import annotations

from bookrec.errors import BadArgument
from bookrec.life_cycle.experiment import Experiment, is_share
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.life_cycle.publishing import experiment_ended, experiment_started, kept_manifest
from bookrec_operations.ports import Database, Verify


def start_experiment(database: Database, verify: Verify, version: str, share: object, now_ms: int) -> Experiment:
    """Give a share of the readers another kept version's lists; return the experiment.

    Raises:
        BadArgument: if the share is not between 0 and 1.
        BadModel: if the version is not kept, or its files are not what they were.
        NotNow: if it is live, or another experiment runs.
        StoreUnavailable: if the bucket does not answer.
    """
    if not isinstance(share, (int, float)) or not is_share(share):
        raise BadArgument("the share of readers who get the other model is a number between 0 and 1")
    part, node = float(share), database.pointer()
    experiment_started(node, version, part, now_ms)  # what forbids it is said before the download
    verify(version, kept_manifest(usable_pointer(node), version))
    node = database.change_pointer(lambda present: experiment_started(present, version, part, now_ms))
    begun = usable_pointer(node)
    assert begun is not None
    assert begun.experiment is not None
    return begun.experiment


def end_experiment(database: Database) -> Experiment | None:
    """Give all readers the live model's lists; return the experiment that was running, if any."""
    ended: Experiment | None = None

    def change(present: object) -> dict[str, object] | None:
        nonlocal ended
        live = usable_pointer(present)
        ended = live.experiment if live else None
        return experiment_ended(present)

    database.change_pointer(change)
    return ended
