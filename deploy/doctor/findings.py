"""What was found, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.commands import Answer, Command, Remembering, Run
from deploy.steps import Question
from deploy.target import Target

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, or one thing worth knowing.

    Attributes:
        code: the kind of fault.
        evidence: what was seen, and where it differs.
        fix: a command that mends it, or a sentence.
        explains: keys of the plan's steps that are not done for this reason, and need no finding of their own.
    """

    severity: Severity
    code: str
    title: str
    evidence: str
    fix: str
    explains: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, str]:
        """Return what a program reads."""
        names = ("severity", "code", "title", "evidence", "fix")
        return {name: str(getattr(self, name)) for name in names}


@dataclass(slots=True)
class Look:
    """Asks a project questions, each once, and keeps what could not be answered.

    Attributes:
        unanswered: commands that failed though what they ask for may be there, with what they said.
    """

    target: Target
    run: Run
    unanswered: dict[Command, str] = field(default_factory=dict)
    _tools: Remembering = field(init=False)

    def __post_init__(self) -> None:
        self._tools = Remembering(self.run)

    def ask(self, command: Command) -> Answer:
        """Return the answer to a command that only reads."""
        answer = self._tools.ask(command)
        if not answer.ok and not answer.absent:
            self.unanswered[command] = answer.problem
        return answer

    def at(self, question: Question) -> Any:
        """Return what a question finds as JSON, or None where nothing is there or nobody may look."""
        answer = question.ask(self.ask)
        return answer.json() if answer.ok else None

    def text(self, question: Question) -> str | None:
        """Return what a question finds as text, or None."""
        answer = question.ask(self.ask)
        return answer.out if answer.ok else None


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 2 where there is an error, 1 where there is a warning, else 0."""
    found = {one.severity for one in findings}
    return 2 if "error" in found else 1 if "warning" in found else 0


def report(findings: Sequence[Finding]) -> str:
    """Return the findings for a person to read."""
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
