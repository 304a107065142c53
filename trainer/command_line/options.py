"""What all commands share: how one is declared, its result, and the exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from bookrec.errors import BadInput
from trainer.config import Config, Optimiser, Variant

if TYPE_CHECKING:
    from trainer.data.files.reading import How

PROGRAM = "python -m trainer"

DONE, FAILED, BAD_INPUT, ATTENTION, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES: Mapping[int, str] = {
    DONE: "done",
    FAILED: "failed: the gate refused the model, another run has the lease, or a service did not answer",
    BAD_INPUT: "bad input: an option, a file, or a setting of the environment",
    ATTENTION: "something needs attention (`status` says what, and what to do)",
    INTERRUPTED: "interrupted with Ctrl-C: nothing is half-done, and a held lease is released",
}
"""The exit codes that all commands share, with their meanings."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a command.

    Attributes:
        text: for people, without the last line break.
        result: the same for programs: what ``--json`` prints.
        code: the exit code.
    """

    text: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    code: int = DONE


class UsageError(BadInput):
    """A command was called with arguments that its parser does not accept.

    Attributes:
        usage: the command's usage line.
    """

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """A parser that raises its errors instead of printing them."""

    def error(self, message: str) -> NoReturn:
        """Raise ``UsageError``."""
        raise UsageError(f"{message}; for help: {self.prog} --help", self.format_usage())


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Formats help with its line breaks as written, and with the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if default_of(action) is None:
            return action.help
        return f"{action.help} (default: %(default)s)"


def default_of(action: argparse.Action) -> object:
    """Return an option's default, or None if it has none or its help mentions it already."""
    says_nothing = action.default is False or action.default in (None, "", argparse.SUPPRESS)
    if says_nothing or not action.option_strings or "default:" in (action.help or ""):
        return None
    return action.default


def add_learned(parser: argparse._ActionsContainer, defaults: Config) -> None:
    """Add the options of the learned candidate that ``train``, ``run`` and ``evaluate`` have in common."""
    parser.add_argument("--variant", choices=get_args(Variant), default=defaults.variant, help="the learned candidate")
    parser.add_argument(
        "--optimiser",
        choices=get_args(Optimiser),
        default=defaults.optimiser,
        help="optimiser of the learned candidate; adamw is the notebook's",
    )
    parser.add_argument(
        "--epochs",
        type=_at_least_one,
        metavar="N",
        default=defaults.epochs,
        help="train the learned candidate for at most N epochs; it stops earlier if validation no longer improves "
        "(the notebook's number is 100)",
    )


def learned(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the values of ``add_learned``'s options by the names that ``Config`` gives them."""
    return {name: getattr(arguments, name) for name in ("variant", "optimiser", "epochs")}


READING = (
    "Tables are read by their content: gzipped or not; separated by commas, semicolons or tabs; in UTF-8 or UTF-16.\n"
    "What a spreadsheet has changed is mended if there is one way to, and counted; other rows are rejected with a\n"
    "reason. A blank myRate is 0; quarter stars are rounded up to halves, except by `evaluate`."
)
"""What the help of commands says that read tables."""


def add_reading(parser: argparse._ActionsContainer) -> None:
    """Add the options for reading tables of ratings that ``import``, ``train``, ``run`` and ``evaluate`` share."""
    parser.add_argument(
        "--scale",
        type=_above_zero,
        metavar="N",
        help="the highest rating in a table, which becomes five stars: 10 for stars of ten (default: 5; without the "
        "option, ratings of another scale are an error)",
    )
    parser.add_argument(
        "--match-isbns",
        action="store_true",
        help="map ISBNs in a table onto the catalogue's own spelling of the same book: hyphens, a small x, lost zeros, "
        "ISBN-10 or ISBN-13",
    )
    parser.add_argument(
        "--user",
        metavar="UID",
        default="reader",
        help="whose library it is, if the table is one reader's from Goodreads or StoryGraph",
    )


def reading(arguments: argparse.Namespace, *, foreign: bool = False) -> How:
    """Return what ``add_reading``'s options say.

    Args:
        foreign: the rows go into no database.
    """
    from trainer.data.files.reading import How

    return How(arguments.scale, arguments.match_isbns, arguments.user, foreign)


def _above_zero(text: str) -> float:
    """Return a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _at_least_one(text: str) -> int:
    """Return a whole number from 1."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def declare(
    commands: Any,
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], Done],
    *,
    about: str = "",
    examples: Sequence[str] = (),
) -> argparse.ArgumentParser:
    """Declare a command; return its parser, for adding options.

    Args:
        commands: the result of ``add_subparsers``.
        name: the command's name.
        summary: one line for the list of commands.
        run: runs the command; raises what ``trainer.command_line.errors`` explains.
        about: help text that follows the summary.
        examples: arguments to show after the command's name.
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
