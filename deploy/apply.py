"""Shows a plan, or carries it out. Steps that are already done are skipped."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from deploy.commands import Answer, CachedRun, Run
from deploy.plan import NOTES, plan
from deploy.steps import Step, content_of, due, state_of
from deploy.target import ROOT, Target

Say = Callable[[str], None]


def show(target: Target, run: Run, say: Say) -> int:
    """Print every step with its commands and whether it would be skipped. Change nothing; return how many are left."""
    cached, left = CachedRun(run), 0
    steps = plan(target)
    for number, step in enumerate(steps, 1):
        state = state_of(step, cached.ask)
        left += state.name != "done"
        labels = {"done": "done, would be skipped", "missing": "to do", "unknown": f"cannot tell: {state.said}"}
        say(f"{number}. {step.title}  [{labels[state.name]}]")
        say(_why(step))
        for line in _lines(step):
            say(f"     {line}")
    say("")
    say(f"{left} of {len(steps)} steps are left. Nothing was changed.")
    _say_notes(say)
    return left


def apply(target: Target, run: Run, say: Say) -> int:
    """Carry out every step that is not done, in order. Stop at the first failure; return the exit code."""
    cached = CachedRun(run)
    count = len(plan(target))
    for number in range(1, count + 1):
        # Planned again for each step: an earlier step writes a file that changes the digest of the pages.
        step = plan(target)[number - 1]
        state = state_of(step, cached.ask)
        if state.name == "done":
            say(f"{number}/{count}  {step.title}: already done")
            continue
        if state.name == "unknown":
            return _stop(step, number, count, f"cannot tell whether it is done: {state.said}", say)
        say(f"{number}/{count}  {step.title}")
        problem = _carry_out(step, cached, say)
        after = state_of(step, cached.ask)
        if after.name != "done":
            waiting = "its commands ran, but it is not done yet; a change can take a minute to show"
            return _stop(step, number, count, problem or after.said or waiting, say)
        if problem:
            say(f"     A command reported a problem, but the step is done: {problem}")
    say("")
    say("Everything is in place.")
    _say_notes(say)
    return 0


def _carry_out(step: Step, cached: CachedRun, say: Say) -> str:
    """Run a step's commands until one fails; return what it said, or "" if none did."""
    if step.file is not None:
        content = content_of(step.file, cached.ask)
        if isinstance(content, Answer):
            return content.problem
        step.file.path.write_text(content)
        return ""
    commands = due(step, cached.ask)
    if not commands:
        return "no command can do this step"
    for command in commands:
        say(f"     $ {command.shell()}")
        answer = cached.change(command)
        if not answer.ok:
            return answer.problem
    return ""


def _stop(step: Step, number: int, count: int, problem: str, say: Say) -> int:
    say("")
    say(f"Stopped at step {number} of {count}: {step.title}")
    say(f"  What happened: {problem}")
    say(f"  What to do: {step.remedy}")
    say("  Run the same command again to continue from here.")
    return 1


def _lines(step: Step) -> list[str]:
    if step.file is not None:
        reads = [f"# from the answer to: {question.command.shell()}" for question in step.file.questions]
        return [f"# writes {step.file.path.relative_to(ROOT)}", *reads]
    return [command.shell() for command in step.commands] or [f"# by hand: {step.remedy}"]


def _why(step: Step) -> str:
    return textwrap.fill(step.why, 110, initial_indent="   ", subsequent_indent="   ")


def _say_notes(say: Say) -> None:
    say("To do by hand:")
    for note in NOTES:
        say(textwrap.fill(note, 110, initial_indent="- ", subsequent_indent="  "))
