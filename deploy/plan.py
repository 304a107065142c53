"""The plan: every step, in order."""

from __future__ import annotations

from deploy.parts import access, backend, monitoring, pages, project, rules, storage, trainer
from deploy.steps import Step
from deploy.target import Target


def plan(target: Target) -> list[Step]:
    """Return the steps that set up a project.

    A step relies on the ones before it: APIs come before what they create, accounts and buckets before roles on them,
    rules before functions write anything, and functions before roles on their queues and services.
    """

    def grant_steps(grants: list[access.Grant]) -> list[Step]:
        return [access.grant_step(target, grant) for grant in grants]

    return [
        *project.steps(target),
        *access.account_steps(target),
        *storage.steps(target),
        *trainer.repository_steps(target),
        *grant_steps(access.early_grants(target)),
        access.build_step(target),
        trainer.image_step(target),
        trainer.job_step(target),
        *grant_steps(access.job_grants(target)),
        *rules.steps(target),
        *backend.steps(target),
        *grant_steps(access.late_grants(target)),
        *backend.schedule_steps(target),
        *pages.steps(target),
        *monitoring.steps(target),
    ]


NOTES = (
    "Database backups: turn them on in the console (Realtime Database, Backups). They need a separate bucket.",
    "App Check: docs/access.md says how to introduce it without locking readers out; doctor shows its state.",
    "Sign-in: turn on the providers in the console (Authentication, Sign-in method).",
    "Operators: python -m deploy operator --project PROJECT EMAIL",
    "The first model: gcloud run jobs execute book-trainer starts a run; python -m deploy plan shows the job. The "
    "functions start a run by themselves once enough entries have changed.",
)
"""What has to be done by hand."""
