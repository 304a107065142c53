"""What all commands share: how one is declared, what it has to say at its end, and the exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

PROGRAM = "python -m trainer"

DONE, REFUSED, BAD_INPUT, ATTENTION, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES: Mapping[int, str] = {
    DONE: "done",
    REFUSED: "refused or lost: by the gate, a lease that another run holds, or a service that did not answer",
    BAD_INPUT: "bad input: an option, a file, or a setting of the environment",
    ATTENTION: "something needs attention (`status` says what, and what to do)",
    INTERRUPTED: "interrupted with Ctrl-C: nothing is half-done, and a lease is given back",
}
"""What a command's exit code means; all commands share them."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended.

    Attributes:
        text: for a person; the last line break is added.
        result: the same for a program: what ``--json`` prints.
        code: the exit code.
    """

    text: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    code: int = DONE


class UsageError(ValueError):
    """The words of a command are not what its parser takes.

    Attributes:
        usage: what it would take.
    """

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """A parser that leaves it to the program how an error is said."""

    def error(self, message: str) -> NoReturn:
        """Raise ``UsageError``."""
        raise UsageError(f"{message}; {self.prog} --help says more", self.format_usage())


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with line breaks as they are written, and with the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if default_of(action) is None:
            return action.help
        return f"{action.help} (default: %(default)s)"


def default_of(action: argparse.Action) -> object:
    """Return an option's default, or None where there is none, or the help says it already."""
    says_nothing = action.default is False or action.default in (None, "", argparse.SUPPRESS)
    if says_nothing or not action.option_strings or "default:" in (action.help or ""):
        return None
    return action.default


def declare(
    commands: Any,
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], Done],
    *,
    about: str = "",
    examples: Sequence[str] = (),
) -> argparse.ArgumentParser:
    """Declare a command; return its parser, for the options.

    Args:
        commands: where, from ``add_subparsers``.
        summary: one line for the list of commands.
        run: does it; raises what ``trainer.command_line.errors`` explains.
        about: what there is to say beyond the summary.
        examples: whole words behind the command's name.
    """
    shown = "\n".join(f"  {PROGRAM} {name} {words}".rstrip() for words in examples)
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description="\n\n".join(filter(None, [f"{summary[:1].upper()}{summary[1:]}.", about])),
        epilog=f"examples:\n{shown}" if shown else None,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run, command=name)
    return parser
