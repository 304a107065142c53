"""A rules file as JSON whose every entry knows where it stands, so that a refusal can say where."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError


class BadRulesError(ValueError):
    """A rules file that is refused; the message is ``line:column: reason``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One property of an object.

    Attributes:
        value: a scalar, a list, or the tuple of an object's entries.
        line: where its key stands, from 1.
        column: the same, in its line.
    """

    key: str
    value: Any
    line: int
    column: int

    def refuse(self, reason: str) -> BadRulesError:
        """Return the error that says what is wrong here."""
        return BadRulesError(f"{self.line}:{self.column}: {reason}")


def parse_document(text: str) -> tuple[Entry, ...]:
    """Return the entries of the object in a rules file.

    Raises:
        BadRulesError: for what is no JSON object, or names a key twice.
    """
    try:
        value = _Reader().transform(_parser().parse(text))
    except UnexpectedInput as problem:
        raise BadRulesError(_describe(problem, text)) from problem
    except VisitError as problem:
        raise BadRulesError(str(problem.orig_exc)) from problem
    except RecursionError as problem:
        raise BadRulesError("1:1: Parse error: nested too deeply.") from problem
    if not isinstance(value, tuple):
        raise BadRulesError("1:1: Parse error: an object is expected.")
    return value


def _describe(problem: UnexpectedInput, text: str) -> str:
    token = getattr(problem, "token", None)
    if token is not None and token.type == "$END":
        return f"{text.count(chr(10)) + 1}:1: Parse error: unexpected end of the file."
    found = str(token) if token is not None else text[problem.pos_in_stream or 0 :][:1]
    return f"{problem.line}:{problem.column}: Parse error: unexpected {found[:20]!r}."


@cache
def _parser() -> Lark:
    grammar = importlib.resources.files("emulator.rules").joinpath("document.lark").read_text()
    return Lark(grammar, parser="lalr")


@v_args(inline=True)
class _Reader(Transformer[Token, Any]):
    """Turns the parsed file into entries, bottom up."""

    def start(self, value: Any) -> Any:
        return value

    def text(self, token: Token) -> str:
        return _decode(token)

    def number(self, token: Token) -> Any:
        return json.loads(token)

    def true(self) -> bool:
        return True

    def false(self) -> bool:
        return False

    def null(self) -> None:
        return None

    def array(self, *items: Any) -> list[Any]:
        return list(items) if items != (None,) else []

    def entry(self, key: Token, value: Any) -> Entry:
        return Entry(_decode(key), value, key.line or 1, key.column or 1)

    def object(self, *entries: Entry | None) -> tuple[Entry, ...]:
        found: dict[str, Entry] = {}
        for entry in entries:
            if entry is not None and found.setdefault(entry.key, entry) is not entry:
                raise entry.refuse(f"'{entry.key}' is there twice.")
        return tuple(found.values())


def _decode(token: Token) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError as problem:
        raise BadRulesError(f"{token.line}:{token.column}: Parse error: not a text that JSON knows.") from problem
