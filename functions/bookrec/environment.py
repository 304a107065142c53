"""What the environment says, read in the same way by functions and trainer: numbers, and the default bucket."""

from __future__ import annotations

import sys

from bookrec.errors import BadSetting


def whole(name: str, text: str | None, default: int, least: int = 1, most: int = sys.maxsize) -> int:
    """Return the number in a variable's text, or the default if the variable is not set or is empty.

    Raises:
        BadSetting: if it is not a whole number, or out of range; names the variable, its text and the right values.
    """
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        right = f"of at least {least}" if most == sys.maxsize else f"from {least} to {most}"
        raise BadSetting(
            f"{name} is {text[:40]!r} in the environment: set it to a whole number {right}, "
            f"or leave it out for {default}"
        )
    return value


def default_buckets(project: str) -> tuple[str, str]:
    """Return the names that a project's default bucket may have: that of projects made since October 2024 comes first.

    Source: Firebase documentation, Cloud Storage for Firebase, changes of the default bucket.
    """
    return f"{project}.firebasestorage.app", f"{project}.appspot.com"
