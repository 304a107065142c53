"""``python -m trainer.commands_page``: writes ``docs/commands.md`` from the commands' parsers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from trainer.command_line.options import EXIT_CODES, PROGRAM, default_of
from trainer.commands.parser import ABOUT, ENVIRONMENT, GROUPS, make_parser

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"

HEAD = f"""# Commands

{ABOUT}

Operators work with commands, `{PROGRAM} COMMAND`: on a laptop with the project's credentials, or as an execution of
the Cloud Run job with other arguments. In a checkout, `python` is `.venv/bin/python`, and `make up` prints what to
export for the local stack. When to use which: [operations](operations.md). This page is written by
`python -m trainer.commands_page`.

With `--json` a command prints one JSON document on standard output, even if it fails (`{{"error", "exitCode"}}`);
everything else goes to standard error. [Error messages](messages.md) has a table of them all. Long work shows a bar on
a terminal, and a line every 15 seconds elsewhere.
"""


def page() -> str:
    """Return the page."""
    parsers = make_parser()[1]
    return "\n".join([HEAD, *_overview(parsers), *(line for name in _names() for line in _section(parsers[name]))])


def _names() -> list[str]:
    return [name for names in GROUPS.values() for name in names]


def _overview(parsers: Mapping[str, argparse.ArgumentParser]) -> Iterator[str]:
    yield "| | command | what it does |"
    yield "|---|---|---|"
    for group, names in GROUPS.items():
        for name in names:
            summary = (parsers[name].description or "").split("\n")[0]
            yield f"| {group if name == names[0] else ''} | [`{name}`](#{name}) | {_cell(summary.rstrip('.'))} |"
    yield "\n| exit code | |\n|---|---|"
    yield from (f"| {code} | {_cell(what)} |" for code, what in EXIT_CODES.items())
    yield "\n| environment variable | |\n|---|---|"
    yield from (f"| `{name}` | {_cell(what)} |" for name, what in ENVIRONMENT.items())
    yield ""


def _section(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {parser.prog.removeprefix(PROGRAM).strip()}\n"
    yield f"{parser.description}\n"
    yield "```sh"
    yield from (line.strip() for line in (parser.epilog or "").split("\n")[1:])
    yield "```\n"
    yield "| option | what it is |"
    yield "|---|---|"
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            default = default_of(action)
            more = f" (default: {default})" if default is not None else ""
            needed = " (required)" if action.required and action.option_strings else ""
            text = (action.help or "").replace(" (default: %(default)s)", "")
            yield f"| {_shown(action)} | {_cell(text + more)}{needed} |"
    yield ""


def _shown(action: argparse.Action) -> str:
    """Return an option as it is typed."""
    choices = "\\|".join(map(str, action.choices)) if action.choices else ""
    value = choices or str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return f"`{value}`"
    words = ", ".join(action.option_strings)
    return f"`{words}`" if action.nargs == 0 else f"`{words} {value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
