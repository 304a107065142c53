"""The wire: who answers which request."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web

from emulator import rest
from emulator.auth import identify
from emulator.database import Databases
from emulator.delivery import Dispatcher
from emulator.errors import ServiceError
from emulator.faults import Faults
from emulator.keys import parse_path
from emulator.polling import Polls
from emulator.requests import namespace_of
from emulator.responses import error_response, preflight
from emulator.settings import PREFIXES, Settings
from emulator.websocket import converse

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
        path, caller = _path(request), identify(request.headers, request.query)
        if path == ".ws":
            return await converse(request, self.databases[namespace_of(request)], self._faults, self._polls)
        if path == ".lp":
            return await self._polls.answer(request, self.databases[namespace_of(request)])
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
        ServiceError: 400 for bytes that are no text.
    """
    try:
        return unquote(request.rel_url.raw_path, errors="strict").removeprefix("/")
    except UnicodeDecodeError as problem:
        raise ServiceError(400, "Invalid path: it is not encoded as UTF-8") from problem
