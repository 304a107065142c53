"""``rtdb-emulator exec -- COMMAND``: a command, usually firebase-tools, with the emulator in the place of Google's."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rtdb_emulator.launch.firebase_tools import LaunchError, environment

HELP = """\
usage: rtdb-emulator exec [--] COMMAND [ARGUMENT ...]

Run a command in an environment in which firebase-tools starts this emulator in the place of Google's. The command
takes the place of this process: it gets its signals, and its exit code is the command's.

  rtdb-emulator exec -- firebase emulators:start
  rtdb-emulator exec -- firebase emulators:exec --only database "npm test"

EMULATOR=official in the environment leaves Google's emulator in charge, which needs Java and a download.
"""
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes, as shells have them."""


def execute(words: Sequence[str]) -> int:
    """Replace this process by the command in ``words``; return an exit code only if there is nothing to run."""
    if words[:1] in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    command = list(words[1:] if words[:1] == ["--"] else words)
    if not command or not command[0]:
        return _failure(2, "no command is given: rtdb-emulator exec -- COMMAND [ARGUMENT ...]")
    if command[0].startswith("-") and words[0] != "--":
        return _failure(2, f"unknown option {command[0]}: rtdb-emulator exec -- COMMAND [ARGUMENT ...]")
    try:
        prepared = environment(os.environ)
    except LaunchError as problem:
        return _failure(1, str(problem))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(command[0], command, prepared)
    except (FileNotFoundError, NotADirectoryError):
        where = "" if os.sep in command[0] else " on PATH"
        return _failure(NOT_FOUND, f"{command[0]}: there is no such command{where}")
    except OSError as problem:
        return _failure(NOT_EXECUTABLE, f"{command[0]} cannot be run: {problem.strerror or problem}")


def _failure(code: int, message: str) -> int:
    print(f"rtdb-emulator exec: {message}", file=sys.stderr)
    return code
