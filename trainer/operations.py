"""What an operator does by hand: make an earlier version live again, and let retraining go on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bookrec import lease as leases
from bookrec.manifest import Pointer
from bookrec.publishing import kept_manifest, rolled_back
from trainer.publishing import versions
from trainer.publishing.lease_holder import LeaseHolder
from trainer.run import Services, switch

if TYPE_CHECKING:
    from trainer.publishing.adapters import Database

log = logging.getLogger(__name__)


def rollback(services: Services, version: str) -> Pointer:
    """Make a kept version live again; return the new pointer.

    It is a publish like any other: under the lease, fenced, verified in the bucket, and every list follows it. Entries
    that the version was not trained on stay what they are; the next run reads all of them.

    Raises:
        BadModel: where the version is not kept, or its files are not what they were.
        LeaseLost: a training run is live.
    """
    with LeaseHolder(services.database, services.now_ms, services.heart, purpose=leases.ROLLBACK) as lease:
        live = services.database.pointer()
        manifest = versions.verify(services.bucket, version, kept_manifest(live, version), services.answers)
        lease.check()
        pointer = rolled_back(live, manifest, lease.fence, services.now_ms())
        pointer = switch(services.database, pointer, is_rollback=True)
        log.info("version %s is live again", version)
        return pointer


def release(database: Database) -> int:
    """Let retraining start again after it was parked; return how many failures in a row had parked it."""
    failures = database.lease().failures
    database.change_lease(leases.forgive)
    return failures
