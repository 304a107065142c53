"""The one lease under which a training run works, with a fencing number.

Source: Kleppmann, "How to do distributed locking" (2016): a lease alone cannot stop a paused holder;
the number that grows with each lease, checked where the result is stored, can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, slots=True)
class Lease:
    """The state of ``/Recommender/lease``.

    Attributes:
        holder: the training run that holds it, or None while it is free.
        fence: how many leases were ever given; the current holder's fencing number.
        expires_at: milliseconds since 1970 after which another run may take it.
    """

    holder: str | None = None
    fence: int = 0
    expires_at: int = 0

    def is_held(self, now: int) -> bool:
        """Tell whether a run holds the lease at ``now`` (milliseconds since 1970)."""
        return self.holder is not None and now < self.expires_at

    def is_held_by(self, holder: str, fence: int) -> bool:
        """Tell whether exactly this run still holds the lease; after its expiry too, while nobody else took it."""
        return self.holder == holder and self.fence == fence

    def to_node(self) -> dict[str, object]:
        """Return the database node."""
        return {_camel(name): value for name, value in asdict(self).items() if value is not None}


def read_lease(node: object) -> Lease:
    """Return the lease in a database node; a missing or damaged node is a free lease that keeps its fence."""
    if not isinstance(node, Mapping):
        return Lease()
    holder = node.get("holder")
    return Lease(
        holder=holder if isinstance(holder, str) and holder else None,
        fence=_whole(node.get("fence")),
        expires_at=_whole(node.get("expiresAt")),
    )


def acquire(lease: Lease, holder: str, now: int, duration_ms: int, least_fence: int = 0) -> Lease | None:
    """Return the lease given to ``holder``, or None while another run holds it.

    Args:
        least_fence: the live model's fencing number; the new one is greater than both, so that even a
            lost lease node cannot give a number that was used before.
    """
    if lease.is_held(now):
        return None
    return Lease(holder, max(lease.fence, least_fence) + 1, now + duration_ms)


def renew(lease: Lease, holder: str, fence: int, now: int, duration_ms: int) -> Lease | None:
    """Return the lease with a later expiry, or None where it is no longer this run's."""
    return replace(lease, expires_at=now + duration_ms) if lease.is_held_by(holder, fence) else None


def release(lease: Lease, holder: str, fence: int) -> Lease | None:
    """Return the lease freed, its fence kept, or None where it is no longer this run's."""
    return Lease(None, lease.fence, 0) if lease.is_held_by(holder, fence) else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _whole(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
