"""Rule expressions as text: parsed into a tree, and read from the tree."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Sequence
from functools import cache
from typing import cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from rtdb_emulator.rules.pattern import CONTROLS

Branch = Tree[Token]

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\s\S])")


class BadExpressionError(ValueError):
    """An expression that is not of the language.

    Attributes:
        problems: pairs of a place in the text, from 0, and what is wrong there.
    """

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        super().__init__(" ".join(reason for _, reason in problems))
        self.problems = list(problems)


def parse(text: str) -> Branch:
    """Return the tree of an expression.

    The messages for bad syntax are the service's if they are known: for an assignment, and for a text that ends
    too early.

    Raises:
        BadExpressionError: for what is not an expression.
    """
    try:
        return _parser().parse(text)
    except UnexpectedInput as problem:
        raise BadExpressionError([_problem(problem, text)]) from problem


def _problem(problem: UnexpectedInput, text: str) -> tuple[int, str]:
    token = getattr(problem, "token", None)
    place = problem.pos_in_stream if token is None or token.type != "$END" else len(text)
    place = len(text) if place is None else place
    if not text[place:].strip():
        return place, "Unexpected end of expression."
    if text[place] == "=":
        return place, "Rule expressions may not contain assignments."
    return place, "syntax error"


@cache
def _parser() -> Lark:
    grammar = importlib.resources.files("rtdb_emulator.rules").joinpath("grammar.lark").read_text()
    return Lark(grammar, parser="lalr", propagate_positions=True)


def branch(tree: Branch, place: int) -> Branch:
    """Return a child that is a tree."""
    return cast(Branch, tree.children[place])


def given(children: Sequence[Branch | Token | None]) -> list[Branch]:
    """Return the parts of a list, which may have none."""
    return [cast(Branch, child) for child in children if child is not None]


def literal(tree: Branch) -> str | None:
    """Return the text that a part is, or None if it is not a literal text."""
    return string_value(cast(Token, tree.children[0])) if tree.data == "string" else None


def string_value(token: str) -> str:
    """Return the text that a literal in quotes means."""
    return _ESCAPE.sub(_unescape, token[1:-1])


def number_value(token: str) -> int | float:
    """Return the number that a literal means, as JavaScript has numbers."""
    value = float(min(int(token, 16), 2**1023)) if token[:2] in ("0x", "0X") else float(token)
    return int(value) if value.is_integer() and value < 2**53 else value


def called(tree: Branch) -> tuple[Branch, str] | None:
    """Return what a call is made on and the name of the method, or None if the call names none."""
    callee = branch(tree, 0)
    if callee.data == "member":
        return branch(callee, 0), str(callee.children[1])
    name = literal(branch(callee, 1)) if callee.data == "index" else None
    return None if name is None else (branch(callee, 0), name)


def variables(tree: Branch) -> frozenset[str]:
    """Return the names of all variables in an expression."""
    return frozenset(str(name.children[0]) for name in tree.find_data("name"))


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else CONTROLS.get(code, code)
