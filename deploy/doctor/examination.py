"""The examination: every check, and then every step of the plan that is not done and that no check has explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploy.commands import Run
from deploy.doctor import guards, places, roles, workings
from deploy.doctor.findings import ORDER, Finding, Look, Severity
from deploy.plan import plan
from deploy.project import NoProject, identified
from deploy.steps import OFF, SHAPE_ERRORS, Step, due, state_of
from deploy.target import Target

CHECKS = (*places.CHECKS, *roles.CHECKS, *workings.CHECKS, *guards.CHECKS)

_MILD = ("repository-cleanup", "functions-cleanup", "hosting", "web-app", "metric-", "alert-", "bucket-builds")
"""Steps whose want breaks nothing at once."""


def examine(target: Target, run: Run) -> list[Finding]:
    """Return what is to be mended in a project, the worst first; nothing in it is changed."""
    try:
        target = identified(target, run)
    except NoProject as problem:
        first, *rest = str(problem).splitlines()
        return [Finding("error", "project", "The project cannot be seen", first, " ".join(rest))]
    look = Look(target, run)
    found = [finding for check in CHECKS for finding in _findings(check, look)]
    explained = frozenset[str]().union(*(finding.explains for finding in found))
    off = any(finding.code == "api-off" for finding in found)
    for step in plan(target):
        # What a step writes on this machine says nothing of the project.
        if step.file is not None or step.key in explained:
            continue
        state = state_of(step, look.ask)
        # Of what an API has that is off, the one finding about the API is enough.
        if state.name == "missing" and not (state.said == OFF and off):
            found.append(_undone(step, look))
        elif state.name == "unknown" and "another form" in state.said:
            title = f"Cannot tell: {step.title}"
            found.append(Finding("warning", "unanswered", title, state.said, "Look at what the tool prints"))
    for command, said in look.unanswered.items():
        title = "A question was not answered"
        found.append(Finding("warning", "unanswered", title, said, f"Run it by hand: {command.shell()}"))
    return sorted(found, key=lambda one: (ORDER.index(one.severity), one.code))


def _findings(check: Callable[[Look], Iterable[Finding]], look: Look) -> list[Finding]:
    try:
        return list(check(look))
    except SHAPE_ERRORS as problem:
        title = "An answer has another form than expected"
        evidence = f"{check.__name__}: {type(problem).__name__}: {problem}"
        fix = "Nothing in the project need be wrong: look at what the tool prints, and mend deploy/doctor"
        return [Finding("warning", "unanswered", title, evidence, fix)]


def _undone(step: Step, look: Look) -> Finding:
    mild = step.key.startswith(_MILD) or "recommender-builder" in step.key
    severity: Severity = "warning" if mild else "error"
    commands = [command.shell() for command in due(step, look.ask)]
    return Finding(severity, step.key, f"Not done: {step.title}", step.why, " && ".join(commands) or step.remedy)
