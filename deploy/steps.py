"""A step of the plan: what to run, why, and how to check that it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploy.commands import Answer, Command, Run

SHAPE_ERRORS = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""Raised if an answer does not have the expected form. It is reported, and nothing is changed because of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A command that only reads. ``then`` may make a second one from its answer; ``None`` means that nothing exists."""

    command: Command
    then: Callable[[Any], Command | None] | None = None

    def ask(self, ask: Run) -> Answer:
        """Return the last answer."""
        answer = ask(self.command)
        if self.then is None or not answer.ok:
            return answer
        following = self.then(answer.json())
        return Answer(1, "", "NOT_FOUND") if following is None else ask(following)


@dataclass(frozen=True, slots=True)
class Check:
    """How to check that a step is done: a question, and what its answer has to be."""

    question: Question
    holds: Callable[[Any], bool]
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that a step writes on this machine, from the answers to some questions."""

    path: Path
    render: Callable[..., str]
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the plan.

    Attributes:
        key: a short name, unique in the plan.
        commands: run in this order; none if only a person can do it.
        unless: commands that are skipped if their check holds, so that nothing is created twice.
        check: holds if the step is done. A step with a file has none: its content is compared instead.
        remedy: what to do if it fails.
    """

    key: str
    title: str
    why: str
    commands: tuple[Command, ...] = ()
    check: Check | None = None
    file: LocalFile | None = None
    unless: tuple[tuple[Command, Check], ...] = ()
    remedy: str = "Fix what the message above says, and run the same command again. Finished steps are not repeated."


OFF = "the API is off"


@dataclass(frozen=True, slots=True)
class State:
    """The state of a step. ``said`` is the reason for ``unknown``, and ``OFF`` for ``missing`` if the API is off."""

    name: Literal["done", "missing", "unknown"]
    said: str = ""


def state_of(step: Step, ask: Run) -> State:
    """Return the state of a step, using commands that only read."""
    if step.file is not None:
        return _state_of_file(step.file, ask)
    assert step.check is not None, step.key
    return _state_of_check(step.check, ask)


def due(step: Step, ask: Run) -> list[Command]:
    """Return the commands that have to be run for a step that is not done."""
    unneeded = [command for command, check in step.unless if _state_of_check(check, ask).name == "done"]
    return [command for command in step.commands if command not in unneeded]


def _state_of_check(check: Check, ask: Run) -> State:
    try:
        answer = check.question.ask(ask)
        if answer.ok:
            content = answer.out if check.is_text else answer.json()
            return State("done" if check.holds(content) else "missing")
    except SHAPE_ERRORS as problem:
        return State("unknown", f"the answer does not have the expected form ({type(problem).__name__}: {problem})")
    return State("missing", OFF if answer.off else "") if answer.absent else State("unknown", answer.problem)


def content_of(file: LocalFile, ask: Run) -> str | Answer:
    """Return the content that the file should have, or the answer that prevents knowing it."""
    answers = []
    for question in file.questions:
        answer = question.ask(ask)
        if not answer.ok:
            return answer
        answers.append(answer.json())
    return file.render(*answers)


def _state_of_file(file: LocalFile, ask: Run) -> State:
    try:
        content = content_of(file, ask)
    except SHAPE_ERRORS as problem:
        return State("unknown", f"an answer does not have the expected form ({type(problem).__name__}: {problem})")
    if isinstance(content, Answer):
        return State("missing") if content.absent else State("unknown", content.problem)
    return State("done" if file.path.is_file() and file.path.read_text() == content else "missing")


def names(resources: Any, key: str = "name") -> list[str]:
    """Return the last part of the name of each resource."""
    return [str(one.get(key, "")).rpartition("/")[2] for one in resources or []]


def by_name(resources: Any) -> dict[str, dict[str, Any]]:
    """Return resources by the last part of their names."""
    return dict(zip(names(resources), resources or [], strict=True))


def has_role(policy: Any, member: str, role: str) -> bool:
    """Return whether an IAM policy gives a role to a member without a condition."""
    bindings = (policy or {}).get("bindings", [])
    return any(b.get("role") == role and member in b.get("members", []) and not b.get("condition") for b in bindings)
