"""When to retrain: debounced by quiet time, with a least number of changes and a greatest age."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds; each is a parameter of the deployment.

    Attributes:
        quiet_ms: how long no entry may have changed before a run starts, so that one sitting of a
            reader is one run.
        minimum_changes: how many changed entries make a run worth while.
        maximum_age_ms: a change older than this is trained on alone, and however busy the readers are.
    """

    quiet_ms: int
    minimum_changes: int
    maximum_age_ms: int


@dataclass(frozen=True, slots=True)
class Pending:
    """Entries that changed since the last run's snapshot; times in milliseconds since 1970."""

    changes: int = 0
    oldest_at: int = 0
    newest_at: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to start a run now.

    Attributes:
        due: start one.
        reason: one clause for the log.
        check_at: when to ask again (milliseconds since 1970); None where only a new change can matter.
    """

    due: bool
    reason: str
    check_at: int | None = None


def decide(policy: Policy, pending: Pending, now: int, model_is_live: bool) -> Decision:
    """Return whether the pending changes are due for training.

    Without a live model the least number of changes is waived: the first reader gets the first model.
    """
    if pending.changes == 0:
        return Decision(False, "nothing has changed since the last run")
    too_old_at = pending.oldest_at + policy.maximum_age_ms
    if now >= too_old_at:
        return Decision(True, "the oldest change has reached the maximum age")
    if model_is_live and pending.changes < policy.minimum_changes:
        return Decision(False, f"{pending.changes} of at least {policy.minimum_changes} changes", too_old_at)
    quiet_at = pending.newest_at + policy.quiet_ms
    if now < quiet_at:
        return Decision(False, "readers are still writing", min(quiet_at, too_old_at))
    return Decision(True, f"{pending.changes} changes, and quiet since the last one")


def check_window(policy: Policy, now: int) -> tuple[str, int]:
    """Return the task that checks the policy after a change at ``now``: its id, and when it runs.

    All changes within one window of ``quiet_ms`` share one task, which runs at the end of the next
    window: by then the last of them has been quiet for ``quiet_ms``, or a later change has a task of
    its own. The id is hashed, since consecutive ids would all meet the same Cloud Tasks server.
    """
    window = now // max(policy.quiet_ms, 1)
    task_id = hashlib.sha256(f"retrain:{policy.quiet_ms}:{window}".encode()).hexdigest()[:32]
    return task_id, (window + 2) * max(policy.quiet_ms, 1)
