"""Queries: an order, a range and a limit, as REST parameters and the client SDKs write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtdb_emulator.data.keys import parse_path
from rtdb_emulator.errors import ServiceError

FILTERS = ("startAt", "startAfter", "endAt", "endBefore", "equalTo")
LIMITS = ("limitToFirst", "limitToLast")
SPECIAL = ("$key", "$value", "$priority")

_WIRE_INDEX = {".key": "$key", ".value": "$value", ".priority": "$priority"}
_FIRST_KEYS, _LAST_KEYS = ("[MIN_NAME]", "[MIN_KEY]"), ("[MAX_NAME]", "[MAX_KEY]")
"""What the SDKs send as the key of a bound before, or after, all children with its value."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a range starts or ends.

    Attributes:
        value: what children are compared with; a key where the order is ``$key``.
        key: among children with that value, the key to compare with; None for all of them.
        is_inclusive: whether what equals it is in the range.
    """

    value: str | int | float | bool | None
    key: str | None = None
    is_inclusive: bool = True


@dataclass(frozen=True, slots=True)
class Query:
    """One parsed query.

    Attributes:
        order_by: ``$key``, ``$value``, ``$priority`` or the path of a child.
        start: where the range begins; None for the first of all.
        end: where it ends; None for the last of all. For ``equalTo``, the same object as ``start``.
        limit: keep so many at most; None for all.
        from_end: those are the last rather than the first.
    """

    order_by: str
    start: Bound | None = None
    end: Bound | None = None
    limit: int | None = None
    from_end: bool = False

    @property
    def needs_index(self) -> bool:
        """Whether the rules must name an index for it."""
        return self.order_by not in ("$key", "$priority")

    @property
    def index_name(self) -> str:
        """What ``.indexOn`` has to name."""
        return ".value" if self.order_by == "$value" else self.order_by

    @property
    def filters(self) -> Mapping[str, Any]:
        """Return the values of the bounds by their names as parameters: ``equalTo``, or a start and an end."""
        start, end = self.start, self.end
        if start is not None and start is end:
            return {"equalTo": start.value}
        values = {}
        if start is not None:
            values["startAt" if start.is_inclusive else "startAfter"] = start.value
        if end is not None:
            values["endAt" if end.is_inclusive else "endBefore"] = end.value
        return values

    @property
    def limit_first(self) -> int | None:
        """Return how many of the first to keep, or None."""
        return None if self.from_end else self.limit

    @property
    def limit_last(self) -> int | None:
        """Return how many of the last to keep, or None."""
        return self.limit if self.from_end else None


def parse_query(parameters: Mapping[str, str]) -> Query | None:
    """Return the query in a request's parameters, or None if there is none.

    Raises:
        ServiceError: 400 for filters without an order, or values that are not JSON.
    """
    given = {name: parameters[name] for name in (*FILTERS, *LIMITS, "orderBy") if name in parameters}
    if not given:
        return None
    if "orderBy" not in given:
        raise ServiceError(400, "orderBy must be defined when other query parameters are defined")
    order_by = _order(given.pop("orderBy"))
    limits = {name: _limit(name, _json(given.pop(name))) for name in LIMITS if name in given}
    if len(limits) == 2:
        raise ServiceError(400, "Only one of limitToFirst and limitToLast may be specified")
    bounds = {name: _rest_bound(name, text) for name, text in given.items()}
    if order_by == "$key" and not all(isinstance(bound.value, str) for bound in bounds.values()):
        raise ServiceError(400, "Provided key index type is invalid, must be string")
    start, end = _one_of(bounds, "startAt", "startAfter"), _one_of(bounds, "endAt", "endBefore")
    if "equalTo" in bounds:
        if start or end:
            names = "startAfter, startAt, endAt, or endBefore"
            raise ServiceError(400, f"equalTo cannot be specified in addition to {names}")
        start = end = bounds["equalTo"]
    return Query(order_by, start, end, next(iter(limits.values()), None), "limitToLast" in limits)


def _rest_bound(name: str, text: str) -> Bound:
    """Return the bound in a parameter: a value, or a value and a key, as the JavaScript SDK's REST client sends it."""
    value = _json(text)
    given = [value] if value is not _NO_JSON else _json(f"[{text}]")
    if not isinstance(given, list) or not (len(given) == 1 or (len(given) == 2 and isinstance(given[1], str))):
        given = [_NO_JSON]
    excluding_keys = {"startAt": _LAST_KEYS, "endAt": _FIRST_KEYS}.get(name, ())
    return _bound(*given, is_inclusive=name not in ("startAfter", "endBefore"), excluding_keys=excluding_keys)


def _bound(value: Any, key: Any = None, *, is_inclusive: bool, excluding_keys: Sequence[str]) -> Bound:
    """Return a bound whose key may be one before, or after, all keys."""
    is_inclusive = is_inclusive and key not in excluding_keys
    return Bound(_scalar(value), None if key in (None, *_FIRST_KEYS, *_LAST_KEYS) else str(key), is_inclusive)


def _one_of(given: Mapping[str, Bound], inclusive: str, exclusive: str) -> Bound | None:
    if inclusive in given and exclusive in given:
        raise ServiceError(400, f"Only one of {inclusive} and {exclusive} may be specified")
    return given.get(inclusive) or given.get(exclusive)


def parse_wire_query(value: Any) -> Query | None:
    """Return the query as the client SDKs send it over their connection, or None if there is none.

    Raises:
        ServiceError: 400 for an invalid query.
    """
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping):
        raise ServiceError(400, "Invalid query: an object is expected")
    index, limit = value.get("i", ".priority"), value.get("l")
    if not isinstance(index, str):
        raise ServiceError(400, "Invalid query: the index must be a string")
    order_by = _WIRE_INDEX.get(index) or "/".join(parse_path(index))
    start, end = _wire_bound(value, "sp", "sn", "sin", _LAST_KEYS), _wire_bound(value, "ep", "en", "ein", _FIRST_KEYS)
    if start is not None and start.is_inclusive and repr(start) == repr(end):
        end = start  # they send equalTo as its two bounds; repr, since 1 and True are equal
    if limit is not None:
        limit = _limit("limit", limit)
    view_from = value.get("vf") or ("l" if start is not None else "r")
    return Query(order_by, start, end, limit, limit is not None and view_from == "r")


def _wire_bound(
    value: Mapping[str, Any], name: str, key_name: str, inclusive_name: str, excluding_keys: Sequence[str]
) -> Bound | None:
    if name not in value:
        return None
    # Older SDKs say that a bound is exclusive by its key alone.
    is_inclusive = value.get(inclusive_name, True) is not False
    return _bound(value[name], value.get(key_name), is_inclusive=is_inclusive, excluding_keys=excluding_keys)


_NO_JSON = object()


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda constant: _NO_JSON)
    except (ValueError, RecursionError):
        return _NO_JSON


def _order(text: str) -> str:
    value = _json(text)
    is_path = isinstance(value, str) and value.strip("/") and (value in SPECIAL or not value.startswith("$"))
    if not is_path:
        raise ServiceError(400, "orderBy must be a valid JSON encoded path")
    return str(value) if value in SPECIAL else "/".join(parse_path(value))


def _scalar(value: Any) -> Any:
    if not isinstance(value, (str, int, float, type(None))):
        raise ServiceError(400, "Constraint index field must be a JSON primitive")
    return value


def _limit(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ServiceError(400, f"{name} must be an integer")
    if value <= 0:
        raise ServiceError(400, f"{name} must be positive")
    return value
