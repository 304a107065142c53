"""The command line: serve databases, or run another command with the emulator in the place of Google's."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import web

from rtdb_emulator import __version__
from rtdb_emulator.database.snapshots import SnapshotError, check_target, read_snapshot, write_snapshot
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.launch.execute import execute
from rtdb_emulator.triggers.delivery import Dispatcher
from rtdb_emulator.wire.server import Server

TIMEOUTS = "RTDB_EMULATOR_TIMEOUTS"
"""Environment variable with time limits of functions: firebase-tools passes no options of its users."""

DESCRIPTION = "Serve Realtime Databases on one port until stopped with SIGTERM or SIGINT."
EPILOG = """\
To run firebase-tools with this emulator in the place of Google's:

  rtdb-emulator exec -- firebase emulators:start
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["exec"]:
        return execute(words[1:])
    parser = _parser()
    if words and not words[0].startswith("-"):
        parser.error(f"unknown command {words[0]!r}: give options only, or exec -- COMMAND")
    # The JAR takes more options than this emulator has, and firebase-tools may pass any of them.
    options, ignored = parser.parse_known_args(words)
    return _serve(options, ignored, _timeouts(parser, options))


def _parser() -> argparse.ArgumentParser:
    # No abbreviations: what firebase-tools passes for the JAR must not be taken for one.
    parser = argparse.ArgumentParser(
        prog="rtdb-emulator",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=9000, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--functions_emulator_host", metavar="HOST", default="127.0.0.1", help="where events go (default: %(default)s)"
    )
    parser.add_argument(
        "--functions_emulator_port",
        metavar="PORT",
        type=_port,
        default=5001,
        help="where events go (default: %(default)s)",
    )
    parser.add_argument(
        "--in-flight",
        metavar="N",
        type=_count,
        default=8,
        help="deliveries at a time for each trigger (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        metavar="NAME=SECONDS",
        type=_timeout,
        action="append",
        default=[],
        help="the time limit of functions with NAME in their triggers' names, if it is not 60 s; may be repeated. "
        f"{TIMEOUTS} in the environment has several, separated by commas",
    )
    parser.add_argument("--import", type=Path, dest="source", metavar="DIR", help="start with an exported snapshot")
    parser.add_argument("--export-on-exit", type=Path, metavar="DIR", help="write a snapshot when stopped")
    return parser


def _port(text: str) -> int:
    """Return a port; 0 lets the system choose one."""
    return _whole(text, 0, 65535)


def _count(text: str) -> int:
    return _whole(text, 1, sys.maxsize)


def _whole(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        up_to = f"to {most}" if most < sys.maxsize else "on"
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} {up_to}")
    return int(text)


def _timeout(text: str) -> tuple[str, int]:
    name, _, seconds = text.rpartition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SECONDS")
    return name, _whole(seconds, 1, sys.maxsize)


def _timeouts(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, int]:
    """Return the time limits of functions by name; an option comes before the environment."""
    try:
        named = [_timeout(part.strip()) for part in os.environ.get(TIMEOUTS, "").split(",") if part.strip()]
    except argparse.ArgumentTypeError as problem:
        parser.error(f"{TIMEOUTS}: {problem}")
    return dict([*named, *options.timeout])


def _serve(options: argparse.Namespace, ignored: Sequence[str], timeouts: Mapping[str, int]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    if ignored:
        logging.getLogger(__name__).info("ignored options: %s", " ".join(ignored))
    functions = f"{options.functions_emulator_host}:{options.functions_emulator_port}"
    host = f"{options.host}:{options.port}"
    faults = Faults()
    server = Server(Dispatcher(functions, host, options.in_flight, faults, timeouts), faults)
    try:
        if options.export_on_exit is not None:
            check_target(options.export_on_exit)
        if options.source is not None:
            read_snapshot(options.source, server.databases)
        web.run_app(server.application(), host=options.host, port=options.port, shutdown_timeout=1, access_log=None)
        if options.export_on_exit is not None:
            write_snapshot(options.export_on_exit, server.databases)
    except OSError as problem:
        print(f"cannot listen on {host}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    except SnapshotError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0
