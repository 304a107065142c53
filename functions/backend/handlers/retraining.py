"""Retraining: asked for by every write, decided in one place, started under one lease."""

from __future__ import annotations

from collections.abc import Mapping

from backend import logs
from backend.ports import TIMESTAMP, Clock, Database, TaskQueue, TrainerJobs
from bookrec import lease as leases
from bookrec import paths
from bookrec.errors import BadModel
from bookrec.manifest import parse_pointer
from bookrec.retraining import Policy, check_window, decide

LONGEST_WAIT_S = 120.0
"""How long a task that was delivered before its time waits; Cloud Tasks keeps the time, the emulator does not."""


RUN, PARKED = f"{paths.STATUS}/training/run", f"{paths.STATUS}/training/parked"
RUNNING = "running"
REASONS = {
    "died": "the run stopped renewing its lease: it was killed, or never started",
    "timed out": "the run reached its time limit",
    "failed": "the run could not be started",
}
"""What the record says of a run that could not say it itself."""


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
    """Starts a training run if the policy says so and no other run is live.

    Args:
        start_ms: how long a trainer may take to begin; from then on it renews the lease itself.
        limit_ms: how long it may take in all, once it has begun.
    """

    def __init__(
        self, database: Database, jobs: TrainerJobs, policy: Policy, clock: Clock, start_ms: int, limit_ms: int
    ) -> None:
        self._database, self._jobs, self._policy = database, jobs, policy
        self._clock, self._start_ms, self._limit_ms = clock, start_ms, limit_ms

    def __call__(self, not_before_ms: int) -> str:
        """Handle a check that is due at ``not_before_ms``; return the outcome as one word for the log."""
        early_s = (not_before_ms - self._clock.now_ms()) / 1000
        if early_s > 0:
            self._clock.sleep(min(early_s, LONGEST_WAIT_S))
        live_fence = self._live_fence()
        self.bury(live_fence)
        lease, pending, now = self._database.lease(), self._database.pending(), self._clock.now_ms()
        if lease.holder is not None:
            logs.info("no retraining now", reason="a run is live")
            return "busy"
        decision = decide(self._policy, pending, lease, now, live_fence > 0)
        if not decision.due:
            logs.info("no retraining now", reason=decision.reason)
            return "waiting"
        return self._start(decision.reason, live_fence)

    def bury(self, live_fence: int) -> int:
        """Free the lease of a run that died; return whether there was one."""
        now = self._clock.now_ms()
        lease = self._database.change_lease(lambda held: leases.bury(held, now, live_fence))
        if lease is None:
            return 0
        logs.alarm("run-failed", "a training run ended without a word", outcome=lease.outcome, fence=lease.fence)
        return 1

    def note(self) -> int:
        """Bring the run's record and the parked state up to date with the lease; return how many were wrong.

        The lease is the truth. Its record is written by the trainer, which can die before it does.
        """
        lease = self._database.lease()
        found = self._database.status("training")
        state = found if isinstance(found, Mapping) else {}
        changes: dict[str, object] = {}
        run = state.get("run")
        if (
            lease.holder is None
            and isinstance(run, Mapping)
            and run.get("outcome") == RUNNING
            and run.get("fence") == lease.fence
        ):
            changes[f"{RUN}/outcome"] = lease.outcome or "died"
            changes[f"{RUN}/reason"] = REASONS.get(lease.outcome or "died", "")
        parked = self._policy.is_parked(lease)
        if parked != (state.get("parked") is not None):
            node = {"at": TIMESTAMP, "failures": lease.failures, "outcome": lease.outcome}
            changes[PARKED] = node if parked else None
        if parked:
            logs.alarm("retraining-parked", "retraining waits for an operator", failures=lease.failures)
        if changes:
            self._database.update(changes)
        return len(changes)

    def _start(self, reason: str, live_fence: int) -> str:
        now = self._clock.now_ms()
        limit_ms = self._start_ms + self._limit_ms
        lease = self._database.change_lease(
            lambda held: leases.acquire(held, "run", now, self._start_ms, limit_ms, live_fence)
        )
        if lease is None or lease.holder is None:
            logs.info("no retraining now", reason="a run is live")
            return "busy"
        holder = lease.holder
        try:
            self._jobs.start(holder, lease.fence)
        except Exception:
            self._database.change_lease(lambda held: leases.release(held, holder, lease.fence, "failed", now))
            raise
        logs.info("retraining was started", run=holder, fence=lease.fence, reason=reason)
        return "started"

    def _live_fence(self) -> int:
        """Return the live model's fencing number, or 0 where there is none; the next publish repairs a damaged one."""
        try:
            pointer = parse_pointer(self._database.pointer())
        except BadModel:
            return 0
        return pointer.fence if pointer else 0
