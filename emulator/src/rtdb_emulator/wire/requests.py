"""What comes in over the wire: which database is meant, what is to be done, and the JSON to do it with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from rtdb_emulator.data.keys import NAMESPACE, Path, check_namespace, parse_path
from rtdb_emulator.data.query import FILTERS, LIMITS
from rtdb_emulator.errors import ServiceError

MAX_WRITE = 256 << 20
"""Bytes of one write, but for an import."""

MAX_SDK_WRITE = 16 << 20
"""Bytes of one write of a client SDK."""

TOO_BIG = "Data to write exceeds the maximum size that can be modified with a single request."

LONGEST_READ_S = 15 * 60.0
"""The longest ``timeout`` of a read, and the default."""

WRITE_SIZES = ("tiny", "small", "medium", "large", "unlimited")
"""What ``writeSizeLimit`` takes."""

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0}
_TIMEOUT = re.compile(r"(\d{1,9})(ms|s|min)", re.ASCII)
_CALLBACK = re.compile(r"[A-Za-z_$][\w$.\[\]]{0,200}", re.ASCII)

DEFAULT_NAMESPACE = "fake-server"
"""The database of those who name none, as Google's emulator calls it."""


def namespace_of(request: web.Request) -> str:
    """Return the database that is meant: ``ns``, or the first part of a host name that has parts, or the default.

    Raises:
        ServiceError: 400 for a name that no database can have.
    """
    if request.query.get("ns"):
        return check_namespace(request.query["ns"])
    name, dot, _ = request.host.partition(".")
    return name if dot and NAMESPACE.fullmatch(name) and not name.isdigit() else DEFAULT_NAMESPACE


def method_of(request: web.Request) -> str:
    """Return what is to be done: a POST can name another method, and HEAD is a GET."""
    method = request.method
    if method == "POST":
        override = request.headers.get("X-HTTP-Method-Override") or request.query.get("x-http-method-override")
        method = (override or method).upper()
    return "GET" if method == "HEAD" else method


def is_stream(request: web.Request) -> bool:
    """Return whether the client asks for a stream of changes."""
    return request.method == "GET" and "text/event-stream" in request.headers.get("Accept", "").lower()


def read_timeout(request: web.Request) -> float:
    """Return how many seconds a read may take, ``LONGEST_READ_S`` if the request does not say.

    Raises:
        ServiceError: 400 unless it is a number with a unit, positive, and at most ``LONGEST_READ_S``.
    """
    text = request.query.get("timeout")
    if text is None:
        return LONGEST_READ_S
    match = _TIMEOUT.fullmatch(text)
    timeout_s = int(match[1]) * _UNITS_S[match[2]] if match else 0.0
    if not 0 < timeout_s <= LONGEST_READ_S:
        raise ServiceError(400, "timeout must be a positive number with a unit (3ms, 3s or 3min), at most 15min")
    return timeout_s


def check_parameters(request: web.Request) -> None:
    """Check that a read or a write of a node has no wrong parameters.

    Raises:
        ServiceError: 400, saying which.
    """
    size = request.query.get("writeSizeLimit")
    if size is not None and size not in WRITE_SIZES:
        raise ServiceError(400, f"writeSizeLimit must be one of {', '.join(WRITE_SIZES)}")
    callback = request.query.get("callback")
    if callback is not None and not _CALLBACK.fullmatch(callback):
        raise ServiceError(400, "callback must be the name of a function")
    if method_of(request) != "GET" and any(name in request.query for name in ("orderBy", *FILTERS, *LIMITS)):
        raise ServiceError(400, "Querying related parameters not supported on this request type")


def wants_etag(request: web.Request) -> bool:
    """Return whether the client asks for an ETag."""
    return request.headers.get("X-Firebase-ETag", "").lower() == "true"


async def body_of(request: web.Request) -> Any:
    """Return the JSON value that a request carries.

    Raises:
        ServiceError: 400 for what is not JSON, or too large.
    """
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as problem:
        raise ServiceError(400, TOO_BIG) from problem
    if len(body) > MAX_WRITE and request.query.get("writeSizeLimit") != "unlimited":
        raise ServiceError(400, TOO_BIG)
    try:
        return json.loads(body, parse_constant=_reject)
    except (ValueError, RecursionError) as problem:
        raise ServiceError(400, "Invalid data; couldn't parse JSON object, array, or value.") from problem


def update_of(path: Path, value: Any) -> dict[Path, Any]:
    """Return what a PATCH at ``path`` writes by place; its keys may be paths themselves. Null is for the node itself.

    Raises:
        ServiceError: 400 if it is not an object, or one place is within another.
    """
    if value is None:
        return {path: None}  # firebase-tools removes a node this way
    if not isinstance(value, Mapping):
        raise ServiceError(400, "Invalid data; couldn't parse JSON object. Are you sending a JSON object?")
    places = {path + parse_path(key, may_be_priority=True): child for key, child in value.items()}
    if len(places) < len(value):
        raise ServiceError(400, "Invalid data; one path occurs twice in the update")
    for place in places:
        if len(place) == len(path) or any(place[:depth] in places for depth in range(len(path) + 1, len(place))):
            raise ServiceError(400, "Invalid data; one path of the update is an ancestor of another")
    return places


async def places_of(request: web.Request, path: Path) -> list[Path]:
    """Return the place that a request is for, and with a PATCH each that it writes.

    Raises:
        ServiceError: 400 for an invalid PATCH.
    """
    if method_of(request) != "PATCH":
        return [path]
    return [path, *update_of(path, await body_of(request))]


def _reject(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
