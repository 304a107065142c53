"""Looks up the project first: whether it exists, and its number."""

from __future__ import annotations

from dataclasses import replace

from deploy.commands import Run, gcloud
from deploy.target import Target


class NoProject(RuntimeError):
    """The project cannot be seen; the message says what to do."""


def identified(target: Target, run: Run) -> Target:
    """Return the target with its project's number.

    Raises:
        NoProject: there is no such project, or the account that is logged in may not see it.
    """
    answer = run(gcloud("projects", "describe", target.project, json_answer=True))
    if not answer.ok:
        raise NoProject(
            f"cannot see the project {target.project}: {answer.problem}\n"
            "Log in to both tools: gcloud auth login; firebase login. A new project: "
            f"gcloud projects create {target.project}"
        )
    return replace(target, number=str(answer.json().get("projectNumber", "")))
