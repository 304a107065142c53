"""Regular expressions of the rules: the documented subset, read strictly, matched by RE2 in linear time.

Source: Firebase documentation, "Using Regular Expressions in Realtime Database Security Rules". The service uses an
automaton library (``dk.brics.automaton`` in the traces of firebase/firebase-tools issue 3057), which sees a text as
16-bit units and knows no back-references, look-around or lazy repetition either. It writes the empty text ``()``, and
has no other empty alternative: the fixtures of goldibex/targaryen record that the service rejects ``^(foo|)$``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}

_REPEAT = re.compile(r"[*+?]|\{\d{1,4}(?:,\d{0,4})?\}")
_WIDE = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]")

# RE2's \s lacks the vertical tab.
_CLASSES = {"s": "[:space:]", "S": "[:^space:]", "d": r"\d", "D": r"\D", "w": r"\w", "W": r"\W"}


class BadPatternError(ValueError):
    """A pattern that the service does not support."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern."""

    compiled: Any

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches anywhere in a text."""
        return self.compiled.search(_units(text)) is not None


@lru_cache(256)
def compile_literal(literal: str) -> Pattern:
    """Return the pattern of a literal with its slashes and flags.

    Raises:
        BadPatternError: as ``compile_pattern``, and for flags other than ``i``.
    """
    body, _, flags = literal[1:].rpartition("/")
    if flags not in ("", "i"):
        raise BadPatternError("regular expressions do not support flags other than i")
    try:
        return compile_pattern(body, ignore_case=flags == "i")
    except BadPatternError as problem:
        raise BadPatternError(f"Invalid regular expression: {problem}.") from problem


def compile_pattern(body: str, *, ignore_case: bool) -> Pattern:
    r"""Return the pattern between the slashes of a literal.

    Anchors hold at the ends of the text, never at line breaks; ``\d``, ``\w`` and ``\s`` are ASCII, and ``.`` is any
    character. The documentation does not say how the service rejects other patterns: the messages are this package's.

    Raises:
        BadPatternError: for look-around, back-references, lazy repetition, anchors inside, empty alternatives, and bad
            syntax.
    """
    parts, place = [], 0
    body = _units(body)
    before = "("  # the character before this place, anchors aside: after ``(`` and ``|`` an alternative begins
    while place < len(body):
        char = body[place]
        if (char == "|" and before in "(|") or (char == ")" and before == "|"):
            raise BadPatternError("an empty alternative is not known")
        before = before if char in "^$" else char
        part, place = _part(body, place)
        parts.append(part)
    if before == "|":
        raise BadPatternError("an empty alternative is not known")
    options = re2.Options()
    options.case_sensitive, options.dot_nl, options.log_errors = not ignore_case, True, False
    options.never_capture = True
    try:
        return Pattern(re2.compile("".join(parts), options))
    except re2.error as problem:
        said = problem.args[0] if problem.args else problem
        raise BadPatternError(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from problem


def _units(text: str) -> str:
    """Return a text with a character for each 16-bit unit; halves of pairs become characters of private use."""
    if text.isascii() or not _WIDE.search(text):
        return text
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    return "".join(chr(unit + 0x100000) if 0xD800 <= unit < 0xE000 else chr(unit) for unit in units)


def _part(body: str, place: int) -> tuple[str, int]:
    """Return the next part as RE2 writes it, and where the part after it begins."""
    char = body[place]
    if char == "\\":
        part, place = _escape(body, place)
        return (f"[{part}]" if part.startswith("[") else part), place
    if char == "[":
        return _set(body, place)
    if char in "*+?{":
        return _repeat(body, place)
    if char in "^$":
        if place != (0 if char == "^" else len(body) - 1):
            raise BadPatternError(f"{char} is known only at the {'start' if char == '^' else 'end'} of a pattern")
        return (r"\A" if char == "^" else r"\z"), place + 1
    if char == "(" and body[place + 1 : place + 2] == "?":
        raise BadPatternError("(? is not known")
    return (char if char in "().|" else _quote(char)), place + 1


def _repeat(body: str, place: int) -> tuple[str, int]:
    repeat = _REPEAT.match(body, place)
    if repeat is None:
        raise BadPatternError("{ begins no repetition")
    if body[repeat.end() : repeat.end() + 1] in ("*", "+", "?", "{"):
        raise BadPatternError("a repetition of a repetition is not known")
    return repeat[0], repeat.end()


def _escape(body: str, place: int) -> tuple[str, int]:
    char = body[place + 1 : place + 2]
    if not char or char.isdigit() or char in "bB":
        raise BadPatternError(f"\\{char} is not known")
    return _CLASSES.get(char) or _quote(CONTROLS.get(char, char)), place + 2


def _quote(char: str) -> str:
    return char if char.isalnum() or char >= "\x80" else f"\\x{ord(char):02x}"


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
            part, place = ("-" if inside else _quote("-")), place + 1
        else:
            part, place = _quote(body[place]), place + 1
        parts.append(part)
    return f"[{'^' if negated else ''}{''.join(parts)}]", place + 1
