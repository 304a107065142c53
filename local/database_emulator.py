"""The database emulator (``emulator/``) as a program: on its own, or in the place of Google's under firebase-tools."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from local.processes import free_port, is_free

COMMAND = (sys.executable, "-m", "rtdb_emulator")
PATIENCE_S = 30.0
"""How long it may take to start, and to end."""


@dataclass(frozen=True, slots=True)
class DatabaseEmulator:
    """A running emulator.

    Attributes:
        process: for its id and its exit code.
        port: where it listens, on loopback.
    """

    process: subprocess.Popen[bytes]
    port: int

    @property
    def address(self) -> str:
        """What clients connect to: ``host:port``."""
        return f"127.0.0.1:{self.port}"


def under_emulator(command: Sequence[str]) -> list[str]:
    """Return the command that runs firebase-tools with this emulator in the place of Google's."""
    return [*COMMAND, "exec", "--", *command]


@contextmanager
def running(*options: str) -> Iterator[DatabaseEmulator]:
    """Run an emulator on a free port while the block lasts; it listens when the block begins.

    Raises:
        RuntimeError: if it ended at once; its error output says why.
        TimeoutError: if it does not listen, or does not end.
    """
    port = free_port()
    process = subprocess.Popen([*COMMAND, "--port", str(port), *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while is_free(port):
            if process.poll() is not None:
                raise RuntimeError(f"the database emulator ended with code {process.returncode}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the database emulator did not listen on port {port} within {PATIENCE_S:.0f} s")
            time.sleep(0.02)
        yield DatabaseEmulator(process, port)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
