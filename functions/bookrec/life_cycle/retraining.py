"""When to retrain: after a quiet time, with a minimum number of changes, a maximum age, and waits after failures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bookrec.life_cycle.lease import Lease


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds; each is a parameter of the deployment.

    Attributes:
        quiet_ms: how long no entry must have changed before a run starts, so that a reader who rates several books
            in one sitting causes one run.
        minimum_changes: how many changed entries are worth a run.
        maximum_age_ms: a change of this age is enough for a run, even if it is the only one or readers are busy.
        retry_ms: how long to wait after a failed run; doubled by each further failure.
        longest_retry_ms: the longest such wait.
        attempts: after so many failures in a row, retraining is parked until an operator releases it.
    """

    quiet_ms: int
    minimum_changes: int
    maximum_age_ms: int
    retry_ms: int = 60_000
    longest_retry_ms: int = 3_600_000
    attempts: int = 5

    @property
    def enough_changes(self) -> int:
        """How many pending changes have to be counted."""
        return max(self.minimum_changes, 1)

    def retry_at(self, lease: Lease) -> int:
        """Return when the next run may start (milliseconds since 1970); 0 if the last one did not fail."""
        if not lease.failures:
            return 0
        wait_ms = self.retry_ms << min(lease.failures - 1, 30)
        return lease.failed_at + min(wait_ms, self.longest_retry_ms)

    def may_start(self, lease: Lease, now: int) -> bool:
        """Return whether failures in a row leave a run possible, if one is due."""
        return not self.is_parked(lease) and now >= self.retry_at(lease)

    def is_parked(self, lease: Lease) -> bool:
        """Return whether only an operator can start retraining again."""
        return lease.failures >= self.attempts


@dataclass(frozen=True, slots=True)
class Pending:
    """Entries that changed since the last run's snapshot; times in milliseconds since 1970.

    Attributes:
        changes: how many; counted only up to what is enough for a run.
        oldest_at: when the first of them changed.
        newest_at: when the last of them changed, counted or not.
    """

    changes: int = 0
    oldest_at: int = 0
    newest_at: int = 0

    @staticmethod
    def of_all(parts: Iterable[Pending]) -> Pending:
        """Return the changes of several databases as one."""
        changed = [part for part in parts if part.changes]
        if not changed:
            return Pending()
        oldest, newest = min(part.oldest_at for part in changed), max(part.newest_at for part in changed)
        return Pending(sum(part.changes for part in changed), oldest, newest)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to start a run now.

    Attributes:
        due: whether a run is due.
        reason: one clause for the log.
    """

    due: bool
    reason: str


def decide(policy: Policy, pending: Pending, lease: Lease, now: int, model_is_live: bool) -> Decision:
    """Return whether the pending changes are due for training.

    Without a live model, the minimum number of changes does not apply: the first reader gets the first model.
    """
    if pending.changes == 0:
        return Decision(False, "nothing has changed since the last run")
    if policy.is_parked(lease):
        return Decision(False, f"parked after {lease.failures} failures in a row")
    if now < policy.retry_at(lease):
        return Decision(False, f"the last run {lease.outcome or 'was interrupted'}, the next one waits")
    if now >= pending.oldest_at + policy.maximum_age_ms:
        return Decision(True, "the oldest change has reached the maximum age")
    if model_is_live and pending.changes < policy.minimum_changes:
        return Decision(False, f"{pending.changes} of at least {policy.minimum_changes} changes")
    if now < pending.newest_at + policy.quiet_ms:
        return Decision(False, "readers are still writing")
    return Decision(True, f"at least {pending.changes} changes, and quiet since the last one")


def check_window(policy: Policy, now: int) -> tuple[str, int]:
    """Return the task that checks the policy after a change at ``now``: its id, and when it runs.

    All changes in one window of ``quiet_ms`` share a task, which runs at the end of the next window. By then, nothing
    has changed for ``quiet_ms``, or a later change has its own task. The id is hashed, since consecutive ids would all
    go to the same Cloud Tasks server.
    """
    window = now // max(policy.quiet_ms, 1)
    task_id = hashlib.sha256(f"retrain:{policy.quiet_ms}:{window}".encode()).hexdigest()[:32]
    return task_id, (window + 2) * max(policy.quiet_ms, 1)
