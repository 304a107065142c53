"""The one lease under which a training run works, with a fencing number.

Source: Kleppmann, "How to do distributed locking" (2016): a lease alone cannot stop a paused holder;
the number that grows with each lease, checked where the result is stored, can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

Outcome = Literal["published", "refused", "failed", "died", "timed out"]
"""How a run ended: judged (``published``, ``refused`` by the gate), with an error of its own (``failed``), without
a word (``died``), or at its time limit (``timed out``)."""

JUDGED: tuple[Outcome, ...] = ("published", "refused")
"""The outcomes after which the entries of the run's snapshot count as trained on."""

ROLLBACK = "rollback"
"""The purpose of a lease that is not for training."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The state of ``/Recommender/lease``; times in milliseconds since 1970.

    Attributes:
        holder: the training run that holds it, or None while it is free.
        fence: how many leases were ever given; the current holder's fencing number.
        expires_at: another run may take it from then on, unless its holder renews it.
        ends_by: the run's time limit, which no renewal reaches beyond.
        outcome: how the last run ended; None before the first one has.
        failures: runs in a row that ended without a judgement.
        failed_at: when the last of them ended.
    """

    holder: str | None = None
    fence: int = 0
    expires_at: int = 0
    ends_by: int = 0
    outcome: Outcome | None = None
    failures: int = 0
    failed_at: int = 0

    def is_held(self, now: int) -> bool:
        """Tell whether a run holds the lease at ``now``."""
        return self.holder is not None and now < self.expires_at

    @property
    def is_for_training(self) -> bool:
        """Tell whether a training run holds it, or held it until it was silent for too long."""
        return self.holder is not None and not self.holder.startswith(f"{ROLLBACK}-")

    def is_held_by(self, holder: str, fence: int) -> bool:
        """Tell whether exactly this run still holds the lease; after its expiry too, while nobody else took it."""
        return self.holder == holder and self.fence == fence

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {_camel(name): value for name, value in values.items() if value is not None}


def read_lease(node: object) -> Lease:
    """Return the lease in a database node; a missing or damaged node is a free lease that keeps its fence."""
    if not isinstance(node, Mapping):
        return Lease()
    holder, outcome = node.get("holder"), node.get("outcome")
    return Lease(
        holder=holder if isinstance(holder, str) and holder else None,
        fence=_whole(node.get("fence")),
        expires_at=_whole(node.get("expiresAt")),
        ends_by=_whole(node.get("endsBy")),
        outcome=outcome if outcome in get_args(Outcome) else None,
        failures=_whole(node.get("failures")),
        failed_at=_whole(node.get("failedAt")),
    )


def acquire(lease: Lease, purpose: str, now: int, duration_ms: int, limit_ms: int, live_fence: int = 0) -> Lease | None:
    """Return the lease given to a new run named ``{purpose}-{fence}``, or None while another run holds it.

    Args:
        limit_ms: how long the run may take in all.
        live_fence: the live model's fencing number; the new one is greater than both, so that even a
            lost lease node cannot give a number that was used before.
    """
    if lease.is_held(now):
        return None
    free = bury(lease, now, live_fence) or lease
    fence = max(free.fence, live_fence) + 1
    ends_by = now + limit_ms
    return replace(
        free, holder=f"{purpose}-{fence}", fence=fence, expires_at=min(now + duration_ms, ends_by), ends_by=ends_by
    )


def renew(lease: Lease, holder: str, fence: int, now: int, duration_ms: int) -> Lease | None:
    """Return the lease with a later expiry, or None where it is no longer this run's, or its time is over."""
    if not lease.is_held_by(holder, fence) or now >= lease.ends_by:
        return None
    return replace(lease, expires_at=min(now + duration_ms, lease.ends_by))


def release(lease: Lease, holder: str, fence: int, outcome: Outcome | None, now: int) -> Lease | None:
    """Return the lease freed, its fence kept, or None where it is no longer this run's.

    Args:
        outcome: None where the lease was taken for something else than training.
    """
    if not lease.is_held_by(holder, fence):
        return None
    return _ended(lease, outcome, now) if outcome else replace(lease, holder=None, expires_at=0, ends_by=0)


def bury(lease: Lease, now: int, live_fence: int) -> Lease | None:
    """Return the lease freed of a run that let it expire, or None where there is no such run.

    Args:
        live_fence: the live model's fencing number: a run that died right after it had published did not fail.
    """
    if lease.holder is None or lease.is_held(now):
        return None
    died: Outcome = "timed out" if lease.expires_at >= lease.ends_by else "died"
    return _ended(lease, "published" if lease.fence == live_fence else died, lease.expires_at)


def forgive(lease: Lease) -> Lease:
    """Return the lease without its failures: an operator has looked, and runs may start again."""
    return replace(lease, failures=0, failed_at=0)


def _ended(lease: Lease, outcome: Outcome, at: int) -> Lease:
    free = replace(lease, holder=None, expires_at=0, ends_by=0, outcome=outcome)
    return forgive(free) if outcome in JUDGED else replace(free, failures=lease.failures + 1, failed_at=at)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _whole(value: object) -> int:
    return max(int(value), 0) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
