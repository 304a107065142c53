"""What can be set to go wrong, and the parser of such a plan; ``injector`` decides by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from rtdb_emulator.data.tree import is_number
from rtdb_emulator.errors import ServiceError

METHODS = ("GET", "PUT", "PATCH", "POST", "DELETE")
LONGEST_MS = 600_000
"""The longest wait, in milliseconds."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class DeliveryRule:
    """What happens to the deliveries of the triggers that it names.

    Attributes:
        trigger: a text or pattern found anywhere in a trigger's name, or in its path with ``*`` for each capture.
        drop: the probability that an event is not delivered.
        duplicate: the probability that it is delivered twice; ``drop + duplicate`` is 1 at most.
        delay_ms: shortest and longest wait before each delivery, in milliseconds.
        reorder: which of the waiting deliveries comes next is left to chance.
    """

    trigger: str
    drop: float = 0.0
    duplicate: float = 0.0
    delay_ms: Range = (0, 0)
    reorder: bool = False


@dataclass(frozen=True, slots=True)
class RequestRule:
    """What happens to the reads and writes of the nodes that it names.

    Attributes:
        path: a pattern of a node's whole path, in which ``*`` matches any text, slashes too. A PATCH is for each
            node that it writes, a POST for the list that it adds to.
        methods: some of ``METHODS``.
        fail: the probability that the request is answered with ``status``.
        status: 400 to 599.
        stall_ms: shortest and longest wait before the answer, in milliseconds.
        after_effect: both come after the request was carried out rather than before (and instead of) it.
    """

    path: str
    methods: tuple[str, ...] = METHODS
    fail: float = 0.0
    status: int = 503
    stall_ms: Range = (0, 0)
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionRule:
    """What happens to connections that stay open: streams, and those of the client SDKs.

    Attributes:
        connection: a pattern of the namespace that a connection is for.
        cut: the probability that a connection that is open, or opens later, is cut.
        cut_after_ms: shortest and longest wait before that, in milliseconds.
    """

    connection: str
    cut: float = 0.0
    cut_after_ms: Range = (0, 0)


Rule = DeliveryRule | RequestRule | ConnectionRule

_KINDS: Mapping[str, type[Rule]] = {"trigger": DeliveryRule, "path": RequestRule, "connection": ConnectionRule}
"""The kinds of rules by the field that only they have."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan: of several rules that match, the first applies."""

    seed: int = 0
    rules: tuple[Rule, ...] = ()


def parse_plan(body: Any) -> Plan:
    """Return the plan in ``{"seed": whole number, "rules": [rule, ...]}``.

    A rule has a trigger, a path or a connection.

    Raises:
        ServiceError: 400, saying which field is wrong and what it may be.
    """
    _check_fields(body, "the body", ("seed", "rules"))
    if "rules" not in body:
        raise ServiceError(400, "the body has no rules: give a list, empty for no faults")
    if not isinstance(body["rules"], list):
        raise ServiceError(400, f"rules is {_shown(body['rules'])}: give a list, empty for no faults")
    seed = body.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ServiceError(400, f"seed is {_shown(seed)}: give a whole number")
    return Plan(seed, tuple(_rule(value, f"rules[{number}]") for number, value in enumerate(body["rules"])))


def _rule(value: Any, place: str) -> Rule:
    kinds = [kind for name, kind in _KINDS.items() if isinstance(value, Mapping) and name in value]
    if len(kinds) != 1:
        hint = "give an object with either a trigger or a path or a connection"
        raise ServiceError(400, f"{place} is {_shown(value)}: {hint}")
    kind = kinds[0]
    _check_fields(value, place, [field.name for field in fields(kind)])
    rule = kind(**{name: _READERS[name](given, f"{place}.{name}") for name, given in value.items()})
    if isinstance(rule, DeliveryRule) and rule.drop + rule.duplicate > 1 + 1e-9:
        total = f"{rule.drop + rule.duplicate:g}"
        raise ServiceError(400, f"{place}: drop + duplicate is {total}: lower them until they add up to 1 at most")
    return rule


def _check_fields(value: Any, place: str, known: Collection[str]) -> None:
    if not isinstance(value, Mapping):
        raise ServiceError(400, f"{place} is {_shown(value)}: give an object with {', '.join(known)}")
    for name in value:
        if name not in known:
            raise ServiceError(400, f"{place} has an unknown field {_shown(name)}: use {', '.join(known)}")


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise ServiceError(400, f"{place} is {_shown(value)}: give a text, * for all")
    if "{" in value:
        raise ServiceError(400, f"{place} is {_shown(value)}: write * for a name in braces")
    return value


def _path(value: Any, place: str) -> str:
    return _text(value, place).strip("/")


def _probability(value: Any, place: str) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise ServiceError(400, f"{place} is {_shown(value)}: give a probability from 0 to 1")
    return float(value)


def _range(value: Any, place: str) -> Range:
    pair = value if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) else (1, 0)
    if not 0 <= pair[0] <= pair[1] <= LONGEST_MS:
        hint = f"give [shortest, longest] in milliseconds, from 0 to {LONGEST_MS}"
        raise ServiceError(400, f"{place} is {_shown(value)}: {hint}")
    return pair[0], pair[1]


def _status(value: Any, place: str) -> int:
    if not isinstance(value, int) or not 400 <= value <= 599:
        raise ServiceError(400, f"{place} is {_shown(value)}: give a whole number from 400 to 599")
    return value


def _methods(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(method in METHODS for method in value):
        raise ServiceError(400, f"{place} is {_shown(value)}: give a list of some of {', '.join(METHODS)}")
    return tuple(value)


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise ServiceError(400, f"{place} is {_shown(value)}: give true or false")
    return value


_READERS: Mapping[str, Any] = {
    "trigger": _text,
    "path": _path,
    "connection": _text,
    "cut": _probability,
    "cut_after_ms": _range,
    "drop": _probability,
    "duplicate": _probability,
    "fail": _probability,
    "delay_ms": _range,
    "stall_ms": _range,
    "status": _status,
    "methods": _methods,
    "reorder": _flag,
    "after_effect": _flag,
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
