"""Findings, how they are reported, and how a check queries the project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.commands import Answer, CachedRun, Command, Run
from deploy.steps import Question
from deploy.target import Target

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, or something worth knowing.

    Attributes:
        code: the kind of fault.
        evidence: what was seen, and what was expected.
        fix: a command that repairs it, or advice.
        explains: keys of the plan's steps that are not done for this reason; they get no separate finding.
    """

    severity: Severity
    code: str
    title: str
    evidence: str
    fix: str
    explains: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, str]:
        """Return the finding as JSON, for programs."""
        names = ("severity", "code", "title", "evidence", "fix")
        return {name: str(getattr(self, name)) for name in names}


@dataclass(slots=True)
class Probe:
    """Queries a project, asking each question once, and records what was not answered.

    Attributes:
        unanswered: commands that failed although their resource may exist, with what they said.
    """

    target: Target
    run: Run
    unanswered: dict[Command, str] = field(default_factory=dict)
    _cached: CachedRun = field(init=False)

    def __post_init__(self) -> None:
        self._cached = CachedRun(self.run)

    def ask(self, command: Command) -> Answer:
        """Return the answer to a command that only reads."""
        answer = self._cached.ask(command)
        if not answer.ok and not answer.absent:
            self.unanswered[command] = answer.problem
        return answer

    def json(self, question: Question) -> Any:
        """Return the answer to a question as JSON, or None if nothing exists or access is denied."""
        answer = question.ask(self.ask)
        return answer.json() if answer.ok else None

    def text(self, question: Question) -> str | None:
        """Return the answer to a question as text, or None."""
        answer = question.ask(self.ask)
        return answer.out if answer.ok else None


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 2 if there is an error, 1 if there is a warning, else 0."""
    severities = {one.severity for one in findings}
    return 2 if "error" in severities else 1 if "warning" in severities else 0


def report(findings: Sequence[Finding]) -> str:
    """Return the findings as text, for people."""
    lines = []
    for one in findings:
        lines += [
            f"{one.severity.upper()}  {one.title}  [{one.code}]",
            f"    {one.evidence}",
            f"    Fix: {one.fix}",
            "",
        ]
    counts = ", ".join(f"{sum(one.severity == name for one in findings)} {name}s" for name in ORDER)
    return "\n".join([*lines, counts])
