"""Runs every check, then adds each step of the plan that is not done and that no finding explains."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploy.commands import Run
from deploy.doctor import protection, regions, roles, runtime
from deploy.doctor.findings import ORDER, Finding, Probe, Severity
from deploy.plan import plan
from deploy.project import NoProject, identified
from deploy.steps import OFF, SHAPE_ERRORS, Step, due, state_of
from deploy.target import Target

CHECKS = (*regions.CHECKS, *roles.CHECKS, *runtime.CHECKS, *protection.CHECKS)

_MILD = (
    "repository-cleanup",
    "functions-cleanup",
    "hosting",
    "web-app",
    "metric-",
    "alert-",
    "dashboard",
    "bucket-builds",
)
"""Keys of steps that break nothing at once if they are missing."""


def examine(target: Target, run: Run) -> list[Finding]:
    """Return what has to be fixed in a project, the most severe first; change nothing in it."""
    try:
        target = identified(target, run)
    except NoProject as problem:
        first, *rest = str(problem).splitlines()
        return [Finding("error", "project", "The project cannot be seen", first, " ".join(rest))]
    probe = Probe(target, run)
    findings = [finding for check in CHECKS for finding in _findings(check, probe)]
    explained = frozenset[str]().union(*(finding.explains for finding in findings))
    off = any(finding.code == "api-off" for finding in findings)
    for step in plan(target):
        # A file on this machine says nothing about the project.
        if step.file is not None or step.key in explained:
            continue
        state = state_of(step, probe.ask)
        # If an API is off, the finding about the API covers everything in it.
        if state.name == "missing" and not (state.said == OFF and off):
            findings.append(_undone(step, probe))
        elif state.name == "unknown" and "expected form" in state.said:
            title = f"Cannot tell: {step.title}"
            findings.append(Finding("warning", "unanswered", title, state.said, "Look at what the tool prints"))
    for command, said in probe.unanswered.items():
        title = "A command was not answered"
        findings.append(Finding("warning", "unanswered", title, said, f"Run it by hand: {command.shell()}"))
    return sorted(findings, key=lambda one: (ORDER.index(one.severity), one.code))


def _findings(check: Callable[[Probe], Iterable[Finding]], probe: Probe) -> list[Finding]:
    try:
        return list(check(probe))
    except SHAPE_ERRORS as problem:
        title = "An answer does not have the expected form"
        evidence = f"{check.__name__}: {type(problem).__name__}: {problem}"
        fix = "The project may be fine: look at what the tool prints, and adapt deploy/doctor to it"
        return [Finding("warning", "unanswered", title, evidence, fix)]


def _undone(step: Step, probe: Probe) -> Finding:
    mild = step.key.startswith(_MILD) or "recommender-builder" in step.key
    severity: Severity = "warning" if mild else "error"
    commands = [command.shell() for command in due(step, probe.ask)]
    return Finding(severity, step.key, f"Not done: {step.title}", step.why, " && ".join(commands) or step.remedy)
