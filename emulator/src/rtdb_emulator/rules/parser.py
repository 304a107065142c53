"""From the text of a rules file to ``Rules``.

The service reads the file first, and rejects it at the first part that does not belong in it; then it checks all
expressions, and reports all errors. Source of its messages: see ``types.py``; of its lines and columns: what
``firebase deploy`` says in firebase/codelab-friendlychat-web issue 294 and jgudo/ecommerce-react issue 11 (a part of
an expression is where it begins), and in firebase/firebase-tools issues 87 (the last error comes first), 2782 and
9008.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

from rtdb_emulator.data.keys import check_key
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.rules.coverage import Outline, Rooted
from rtdb_emulator.rules.document import BadRulesError, Entry, Fault, Value, parse_document
from rtdb_emulator.rules.expression import GLOBALS, compile_expression, constant
from rtdb_emulator.rules.ruleset import Rule, Rules
from rtdb_emulator.rules.syntax import BadExpressionError, Branch, parse

READABLE = GLOBALS - {"newData"}

_KINDS = (".read", ".write", ".validate")
_BAD_KEY = 'String can\'t contain ".", "#", "$", "/", "[", or "]"'
_BAD_RULE = "Invalid rule expression.  Expected 'true', 'false', or an expression string."
_BAD_INDEX = "Invalid indexOn expression. Must be either a string or an array of strings"
_NO_OBJECT = "Expected '{'."


@lru_cache(16)
def parse_rules(text: str) -> Rules:
    """Return the rules in a file: JSON with comments.

    Raises:
        BadRulesError: with line, column and reason.
    """
    document = parse_document(text)
    entries = _entries(document)
    if len(entries) != 1 or entries[0].key != "rules":
        place = next((entry for entry in entries if entry.key != "rules"), None)
        line, column = (place.line, place.column) if place else (document.line, document.column + 1)
        raise BadRulesError(str(Fault(line, column, "Expected 'rules' property.")))
    reader = _Reader()
    outline: Outline = {}
    root = reader.rule(entries[0].value, frozenset(), outline)
    reader.compile()
    return Rules(root, outline, next(reader.numbers))


def _entries(value: Value) -> tuple[Entry, ...]:
    if not isinstance(value.content, tuple):
        raise value.error(_NO_OBJECT)
    entries: tuple[Entry, ...] = value.content
    return entries


@dataclass(frozen=True, slots=True)
class _Kept:
    """An expression that is read, and not yet compiled: whose it is, and where it goes."""

    rule: Rule
    kind: str
    value: Value
    tree: Branch
    names: frozenset[str]
    outline: Outline


@dataclass(slots=True)
class _Reader:
    """Reads the tree of a file, and keeps the expressions in it for later."""

    numbers: Iterator[int] = field(default_factory=count)
    """Those that no part of an expression has yet."""
    _expressions: list[_Kept] = field(default_factory=list)

    def rule(self, value: Value, wildcards: frozenset[str], outline: Outline) -> Rule:
        """Return the rules in an object, without their expressions; add to ``outline`` what is in it."""
        rule = Rule()
        for entry in _entries(value):
            self._add(rule, entry, wildcards, outline)
        return rule

    def _add(self, rule: Rule, entry: Entry, wildcards: frozenset[str], outline: Outline) -> None:
        if entry.key in _KINDS:
            self._keep(rule, entry, wildcards, outline)
        elif entry.key == ".indexOn":
            rule.index_on = _index(entry.value)
        elif entry.key.startswith("$"):
            if rule.wildcard is not None:
                raise entry.error(f"Cannot have multiple default rules ('{rule.wildcard[0]}' and '{entry.key}').")
            if entry.key in wildcards:
                # How the service says this is not known.
                raise entry.error(f"Variable '{entry.key}' is already used above.")
            below = self._child(entry, entry.key[1:] or "$", wildcards | {entry.key}, outline)
            rule.wildcard = (entry.key, below)
        else:
            rule.children[entry.key] = self._child(entry, entry.key, wildcards, outline)

    def _child(self, entry: Entry, key: str, wildcards: frozenset[str], outline: Outline) -> Rule:
        """Return the rules of a child; like the service, report a value that is not an object before a bad key."""
        _entries(entry.value)
        try:
            check_key(key)
        except ServiceError as problem:
            raise entry.error(_BAD_KEY) from problem
        below: Outline = {}
        outline[entry.key] = below
        return self.rule(entry.value, wildcards, below)

    def _keep(self, rule: Rule, entry: Entry, wildcards: frozenset[str], outline: Outline) -> None:
        value, kind = entry.value, entry.key[1:]
        if isinstance(value.content, bool):
            expression = constant(value.content, self.numbers)
            setattr(rule, kind, expression)
            outline[entry.key] = Rooted(value, expression.part)
        elif isinstance(value.content, str):
            try:
                tree = parse(value.content)
            except BadExpressionError as problem:
                raise BadRulesError(str(value.fault(*problem.problems[0]))) from problem
            names = (READABLE if kind == "read" else GLOBALS) | wildcards
            outline[entry.key] = {}  # its place in the order of the file
            self._expressions.append(_Kept(rule, kind, value, tree, names, outline))
        else:
            raise value.error(_BAD_RULE)

    def compile(self) -> None:
        """Check and compile all expressions that were kept."""
        faults: list[Fault] = []
        for kept in self._expressions:
            try:
                expression = compile_expression(kept.tree, kept.names, self.numbers)
            except BadExpressionError as problem:
                faults.extend(kept.value.fault(*each) for each in problem.problems)
            else:
                setattr(kept.rule, kept.kind, expression)
                kept.outline[f".{kept.kind}"] = Rooted(kept.value, expression.part)
        if faults:
            raise BadRulesError("".join(map(str, reversed(faults))))


def _index(value: Value) -> tuple[str, ...]:
    items = value.content if isinstance(value.content, list) else [value]
    names = [item.content for item in items]
    if not all(isinstance(name, str) and name.strip("/") for name in names):
        raise value.error(_BAD_INDEX)
    return tuple(name.strip("/") for name in names)
