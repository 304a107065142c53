"""Decides who answers which request."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web

from rtdb_emulator.data.keys import parse_path
from rtdb_emulator.database.auth import identify
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.triggers.delivery import Dispatcher
from rtdb_emulator.wire import rest
from rtdb_emulator.wire.polling import Polls
from rtdb_emulator.wire.requests import namespace_of
from rtdb_emulator.wire.responses import error_response, preflight
from rtdb_emulator.wire.settings import COVERAGE, PREFIXES, Settings
from rtdb_emulator.wire.websocket import converse

MAX_BODY = 1 << 30
"""Bytes of one request, imports included."""


class Server:
    """Answers requests for all databases of one process, which are its ``databases``."""

    def __init__(self, dispatcher: Dispatcher, faults: Faults) -> None:
        self.databases = Databases(dispatcher)
        self._dispatcher, self._faults = dispatcher, faults
        self._polls = Polls(faults)
        self._settings = Settings(self.databases, dispatcher, faults)

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._answer)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, app: web.Application) -> None:
        await self._dispatcher.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ServiceError as problem:
            return error_response(problem.status, problem.message)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return preflight(request)  # it carries no credentials
        path = _path(request)
        # An SDK says who it is in messages of its connection, and asks for a new token only after a bad one is rejected
        # there: the token in its headers, if any, does not count.
        if path == ".ws":
            return await converse(request, self.databases[namespace_of(request)], self._faults, self._polls)
        if path == ".lp":
            return await self._polls.answer(request, self.databases[namespace_of(request)])
        if path in COVERAGE:
            return self._settings.coverage(request, path)
        caller = identify(request.headers, request.query)
        if path.startswith(PREFIXES):
            return await self._settings.answer(request, path, caller)
        if path == "":
            return web.Response(text="Realtime Database\n")
        if not path.endswith(".json"):
            return error_response(404, "404 Not Found")
        database = self.databases[namespace_of(request)]
        place = parse_path(path.removesuffix(".json"), may_be_priority=True)
        return await rest.answer(request, database, place, caller, self._faults)


def _path(request: web.Request) -> str:
    """Return the path of a request without the first slash; a ``%2F`` in it is a slash like any other.

    Raises:
        ServiceError: 400 for bytes that are not UTF-8.
    """
    try:
        return unquote(request.rel_url.raw_path, errors="strict").removeprefix("/")
    except UnicodeDecodeError as problem:
        raise ServiceError(400, "Invalid path: it is not encoded as UTF-8") from problem
