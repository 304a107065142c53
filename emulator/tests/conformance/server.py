"""The database emulator that the clients are tested with: ours, or Google's where EMULATOR=official."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests

from rtdb_emulator.launch.firebase_tools import environment
from rtdb_emulator.launch.process import free_port

from ..missing import firebase_program

PROJECT = "demo-conformance"
READY_AFTER_S = {"ours": 30, "official": 180}


class Emulator:
    """One process at a time, always on the same loopback port.

    Raises:
        LaunchError: where Google's is asked for without the Java that it needs.
    """

    def __init__(self, folder: Path) -> None:
        self.kind = "official" if os.environ.get("EMULATOR") == "official" else "ours"
        self.port, self.log = free_port(), folder / "emulator.log"
        self._folder, self._process = folder, None
        self._environment = environment(os.environ)
        self._command = self._official_command() if self.kind == "official" else self._our_command()

    def start(self) -> None:
        """Start the emulator and wait until it answers."""
        with self.log.open("ab") as log:
            process = self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_AFTER_S[self.kind]
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(
                    f"the emulator did not start; its log:\n{self.log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process that was started, and those that it started in its session."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """End the process and start another on the same port; what it held is lost."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            requests.get(f"http://127.0.0.1:{self.port}/.json", params={"ns": "ready"}, timeout=2)
        except requests.RequestException:
            return False
        return True

    def _our_command(self) -> list[str]:
        return [sys.executable, "-m", "rtdb_emulator", "--port", str(self.port)]

    def _official_command(self) -> list[str]:
        """Return the command for firebase-tools, which starts Google's emulator, with a configuration of its own."""
        ports = {"database": self.port, "hub": free_port(), "logging": free_port()}
        emulators = {name: {"host": "127.0.0.1", "port": port} for name, port in ports.items()}
        config = {
            "database": {"rules": "database.rules.json"},
            "emulators": {**emulators, "ui": {"enabled": False}, "singleProjectMode": False},
        }
        (self._folder / "firebase.json").write_text(json.dumps(config))
        (self._folder / "database.rules.json").write_text('{"rules": {".read": true, ".write": true}}')
        return [firebase_program(), "emulators:start", "--only", "database", "--project", PROJECT]
