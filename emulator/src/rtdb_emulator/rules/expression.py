"""Rule expressions: text in, a function of the scope out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from lark import Token
from lark.visitors import Interpreter

from rtdb_emulator.rules.check import check
from rtdb_emulator.rules.coverage import SEEN, Part, traced
from rtdb_emulator.rules.operators import arithmetic, call, compare, member, negate, truth
from rtdb_emulator.rules.pattern import compile_literal
from rtdb_emulator.rules.snapshot import RuleError
from rtdb_emulator.rules.syntax import (
    BadExpressionError,
    Branch,
    branch,
    called,
    given,
    number_value,
    string_value,
    variables,
)
from rtdb_emulator.rules.types import VARIABLES

Scope = Mapping[str, Any]
Function = Callable[[Scope], Any]

GLOBALS = frozenset(VARIABLES)
"""Every variable; a ``.read`` rule knows all but ``newData``."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that can be evaluated.

    Attributes:
        run: gives its value in a scope.
        traced: the same for a scope with ``SEEN``, where the values of all parts are counted.
        part: its parts, as they are counted.
        names: the variables in it.
    """

    run: Function
    traced: Function
    part: Part
    names: frozenset[str] = frozenset()


def constant(value: bool, numbers: Iterator[int]) -> Expression:
    """Return the rule that is always true, or always false."""
    part = Part(next(numbers), 0, len(str(value)))
    return Expression(lambda scope: value, traced(lambda scope: value, part.number), part)


def compile_expression(tree: Branch, names: frozenset[str], numbers: Iterator[int] | None = None) -> Expression:
    """Return what an expression means.

    Args:
        tree: the expression, as ``parse`` returns it.
        names: the variables that it may use: of ``GLOBALS``, and the ``$names`` of the path above it.
        numbers: gives a number to each part of the expression; parts of one file need different ones.

    Raises:
        BadExpressionError: saying what is wrong, and where.
    """
    try:
        problems = check(tree, names)
        if problems:
            raise BadExpressionError(problems)
        tracer = _Tracer(count() if numbers is None else numbers)
        return Expression(_Compiler().visit(tree), tracer.visit(tree), tracer.parts[0], variables(tree))
    except RecursionError as problem:
        raise BadExpressionError([(0, "The expression is nested too deeply.")]) from problem


def allows(expression: Expression, scope: Scope) -> bool:
    """Evaluate; an expression without a value denies."""
    try:
        return (expression.traced if SEEN in scope else expression.run)(scope) is True
    except (RuleError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError):
        # Whatever goes wrong inside an expression is the rule's fault, and a faulty rule grants nothing.
        return False


class _Compiler(Interpreter[Token, Function]):
    """Turns a tree that was checked into closures."""

    def number(self, tree: Branch) -> Function:
        value = number_value(cast(Token, tree.children[0]))
        return lambda scope: value

    def string(self, tree: Branch) -> Function:
        value = string_value(cast(Token, tree.children[0]))
        return lambda scope: value

    def regex(self, tree: Branch) -> Function:
        pattern = compile_literal(cast(Token, tree.children[0]))
        return lambda scope: pattern

    def true(self, tree: Branch) -> Function:
        return lambda scope: True

    def false(self, tree: Branch) -> Function:
        return lambda scope: False

    def null(self, tree: Branch) -> Function:
        return lambda scope: None

    def name(self, tree: Branch) -> Function:
        name = str(tree.children[0])
        return lambda scope: scope[name]

    def array(self, tree: Branch) -> Function:
        items = [self.visit(item) for item in given(tree.children)]
        return lambda scope: [item(scope) for item in items]

    def member(self, tree: Branch) -> Function:
        owner, name = self.visit(branch(tree, 0)), str(tree.children[1])
        return lambda scope: member(owner(scope), name)

    def index(self, tree: Branch) -> Function:
        owner, key = (self.visit(branch(tree, part)) for part in (0, 1))
        return lambda scope: member(owner(scope), key(scope))

    def call(self, tree: Branch) -> Function:
        owned = called(tree)
        if owned is None:
            raise BadExpressionError([(tree.meta.start_pos, "a call needs a method")])  # it was not checked
        owner, name = self.visit(owned[0]), owned[1]
        arguments = [self.visit(argument) for argument in given(tree.children[1:])]
        return lambda scope: call(owner(scope), name, [argument(scope) for argument in arguments])

    def not_(self, tree: Branch) -> Function:
        operand = self.visit(branch(tree, 0))
        return lambda scope: not truth(operand(scope))

    def negative(self, tree: Branch) -> Function:
        operand = self.visit(branch(tree, 0))
        return lambda scope: negate(operand(scope))

    def and_(self, tree: Branch) -> Function:
        parts = [self.visit(part) for part in given(tree.children)]
        return lambda scope: all(truth(part(scope)) for part in parts)

    def or_(self, tree: Branch) -> Function:
        parts = [self.visit(part) for part in given(tree.children)]
        return lambda scope: any(truth(part(scope)) for part in parts)

    def compare(self, tree: Branch) -> Function:
        left, operator, right = self.visit(branch(tree, 0)), str(tree.children[1]), self.visit(branch(tree, 2))
        return lambda scope: compare(left(scope), operator, right(scope))

    def arithmetic(self, tree: Branch) -> Function:
        left, operator, right = self.visit(branch(tree, 0)), str(tree.children[1]), self.visit(branch(tree, 2))
        return lambda scope: arithmetic(left(scope), operator, right(scope))

    def conditional(self, tree: Branch) -> Function:
        test, then, otherwise = (self.visit(branch(tree, part)) for part in (0, 1, 2))
        return lambda scope: then(scope) if truth(test(scope)) else otherwise(scope)


_LITERALS = frozenset({"number", "string", "true", "false", "null", "regex"})
_ALL_PARTS = frozenset({"compare", "arithmetic", "call", "index", "array", "not_", "negative"})
"""What evaluates all its parts, from the left, unless one fails: how often a literal in it is evaluated is known."""


class _Tracer(_Compiler):
    """Turns a tree that was checked into closures that count the values of all its parts.

    Attributes:
        parts: those that were visited, without the parts of parts.
    """

    def __init__(self, numbers: Iterator[int]) -> None:
        super().__init__()
        self.parts: list[Part] = []
        self._numbers, self._around = numbers, ""

    def visit(self, tree: Branch) -> Function:
        """Return the function of a part."""
        number, kind = next(self._numbers), str(tree.data)
        around, parts, self._around, self.parts = self._around, self.parts, kind, []
        run = super().visit(tree)
        is_counted = kind not in _LITERALS or around not in _ALL_PARTS
        literal = None if is_counted else (run({}),)
        parts.append(Part(number, tree.meta.start_pos, tree.meta.end_pos, tuple(self.parts), literal))
        self._around, self.parts = around, parts
        return traced(run, number) if is_counted else run
