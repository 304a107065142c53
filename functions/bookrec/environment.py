"""Numbers among the settings of an environment: functions and trainer read them in one way."""

from __future__ import annotations

from bookrec.errors import BadSetting


def whole(name: str, text: str | None, default: int, least: int = 1) -> int:
    """Return the value of a variable whose text is given, or the default where it is not set, or empty.

    Raises:
        BadSetting: naming the variable, what stands there, and what would be right.
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
