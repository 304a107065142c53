"""Rule expressions: text in, a function of the scope out."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError, UnexpectedInput, VisitError

from emulator.rules.operators import STRING_METHODS, arithmetic, compare, is_number, truth
from emulator.rules.pattern import CONTROLS, BadPatternError, compile_pattern
from emulator.rules.snapshot import METHODS, RuleError, Snapshot

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]

GLOBALS = frozenset({"auth", "now", "root", "data", "newData", "query"})
"""Every variable; a ``.read`` rule knows all but ``newData``."""

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\s\S])")


class BadExpressionError(ValueError):
    """An expression that is not of the language."""


def compile_expression(text: str, names: frozenset[str]) -> Expression:
    """Return the function that an expression stands for.

    Args:
        text: the expression.
        names: the variables that it may use: of ``GLOBALS``, and the ``$names`` of the path above it.

    Raises:
        BadExpressionError: saying what is wrong.
    """
    try:
        tree = _parser().parse(text)
        compiled: Expression = _Compiler(names).transform(tree)
        return compiled
    except UnexpectedInput as problem:
        raise BadExpressionError(_describe(problem)) from problem
    except VisitError as problem:
        raise BadExpressionError(str(problem.orig_exc)) from problem
    except LarkError as problem:
        raise BadExpressionError(str(problem)) from problem
    except RecursionError as problem:
        raise BadExpressionError("nested too deeply") from problem


def _describe(problem: UnexpectedInput) -> str:
    token = getattr(problem, "token", None)
    if token is not None and token.type == "$END":
        return "syntax error: the expression ends too early"
    return f"syntax error at column {problem.column}"


def allows(expression: Expression, scope: Scope) -> bool:
    """Evaluate; an expression without a value denies."""
    try:
        return expression(scope) is True
    except (RuleError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError):
        # Whatever goes wrong inside an expression is the rule's fault, and a faulty rule grants nothing.
        return False


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else CONTROLS.get(code, code)


@cache
def _parser() -> Lark:
    grammar = importlib.resources.files("emulator.rules").joinpath("grammar.lark").read_text()
    return Lark(grammar, parser="lalr")


def _member(owner: Any, name: str) -> Any:
    if name == "length" and isinstance(owner, str):
        return len(owner.encode("utf-16-le")) // 2  # as JavaScript counts
    if owner is None:
        return None
    if isinstance(owner, Mapping):
        return owner.get(name)
    raise RuleError(f"no property {name}")


def _call(owner: Any, name: str, arguments: list[Any]) -> Any:
    methods = METHODS if isinstance(owner, Snapshot) else STRING_METHODS if isinstance(owner, str) else {}
    if name not in methods:
        raise RuleError(f"no method {name}() here")
    try:
        return methods[name](owner, *arguments)
    except TypeError as problem:
        raise RuleError(f"{name}() takes other arguments") from problem


@v_args(inline=True)
class _Compiler(Transformer[Token, Expression]):
    """Turns the parsed tree into closures, bottom up."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self._names = names

    def number(self, token: Token) -> Expression:
        value = float(token) if "." in token else int(token)
        return lambda scope: value

    def string(self, token: Token) -> Expression:
        value = _ESCAPE.sub(_unescape, token[1:-1])
        return lambda scope: value

    def regex(self, token: Token) -> Expression:
        body, _, flags = token[1:].rpartition("/")
        try:
            pattern = compile_pattern(body, ignore_case=flags == "i")
        except BadPatternError as problem:
            raise BadExpressionError(f"bad regular expression: {problem}") from problem
        return lambda scope: pattern

    def true(self) -> Expression:
        return lambda scope: True

    def false(self) -> Expression:
        return lambda scope: False

    def null(self) -> Expression:
        return lambda scope: None

    def name(self, token: Token) -> Expression:
        name = str(token)
        if name not in self._names:
            raise BadExpressionError(f"unknown variable '{name}'")
        return lambda scope: scope[name]

    def array(self, *items: Expression | None) -> Expression:
        return lambda scope: [item(scope) for item in items if item is not None]

    def member(self, owner: Expression, name: Token) -> Expression:
        return lambda scope: _member(owner(scope), str(name))

    def index(self, owner: Expression, key: Expression) -> Expression:
        return lambda scope: _member(owner(scope), key(scope))

    def call(self, owner: Expression, name: Token, *arguments: Expression | None) -> Expression:
        if name not in METHODS and name not in STRING_METHODS:
            raise BadExpressionError(f"unknown method '{name}'")
        given = [argument for argument in arguments if argument is not None]
        return lambda scope: _call(owner(scope), str(name), [argument(scope) for argument in given])

    def not_(self, operand: Expression) -> Expression:
        return lambda scope: not truth(operand(scope))

    def negative(self, operand: Expression) -> Expression:
        def negate(scope: Scope) -> Any:
            value = operand(scope)
            if not is_number(value):
                raise RuleError("- takes a number")
            return -value

        return negate

    def and_(self, left: Expression, right: Expression) -> Expression:
        return lambda scope: truth(left(scope)) and truth(right(scope))

    def or_(self, left: Expression, right: Expression) -> Expression:
        return lambda scope: truth(left(scope)) or truth(right(scope))

    def compare(self, left: Expression, operator: Token, right: Expression) -> Expression:
        return lambda scope: compare(left(scope), str(operator), right(scope))

    def arithmetic(self, left: Expression, operator: Token, right: Expression) -> Expression:
        return lambda scope: arithmetic(left(scope), str(operator), right(scope))

    def conditional(self, test: Expression, then: Expression, otherwise: Expression) -> Expression:
        return lambda scope: then(scope) if truth(test(scope)) else otherwise(scope)
