"""The lease under which a training run works, with a fencing number.

Source: Kleppmann, "How to do distributed locking" (2016): a lease alone cannot stop a holder that was paused; a
number that grows with each lease, checked where the result is stored, can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from bookrec.life_cycle.ranges import LATEST_MS, MAX_FENCE

Outcome = Literal["published", "refused", "failed", "died", "timed out"]
"""How a run ended: with a verdict (``published``, ``refused`` by the gate), with an error (``failed``), without
saying so (``died``), or at its time limit (``timed out``)."""

JUDGED: tuple[Outcome, ...] = ("published", "refused")
"""The outcomes with a verdict: the entries of the run's snapshot then count as trained on."""

ROLLBACK = "rollback"
"""The purpose of a lease that is not for training."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The state of ``/Recommender/lease``; times in milliseconds since 1970.

    Attributes:
        holder: the run that holds it, or None while it is free.
        fence: the current holder's fencing number: how many leases have been given.
        expires_at: when another run may take it, unless the holder renews it.
        ends_by: the run's time limit; no renewal extends the lease beyond it.
        outcome: how the last run ended; None until one has.
        failures: how many runs in a row ended without a verdict.
        failed_at: when the last of these ended.
    """

    holder: str | None = None
    fence: int = 0
    expires_at: int = 0
    ends_by: int = 0
    outcome: Outcome | None = None
    failures: int = 0
    failed_at: int = 0

    def is_held(self, now: int) -> bool:
        """Return whether a run holds the lease at ``now``."""
        return self.holder is not None and now < self.expires_at

    @property
    def is_for_training(self) -> bool:
        """Return whether a training run holds the lease, or held it until it expired."""
        return self.holder is not None and not self.holder.startswith(f"{ROLLBACK}-")

    def is_held_by(self, holder: str, fence: int) -> bool:
        """Return whether this run still holds the lease; true after expiry too, as long as no other run took it."""
        return self.holder == holder and self.fence == fence

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {_camel(name): value for name, value in values.items() if value is not None}


def read_lease(node: object) -> Lease:
    """Return the lease in a database node; a missing or damaged node is a free lease that keeps its fence.

    A number out of its range counts as 0.
    """
    if not isinstance(node, Mapping):
        return Lease()
    holder, outcome = node.get("holder"), node.get("outcome")
    return Lease(
        holder=holder if isinstance(holder, str) and holder else None,
        fence=_whole(node.get("fence"), MAX_FENCE),
        expires_at=_whole(node.get("expiresAt"), LATEST_MS),
        ends_by=_whole(node.get("endsBy"), LATEST_MS),
        outcome=outcome if outcome in get_args(Outcome) else None,
        failures=_whole(node.get("failures"), MAX_FENCE),
        failed_at=_whole(node.get("failedAt"), LATEST_MS),
    )


def acquire(lease: Lease, purpose: str, now: int, duration_ms: int, limit_ms: int, live_fence: int = 0) -> Lease | None:
    """Return the lease given to a new run named ``{purpose}-{fence}``, or None while another run holds it.

    Args:
        limit_ms: how long the run may take in all.
        live_fence: the live model's fencing number. The new one is greater than this and the lease's, so no number is
            used twice even if the lease's node was lost.
    """
    if lease.is_held(now):
        return None
    free = free_expired(lease, now, live_fence) or lease
    fence = max(free.fence, live_fence) + 1
    ends_by = now + limit_ms
    return replace(
        free, holder=f"{purpose}-{fence}", fence=fence, expires_at=min(now + duration_ms, ends_by), ends_by=ends_by
    )


def renew(lease: Lease, holder: str, fence: int, now: int, duration_ms: int) -> Lease | None:
    """Return the lease with a later expiry, or None if this run no longer holds it or has reached its time limit."""
    if not lease.is_held_by(holder, fence) or now >= lease.ends_by:
        return None
    return replace(lease, expires_at=min(now + duration_ms, lease.ends_by))


def release(lease: Lease, holder: str, fence: int, outcome: Outcome | None, now: int) -> Lease | None:
    """Return the lease freed, with its fence, or None if this run no longer holds it.

    Args:
        outcome: None counts neither as success nor as failure. A lease that is not for training has no outcome: that
            of the last run stays.
    """
    if not lease.is_held_by(holder, fence):
        return None
    if not lease.is_for_training:
        return _freed(lease)
    return _ended(lease, outcome, now) if outcome else replace(_freed(lease), outcome=None)


def give_back(lease: Lease, holder: str, fence: int) -> Lease | None:
    """Return the lease freed without a run, so how the last one ended stays; None if this run no longer holds it."""
    return _freed(lease) if lease.is_held_by(holder, fence) else None


def free_expired(lease: Lease, now: int, live_fence: int) -> Lease | None:
    """Return the lease freed if a run let it expire, else None.

    Failures in a row are those of training runs: a rollback that died changes none of them.

    Args:
        live_fence: the live model's fencing number; a run that died right after it published did not fail.
    """
    if lease.holder is None or lease.is_held(now):
        return None
    if not lease.is_for_training:
        return _freed(lease)
    died: Outcome = "timed out" if lease.expires_at >= lease.ends_by else "died"
    return _ended(lease, "published" if lease.fence == live_fence else died, lease.expires_at)


def forgive(lease: Lease) -> Lease:
    """Return the lease without its failures: runs may start again."""
    return replace(lease, failures=0, failed_at=0)


def published(lease: Lease) -> Lease:
    """Return the free lease of a run that published after all: it was silent for so long that it counted as dead."""
    return replace(forgive(lease), outcome="published")


def _freed(lease: Lease) -> Lease:
    return replace(lease, holder=None, expires_at=0, ends_by=0)


def _ended(lease: Lease, outcome: Outcome, at: int) -> Lease:
    free = replace(_freed(lease), outcome=outcome)
    return forgive(free) if outcome in JUDGED else replace(free, failures=lease.failures + 1, failed_at=at)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _whole(value: object, most: int) -> int:
    """Return a number from 0 to ``most`` as a whole one, and 0 for anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value <= most else 0  # type: ignore[operator,call-overload]
