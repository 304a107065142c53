"""Serve databases on one port until told to stop: ``python -m emulator``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from aiohttp import web

from emulator.delivery import Dispatcher
from emulator.faults import Faults
from emulator.server import Server
from emulator.snapshots import SnapshotError, read_snapshot, write_snapshot


def main() -> int:
    """Serve; return the exit code."""
    # No abbreviations: what firebase-tools passes for the JAR must not be taken for one.
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--functions_emulator_host", default="127.0.0.1")
    parser.add_argument("--functions_emulator_port", type=int, default=5001)
    parser.add_argument("--in-flight", type=int, default=8, help="trigger deliveries at a time for each trigger")
    parser.add_argument("--import", type=Path, dest="source", metavar="DIR", help="start with an exported snapshot")
    parser.add_argument("--export-on-exit", type=Path, metavar="DIR", help="write a snapshot when told to stop")
    # The JAR takes more options than concern us, and firebase-tools may pass any of them.
    arguments, ignored = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    if ignored:
        logging.getLogger(__name__).info("options that do not concern this emulator: %s", " ".join(ignored))
    functions = f"{arguments.functions_emulator_host}:{arguments.functions_emulator_port}"
    host = f"{arguments.host}:{arguments.port}"
    faults = Faults()
    server = Server(Dispatcher(functions, host, arguments.in_flight, faults), faults)
    try:
        if arguments.source is not None:
            read_snapshot(arguments.source, server.databases)
        web.run_app(server.application(), host=arguments.host, port=arguments.port, shutdown_timeout=1, access_log=None)
        if arguments.export_on_exit is not None:
            write_snapshot(arguments.export_on_exit, server.databases)
    except OSError as problem:
        print(f"cannot listen on {host}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    except SnapshotError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
