"""The command line: ``python -m trainer COMMAND``."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from trainer.commands.common import Done
from trainer.commands.errors import explain
from trainer.commands.parser import make_parser


def main(words: list[str] | None = None) -> int:
    """Run a command; return the exit code (``trainer.commands.common.EXIT_CODES``)."""
    parser, _ = make_parser()
    arguments, rest = parser.parse_known_args(words)
    if rest and "rest" not in arguments:
        parser.error(f"unrecognized arguments: {' '.join(rest)}; {arguments.command} --help shows what there is")
    arguments.rest = rest
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for chatty in ("absl", "tensorflow", "google.auth", "urllib3"):  # the last two name addresses, and with them users
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # Whatever libraries print, standard output holds one document.
    aside = contextlib.redirect_stdout(sys.stderr) if arguments.json else contextlib.nullcontext()
    try:
        with aside, _interrupted_once():
            done: Done = arguments.run(arguments)
    except (Exception, KeyboardInterrupt) as problem:
        foreseen = explain(problem)
        if foreseen is None:
            raise
        code, line = foreseen
        print(f"trainer: {line}", file=sys.stderr)
        if arguments.json:
            print(json.dumps({"error": line, "exitCode": code}))
        return code
    if arguments.json:
        print(json.dumps(done.result, indent=1, allow_nan=False, ensure_ascii=False))
    elif done.text:
        print(done.text)
    return done.code


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Have the first Ctrl-C end the command, and none after it cut the tidying up short."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody has said already what Ctrl-C does, or that it does nothing
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main())
