"""Runs the cases of one suite in Node or in Chromium, and knows how each of them went."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .server import Emulator

HERE = Path(__file__).resolve().parent
IN_BROWSERS = ("browser", "polling")
SILENCE_S = 150
"""How long nothing may be said about any case."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@functools.cache
def names() -> Mapping[str, Sequence[str]]:
    """Return the names of all cases by suite."""
    if not (HERE / "node_modules").exists() or shutil.which("node") is None:
        raise RuntimeError("the clients are not installed: `make .setup/conformance` does it, and needs Node 20")
    listed = subprocess.run(["node", "run_node.mjs", "--list"], cwd=HERE, capture_output=True, text=True, timeout=60)
    if listed.returncode:
        raise RuntimeError(f"the cases cannot be listed:\n{listed.stderr}")
    suites: dict[str, list[str]] = json.loads(listed.stdout)
    for suite, found in suites.items():
        if not found or len(found) != len(set(found)):
            raise RuntimeError(f"the suite {suite} has no cases, or two of one name")
    return suites


def browser() -> str | None:
    """Return the program of a Chromium: CHROMIUM, or one on PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went; ``error`` is None if it passed."""

    error: str | None
    ms: int


class Run:
    """One run of several cases of a suite, under way in a thread of its own.

    What the runner says on standard output is one line of JSON each: the outcome of a case, or a request for a restart
    of the server, which is answered on its standard input.
    """

    def __init__(self, suite: str, cases: Sequence[str], emulator: Emulator, folder: Path) -> None:
        self._cases, self._emulator, self._log = list(cases), emulator, folder / f"{suite}.log"
        self._outcomes: dict[str, Outcome] = {}
        self._changed, self._is_over = threading.Condition(), False
        script = ["run_browser.mjs" if suite in IN_BROWSERS else "run_node.mjs", suite]
        environment = {**os.environ, "FIREBASE_DATABASE_EMULATOR_HOST": f"127.0.0.1:{emulator.port}"}
        environment.pop("FIREBASE_EMULATOR_HUB", None)
        with self._log.open("w") as log:
            self._runner = subprocess.Popen(
                ["node", *script],
                cwd=HERE,
                env={**environment, "CHROMIUM": browser() or ""},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._tell({"port": emulator.port, "names": self._cases})
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def outcome(self, case: str) -> Outcome:
        """Wait until a case is done; return how it went. One that never ran failed."""
        with self._changed:
            while case not in self._outcomes and not self._is_over:
                before = len(self._outcomes)
                if not self._changed.wait(SILENCE_S) and len(self._outcomes) == before:
                    break
            if case in self._outcomes:
                return self._outcomes[case]
        log = self._log.read_text(errors="replace")[-3000:]
        return Outcome(f"the case never ran; the runner ended with {self._runner.poll()}, and its log is:\n{log}", 0)

    def end(self) -> None:
        """End the runner; one that is done gets the time to end by itself."""
        try:
            self._runner.wait(10 if len(self._outcomes) == len(self._cases) else 0)
        except subprocess.TimeoutExpired:
            self._runner.terminate()
        self._runner.wait()
        self._thread.join()
        for pipe in (self._runner.stdin, self._runner.stdout):
            pipe.close()

    def _listen(self) -> None:
        for line in self._runner.stdout:
            message = json.loads(line) if line.startswith("{") else {}
            if message.get("ask") == "restart":
                self._restart()
            elif "case" in message:
                with self._changed:
                    self._outcomes[message["case"]] = Outcome(message["error"], message["ms"])
                    self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _restart(self) -> None:
        try:
            self._emulator.restart()
            answer = "ok"
        except (RuntimeError, OSError) as problem:
            answer = str(problem).splitlines()[0]
        self._tell(answer)

    def _tell(self, message: object) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        try:
            self._runner.stdin.write(f"{text}\n")
            self._runner.stdin.flush()
        except BrokenPipeError:
            pass  # it ended; the tests that wait for a case notice
