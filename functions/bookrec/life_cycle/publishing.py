"""How a publish, a rollback, and the start or end of an experiment change ``/Recommender/model``.

The functions that take ``present`` run inside the transaction on that node: they return the next value of the node.
"""

from __future__ import annotations

from dataclasses import replace

from bookrec import paths
from bookrec.errors import BadModel, LeaseLost, NotNow
from bookrec.life_cycle.experiment import Experiment
from bookrec.life_cycle.manifest import KEPT_VERSIONS, MANIFEST, Manifest, Pointer, usable_pointer
from bookrec.life_cycle.ranges import CLOCKS_MS, is_time


def next_pointer(present: object, pointer: Pointer, *, is_rollback: bool = False) -> dict[str, object]:
    """Return the pointer's node after a publish.

    A damaged node counts as no model: any publish repairs it. An experiment continues as long as its version is kept
    and does not become the live one.

    Args:
        is_rollback: the version was live before, and must still be kept.

    Raises:
        LeaseLost: if a run with this fence or a later one has published.
        BadModel: if the version to roll back to is no longer kept.
    """
    live = usable_pointer(present)
    if live is not None and live.fence >= pointer.fence:
        raise LeaseLost(f"version {live.version} was published under fence {live.fence}, this run has {pointer.fence}")
    if is_rollback:
        kept_manifest(live, pointer.version)
    kept = _kept(live, pointer)
    experiment = live.experiment if live else None
    goes_on = experiment is not None and experiment.version in kept and experiment.version != pointer.version
    return replace(pointer, kept=kept, experiment=experiment if goes_on else None).to_node()


def kept_manifest(live: Pointer | None, version: str) -> str:
    """Return the SHA-256 of a kept version's manifest.

    Raises:
        BadModel: if the version is not kept; names the versions that are.
    """
    if live is None or version not in live.kept:
        kept = ", ".join(sorted(live.kept)) if live else ""
        raise BadModel(f"version {version} is not kept; these are: {kept or 'none'}")
    return live.kept[version]


def rolled_back(live: Pointer | None, manifest: Manifest, fence: int, now_ms: int) -> Pointer:
    """Return the pointer that makes a kept version live again, with the fence of the rollback's lease.

    Raises:
        BadModel: if the version is not kept, or its manifest has no usable time.
    """
    version, data = manifest.version, manifest.details.get("data")
    snapshot_at = data.get("snapshotAt", 0) if isinstance(data, dict) else 0
    if not is_time(snapshot_at) or snapshot_at > now_ms + CLOCKS_MS:
        raise BadModel(
            f"the manifest of version {version} does not say when its data were read: choose another version"
        )
    name = paths.model_object(version, MANIFEST)
    return Pointer(version, name, kept_manifest(live, version), fence, now_ms, int(snapshot_at))


def experiment_started(present: object, version: str, share: float, now_ms: int) -> dict[str, object]:
    """Return the pointer's node with an experiment that starts now; the live model is its arm ``a``.

    Raises:
        BadModel: if the version is not kept.
        NotNow: if the version is live, or another experiment is running.
    """
    live = usable_pointer(present)
    kept_manifest(live, version)
    assert live is not None  # else nothing is kept
    if version == live.version:
        raise NotNow(f"version {version} is live: an experiment compares it with another one of the kept versions")
    if live.experiment is not None:
        raise NotNow(f"experiment {live.experiment.id} is running: end it first")
    experiment = Experiment(f"ab-{now_ms}", version, share, now_ms)
    return replace(live, experiment=experiment, switches=live.switches + 1).to_node()


def experiment_ended(present: object) -> dict[str, object] | None:
    """Return the pointer's node without its experiment, or None if none is running."""
    live = usable_pointer(present)
    if live is None or live.experiment is None:
        return None
    return replace(live, experiment=None, switches=live.switches + 1).to_node()


def _kept(live: Pointer | None, pointer: Pointer) -> dict[str, str]:
    """Return the versions that the new pointer keeps: its own, the one it replaces, and the newest of the others."""
    before = dict(live.kept) if live else {}
    needed = {pointer.version: pointer.manifest_sha256}
    if live is not None:
        needed[live.version] = live.manifest_sha256
    others = sorted(set(before) - set(needed), reverse=True)[: KEPT_VERSIONS - len(needed)]
    return needed | {version: before[version] for version in others}
