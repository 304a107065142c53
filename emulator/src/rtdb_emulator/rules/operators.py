"""What the operators and members of rule expressions mean when they are evaluated.

Where the documentation says no more than "JavaScript's expression syntax with a few changes", numbers are JavaScript's:
64-bit floating point, with NaN for a division by zero (as the fixtures of goldibex/targaryen record the service).
"""

from __future__ import annotations

import math
import operator as operators
from collections.abc import Callable, Mapping
from typing import Any

from rtdb_emulator.data.keys import text_order
from rtdb_emulator.data.tree import is_number
from rtdb_emulator.rules.pattern import Pattern
from rtdb_emulator.rules.snapshot import METHODS, RuleError, Snapshot

_SAFE = 2**53


def truth(value: Any) -> bool:
    """Return a truth value; only true and false have one."""
    if not isinstance(value, bool):
        raise RuleError("true or false is needed here")
    return value


def equal(left: Any, right: Any) -> bool:
    """Compare without conversion: 1 and true differ.

    Objects equal nothing, not even themselves: this is not documented, but was observed in the service
    (https://github.com/goldibex/targaryen/issues/133).
    """
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_number(left) or isinstance(left, str) or left is None:
        return bool(left == right)
    return False


def compare(left: Any, operator: str, right: Any) -> bool:
    """Apply a comparison; numbers have an order, and texts have one."""
    if operator in ("==", "==="):
        return equal(left, right)
    if operator in ("!=", "!=="):
        return not equal(left, right)
    if isinstance(left, str) and isinstance(right, str):
        left, right = text_order(left), text_order(right)
    elif not (is_number(left) and is_number(right)):
        raise RuleError(f"{operator} compares two numbers or two texts")
    return bool(_ORDER[operator](left, right))


_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operators.lt, "<=": operators.le, ">": operators.gt, ">=": operators.ge
}  # fmt: skip


def negate(value: Any) -> Any:
    """Return a number with the other sign."""
    if not is_number(value):
        raise RuleError("- takes a number")
    return -value


def arithmetic(left: Any, operator: str, right: Any) -> Any:
    """Apply ``+ - * / %``; ``+`` also joins a text with a text or a number."""
    if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
        return _text(left) + _text(right)
    if not (is_number(left) and is_number(right)):
        raise RuleError(f"{operator} takes numbers")
    return _whole(_ARITHMETIC[operator](float(left), float(right)))


def _whole(value: float) -> int | float:
    """Return a number as the tree keeps it, without a fraction if it is whole."""
    return int(value) if value.is_integer() and abs(value) < _SAFE else value


def _remainder(left: float, right: float) -> float:
    # The sign of the left side, as in JavaScript.
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: math.nan if b == 0 else a / b,
    "%": _remainder,
}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if is_number(value):
        return number_text(value)
    raise RuleError("+ joins texts and numbers")


def number_text(value: float) -> str:
    """Return a number as JavaScript writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(float(value))!r}e0".partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent.split("e")[0]) + len(whole)
    digits = (whole + fraction).rstrip("0") or "0"
    power -= len(digits) - len(digits.lstrip("0"))
    digits = digits.lstrip("0") or "0"
    if digits == "0":
        return "0"
    return sign + _digits(digits, power)


def _digits(digits: str, power: int) -> str:
    """Write ``0.digits`` times 10 to the ``power``."""
    if len(digits) <= power <= 21:
        return digits.ljust(power, "0")
    if 0 < power <= 21:
        return f"{digits[:power]}.{digits[power:]}"
    if -6 < power <= 0:
        return f"0.{'0' * -power}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{power - 1:+d}"


def member(owner: Any, name: Any) -> Any:
    """Return a property of ``auth``, of ``query`` or of a text; what is not there is null."""
    if isinstance(owner, Mapping):
        return owner.get(name if isinstance(name, str) else _key(name))
    if name == "length" and isinstance(owner, (str, list)):
        return len(owner) if isinstance(owner, list) else len(owner.encode("utf-16-le", "surrogatepass")) // 2
    if isinstance(owner, list):
        place = int(_key(name)) if _key(name).isdecimal() else len(owner)
        return owner[place] if place < len(owner) else None
    return None


def _key(name: Any) -> str:
    return number_text(name) if is_number(name) else str(name)


def call(owner: Any, name: str, arguments: list[Any]) -> Any:
    """Call a method of a snapshot or of a text."""
    methods = METHODS if isinstance(owner, Snapshot) else STRING_METHODS if isinstance(owner, str) else {}
    if name not in methods:
        raise RuleError(f"no method {name}() here")
    return methods[name](owner, *arguments)


def _string(argument: Any) -> str:
    if not isinstance(argument, str):
        raise RuleError("a text is needed here")
    return argument


def _matches(text: str, pattern: Pattern) -> bool:
    return pattern.matches(text)


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
