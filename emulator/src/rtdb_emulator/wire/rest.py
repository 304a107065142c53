"""The REST interface of one database.

Source: Firebase Database REST API, reference and guides. Where an answer differs from those, a comment says why.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from rtdb_emulator.data.children import Wide
from rtdb_emulator.data.index import Index
from rtdb_emulator.data.keys import Path, PushKeys
from rtdb_emulator.data.query import FILTERS, LIMITS, parse_query
from rtdb_emulator.data.tree import Node, bare, children, etag, get, to_json
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Database
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.wire.requests import (
    body_of,
    check_parameters,
    is_stream,
    method_of,
    places_of,
    read_timeout,
    update_of,
    wants_etag,
)
from rtdb_emulator.wire.responses import CORS, error_response, node_response, value_response
from rtdb_emulator.wire.streaming import stream

_WRITES = ("PUT", "PATCH", "POST", "DELETE")

_push_key = PushKeys()


async def answer(
    request: web.Request, database: Database, path: Path, caller: Caller, faults: Faults
) -> web.StreamResponse:
    """Read, write or stream the node at ``path``, with injected faults.

    Raises:
        ServiceError: if the service rejects it, or for an injected fault.
    """
    check_parameters(request)
    if is_stream(request):
        async with faults.around("GET", [path]):
            pass  # opening a stream has no effect, so a fault cannot come after it
        return await stream(request, database, path, parse_query(request.query), caller, faults)
    if method_of(request) != "GET":
        return await _with_faults(request, database, path, caller, faults)
    timeout_s, began = read_timeout(request), asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(timeout_s):
            response = await _with_faults(request, database, path, caller, faults)
    except TimeoutError:
        response = None
    if response is None or asyncio.get_running_loop().time() - began > timeout_s:
        raise ServiceError(400, "The read took longer than its timeout allows")
    return response


async def _with_faults(
    request: web.Request, database: Database, path: Path, caller: Caller, faults: Faults
) -> web.Response:
    places = await places_of(request, path) if faults.concern_requests else []
    async with faults.around(method_of(request), places):
        return await _carry_out(request, database, path, caller)


async def _carry_out(request: web.Request, database: Database, path: Path, caller: Caller) -> web.Response:
    method = method_of(request)
    if method == "GET":
        return await _read(request, database, path, caller)
    if method not in _WRITES:
        return error_response(405, "405 Method Not Allowed")
    value = None if method == "DELETE" else await body_of(request)
    # There is no await from here on: the check of an ETag and the write are one step.
    if "if-match" in request.headers:
        if method in ("PATCH", "POST"):
            raise ServiceError(400, "if-match is for PUT and DELETE")
        present = database.read(path, caller)
        if etag(present) != request.headers["if-match"]:
            return node_response(request, present, etag(present), status=412)
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
        return value_response(request, written if value is not None else None, None)
    database.write({path: value}, caller, silent=silent)
    node = get(database.root, path)
    return node_response(request, node, etag(node) if wants_etag(request) else None)


async def _read(request: web.Request, database: Database, path: Path, caller: Caller) -> web.Response:
    if request.query.get("shallow") == "true":
        node: Node = database.read(path, caller)
        keys = _shallow(request, node)
        return _told(request, node, partial(value_response, request, keys))
    node = database.read(path, caller, parse_query(request.query))
    whole = partial(node_response, request, node, export=request.query.get("format") == "export")
    told = partial(_told, request, node, whole)
    # Writing very many children takes a while; other requests are answered meanwhile, since a node never changes.
    return await asyncio.to_thread(told) if isinstance(bare(node), Wide) else told()


def _told(request: web.Request, node: Node, answer_with: Callable[[str | None], web.Response]) -> web.Response:
    """Return the answer for a node; 304 without it if the client has it, by its ETag."""
    known = request.headers.get("if-none-match")
    tag = etag(node) if known is not None or wants_etag(request) else None
    if known is not None and known == tag:
        return web.Response(status=304, headers={**CORS, "ETag": known})
    return answer_with(tag)


def _shallow(request: web.Request, node: Node) -> Any:
    """Return a scalar, or the keys of an object, each with true.

    The documentation allows no other parameter with ``shallow``; firebase-tools, whose listing of keys is for Google's
    service and for its emulator alike, adds ``limitToFirst`` and a key to ``startAfter``, which is not JSON.
    """
    given = request.query
    if any(name in given for name in ("orderBy", "limitToLast", *FILTERS) if name != "startAfter"):
        raise ServiceError(400, "Mixing 'shallow' and querying parameters is not supported")
    if not children(node):
        return to_json(node)
    page = {"orderBy": '"$key"', **{name: given[name] for name in LIMITS if name in given}}
    if "startAfter" in given:
        page["startAfter"] = json.dumps(given["startAfter"].strip('"'))
    index, query = Index("$key", node), parse_query(page)
    return dict.fromkeys(index.keys(*index.span(query)), True) if query else None
