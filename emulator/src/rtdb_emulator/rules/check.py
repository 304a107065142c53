"""Finds the errors of an expression before it runs."""

from __future__ import annotations

from lark import Token
from lark.visitors import Interpreter

from rtdb_emulator.rules.pattern import BadPatternError, compile_literal
from rtdb_emulator.rules.syntax import Branch, branch, called, given, literal
from rtdb_emulator.rules.types import (
    NUMBERS,
    TEXTS,
    TRUTHS,
    VARIABLES,
    Method,
    Type,
    member,
    operands,
    rejection,
    result,
)

_NO_FUNCTION = "Type error: Function call on target that is not a function."


def check(tree: Branch, names: frozenset[str]) -> list[tuple[int, str]]:
    """Return the errors of an expression: pairs of where the wrong part begins, from 0, and the reason.

    Args:
        tree: the expression.
        names: the variables that it may use.
    """
    checker = _Checker(names)
    checker.check(tree)
    return checker.problems


class _Checker(Interpreter[Token, Type]):
    """Finds the type of every part of an expression, and notes in ``problems`` what does not fit."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__()
        self.problems: list[tuple[int, str]] = []
        self._names = names
        self._items: list[Type] = []

    def check(self, tree: Branch) -> None:
        """Check a whole rule."""
        if self._scalar(tree) not in TRUTHS:
            self._reject(tree, "Expression must evaluate to a boolean.")

    def _reject(self, tree: Branch, reason: str) -> Type:
        self.problems.append((tree.meta.start_pos, reason))
        return Type.WRONG

    def _scalar(self, tree: Branch) -> Type:
        """Return the type of a part that is not an array; arrays occur only in hasChildren([…])."""
        kind = self.visit(tree)
        return self._reject(tree, "Unexpected array literal.") if kind is Type.ARRAY else kind

    def number(self, tree: Branch) -> Type:
        return Type.NUMBER

    def string(self, tree: Branch) -> Type:
        return Type.STRING

    def true(self, tree: Branch) -> Type:
        return Type.BOOLEAN

    def false(self, tree: Branch) -> Type:
        return Type.BOOLEAN

    def null(self, tree: Branch) -> Type:
        return Type.NULL

    def regex(self, tree: Branch) -> Type:
        try:
            compile_literal(str(tree.children[0]))
        except BadPatternError as problem:
            return self._reject(tree, str(problem))
        return Type.REGEX

    def array(self, tree: Branch) -> Type:
        self._items = [self._scalar(item) for item in given(tree.children)]
        return Type.ARRAY

    def name(self, tree: Branch) -> Type:
        name = str(tree.children[0])
        if name not in self._names:
            if name == "newData":
                return self._reject(tree, "newData is invalid in .read expressions.")
            return self._reject(tree, f"Unknown variable '{name}'.")
        return VARIABLES.get(name, Type.STRING)

    def member(self, tree: Branch) -> Type:
        return self._property(tree, self._scalar(branch(tree, 0)), str(tree.children[1]))

    def index(self, tree: Branch) -> Type:
        name = literal(branch(tree, 1))
        owner = self._scalar(branch(tree, 0))
        if name is not None:
            return self._property(tree, owner, name)
        key = self._scalar(branch(tree, 1))
        if Type.WRONG in (owner, key):
            return Type.WRONG
        return Type.AUTH if owner is Type.AUTH else self._reject(tree, "Invalid property access.")

    def _property(self, tree: Branch, owner: Type, name: str) -> Type:
        kind = member(owner, name)
        if isinstance(kind, str):
            return self._reject(tree, kind)
        return Type.METHOD if isinstance(kind, Method) else kind

    def call(self, tree: Branch) -> Type:
        arguments = given(tree.children[1:])
        named = called(tree)
        if named is None:
            parts = [self._scalar(part) for part in (branch(tree, 0), *arguments)]
            return Type.WRONG if Type.WRONG in parts else self._reject(tree, _NO_FUNCTION)
        owner, name = named
        kind = member(self._scalar(owner), name)
        if isinstance(kind, str):
            return self._reject(tree, kind)
        types = [self.visit(argument) if name == "hasChildren" else self._scalar(argument) for argument in arguments]
        if kind is Type.WRONG:
            return Type.WRONG
        if isinstance(kind, Type):
            return self._reject(tree, _NO_FUNCTION)
        if Type.WRONG in types:
            return Type.WRONG
        wrong = _misused_list(types, self._items) if name == "hasChildren" else _misuse(name, kind, types)
        return self._reject(tree, wrong) if wrong else kind.gives

    def not_(self, tree: Branch) -> Type:
        kind = self._scalar(branch(tree, 0))
        return kind if kind in TRUTHS else self._reject(tree, "! only operates on booleans.")

    def negative(self, tree: Branch) -> Type:
        kind = self._scalar(branch(tree, 0))
        if kind not in NUMBERS:
            return self._reject(tree, "- only operates on numbers.")
        return kind if kind is Type.WRONG else Type.NUMBER

    def and_(self, tree: Branch) -> Type:
        return self._logical(tree, "&&")

    def or_(self, tree: Branch) -> Type:
        return self._logical(tree, "||")

    def _logical(self, tree: Branch, operator: str) -> Type:
        """Check a chain of operands as pairs, from the left."""
        kind, *others = [self._scalar(part) for part in given(tree.children)]
        for other in others:
            sides = (("Left", kind), ("Right", other))
            wrong = next((side for side, operand in sides if operand not in TRUTHS), None)
            if wrong:
                kind = self._reject(tree, f"{wrong} operand of {operator} must be boolean.")
            elif other is Type.WRONG:
                kind = other
        return kind

    def compare(self, tree: Branch) -> Type:
        return self._binary(tree)

    def arithmetic(self, tree: Branch) -> Type:
        return self._binary(tree)

    def _binary(self, tree: Branch) -> Type:
        operator = str(tree.children[1])
        left, right = self._scalar(branch(tree, 0)), self._scalar(branch(tree, 2))
        for side, kind in (("left", left), ("right", right)):
            if kind not in operands(operator):
                return self._reject(tree, rejection(operator, side))
        if operator[:2] in ("==", "!="):
            for side, kind, other, at in (("right", right, left, 2), ("left", left, right, 0)):
                if other is Type.ORDERING and not self._is_ordering(branch(tree, at), kind):
                    words = f"{side} operand must be an ordering or string literal when comparing against an ordering."
                    return self._reject(tree, f"Invalid {operator[:2]} expression: {words}")
        return result(operator, left, right)

    @staticmethod
    def _is_ordering(tree: Branch, kind: Type) -> bool:
        """Return whether something may be compared with an order; null may, since the service accepts that too."""
        return kind in (Type.ORDERING, Type.NULL, Type.WRONG) or literal(tree) is not None

    def conditional(self, tree: Branch) -> Type:
        test, then, otherwise = (self._scalar(branch(tree, part)) for part in (0, 1, 2))
        if test not in TRUTHS:
            return self._reject(tree, "condition of ? must be boolean.")
        if Type.WRONG in (then, otherwise):
            return Type.WRONG
        return then if then is otherwise else Type.MIXED


def _misuse(name: str, method: Method, types: list[Type]) -> str | None:
    """Return what is wrong with the arguments of a call."""
    if name == "matches":
        if len(types) != 1:
            return "matches() expects 1 regular expression literal argument."
        return None if types[0] is Type.REGEX else "matches() expects a regular expression literal argument."
    if len(types) != method.texts:
        return f"{name}() expects {('no arguments', '1 argument', 'two arguments')[method.texts]}."
    for place, kind in enumerate(types, 1):
        if kind not in TEXTS:
            return (
                f"{name}() expects a string argument."
                if method.texts == 1
                else f"Argument {place} of {name}() must be a string."
            )
    return None


def _misused_list(types: list[Type], items: list[Type]) -> str | None:
    """Return what is wrong with the arguments of hasChildren(); ``items`` are the types in the list."""
    if not types:
        return None
    if len(types) > 1:
        return "hasChildren() expects only a single argument (containing an array of child names)."
    if types[0] is not Type.ARRAY:
        return "hasChildren() expects an array of child names."
    return None if all(item in TEXTS for item in items) else "hasChildren() expects an array of strings."
