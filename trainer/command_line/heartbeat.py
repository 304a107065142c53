"""Renews the lease of a training run: ``python -m trainer.command_line.heartbeat HOLDER FENCE LEASE_MS EVERY_S``.

``trainer/publishing/heart.py`` starts it. It ends when its standard input does, when the process that started it is
gone, or when the lease is another run's.
"""

from __future__ import annotations

import logging
import os
import select
import sys

from bookrec.life_cycle import lease as leases
from trainer.cloud import now_ms
from trainer.command_line.connections import Databases, project_databases

log = logging.getLogger(__name__)


def main(holder: str, fence: int, lease_ms: int, every_s: float) -> None:
    """Renew the lease until it is no longer needed, or no longer this run's."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    run = os.getppid()
    with project_databases() as databases:
        while _renew(databases, holder, fence, lease_ms):
            has_input, _, _ = select.select([sys.stdin], [], [], every_s)  # nobody writes: it is ready at its end
            if has_input or os.getppid() != run:
                return


def _renew(databases: Databases, holder: str, fence: int, lease_ms: int) -> bool:
    """Renew the lease; return False if the run no longer holds it."""
    now = now_ms()
    try:
        renewed = databases.database.change_lease(lambda held: leases.renew(held, holder, fence, now, lease_ms))
    except Exception as problem:  # the database may be away for a while; the lease outlasts some failed renewals
        log.warning("the lease could not be renewed: %s", problem)
        return True
    return renewed is not None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
