"""The types that the service gives to parts of an expression before it runs, and what it rejects because of them.

Source: the texts with which the service rejects rules, as recorded from ``PUT /.settings/rules.json`` by
https://github.com/davideast/pyric (scenario r29 and its tables of operands), by firebase/firebase-tools issue 944 and
by FirebaseExtended/bolt issue 12; which rules it accepts at all, also by the fixtures of goldibex/targaryen, which were
evaluated by the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Type(Enum):
    """What is known of a part of an expression before it runs."""

    BOOLEAN = auto()
    NUMBER = auto()
    STRING = auto()
    NULL = auto()
    REGEX = auto()
    ARRAY = auto()
    SNAPSHOT = auto()
    METHOD = auto()
    """A method that is named and not called."""
    VALUE = auto()
    """What is stored: any scalar. Its members are those of a text."""
    AUTH = auto()
    """``auth`` and whatever is in it; any name may be there."""
    QUERY = auto()
    BOUND = auto()
    """A property of ``query`` that may be any scalar."""
    ORDERING = auto()
    """``query.orderByChild``."""
    MIXED = auto()
    """A choice between two types."""
    WRONG = auto()
    """A part that was rejected already, without a second error."""


_ANY = {Type.VALUE, Type.AUTH, Type.BOUND, Type.ORDERING, Type.MIXED, Type.WRONG}

TRUTHS = frozenset({Type.BOOLEAN, Type.WRONG})
"""What ``!``, ``&&``, ``||``, a condition and a whole rule take."""

EQUALS = frozenset({Type.BOOLEAN, Type.NUMBER, Type.STRING, Type.NULL, *_ANY})
"""What can be compared for equality."""

ORDERED = frozenset({Type.NUMBER, Type.STRING, *_ANY})
"""What has an order, and what ``+`` takes."""

NUMBERS = frozenset({Type.NUMBER, *_ANY})
"""What arithmetic takes."""

TEXTS = frozenset({Type.STRING, Type.VALUE, Type.AUTH, Type.MIXED, Type.WRONG})
"""What methods take for a text."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method: how many texts it takes, and what it gives."""

    gives: Type
    texts: int = 0


SNAPSHOT_METHODS: Mapping[str, Method] = {
    "val": Method(Type.VALUE),
    "child": Method(Type.SNAPSHOT, 1),
    "parent": Method(Type.SNAPSHOT),
    "hasChild": Method(Type.BOOLEAN, 1),
    "hasChildren": Method(Type.BOOLEAN),
    "exists": Method(Type.BOOLEAN),
    "getPriority": Method(Type.VALUE),
    "isNumber": Method(Type.BOOLEAN),
    "isString": Method(Type.BOOLEAN),
    "isBoolean": Method(Type.BOOLEAN),
}

TEXT_METHODS: Mapping[str, Method] = {
    "contains": Method(Type.BOOLEAN, 1),
    "beginsWith": Method(Type.BOOLEAN, 1),
    "endsWith": Method(Type.BOOLEAN, 1),
    "replace": Method(Type.STRING, 2),
    "toLowerCase": Method(Type.STRING),
    "toUpperCase": Method(Type.STRING),
    "matches": Method(Type.BOOLEAN),
}

QUERY_PROPERTIES: Mapping[str, Type] = {
    **dict.fromkeys(("orderByKey", "orderByValue", "orderByPriority"), Type.BOOLEAN),
    "orderByChild": Type.ORDERING,
    # Two of these are documented nowhere: startAfter and endBefore. They are known here, since queries have them.
    **dict.fromkeys(("startAt", "startAfter", "endAt", "endBefore", "equalTo"), Type.BOUND),
    **dict.fromkeys(("limitToFirst", "limitToLast"), Type.BOUND),
}

VARIABLES: Mapping[str, Type] = {
    "auth": Type.AUTH,
    "now": Type.NUMBER,
    "root": Type.SNAPSHOT,
    "data": Type.SNAPSHOT,
    "newData": Type.SNAPSHOT,
    "query": Type.QUERY,
}


def member(owner: Type, name: str) -> Method | Type | str:
    """Return the method or property of that name, or why there is none."""
    if owner is Type.WRONG:
        return Type.WRONG
    if owner is Type.SNAPSHOT and name in SNAPSHOT_METHODS:
        return SNAPSHOT_METHODS[name]
    if owner in (Type.STRING, Type.VALUE, Type.AUTH) and name in TEXT_METHODS:
        return TEXT_METHODS[name]
    if owner in (Type.STRING, Type.VALUE) and name == "length":
        return Type.NUMBER
    if owner is Type.AUTH:
        return Type.AUTH
    if owner is Type.QUERY and name in QUERY_PROPERTIES:
        return QUERY_PROPERTIES[name]
    if owner in (Type.SNAPSHOT, Type.STRING, Type.VALUE, Type.QUERY):
        return f"No such method/property '{name}'."
    return "Invalid property access: target is not an object."


def operands(operator: str) -> frozenset[Type]:
    """Return what an operator of two sides takes at each."""
    if operator in ("==", "===", "!=", "!=="):
        return EQUALS
    return ORDERED if operator in ("<", "<=", ">", ">=", "+") else NUMBERS


def rejection(operator: str, side: str) -> str:
    """Return the service's message for a wrong operand; it calls ``===`` ``==``."""
    if operator in ("==", "===") and side == "left":
        return "Invalid == expression: left operand is not a number, boolean, string, null."
    if operator in ("==", "===", "!=", "!=="):
        return f"Invalid {operator[:2]} expression: {side} operand is not a number, boolean, string, or null."
    if operator == "+":
        return f"Invalid + expression: {side} operand is not a number or string."
    if operator in ("<", "<=", ">", ">="):
        return f"Invalid {operator} expression: {side} operand must be a number or string."
    return f"Invalid {operator} expression: {side} operand is not a number."


def result(operator: str, left: Type, right: Type) -> Type:
    """Return what an operator of two sides gives."""
    if operator not in ("+", "-", "*", "/", "%"):
        return Type.BOOLEAN
    if Type.WRONG in (left, right):
        return Type.WRONG
    if operator != "+" or left is right is Type.NUMBER:
        return Type.NUMBER
    return Type.STRING if Type.STRING in (left, right) else Type.VALUE
