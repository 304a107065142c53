"""Retraining: requested by every write, decided in one place, started under one lease."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence

from backend import logs
from backend.ports import TIMESTAMP, Clock, Database, TaskQueue, TrainerJobs, increment
from bookrec import paths
from bookrec.life_cycle import lease as leases
from bookrec.life_cycle.lease import Lease
from bookrec.life_cycle.manifest import usable_pointer
from bookrec.life_cycle.retraining import Pending, Policy, check_window, decide
from bookrec.paths import children

LONGEST_WAIT_S = 120.0
"""How long a task that came too early waits at most; Cloud Tasks delivers on time, the emulator does not."""

TRAINING = f"{paths.STATUS}/training"
RUN, PARKED, OUTCOMES, RUNS = (f"{TRAINING}/{name}" for name in ("run", "parked", "outcomes", "runs"))
KEPT_RUNS = 50
"""How many runs are kept on record: the newest."""

RUNNING = "running"
REASONS = {
    "died": "the run stopped renewing its lease: it was killed, or never started",
    "timed out": "the run reached its time limit",
    "failed": "the run could not be started",
}
"""The reasons on record for runs that could not report one."""


def run_record(run_id: object, fence: int, outcome: str | None) -> dict[str, object]:
    """Return the record, by path, of a run that ended and could not write it."""
    run = {"runId": run_id, "fence": fence, "outcome": outcome, "reason": REASONS.get(str(outcome)), "at": TIMESTAMP}
    return {f"{RUNS}/{fence}": run}


class RetrainingQueue:
    """Requests a check of the policy after a quiet time, once per window, no matter how often it is called."""

    def __init__(self, tasks: TaskQueue, policy: Policy, clock: Clock) -> None:
        self._tasks, self._policy, self._clock = tasks, policy, clock
        self._queued = ""

    def ask(self) -> None:
        """Queue the check. If the queue is unreachable, raise an alarm, not an error: the reconciler asks again."""
        task_id, at_ms = check_window(self._policy, self._clock.now_ms())
        if task_id == self._queued:
            return  # already queued by this instance in this window: the queue would reject the same task
        try:
            self._tasks.enqueue("retrain", {"notBefore": at_ms}, task_id, at_ms)
            self._queued = task_id
        except Exception as problem:
            logs.alarm("queue-unreachable", "retraining could not be queued", reason=type(problem).__name__)


class RetrainHandler:
    """Starts a training run if the policy says so and no other run is live.

    Args:
        database: the first instance.
        others: the other instances; their changes count too.
        start_ms: how long a trainer may take to begin; from then on, it renews the lease itself.
        limit_ms: how long it may take once it has begun.
    """

    def __init__(
        self,
        database: Database,
        jobs: TrainerJobs,
        policy: Policy,
        clock: Clock,
        start_ms: int,
        limit_ms: int,
        others: Sequence[Database] = (),
    ) -> None:
        self._database, self._jobs, self._policy, self._others = database, jobs, policy, others
        self._clock, self._start_ms, self._limit_ms = clock, start_ms, limit_ms

    def __call__(self, not_before_ms: int) -> str:
        """Handle a check that is due at ``not_before_ms``; return the outcome as one word for the log."""
        early_s = (not_before_ms - self._clock.now_ms()) / 1000
        if early_s > 0:
            self._clock.sleep(min(early_s, LONGEST_WAIT_S))
        self.free_expired_lease()
        live_fence = self._live_fence()
        lease = self._database.lease()
        if lease.holder is not None:
            logs.info("no retraining now", reason="a run is live")
            return "busy"
        if not self._policy.may_start(lease, self._clock.now_ms()):  # changes may be many by now: they are not read
            logs.info("no retraining now", reason=f"it waits after {lease.failures} failures in a row")
            return "waiting"
        pending, now = self._pending(), self._clock.now_ms()
        decision = decide(self._policy, pending, lease, now, live_fence > 0)
        if not decision.due:
            logs.info("no retraining now", reason=decision.reason)
            return "waiting"
        return self._start(decision.reason, live_fence)

    def at_once(self) -> str:
        """Start a run for an operator, whether or not anything has changed; return ``started`` or ``busy``."""
        self.free_expired_lease()
        return self._start("an operator asks for it", self._live_fence(), is_due=True)

    def free_expired_lease(self) -> int:
        """Free the lease of a run that died; return 1 if there was one, else 0.

        The pointer is read once the run is known to be silent: before that, it could still publish.
        """
        now, dead = self._clock.now_ms(), self._database.lease()
        if dead.holder is None or dead.is_held(now):
            return 0
        live_fence = self._live_fence()
        lease = self._database.change_lease(
            lambda held: leases.free_expired(held, now, live_fence) if held.fence == dead.fence else None
        )
        if lease is None:
            return 0
        if not dead.is_for_training:
            logs.info("the lease of a rollback that ended without releasing it is free", fence=lease.fence)
            return 1
        logs.info("the lease of a run that stopped renewing it is free", outcome=lease.outcome, fence=lease.fence)
        changes: dict[str, object] = {f"{OUTCOMES}/{lease.outcome}": increment(1)}
        if not self._database.status(f"training/runs/{lease.fence}"):
            changes |= run_record(dead.holder, lease.fence, lease.outcome)
        self._database.update(changes)
        return 1

    def note(self) -> int:
        """Update the run's record and the parked state from the lease; return the number of corrections.

        The lease is authoritative, but for a run that was silent when it switched: it published, although its lease was
        freed as that of a dead one. The trainer writes the run's record, and can die before it does.
        """
        published = self._published()
        lease, training = self._forgiven(published), children(self._database.status("training"))
        run, runs = dict(children(training.get("run"))), children(training.get("runs"))
        oldest = sorted(runs, key=paths.key_order)[:-KEPT_RUNS]
        changes: dict[str, object] = {f"{RUNS}/{fence}": None for fence in oldest}
        changes |= _corrected({fence: runs[fence] for fence in runs.keys() - oldest}, published)
        ended = _ended(run, lease, published)
        if ended:
            run |= {"outcome": ended, "reason": REASONS.get(ended)}
            changes |= {f"{RUN}/outcome": run["outcome"], f"{RUN}/reason": run["reason"]}
            if str(run["fence"]) not in runs:
                changes |= run_record(run.get("runId"), int(run["fence"]), ended)
        is_parked = self._policy.is_parked(lease)
        if is_parked != (training.get("parked") is not None):
            node = {"at": TIMESTAMP, "failures": lease.failures, "outcome": lease.outcome}
            changes[PARKED] = node if is_parked else None
        if changes:
            self._database.update(changes)
        self._raise_alarms(lease, run, is_parked)
        return len(changes)

    def _raise_alarms(self, lease: Lease, run: Mapping[str, object], is_parked: bool) -> None:
        if is_parked:
            logs.alarm("retraining-parked", "retraining waits for an operator", failures=lease.failures)
        elif lease.failures:
            logs.alarm("run-failed", "the last training run failed", outcome=lease.outcome, failures=lease.failures)
        elif lease.outcome == "refused":
            logs.alarm("model-refused", "the gate refused the last model", reason=str(run.get("reason"))[:500])

    def _start(self, reason: str, live_fence: int, *, is_due: bool = False) -> str:
        now = self._clock.now_ms()
        limit_ms = self._start_ms + self._limit_ms
        lease = self._database.change_lease(
            lambda held: leases.acquire(held, "run", now, self._start_ms, limit_ms, live_fence)
        )
        if lease is None or lease.holder is None:
            logs.info("no retraining now", reason="a run is live")
            return "busy"
        holder = lease.holder
        if not is_due and not self._has_pending():  # another run has ended since the decision
            self._database.change_lease(lambda held: leases.give_back(held, holder, lease.fence))
            return "waiting"
        try:
            self._jobs.start(holder, lease.fence)
        except Exception:
            self._database.change_lease(lambda held: leases.release(held, holder, lease.fence, "failed", now))
            self._database.update(run_record(holder, lease.fence, "failed"))
            raise
        logs.info("retraining was started", run=holder, fence=lease.fence, reason=reason)
        return "started"

    def _pending(self) -> Pending:
        enough = self._policy.enough_changes
        return Pending.of_all(database.pending(enough) for database in (self._database, *self._others))

    def _has_pending(self) -> bool:
        return any(database.has_pending() for database in (self._database, *self._others))

    def _published(self) -> set[str]:
        """Return the fences of the runs whose versions the pointer keeps: a version is named after its run's fence."""
        pointer = usable_pointer(self._database.pointer())
        return {name.rpartition("-")[2] for name in pointer.kept} if pointer else set()

    def _forgiven(self, published: Container[str]) -> Lease:
        """Return the lease, on which a run that published does not count as a failed one."""

        def forgiven(held: Lease) -> Lease | None:
            is_wrong = held.failures > 0 and held.holder is None and str(held.fence) in published
            return leases.published(held) if is_wrong else None

        lease = self._database.lease()
        return (self._database.change_lease(forgiven) if forgiven(lease) else None) or lease

    def _live_fence(self) -> int:
        """Return the live model's fencing number, or 0 if no model is live."""
        pointer = usable_pointer(self._database.pointer())
        return pointer.fence if pointer else 0


def _ended(run: Mapping[str, object], lease: Lease, published: Container[str]) -> str | None:
    """Return how the last run has ended, if its record does not say so.

    If a rollback has taken the lease since, the run never released it.
    """
    fence, outcome = run.get("fence"), run.get("outcome")
    if not isinstance(fence, int) or fence > lease.fence or (fence == lease.fence and lease.holder is not None):
        return None
    if str(fence) in published:
        return "published" if outcome != "published" else None
    if outcome != RUNNING:
        return None
    return (lease.outcome or "died") if fence == lease.fence else "died"


def _corrected(runs: Mapping[str, object], published: Container[str]) -> dict[str, object]:
    """Return what corrects the records and the count of runs that are said to have ended otherwise, by path."""
    changes: dict[str, object] = {}
    moved = Counter[str]()
    for fence, record in runs.items():
        outcome = children(record).get("outcome")
        if fence in published and outcome != "published":
            changes |= {f"{RUNS}/{fence}/outcome": "published", f"{RUNS}/{fence}/reason": None}
            moved.update({str(outcome): -1, "published": 1})
    return changes | {f"{OUTCOMES}/{outcome}": increment(by) for outcome, by in moved.items()}
