"""Shows a plan, or carries it out: what is done already is not done again."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from deploy.commands import Answer, Remembering, Run
from deploy.plan import NOTES, plan
from deploy.steps import Step, content_of, due, state_of
from deploy.target import ROOT, Target

Say = Callable[[str], None]


def show(target: Target, run: Run, say: Say) -> int:
    """Print every step with its commands and whether it would be skipped; change nothing. Return how many are left."""
    tools, left = Remembering(run), 0
    steps = plan(target)
    for number, step in enumerate(steps, 1):
        state = state_of(step, tools.ask)
        left += state.name != "done"
        standing = {"done": "done, would be skipped", "missing": "to do", "unknown": f"cannot tell: {state.said}"}
        say(f"{number}. {step.title}  [{standing[state.name]}]")
        say(_why(step))
        for line in _lines(step):
            say(f"     {line}")
    say("")
    say(f"{left} of {len(steps)} steps are left. Nothing was changed.")
    _say_notes(say)
    return left


def apply(target: Target, run: Run, say: Say) -> int:
    """Carry out every step that is not done, in order; stop at the first that fails. Return the exit code."""
    tools = Remembering(run)
    count = len(plan(target))
    for number in range(1, count + 1):
        # Made anew for each step: the digest of the pages changes with the file that an earlier step writes.
        step = plan(target)[number - 1]
        state = state_of(step, tools.ask)
        if state.name == "done":
            say(f"{number}/{count}  {step.title}: done already")
            continue
        if state.name == "unknown":
            return _stop(step, number, count, f"cannot tell whether it is done: {state.said}", say)
        say(f"{number}/{count}  {step.title}")
        problem = _carry_out(step, tools, say)
        after = state_of(step, tools.ask)
        if after.name != "done":
            waiting = "it was run, and is not so yet; changes can take a minute to be seen"
            return _stop(step, number, count, problem or after.said or waiting, say)
        if problem:
            say(f"     It complained, and is done all the same: {problem}")
    say("")
    say("All is there.")
    _say_notes(say)
    return 0


def _carry_out(step: Step, tools: Remembering, say: Say) -> str:
    """Run a step's commands up to the first that fails; return what that said, or ""."""
    if step.file is not None:
        content = content_of(step.file, tools.ask)
        if isinstance(content, Answer):
            return content.problem
        step.file.path.write_text(content)
        return ""
    commands = due(step, tools.ask)
    if not commands:
        return "no command can do this"
    for command in commands:
        say(f"     $ {command.shell()}")
        answer = tools.change(command)
        if not answer.ok:
            return answer.problem
    return ""


def _stop(step: Step, number: int, count: int, problem: str, say: Say) -> int:
    say("")
    say(f"Stopped at step {number} of {count}: {step.title}")
    say(f"  What happened: {problem}")
    say(f"  What to do: {step.remedy}")
    say("  Run the same command again to go on from here.")
    return 1


def _lines(step: Step) -> list[str]:
    if step.file is not None:
        reads = [f"# from the answer to: {question.command.shell()}" for question in step.file.questions]
        return [f"# writes {step.file.path.relative_to(ROOT)}", *reads]
    return [command.shell() for command in step.commands] or [f"# by hand: {step.remedy}"]


def _why(step: Step) -> str:
    return textwrap.fill(step.why, 110, initial_indent="   ", subsequent_indent="   ")


def _say_notes(say: Say) -> None:
    say("By hand:")
    for note in NOTES:
        say(textwrap.fill(note, 110, initial_indent="- ", subsequent_indent="  "))
