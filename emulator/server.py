"""The wire: who answers which request."""

from __future__ import annotations

from aiohttp import web

from emulator import rest
from emulator.auth import identify
from emulator.database import Databases
from emulator.delivery import Dispatcher
from emulator.errors import ServiceError
from emulator.keys import parse_path
from emulator.requests import namespace_of
from emulator.responses import CORS, error_response
from emulator.settings import PREFIXES, Settings

MAX_BODY = 1 << 30
"""Bytes of one request, imports included."""


class Server:
    """Answers requests for all databases of one process."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._databases = Databases(dispatcher)
        self._dispatcher = dispatcher
        self._settings = Settings(self._databases, dispatcher)

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
            return error_response(problem.status, problem.message)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(headers=CORS)  # a preflight carries no credentials
        path, caller = request.match_info["path"], identify(request.headers, request.query)
        if path.startswith(PREFIXES):
            return await self._settings.answer(request, path, caller)
        if path == "":
            return web.Response(text="Realtime Database\n")
        if not path.endswith(".json"):
            return error_response(404, "404 Not Found")
        database = self._databases[namespace_of(request)]
        return await rest.answer(request, database, parse_path(path.removesuffix(".json")), caller)
