"""Commands of gcloud, firebase and curl: as lists of words, never as a line for a shell."""

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

# What the tools say where a thing, or the API that knows it, is not there (yet).
_ABSENT = re.compile(r"NOT_FOUND|not found|does not exist|Cannot find|\b404\b", re.IGNORECASE)
_OFF = re.compile(r"SERVICE_DISABLED|has not been used in project|API \[[^]]*\] not enabled", re.IGNORECASE)
_TOKEN = ("gcloud", "auth", "print-access-token")


class UnknownShape(ValueError):
    """A tool answered in another form than this code knows; the message has the beginning of it."""


class ToolMissing(RuntimeError):
    """A program is not installed; the message says which, and how to get it."""


@dataclass(frozen=True, slots=True)
class Command:
    """One call of a program.

    Attributes:
        signed: curl reads the header with gcloud's access token from its standard input (``--header @-``), so that no
            list of processes, log or history has it.
    """

    argv: tuple[str, ...]
    signed: bool = False

    def shell(self) -> str:
        """Return a line that does the same when it is pasted into a shell."""
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
        """Tell whether the call succeeded."""
        return self.code == 0

    @property
    def absent(self) -> bool:
        """Tell whether the call failed because what it asks for is not there."""
        return self.off or (not self.ok and bool(_ABSENT.search(self.out + self.err)))

    @property
    def off(self) -> bool:
        """Tell whether the call failed because the API is off: nothing of it can be there."""
        return not self.ok and bool(_OFF.search(self.out + self.err))

    @property
    def problem(self) -> str:
        """Return the last thing that the program said, in one line."""
        said = self.err.strip() or self.out.strip() or f"exit code {self.code}"
        return " ".join(said.splitlines()[-3:])[:600]

    def json(self) -> Any:
        """Return the answer as JSON; of firebase-tools its result. Nothing at all is None.

        Raises:
            UnknownShape: it is no JSON.
        """
        try:
            found = json.loads(self.out) if self.out.strip() else None
        except ValueError:
            raise UnknownShape(f"the answer is no JSON: {' '.join(self.out.split())[:200]}") from None
        if isinstance(found, Mapping) and set(found) == {"status", "result"}:
            return found["result"]
        return found


Run = Callable[[Command], Answer]
"""Whatever runs a command."""


def gcloud(*words: str, project: str = "", json_answer: bool = False) -> Command:
    """Return a call of gcloud that never asks back."""
    options = [*(("--project", project) if project else ()), *(("--format", "json") if json_answer else ()), "--quiet"]
    return Command(("gcloud", *words, *options))


def firebase(*words: str, project: str, json_answer: bool = False) -> Command:
    """Return a call of firebase-tools that never asks back."""
    options = ["--project", project, "--non-interactive", *(["--json"] if json_answer else [])]
    return Command(("firebase", *words, *options))


def rest(method: str, url: str, project: str, body: Mapping[str, object] | None = None) -> Command:
    """Return a call of Google's REST interface, for what neither tool can do."""
    words = ["curl", "--silent", "--show-error", "--fail-with-body", "--request", method, "--header", "@-"]
    words += ["--header", f"x-goog-user-project: {project}", "--header", "Content-Type: application/json"]
    if method != "GET":
        words += ["--data", json.dumps(body or {})]
    return Command((*words, url), signed=True)


def search_path() -> str:
    """Return where programs are looked for: firebase-tools of this checkout counts where there is no other."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(ROOT / "node_modules" / ".bin")])


def run(command: Command) -> Answer:
    """Run a command at the repository's root and return what it said.

    Raises:
        ToolMissing: the program is not installed.
    """
    given = None
    if command.signed:
        token = run(Command(_TOKEN))
        if not token.ok:
            return token
        given = f"Authorization: Bearer {token.out.strip()}\n"
    environment = {**os.environ, "PATH": search_path()}
    try:
        done = subprocess.run(
            command.argv,
            cwd=ROOT,
            env=environment,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
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


class Remembering:
    """Runs commands, and answers a question that was asked before from memory, until something is changed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[Command, Answer] = {}

    def ask(self, command: Command) -> Answer:
        """Return the answer to a command that only reads."""
        if command not in self._known:
            self._known[command] = self._run(command)
        return self._known[command]

    def change(self, command: Command) -> Answer:
        """Run a command that changes something: nothing that was known before is known after it."""
        self._known.clear()
        return self._run(command)
