"""What the operators and text methods of rule expressions mean."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from emulator.rules.snapshot import RuleError


def is_number(value: Any) -> bool:
    """Tell whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def truth(value: Any) -> bool:
    """Return a truth value; only true and false have one."""
    if not isinstance(value, bool):
        raise RuleError("true or false is needed here")
    return value


def equal(left: Any, right: Any) -> bool:
    """Compare without conversion: 1 and true differ."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def compare(left: Any, operator: str, right: Any) -> bool:
    """Apply a comparison; numbers and texts have an order, each among themselves."""
    if operator in ("==", "==="):
        return equal(left, right)
    if operator in ("!=", "!=="):
        return not equal(left, right)
    if not ((is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))):
        raise RuleError(f"{operator} compares two numbers or two texts")
    results = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return bool(results[operator])


def arithmetic(left: Any, operator: str, right: Any) -> Any:
    """Apply ``+ - * / %``; ``+`` also joins a text with a text or a number."""
    if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
        return _text(left) + _text(right)
    if not (is_number(left) and is_number(right)):
        raise RuleError(f"{operator} takes numbers")
    if operator in ("/", "%") and right == 0:
        raise RuleError("division by zero")
    operations: Mapping[str, Callable[[Any, Any], Any]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        "%": math.fmod,  # the sign of the left side, as in JavaScript
    }
    return operations[operator](left, right)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if is_number(value):
        return str(int(value)) if value == int(value) else str(value)
    raise RuleError("+ joins texts and numbers")


def _string(argument: Any) -> str:
    if not isinstance(argument, str):
        raise RuleError("a text is needed here")
    return argument


def _matches(text: str, pattern: Any) -> bool:
    if not isinstance(pattern, re.Pattern):
        raise RuleError("matches() takes a regular expression")
    return pattern.search(text) is not None


STRING_METHODS: Mapping[str, Callable[..., Any]] = {
    "contains": lambda text, part: _string(part) in text,
    "beginsWith": lambda text, part: text.startswith(_string(part)),
    "endsWith": lambda text, part: text.endswith(_string(part)),
    "replace": lambda text, old, new: text.replace(_string(old), _string(new)),
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
    "matches": _matches,
}
"""The language's names of a text's methods."""
