"""A step of the plan: what to run, why, and how to see that it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploy.commands import Answer, Command, Run

SHAPE_ERRORS = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What is raised where an answer has another form than the code expects: it is said, and nothing is done on it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A command that reads; what it says may lead to a second one (``None``: then there is nothing to find)."""

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
    """How to see that a step is done: a question, and what its answer has to be."""

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
    """A step.

    Attributes:
        key: a short name, unique in the plan.
        commands: run in this order; none where only a person can do it.
        unless: commands that are left out where their check holds: what is there is not created again.
        check: tells that it is done. A step with a file has none: the file's content tells.
        remedy: what to do where it fails.
    """

    key: str
    title: str
    why: str
    commands: tuple[Command, ...] = ()
    check: Check | None = None
    file: LocalFile | None = None
    unless: tuple[tuple[Command, Check], ...] = ()
    remedy: str = "Read the message above, mend it, and run the same command again: what is done is not done twice."


OFF = "the API is off"


@dataclass(frozen=True, slots=True)
class State:
    """How a step stands. ``unknown`` has the reason in ``said``; ``missing`` has ``OFF`` there if the API is off."""

    name: Literal["done", "missing", "unknown"]
    said: str = ""


def state_of(step: Step, ask: Run) -> State:
    """Return how a step stands, by commands that only read."""
    if step.file is not None:
        return _state_of_file(step.file, ask)
    assert step.check is not None, step.key
    return _state_of_check(step.check, ask)


def due(step: Step, ask: Run) -> list[Command]:
    """Return the commands of a step that is not done which have to be run."""
    there = [command for command, check in step.unless if _state_of_check(check, ask).name == "done"]
    return [command for command in step.commands if command not in there]


def _state_of_check(check: Check, ask: Run) -> State:
    try:
        answer = check.question.ask(ask)
        if answer.ok:
            found = answer.out if check.is_text else answer.json()
            return State("done" if check.holds(found) else "missing")
    except SHAPE_ERRORS as problem:
        return State("unknown", f"its answer has another form than expected ({type(problem).__name__}: {problem})")
    return State("missing", OFF if answer.off else "") if answer.absent else State("unknown", answer.problem)


def content_of(file: LocalFile, ask: Run) -> str | Answer:
    """Return what the file should be, or the answer that stands in the way."""
    found = []
    for question in file.questions:
        answer = question.ask(ask)
        if not answer.ok:
            return answer
        found.append(answer.json())
    return file.render(*found)


def _state_of_file(file: LocalFile, ask: Run) -> State:
    try:
        content = content_of(file, ask)
    except SHAPE_ERRORS as problem:
        return State("unknown", f"an answer has another form than expected ({type(problem).__name__}: {problem})")
    if isinstance(content, Answer):
        return State("missing") if content.absent else State("unknown", content.problem)
    return State("done" if file.path.is_file() and file.path.read_text() == content else "missing")


def names(found: Any, key: str = "name") -> list[str]:
    """Return the last parts of the resource names in a list of resources."""
    return [str(one.get(key, "")).rpartition("/")[2] for one in found or []]


def has_role(policy: Any, member: str, role: str) -> bool:
    """Tell whether an IAM policy gives a role to a member without a condition."""
    bindings = (policy or {}).get("bindings", [])
    return any(b.get("role") == role and member in b.get("members", []) and not b.get("condition") for b in bindings)
