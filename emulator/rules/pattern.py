"""Regular expressions of the rules: the documented subset, read strictly, as a pattern of Python's ``re``.

Source: Firebase documentation, "Using Regular Expressions in Realtime Database Security Rules".
"""

from __future__ import annotations

import re

CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}

_REPEAT = re.compile(r"[*+?]|\{\d{1,4}(?:,\d{0,4})?\}")


class BadPatternError(ValueError):
    """A pattern that the service does not know."""


def compile_pattern(body: str, *, ignore_case: bool) -> re.Pattern[str]:
    r"""Return the pattern between the slashes of a literal.

    Anchors hold at the ends of the text, never at line breaks; ``\d``, ``\w`` and ``\s`` are ASCII.

    Raises:
        BadPatternError: for look-around, back-references, lazy repetition, anchors inside, and bad syntax.
    """
    parts, place = [], 0
    while place < len(body):
        part, place = _part(body, place)
        parts.append(part)
    try:
        return re.compile("".join(parts), re.ASCII | re.DOTALL | (re.IGNORECASE if ignore_case else re.NOFLAG))
    except (re.error, OverflowError, RecursionError) as problem:
        raise BadPatternError(str(problem)) from problem


def _part(body: str, place: int) -> tuple[str, int]:
    """Return the next part as Python writes it, and where the part after it begins."""
    char = body[place]
    if char == "\\":
        return _escape(body, place)
    if char == "[":
        return _set(body, place)
    if char in "*+?{":
        return _repeat(body, place)
    if char in "^$":
        if place != (0 if char == "^" else len(body) - 1):
            raise BadPatternError(f"{char} is known only at the {'start' if char == '^' else 'end'} of a pattern")
        return (r"\A" if char == "^" else r"\Z"), place + 1
    if char == "(" and body[place + 1 : place + 2] == "?":
        raise BadPatternError("(? is not known")
    return (char if char in "().|" else re.escape(char)), place + 1


def _repeat(body: str, place: int) -> tuple[str, int]:
    found = _REPEAT.match(body, place)
    if found is None:
        raise BadPatternError("{ begins no repetition")
    if body[found.end() : found.end() + 1] in ("*", "+", "?", "{"):
        raise BadPatternError("a repetition of a repetition is not known")
    return found[0], found.end()


def _escape(body: str, place: int) -> tuple[str, int]:
    char = body[place + 1 : place + 2]
    if not char or char.isdigit() or char in "bB":
        raise BadPatternError(f"\\{char} is not known")
    return (f"\\{char}" if char in "swdSWD" else re.escape(CONTROLS.get(char, char))), place + 2


def _set(body: str, place: int) -> tuple[str, int]:
    place += 1
    negated = body[place : place + 1] == "^"
    place += negated
    parts: list[str] = []
    while body[place : place + 1] != "]":
        if place >= len(body):
            raise BadPatternError("[ is not closed")
        if body[place] == "\\":
            part, place = _escape(body, place)
        elif body[place] == "-":
            # Between two characters it is a range, at either end a dash.
            inside = parts and body[place + 1 : place + 2] != "]"
            part, place = ("-" if inside else r"\-"), place + 1
        else:
            part, place = re.escape(body[place]), place + 1
        parts.append(part)
    return f"[{'^' if negated else ''}{''.join(parts)}]", place + 1
