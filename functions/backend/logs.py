"""Structured logs. No line holds what an entry contains, and users appear as a short hash."""

from __future__ import annotations

import hashlib
from typing import Any

from firebase_functions import logger


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
