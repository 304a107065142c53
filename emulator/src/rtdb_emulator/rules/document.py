"""A rules file as JSON whose every part knows its line and column, for error messages."""

from __future__ import annotations

import importlib.resources
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError
from lark.tree import Meta


class BadRulesError(ValueError):
    """A rules file that is rejected; the message has a line ``line:column: reason`` for each fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one place of a file; lines and columns count from 1."""

    line: int
    column: int
    reason: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.reason}\n"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the file.

    Attributes:
        content: a scalar, a list of values, or the tuple of an object's entries.
        line: where it begins, from 1.
        column: the same, in its line.
        raw: a text as it is written, quotes included.
    """

    content: Any
    line: int
    column: int
    raw: str = ""

    def error(self, reason: str) -> BadRulesError:
        """Return the error that says what is wrong here."""
        return BadRulesError(str(Fault(self.line, self.column, reason)))

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and column of a character of a scalar, counted from 0 in the text that is meant."""
        if not self.raw:
            return self.line, self.column + offset
        before = "".join(_CHARACTER.findall(self.raw[1:-1])[:offset])
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else self.column + 1 + len(before)
        return self.line + lines, column

    def fault(self, offset: int, reason: str) -> Fault:
        """Return what is wrong at a character of a text, counted from 0 in the text that is meant."""
        return Fault(*self.place(offset), reason)


@dataclass(frozen=True, slots=True)
class Entry:
    """One property of an object; ``line`` and ``column`` are those of its key."""

    key: str
    value: Value
    line: int
    column: int

    def error(self, reason: str) -> BadRulesError:
        """Return the error that says what is wrong with the key."""
        return BadRulesError(str(Fault(self.line, self.column, reason)))


_CHARACTER = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[\s\S]|[\s\S]")
"""One character in a JSON text, escaped or not."""


def parse_document(text: str) -> Value:
    """Return what a rules file says: JSON that may have comments, and texts over several lines.

    Raises:
        BadRulesError: for what is not JSON, or has a key twice.
    """
    try:
        document: Value = _Reader().transform(_parser().parse(text))
    except UnexpectedInput as problem:
        raise BadRulesError(_describe(problem, text)) from problem
    except VisitError as problem:
        raise BadRulesError(str(problem.orig_exc)) from problem
    except RecursionError as problem:
        raise BadRulesError("1:1: Parse error.\n") from problem
    return document


def plain_json(text: str) -> Any:
    """Return the JSON value of a rules file, whose comments are lost.

    Raises:
        BadRulesError: as ``parse_document``.
    """
    return _plain(parse_document(text))


def _plain(value: Value) -> Any:
    content = value.content
    if isinstance(content, tuple):
        return {entry.key: _plain(entry.value) for entry in content}
    return [_plain(item) for item in content] if isinstance(content, list) else content


def _describe(problem: UnexpectedInput, text: str) -> str:
    token = getattr(problem, "token", None)
    at_end = token is not None and token.type == "$END"
    place = f"{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}" if at_end else None
    return f"{place or f'{problem.line}:{problem.column}'}: Parse error.\n"


@cache
def _parser() -> Lark:
    grammar = importlib.resources.files("rtdb_emulator.rules").joinpath("document.lark").read_text()
    return Lark(grammar, parser="lalr", propagate_positions=True)


@v_args(inline=True, meta=True)
class _Reader(Transformer[Token, Any]):
    """Turns the parsed file into values, bottom up."""

    def start(self, meta: Meta, value: Value) -> Value:
        return value

    def text(self, meta: Meta, token: Token) -> Value:
        return Value(_decode(token), meta.line, meta.column, str(token))

    def number(self, meta: Meta, token: Token) -> Value:
        return Value(float(token), meta.line, meta.column)

    def true(self, meta: Meta) -> Value:
        return Value(True, meta.line, meta.column)

    def false(self, meta: Meta) -> Value:
        return Value(False, meta.line, meta.column)

    def null(self, meta: Meta) -> Value:
        return Value(None, meta.line, meta.column)

    def array(self, meta: Meta, *items: Value | None) -> Value:
        return Value([item for item in items if item is not None], meta.line, meta.column)

    def entry(self, meta: Meta, key: Token, value: Value) -> Entry:
        return Entry(_decode(key), value, key.line or 1, key.column or 1)

    def object(self, meta: Meta, *entries: Entry | None) -> Value:
        by_key: dict[str, Entry] = {}
        for entry in entries:
            if entry is not None and by_key.setdefault(entry.key, entry) is not entry:
                raise entry.error(f"'{entry.key}' occurs twice.")
        return Value(tuple(by_key.values()), meta.line, meta.column)


def _decode(token: Token) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError as problem:
        raise BadRulesError(f"{token.line}:{token.column}: Parse error.\n") from problem
