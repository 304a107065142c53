"""The plan: every step, in its order."""

from __future__ import annotations

from deploy.parts import access, backend, pages, project, rules, storage, trainer, watch
from deploy.steps import Step
from deploy.target import Target


def plan(target: Target) -> list[Step]:
    """Return the steps that make a project what this repository needs.

    Each step finds what the steps before it have made: APIs before what they make, accounts and buckets before roles
    on them, rules before functions write anything, the functions before roles on their queues and services.
    """

    def grants(found: list[access.Grant]) -> list[Step]:
        return [access.grant_step(target, grant) for grant in found]

    return [
        *project.steps(target),
        *access.account_steps(target),
        *storage.steps(target),
        *trainer.repository_steps(target),
        *grants(access.early_grants(target)),
        access.build_step(target),
        trainer.image_step(target),
        trainer.job_step(target),
        *grants(access.job_grants(target)),
        *rules.steps(target),
        *backend.steps(target),
        *grants(access.late_grants(target)),
        *backend.schedule_steps(target),
        *pages.steps(target),
        *watch.steps(target),
    ]


NOTES = (
    "Database backups: only the console turns them on (Realtime Database, Backups). They need a bucket of their own.",
    "App Check: docs/access.md says how it is brought in without shutting readers out; doctor shows its state.",
    "Signing in: turn on the providers in the console (Authentication, Sign-in method).",
    "Operators: python -m deploy operator --project PROJECT EMAIL",
    "The first model: python -m deploy plan shows the job; gcloud run jobs execute book-trainer starts it, and the "
    "functions do once enough entries have changed.",
)
"""What no step can do."""
