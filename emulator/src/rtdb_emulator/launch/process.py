"""The emulator as a process, for tests and tools: ``with running() as emulator: …``."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
PATIENCE_S = 30.0
"""How long it may take to start, and to end."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """An emulator that was started.

    Attributes:
        process: for its exit code, its output and signals.
        port: where it listens, on loopback.
    """

    process: subprocess.Popen[str]
    port: int

    @property
    def address(self) -> str:
        """What clients connect to: ``host:port``."""
        return f"{HOST}:{self.port}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        self.process.send_signal(how)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def start(*options: str, port: int | None = None, **popen: Any) -> Emulator:
    """Start an emulator, and wait until it listens or has ended.

    Args:
        options: of the command ``rtdb-emulator``.
        port: where to listen; a free port if None.
        popen: of ``subprocess.Popen``; by default, its output is dropped.

    Raises:
        TimeoutError: if it does neither; it has been killed by then.
    """
    port = free_port() if port is None else port
    command = [sys.executable, "-P", "-m", "rtdb_emulator", "--port", str(port), *options]
    popen = {"stdout": subprocess.DEVNULL, "text": True, **popen}
    emulator = Emulator(subprocess.Popen(command, **popen), port)
    deadline = time.monotonic() + PATIENCE_S
    while emulator.process.poll() is None and not _listens(port):
        if time.monotonic() > deadline:
            emulator.process.kill()
            raise TimeoutError(f"the emulator did not listen on port {port} within {PATIENCE_S:.0f} s")
        time.sleep(0.02)
    return emulator


@contextmanager
def running(*options: str, **popen: Any) -> Iterator[Emulator]:
    """Run an emulator while the block lasts; why a start failed is on the error output.

    Raises:
        RuntimeError: if it ended at once.
    """
    emulator = start(*options, **popen)
    if emulator.process.poll() is not None:
        raise RuntimeError(f"the emulator ended with code {emulator.process.returncode}")
    try:
        yield emulator
    finally:
        emulator.stop()


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
