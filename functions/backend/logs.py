"""Structured logs. No line has an entry's content, and users appear as a short hash."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from firebase_functions import logger

from bookrec.entries import reader_key
from bookrec.errors import BadSetting


def user_key(user_id: str) -> str:
    """Return a user's hash for logs."""
    return reader_key(user_id)


def info(message: str, **fields: Any) -> None:
    """Log what happened."""
    logger.info(message, **fields)


def warning(message: str, **fields: Any) -> None:
    """Log what somebody should know; the work continues."""
    logger.warn(message, **fields)


def alarm(name: str, message: str, **fields: Any) -> None:
    """Log what somebody should look into; ``docs/operations.md`` has a section with that name."""
    logger.warn(message, alarm=name, **fields)


HOUR_MS = 3_600_000
MAX_KEPT = 1_000


class Hourly:
    """Lets an alarm pass at most once an hour for each key, in this process."""

    def __init__(self, elapsed_ms: Callable[[], int]) -> None:
        self._elapsed_ms, self._raised = elapsed_ms, dict[str, int]()

    def __call__(self, key: str) -> bool:
        """Return whether the alarm is due."""
        now = self._elapsed_ms()
        if now - self._raised.get(key, -HOUR_MS) < HOUR_MS:
            return False
        if len(self._raised) >= MAX_KEPT:
            self._raised.clear()
        self._raised[key] = now
        return True


class FunctionFailedError(Exception):
    """The error that the platform gets: without the messages of libraries, since they name paths and thus users."""


@contextmanager
def reported(function: str) -> Iterator[None]:
    """Log a function's failure with its place in the code but without its message; raise an error with neither.

    A wrong setting is logged with its message: who has to fix it sees only the log.
    """
    try:
        yield
    except Exception as problem:
        frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(problem.__traceback__)]
        error = type(problem).__name__
        reason = {"reason": str(problem)} if isinstance(problem, BadSetting) else {}
        alarm("function-failed", "a function failed", function=function, error=error, at=frames[-4:], **reason)
        raise FunctionFailedError(f"{function}: {error}") from None
