"""The command line: ``python -m trainer COMMAND``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from trainer.command_line.errors import explain
from trainer.command_line.options import Done, UsageError
from trainer.commands.parser import make_parser

CHATTY = ("absl", "tensorflow", "google.auth", "urllib3")
"""Libraries that log errors only; the last two would log addresses, and these contain user ids."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code (``trainer.command_line.options.EXIT_CODES``)."""
    words = sys.argv[1:] if words is None else words
    is_json = "--json" in words
    try:
        with _interrupted_once():
            arguments = _parse(words)
            # Standard output holds one document, whatever libraries print.
            with contextlib.redirect_stdout(sys.stderr) if is_json else contextlib.nullcontext():
                done: Done = arguments.run(arguments)
    except (Exception, KeyboardInterrupt) as problem:
        explained = explain(problem)
        if explained is None:
            raise
        code, line = explained
        if isinstance(problem, UsageError):
            print(problem.usage, end="", file=sys.stderr)
        print(f"trainer: {line}", file=sys.stderr)
        if is_json:
            print(json.dumps({"error": line, "exitCode": code}))
        return code
    if is_json:
        print(json.dumps(done.result, indent=1, allow_nan=False, ensure_ascii=False))
    elif done.text:
        print(done.text)
    return done.code


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser, parsers = make_parser()
    arguments, rest = parser.parse_known_args(words)
    if rest and "rest" not in arguments:
        parsers[arguments.command].error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    return arguments


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Have the first Ctrl-C end the command, and later ones not interrupt its cleanup."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # another handler for Ctrl-C is installed already
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())
