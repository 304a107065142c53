"""The training run as holder of the lease: it keeps renewing it, and knows when it has lost it."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from bookrec import lease as leases
from bookrec.errors import LeaseLost
from trainer.services import Database

LEASE_MS = 120_000
RENEW_AFTER_S = 30.0

log = logging.getLogger(__name__)


class LeaseHolder:
    """A context manager that takes the lease, or takes over the one that the functions took for this run.

    Attributes:
        fence: this run's fencing number.
    """

    def __init__(self, database: Database, run_id: str, fence: int | None) -> None:
        self._database, self.run_id = database, run_id
        self._given_fence = fence
        self._ended, self._lost = threading.Event(), threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> LeaseHolder:
        """Raise ``LeaseLost`` where another run holds the lease."""
        now = int(time.time() * 1000)
        if self._given_fence is None:
            live = self._database.pointer()
            least = live.fence if live else 0
            taken = self._database.change_lease(lambda held: leases.acquire(held, self.run_id, now, LEASE_MS, least))
        else:
            fence = self._given_fence
            taken = self._database.change_lease(lambda held: leases.renew(held, self.run_id, fence, now, LEASE_MS))
        self.fence = taken.fence
        self._heart.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._heart.join()
        try:
            self._database.change_lease(lambda held: leases.release(held, self.run_id, self.fence))
        except LeaseLost:
            log.warning("the lease was no longer this run's to give back")

    def check(self) -> None:
        """Raise ``LeaseLost`` where this run no longer holds the lease."""
        if self._lost.is_set():
            raise LeaseLost(f"run {self.run_id} has lost its lease (fence {self.fence})")
        self._renew()

    def _renew(self) -> None:
        now = int(time.time() * 1000)
        self._database.change_lease(lambda held: leases.renew(held, self.run_id, self.fence, now, LEASE_MS))

    def _beat(self) -> None:
        while not self._ended.wait(RENEW_AFTER_S):
            try:
                self._renew()
            except LeaseLost:
                self._lost.set()
                return
            except Exception as problem:  # the database may be away for a while; the lease outlives some beats
                log.warning("the lease could not be renewed: %s", problem)
