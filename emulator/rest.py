"""The REST interface of one database."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from emulator.auth import Caller
from emulator.database import Database
from emulator.errors import ServiceError
from emulator.faults import Faults
from emulator.keys import Path, PushKeys
from emulator.query import parse_query
from emulator.requests import body_of, method_of, update_of, wants_etag
from emulator.responses import CORS, error_response, value_response
from emulator.streaming import stream
from emulator.tree import children, etag, get, to_json

_push_key = PushKeys()


async def answer(
    request: web.Request, database: Database, path: Path, caller: Caller, faults: Faults
) -> web.StreamResponse:
    """Read, write or stream the node at ``path``.

    Raises:
        ServiceError: for what the service refuses.
    """
    method = method_of(request)
    if method == "GET" and "text/event-stream" in request.headers.get("Accept", ""):
        return await stream(request, database, path, parse_query(request.query), caller, faults)
    if method == "GET":
        return _read(request, database, path, caller)
    if method not in ("PUT", "PATCH", "POST", "DELETE"):
        return error_response(405, "405 Method Not Allowed")
    value = None if method == "DELETE" else await body_of(request)
    # From here on nothing waits: the check of an ETag and the write are one step.
    if "if-match" in request.headers:
        if method in ("PATCH", "POST"):
            raise ServiceError(400, "If-Match is for PUT and DELETE")
        present = database.read(path, caller)
        if etag(present) != request.headers["if-match"]:
            return value_response(request, to_json(present), etag(present), status=412)
    return _write(request, method, database, path, value, caller)


def _write(
    request: web.Request, method: str, database: Database, path: Path, value: Any, caller: Caller
) -> web.Response:
    silent = request.query.get("disableTriggers") == "true"
    if method == "POST":
        key = _push_key()
        database.write({(*path, key): value}, caller, silent=silent)
        return value_response(request, {"name": key}, None)
    if method == "PATCH":
        nodes = database.write(update_of(path, value), caller, silent=silent)
        written = {"/".join(place[len(path) :]): to_json(node) for place, node in nodes.items()}
        return value_response(request, written, None)
    database.write({path: value}, caller, silent=silent)
    node = get(database.root, path)
    return value_response(request, to_json(node), etag(node) if wants_etag(request) else None)


def _read(request: web.Request, database: Database, path: Path, caller: Caller) -> web.Response:
    shallow = request.query.get("shallow") == "true"
    if shallow and "orderBy" in request.query:
        raise ServiceError(400, "shallow cannot be used with other query parameters")
    # firebase-tools limits the shallow read by which it looks for namespaces to export.
    query = None if shallow else parse_query(request.query)
    node = database.read(path, caller, query)
    export = request.query.get("format") == "export"
    value = dict.fromkeys(sorted(children(node)), True) if shallow and children(node) else to_json(node, export=export)
    known = request.headers.get("if-none-match")
    tag = etag(node) if known is not None or wants_etag(request) else None
    if known is not None and known == tag:
        return web.Response(status=304, headers={**CORS, "ETag": known})
    return value_response(request, value, tag)
