"""Structured logs. No line holds what an entry contains, and users appear as a short hash."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from firebase_functions import logger

from bookrec.errors import BadSetting


def user_key(user_id: str) -> str:
    """Return what stands for a user in logs: 12 hex digits of a SHA-256."""
    return hashlib.sha256(user_id.encode("utf-8", "replace")).hexdigest()[:12]


def info(message: str, **fields: Any) -> None:
    """Log what happened."""
    logger.info(message, **fields)


def warning(message: str, **fields: Any) -> None:
    """Log what a person should know of, though the flow goes on."""
    logger.warn(message, **fields)


def alarm(name: str, message: str, **fields: Any) -> None:
    """Log what somebody should look into; ``docs/operations.md`` has a page with that name."""
    logger.warn(message, alarm=name, **fields)


class FunctionFailedError(Exception):
    """What the platform is told of a failure: no message of a library, since those name paths and with them users."""


@contextmanager
def reported(function: str) -> Iterator[None]:
    """Log the failure of a function, where it came from but not what it was about, and pass it on without both.

    A setting that is wrong is named: whoever has to mend it sees nothing but the log.
    """
    try:
        yield
    except Exception as problem:
        frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(problem.__traceback__)]
        error = type(problem).__name__
        told = {"reason": str(problem)} if isinstance(problem, BadSetting) else {}
        alarm("function-failed", "a function failed", function=function, error=error, at=frames[-4:], **told)
        raise FunctionFailedError(f"{function}: {error}") from None
