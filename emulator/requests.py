"""What comes in over the wire: which database is meant, what is to be done, and the JSON to do it with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from emulator.errors import ServiceError
from emulator.keys import Path, parse_path

MAX_WRITE = 256 << 20
"""Bytes of one write, but for an import."""

MAX_SDK_WRITE = 16 << 20
"""Bytes of one write of a client SDK."""

TOO_BIG = "Data to write exceeds the maximum size that can be modified with a single request."

_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,200}")


def namespace_of(request: web.Request) -> str:
    """Return the database that is meant: ``ns``, or the first part of the host name."""
    name = request.query.get("ns") or (request.host.split(".")[0] if "." in request.host else "")
    if not _NAMESPACE.fullmatch(name) or name.isdigit():
        raise ServiceError(400, "Please specify a namespace: add ?ns=NAME to the address")
    return name


def method_of(request: web.Request) -> str:
    """Return what is to be done; a client that knows only GET and POST can say otherwise."""
    override = request.headers.get("X-HTTP-Method-Override") or request.query.get("x-http-method-override")
    return (override or request.method).upper()


def wants_etag(request: web.Request) -> bool:
    """Tell whether the answer is to carry an ETag."""
    return request.headers.get("X-Firebase-ETag", "").lower() == "true"


async def body_of(request: web.Request) -> Any:
    """Return the JSON value that a request carries.

    Raises:
        ServiceError: 400 for what is none, or is too large.
    """
    body = await request.read()
    if len(body) > MAX_WRITE and request.query.get("writeSizeLimit") != "unlimited":
        raise ServiceError(400, TOO_BIG)
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:
        raise ServiceError(400, "Invalid data; couldn't parse JSON object, array, or value.") from problem


def update_of(path: Path, value: Any) -> dict[Path, Any]:
    """Return what a PATCH at ``path`` writes by place; its keys may be paths themselves.

    Raises:
        ServiceError: 400 where it is no object, or where one place lies within another.
    """
    if not isinstance(value, Mapping):
        raise ServiceError(400, "Invalid data; couldn't parse JSON object. Are you sending a JSON object?")
    places = {path + parse_path(key, may_be_priority=True): child for key, child in value.items()}
    if len(places) < len(value):
        raise ServiceError(400, "Invalid data; one path of the update is there twice")
    for place in places:
        if len(place) == len(path) or any(place[:depth] in places for depth in range(len(path) + 1, len(place))):
            raise ServiceError(400, "Invalid data; one path of the update is an ancestor of another")
    return places


async def places_of(request: web.Request, path: Path) -> list[Path]:
    """Return the place that a request is for, and with a PATCH each that it writes.

    Raises:
        ServiceError: 400 for a PATCH that is none.
    """
    if method_of(request) != "PATCH":
        return [path]
    return [path, *update_of(path, await body_of(request))]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
