"""Processes that end with the program that started them, including children and grandchildren."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARK = "BOOKREC_STACK"
"""Environment variable that identifies every process of one stack; children inherit it."""


class Processes:
    """Starts programs and ends exactly those, by id.

    firebase-tools leaves Python workers behind, and a training run has a session of its own; all of them carry
    the mark of their stack.
    """

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], *, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, its output going to ``log``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**(os.environ if env is None else env), MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def stop(self, patience_s: float = 20.0) -> None:
        """End all of them: the programs by SIGINT in reverse order, then every process that they left behind."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        left = self.alive()
        for child in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        _, stubborn = psutil.wait_procs(left, timeout=5)
        for child in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(stubborn, timeout=5)

    def alive(self) -> list[psutil.Process]:
        """Return every running process that carries this mark."""
        return [p for p in psutil.process_iter() if p.pid != os.getpid() and self._is_ours(p)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return True if a loopback port is free to listen on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
