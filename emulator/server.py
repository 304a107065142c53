"""The wire: the REST interface, the settings of the emulator, and what firebase-tools asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from emulator.auth import Caller, identify
from emulator.database import Database, Databases
from emulator.delivery import Dispatcher
from emulator.errors import ServiceError
from emulator.keys import Path, PushKeys, parse_path
from emulator.query import parse_query
from emulator.rules.document import BadRulesError
from emulator.tree import etag, get, is_parent, to_json
from emulator.triggers import parse_trigger

MAX_BODY = 1 << 30
MAX_WRITE = 256 << 20
"""Bytes of one write, but for an import."""
WRITES = {"PUT", "PATCH", "POST", "DELETE"}
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Server:
    """Answers requests for all databases of one process."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._databases = Databases(dispatcher)
        self._dispatcher = dispatcher
        self._push_key = PushKeys()

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, app: web.Application) -> None:
        await self._dispatcher.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ServiceError as problem:
            return _json({"error": problem.message}, problem.status)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(headers=_CORS)  # a preflight carries no credentials
        path, caller = request.match_info["path"], identify(request.headers, request.query)
        if path.startswith((".settings/", ".inspect/")):
            return await self._settings(request, path, caller)
        if not path.endswith(".json"):
            return web.Response(text="Realtime Database\n") if path == "" else _json({"error": "404 Not Found"}, 404)
        if "text/event-stream" in request.headers.get("Accept", ""):
            raise ServiceError(501, "This emulator does not stream yet")
        database = self._databases[self._namespace(request)]
        keys = parse_path(path.removesuffix(".json"))
        method = _method(request)
        if method == "GET":
            return self._read(request, database, keys, caller)
        if method not in WRITES:
            return _json({"error": "405 Method Not Allowed"}, 405)
        return await self._write(request, method, database, keys, caller)

    def _read(self, request: web.Request, database: Database, path: Path, caller: Caller) -> web.Response:
        shallow = request.query.get("shallow") == "true"
        if shallow and "orderBy" in request.query:
            raise ServiceError(400, "shallow cannot be used with other query parameters")
        # firebase-tools limits the shallow read by which it looks for namespaces to export.
        query = None if shallow else parse_query(request.query)
        node = database.read(path, caller, query)
        value = dict.fromkeys(sorted(node), True) if shallow and is_parent(node) else to_json(node)
        known = request.headers.get("if-none-match")
        tag = etag(node) if known is not None or _wants_etag(request) else None
        if known is not None and known == tag:
            return web.Response(status=304, headers={**_CORS, "ETag": known})
        return _respond(request, value, tag)

    async def _write(
        self, request: web.Request, method: str, database: Database, path: Path, caller: Caller
    ) -> web.Response:
        expected = request.headers.get("if-match")
        body = await _body(request)
        value = None if method == "DELETE" else _parse(body)
        # From here on nothing waits: the check and the write are one step.
        if expected is not None:
            if method in ("PATCH", "POST"):
                raise ServiceError(400, "If-Match is for PUT and DELETE")
            present = database.read(path, caller)
            if etag(present) != expected:
                return _respond(request, to_json(present), etag(present), status=412)
        silent = request.query.get("disableTriggers") == "true"
        if method == "POST":
            key = self._push_key()
            database.write({(*path, key): value}, caller, silent=silent)
            return _respond(request, {"name": key}, None)
        if method == "PATCH":
            nodes = database.write(_places(path, value), caller, silent=silent)
            written = {"/".join(place[len(path) :]): to_json(node) for place, node in nodes.items()}
            return _respond(request, written, None)
        database.write({path: value}, caller, silent=silent)
        node = get(database.root, path)
        return _respond(request, to_json(node), etag(node) if _wants_etag(request) else None)

    async def _settings(self, request: web.Request, path: str, caller: Caller) -> web.Response:
        if not caller.is_admin:
            raise ServiceError(403, "Settings need 'Authorization: Bearer owner'")
        if path == ".inspect/databases.json":
            return _json([{"name": name} for name in self._databases.names])
        if path == ".settings/rules.json":
            database = self._databases[self._namespace(request)]
            if request.method == "GET":
                return web.Response(text=database.rules_text, content_type="application/json")
            try:
                database.set_rules((await request.read()).decode())
            except (BadRulesError, UnicodeDecodeError) as problem:
                raise ServiceError(400, str(problem)) from problem
            return _json({"status": "ok"})
        if path == ".settings/functionTriggers.json":
            if request.method == "GET":
                return _json(self._dispatcher.names)
            self._dispatcher.register(parse_trigger(_parse(await request.read())))
            return _json({"status": "ok"})
        return _json({"error": "404 Not Found"}, 404)

    @staticmethod
    def _namespace(request: web.Request) -> str:
        """Return the database that is meant: ``ns``, or the first part of the host name."""
        name = request.query.get("ns") or (request.host.split(".")[0] if "." in request.host else "")
        if not _NAMESPACE.fullmatch(name) or name.isdigit():
            raise ServiceError(400, "Please specify a namespace: add ?ns=NAME to the address")
        return name


_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, PUT, POST, PATCH, DELETE",
    # "*" would leave out Authorization.
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, X-Firebase-ETag, "
    "X-HTTP-Method-Override, X-Firebase-AppCheck",
    "Access-Control-Expose-Headers": "ETag",
}


def _places(path: Path, value: Any) -> dict[Path, Any]:
    """Return what a PATCH writes by path; its keys may be paths themselves."""
    if not isinstance(value, Mapping):
        raise ServiceError(400, "Invalid data; couldn't parse JSON object. Are you sending a JSON object?")
    places = {path + parse_path(key): child for key, child in value.items()}
    if len(places) < len(value):
        raise ServiceError(400, "Invalid data; one path of the update is there twice")
    for place in places:
        if len(place) == len(path) or any(place[:depth] in places for depth in range(len(path) + 1, len(place))):
            raise ServiceError(400, "Invalid data; one path of the update is an ancestor of another")
    return places


def _parse(body: bytes) -> Any:
    def refuse(text: str) -> None:
        raise ValueError(text)

    try:
        return json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as problem:
        raise ServiceError(400, "Invalid data; couldn't parse JSON object, array, or value.") from problem


def _method(request: web.Request) -> str:
    override = request.headers.get("X-HTTP-Method-Override") or request.query.get("x-http-method-override")
    return (override or request.method).upper()


async def _body(request: web.Request) -> bytes:
    body = await request.read()
    if len(body) > MAX_WRITE and request.query.get("writeSizeLimit") != "unlimited":
        raise ServiceError(400, "Data to write exceeds the maximum size that can be modified with a single request.")
    return body


def _wants_etag(request: web.Request) -> bool:
    return request.headers.get("X-Firebase-ETag", "").lower() == "true"


def _respond(request: web.Request, value: Any, tag: str | None, status: int = 200) -> web.Response:
    headers = {"ETag": tag} if tag is not None else {}
    if request.query.get("print") == "silent" and status == 200:
        return web.Response(status=204, headers={**_CORS, **headers})
    return _json(value, status, headers, pretty=request.query.get("print") == "pretty")


def _json(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, pretty: bool = False
) -> web.Response:
    text = json.dumps(
        value, indent=2 if pretty else None, separators=None if pretty else (",", ":"), ensure_ascii=False
    )
    return web.Response(text=text, status=status, headers={**_CORS, **(headers or {})}, content_type="application/json")
