"""Commands of gcloud, firebase and curl, as lists of words; they never go through a shell."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.target import ROOT

PATIENCE_S = 3_600
"""A deployment of functions or a build of the image takes minutes."""

# What the tools say if a resource does not exist, or if its API is off.
_ABSENT = re.compile(r"NOT_FOUND|not found|does not exist|Cannot find|\b404\b", re.IGNORECASE)
_OFF = re.compile(r"SERVICE_DISABLED|has not been used in project|API \[[^]]*\] not enabled", re.IGNORECASE)
_TOKEN = ("gcloud", "auth", "print-access-token")


class UnknownShape(ValueError):
    """A tool's answer has an unknown form; the message has the beginning of it."""


class ToolMissing(RuntimeError):
    """A program is not installed; the message says which, and how to get it."""


@dataclass(frozen=True, slots=True)
class Command:
    """One call of a program.

    Attributes:
        signed: curl reads the header with gcloud's access token from standard input (``--header @-``), which keeps the
            token out of process lists, logs and shell histories.
    """

    argv: tuple[str, ...]
    signed: bool = False

    def shell(self) -> str:
        """Return a line that does the same in a shell."""
        line = shlex.join(self.argv)
        if not self.signed:
            return line
        return f"{shlex.join(_TOKEN)} | sed 's/^/Authorization: Bearer /' | {line}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said."""

    code: int
    out: str
    err: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the call succeeded."""
        return self.code == 0

    @property
    def absent(self) -> bool:
        """Return whether the call failed because the resource does not exist."""
        return self.off or (not self.ok and bool(_ABSENT.search(self.out + self.err)))

    @property
    def off(self) -> bool:
        """Return whether the call failed because the API is off, so that no resource of it exists."""
        return not self.ok and bool(_OFF.search(self.out + self.err))

    @property
    def problem(self) -> str:
        """Return the last lines that the program printed, as one line."""
        said = self.err.strip() or self.out.strip() or f"exit code {self.code}"
        return " ".join(said.splitlines()[-3:])[:600]

    def json(self) -> Any:
        """Return the parsed JSON; for firebase-tools, its ``result``. An empty answer is None.

        Raises:
            UnknownShape: the answer is not JSON.
        """
        try:
            content = json.loads(self.out) if self.out.strip() else None
        except ValueError:
            raise UnknownShape(f"the answer is not JSON: {' '.join(self.out.split())[:200]}") from None
        if isinstance(content, Mapping) and set(content) == {"status", "result"}:
            return content["result"]
        return content


Run = Callable[[Command], Answer]
"""Runs a command and returns its answer."""


def gcloud(*words: str, project: str = "", json_answer: bool = False) -> Command:
    """Return a call of gcloud that never prompts."""
    options = [*(("--project", project) if project else ()), *(("--format", "json") if json_answer else ()), "--quiet"]
    return Command(("gcloud", *words, *options))


def firebase(*words: str, project: str, json_answer: bool = False) -> Command:
    """Return a call of firebase-tools that never prompts."""
    options = ["--project", project, "--non-interactive", *(["--json"] if json_answer else [])]
    return Command(("firebase", *words, *options))


def rest(method: str, url: str, project: str, body: Mapping[str, object] | None = None) -> Command:
    """Return a call of Google's REST API, for what neither tool can do."""
    words = ["curl", "--silent", "--show-error", "--fail-with-body", "--request", method, "--header", "@-"]
    words += ["--header", f"x-goog-user-project: {project}", "--header", "Content-Type: application/json"]
    if method != "GET":
        words += ["--data", json.dumps(body or {})]
    return Command((*words, url), signed=True)


def search_path() -> str:
    """Return the search path for programs; it ends with this checkout's firebase-tools."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(ROOT / "node_modules" / ".bin")])


def run(command: Command) -> Answer:
    """Run a command in the repository's root and return its answer.

    Raises:
        ToolMissing: the program is not installed.
    """
    stdin_text = None
    if command.signed:
        token = run(Command(_TOKEN))
        if not token.ok:
            return token
        stdin_text = f"Authorization: Bearer {token.out.strip()}\n"
    environment = {**os.environ, "PATH": search_path()}
    try:
        done = subprocess.run(
            command.argv,
            cwd=ROOT,
            env=environment,
            input=stdin_text,
            stdin=subprocess.DEVNULL if stdin_text is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        raise ToolMissing(f"{command.argv[0]} is not installed; docs/deploying.md says what is needed") from None
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"no answer within {PATIENCE_S} s")
    return Answer(done.returncode, done.stdout, done.stderr)


class CachedRun:
    """Runs commands, and keeps the answers to questions until something is changed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._answers: dict[Command, Answer] = {}

    def ask(self, command: Command) -> Answer:
        """Return the answer to a command that only reads."""
        if command not in self._answers:
            self._answers[command] = self._run(command)
        return self._answers[command]

    def change(self, command: Command) -> Answer:
        """Run a command that changes something, and forget all answers."""
        self._answers.clear()
        return self._run(command)
