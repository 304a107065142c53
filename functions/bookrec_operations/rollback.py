"""A rollback: a kept version becomes live again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack

from bookrec.errors import LeaseLost, NotNow
from bookrec.life_cycle.manifest import Pointer, usable_pointer
from bookrec.life_cycle.publishing import kept_manifest, rolled_back
from bookrec_operations.lease_holder import LeaseHolder
from bookrec_operations.ports import Database, Verify
from bookrec_operations.switch import switch

log = logging.getLogger(__name__)


def roll_back(
    database: Database, verify: Verify, lease: LeaseHolder, now_ms: Callable[[], int], version: str
) -> Pointer:
    """Make a kept version live again; return the new pointer.

    It is a publish like any other: under the lease, fenced, verified in the bucket, and every list follows it. Entries
    that the version was not trained on stay what they are; the next run reads all of them.

    Args:
        lease: not taken yet, for the purpose ``bookrec.life_cycle.lease.ROLLBACK``.
        now_ms: the clock, in milliseconds since 1970.

    Raises:
        BadModel: if the version is not kept, or its files are not what they were.
        NotNow: if a run is live.
        LeaseLost: if the rollback took too long, or a run has published meanwhile.
        StoreUnavailable: if the bucket does not answer.
    """
    kept_manifest(usable_pointer(database.pointer()), version)  # said at once, whoever holds the lease
    with ExitStack() as held:
        try:
            held.enter_context(lease)
        except LeaseLost as problem:
            raise NotNow(f"a run is live: ask again when it has ended ({problem})") from problem
        live = usable_pointer(database.pointer())
        manifest = verify(version, kept_manifest(live, version))
        try:
            lease.check()
        except LeaseLost as problem:
            raise LeaseLost(f"the rollback took too long; ask for it again ({problem})") from problem
        pointer = switch(database, rolled_back(live, manifest, lease.fence, now_ms()), is_rollback=True)
    log.info("version %s is live again", version)
    return pointer
