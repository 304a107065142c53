"""The lease holder: takes the lease for a run, keeps renewing it, and notices its loss."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from bookrec.errors import LeaseLost
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.lease import Lease, Outcome
from bookrec.life_cycle.manifest import Pointer, usable_pointer
from bookrec_operations.ports import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beat:
    """A renewal of the lease: call it, or have another process renew the same lease.

    Attributes:
        holder: the run that holds the lease.
        fence: its fencing number.
        lease_ms: how long the run may be silent.
        renew: renews the lease; returns False once the run no longer holds it.
    """

    holder: str
    fence: int
    lease_ms: int
    renew: Callable[[], bool]

    def __call__(self) -> bool:
        """Renew the lease; return False if there is no point in doing so again."""
        return self.renew()


Heart = Callable[[Beat, float], Callable[[], None]]
"""Renews the lease at an interval in seconds until that returns False; returns a function that ends the renewals."""


def beat_in_thread(beat: Beat, every_s: float) -> Callable[[], None]:
    """Implement ``Heart`` for work that never holds the interpreter's lock for long."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s) and beat():
            pass

    thread = threading.Thread(target=run, name="lease", daemon=True)
    thread.start()

    def stop() -> None:
        ended.set()
        thread.join()

    return stop


def never_beat(beat: Beat, every_s: float) -> Callable[[], None]:
    """Implement ``Heart`` for work that is shorter than its lease."""
    return lambda: None


class LeaseHolder:
    """A context manager that takes the lease, or takes over the one that the functions took for this run.

    Args:
        now_ms: the clock, in milliseconds since 1970.
        heart: keeps renewing the lease.
        lease_ms: how long the run may be silent.
        limit_ms: how long it may take in all.
        purpose: purpose of a new lease, if ``fence`` is None: its holder is named after it.
        run_id: the holder of the lease that was taken for this run, with its ``fence``.

    Attributes:
        run_id: the name of the holder.
        fence: its fencing number.
        outcome: the run's outcome, to be set before the end; None counts neither as success nor as failure.
        is_switching: to be set before the pointer may name this run's version.
    """

    def __init__(
        self,
        database: Database,
        now_ms: Callable[[], int],
        heart: Heart,
        lease_ms: int,
        limit_ms: int,
        *,
        purpose: str = "manual",
        run_id: str = "",
        fence: int | None = None,
    ) -> None:
        self._database, self._now_ms, self._heart = database, now_ms, heart
        self._lease_ms, self._limit_ms = lease_ms, limit_ms
        self._purpose, self.run_id, self._given_fence = purpose, run_id, fence
        self._is_lost = False
        self.outcome: Outcome | None = None
        self.is_switching = self._is_left = False

    def __enter__(self) -> LeaseHolder:
        """Take the lease; raise ``LeaseLost`` if another run holds it."""
        now = self._now_ms()
        if self._given_fence is None:
            live = usable_pointer(self._database.pointer())
            live_fence = live.fence if live else 0
            taken = self._change(
                lambda held: leases.acquire(held, self._purpose, now, self._lease_ms, self._limit_ms, live_fence)
            )
        else:
            fence = self._given_fence
            taken = self._change(lambda held: leases.renew(held, self.run_id, fence, now, self._lease_ms))
        self.run_id, self.fence = taken.holder or "", taken.fence
        beat = Beat(self.run_id, self.fence, self._lease_ms, self._beat)
        self._stop: Callable[[], None] = lambda: None
        try:
            self._stop = self._heart(beat, self._lease_ms / 4000)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop()
        if not self._is_left:
            self._release()

    def _release(self) -> None:
        now = self._now_ms()
        try:
            self._change(lambda held: leases.release(held, self.run_id, self.fence, self.outcome, now))
        except LeaseLost:
            log.warning("the lease could not be released: this run no longer holds it")
        except Exception as problem:  # the run's work is done; the lease will expire
            log.warning("the lease could not be released: %s", problem)

    def published(self) -> Pointer | None:
        """Return the live model's pointer if this run has published it."""
        live = usable_pointer(self._database.pointer())
        return live if live is not None and live.fence == self.fence else None

    def leave(self) -> None:
        """Do not release the lease at the end: it expires, and whoever frees it finds out how the run has ended."""
        self._is_left = True

    def check(self) -> None:
        """Raise ``LeaseLost`` if this run no longer holds the lease."""
        if self._is_lost:
            raise LeaseLost(f"run {self.run_id} has lost its lease (fence {self.fence})")
        self._renew()

    def _renew(self) -> None:
        now = self._now_ms()
        self._change(lambda held: leases.renew(held, self.run_id, self.fence, now, self._lease_ms))

    def _beat(self) -> bool:
        try:
            self._renew()
        except LeaseLost:
            self._is_lost = True
        except Exception as problem:  # the database may be away for a while; the lease outlasts some failed renewals
            log.warning("the lease could not be renewed: %s", problem)
        return not self._is_lost

    def _change(self, change: Callable[[Lease], Lease | None]) -> Lease:
        """Change the lease; raise ``LeaseLost``, which names its holder, if ``change`` returns None."""
        present = Lease()

        def noting(held: Lease) -> Lease | None:
            nonlocal present
            present = held
            return change(held)

        changed = self._database.change_lease(noting)
        if changed is None:
            raise LeaseLost(f"the lease is held by run {present.holder} under fence {present.fence}")
        return changed
