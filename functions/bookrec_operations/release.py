"""A release: retraining that was parked goes on."""

from __future__ import annotations

from bookrec.life_cycle import lease as leases
from bookrec_operations.ports import Database


def release(database: Database) -> int:
    """Forgive the failures in a row that parked retraining; return how many there were."""
    failures = database.lease().failures
    if failures:
        database.change_lease(leases.forgive)
    return failures
