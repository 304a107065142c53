"""Functions that reload when a file is saved: what firebase-tools says about it, and what it leaves behind."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from local.processes import Processes

LOADED = "Loaded functions definitions from source"
FAILED = "Failed to load function definition from source"
FRAMEWORK = "functions-framework"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
SHOWN_LINES = 6
"""Of a traceback: where it ends, and the error."""

TRACEBACK = "Traceback (most recent call last)"


def is_watched(functions: Path) -> bool:
    """Return True if firebase-tools watches this folder: it ignores every path with a name that begins with a dot."""
    return not any(part.startswith(".") for part in functions.resolve().parts)


def failed_load(log: str) -> str | None:
    """Return why the functions could not be loaded when firebase-tools started, or None if they were.

    Args:
        log: what firebase-tools has printed. Python's traceback, if there is one, comes before its own reason.
    """
    before, failed, after = COLOURS.sub("", log).partition(FAILED)
    if not failed or LOADED in after:
        return None
    reason = after.partition("\n")[0].strip(": ")
    if TRACEBACK not in before:
        return reason
    traceback = before.rpartition(TRACEBACK)[2].lstrip(":\n").partition("\n\n")[0]
    return "\n".join([reason, *traceback.splitlines()[-SHOWN_LINES:]])


class Reloads:
    """Follows the log of firebase-tools from now on."""

    def __init__(self, log: Path) -> None:
        self._log, self._read = log, log.stat().st_size

    def news(self) -> Iterator[str]:
        """Yield a line for each reload since the last call, whether it succeeded or failed."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in COLOURS.sub("", whole.decode(errors="replace")).splitlines():
            if LOADED in line:
                yield "functions/ has changed: the functions are reloaded"
            elif FAILED in line:
                reason = line.partition(FAILED)[2].strip(": .")
                yield (
                    f"functions/ has changed and cannot be loaded; the old functions stay. {reason}. "
                    f"Look at the end of {self._log}"
                )


def end_replaced_workers(processes: Processes) -> int:
    """End the workers that a reload has replaced; return how many there were.

    firebase-tools starts a worker through a shell and ends only the shell (15.34.2). The worker, which no longer gets
    requests, would stay: some 90 MB for each function and each reload.
    """
    replaced = [process for process in processes.alive() if _is_replaced(process)]
    for process in replaced:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()  # it finishes its request, and ends its own children
    return len(replaced)


def _is_replaced(process: psutil.Process) -> bool:
    try:
        if not any(Path(word).name == FRAMEWORK for word in process.cmdline()):
            return False
        parent = process.parent()
        return parent is None or not any(FRAMEWORK in word for word in parent.cmdline())
    except psutil.Error:
        return False
