"""What the environment says, read in the same way by functions and trainer: numbers, and the default bucket."""

from __future__ import annotations

from bookrec.errors import BadSetting


def whole(name: str, text: str | None, default: int, least: int = 1) -> int:
    """Return the number in a variable's text, or the default if the variable is not set or is empty.

    Raises:
        BadSetting: if it is not a whole number, or too small; names the variable, its text and the right values.
    """
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise BadSetting(
            f"{name} is {text[:40]!r} in the environment: set it to a whole number of at least {least}, "
            f"or leave it out for {default}"
        )
    return value


def default_buckets(project: str) -> tuple[str, str]:
    """Return the names that a project's default bucket may have: that of projects made since October 2024 comes first.

    Source: Firebase documentation, Cloud Storage for Firebase, changes of the default bucket.
    """
    return f"{project}.firebasestorage.app", f"{project}.appspot.com"
