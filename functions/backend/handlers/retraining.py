"""Retraining: asked for by every write, decided in one place, started under one lease."""

from __future__ import annotations

import uuid

from backend import logs
from backend.ports import Clock, Database, TaskQueue, TrainerJobs
from bookrec import lease as leases
from bookrec.errors import BadModel
from bookrec.manifest import Pointer, parse_pointer
from bookrec.retraining import Policy, check_window, decide

START_LEASE_MS = 600_000
"""How long a trainer may take to start; from then on it renews the lease itself."""

LONGEST_WAIT_S = 120.0
"""How long a task that was delivered before its time waits; Cloud Tasks keeps the time, the emulator does not."""


class RetrainingQueue:
    """Asks for the policy to be checked after a quiet time; however often it is called, once a window."""

    def __init__(self, tasks: TaskQueue, policy: Policy, clock: Clock) -> None:
        self._tasks, self._policy, self._clock = tasks, policy, clock

    def ask(self) -> None:
        """Queue the check. A queue that is away is no reason to fail: the reconciler asks again."""
        task_id, at_ms = check_window(self._policy, self._clock.now_ms())
        try:
            self._tasks.enqueue("retrain", {"notBefore": at_ms}, task_id, at_ms)
        except Exception as problem:
            logs.warning("retraining could not be queued", reason=str(problem))


class RetrainHandler:
    """Starts a training run if the policy says so and no other run is live."""

    def __init__(self, database: Database, jobs: TrainerJobs, policy: Policy, clock: Clock) -> None:
        self._database, self._jobs, self._policy = database, jobs, policy
        self._clock = clock

    def __call__(self, not_before_ms: int) -> str:
        """Handle a check that is due at ``not_before_ms``; return the outcome as one word for the log."""
        early_s = (not_before_ms - self._clock.now_ms()) / 1000
        if early_s > 0:
            self._clock.sleep(min(early_s, LONGEST_WAIT_S))
        pointer = self._pointer()
        decision = decide(self._policy, self._database.pending(), self._clock.now_ms(), pointer is not None)
        if not decision.due:
            logs.info("no retraining now", reason=decision.reason)
            return "waiting"
        return self._start(decision.reason, pointer.fence if pointer else 0)

    def _start(self, reason: str, least_fence: int) -> str:
        run_id = f"run-{uuid.uuid4().hex[:12]}"
        now = self._clock.now_ms()
        lease = self._database.change_lease(lambda held: leases.acquire(held, run_id, now, START_LEASE_MS, least_fence))
        if lease is None:
            logs.info("no retraining now", reason="a run is live")
            return "busy"
        try:
            self._jobs.start(run_id, lease.fence)
        except Exception:
            self._database.change_lease(lambda held: leases.release(held, run_id, lease.fence))
            raise
        logs.info("retraining was started", run=run_id, fence=lease.fence, reason=reason)
        return "started"

    def _pointer(self) -> Pointer | None:
        try:
            return parse_pointer(self._database.pointer())
        except BadModel:
            return None  # a damaged pointer is repaired by the next publish
