"""The command line: ``python -m trainer COMMAND``."""

from __future__ import annotations

import argparse
import logging
import sys

from bookrec.errors import BookrecError
from trainer.commands import evaluate, import_, lists, operate, run

COMMANDS = (run, evaluate, import_, lists, operate)


def main(words: list[str] | None = None) -> int:
    """Run a command; return the exit code: 0 done, 1 the model is refused or lost its lease, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Train, evaluate and publish models.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    arguments, rest = parser.parse_known_args(words)
    if rest and "rest" not in arguments:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for chatty in ("absl", "tensorflow"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        return int(arguments.run(arguments))
    except BookrecError as problem:
        print(f"trainer: {problem}", file=sys.stderr)
        return 1
    except ValueError as problem:
        print(f"trainer: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
