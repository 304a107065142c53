"""From the text of a rules file to ``Rules``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from emulator.errors import ServiceError
from emulator.keys import check_key
from emulator.rules.document import BadRulesError, Entry, parse_document
from emulator.rules.expression import GLOBALS, BadExpressionError, Expression, compile_expression
from emulator.rules.ruleset import Rule, Rules

READABLE = GLOBALS - {"newData"}


@lru_cache(16)
def parse_rules(text: str) -> Rules:
    """Return the rules in a file: JSON with comments.

    Raises:
        BadRulesError: with line, column and reason.
    """
    top = parse_document(text)
    if len(top) != 1 or top[0].key != "rules" or not isinstance(top[0].value, tuple):
        raise BadRulesError('1:1: Expected one "rules" property at the top.')
    return Rules(_rule(top[0], frozenset()))


def _rule(entry: Entry, wildcards: frozenset[str]) -> Rule:
    if not isinstance(entry.value, tuple):
        raise entry.refuse(f"'{entry.key}' takes an object of rules.")
    rule = Rule()
    for inner in entry.value:
        _add(rule, inner, wildcards)
    return rule


def _add(rule: Rule, entry: Entry, wildcards: frozenset[str]) -> None:
    """Put one entry of an object of rules in its place."""
    if entry.key in (".read", ".write", ".validate"):
        names = (READABLE if entry.key == ".read" else GLOBALS) | wildcards
        setattr(rule, entry.key[1:], _expression(entry, names))
    elif entry.key == ".indexOn":
        rule.index_on = _index(entry)
    elif entry.key.startswith("$"):
        if rule.wildcard is not None or entry.key in wildcards:
            raise entry.refuse("Only one $ wildcard here, with a name of its own.")
        rule.wildcard = (entry.key, _rule(entry, wildcards | {entry.key}))
    elif entry.key.startswith("."):
        raise entry.refuse(f"Unknown rule type '{entry.key}'.")
    else:
        _child(rule, entry, wildcards)


def _child(rule: Rule, entry: Entry, wildcards: frozenset[str]) -> None:
    first, _, rest = entry.key.strip("/").partition("/")
    try:
        check_key(first)
    except ServiceError as problem:
        raise entry.refuse(f"'{entry.key}' is no valid key.") from problem
    if first in rule.children:
        raise entry.refuse(f"'{first}' is there twice.")
    if rest:
        entry = Entry(first, (Entry(rest, entry.value, entry.line, entry.column),), entry.line, entry.column)
    rule.children[first] = _rule(entry, wildcards)


def _index(entry: Entry) -> tuple[str, ...]:
    found: Any = entry.value if isinstance(entry.value, list) else [entry.value]
    if not all(isinstance(name, str) and name.strip("/") for name in found):
        raise entry.refuse(".indexOn takes a text or a list of texts.")
    return tuple(name.strip("/") for name in found)


def _expression(entry: Entry, names: frozenset[str]) -> Expression:
    value = entry.value
    if isinstance(value, bool):
        return lambda scope: value
    if not isinstance(value, str):
        raise entry.refuse(f"{entry.key} is true, false or an expression.")
    try:
        return compile_expression(value, names)
    except BadExpressionError as problem:
        raise entry.refuse(f"{entry.key}: {problem}.") from problem
