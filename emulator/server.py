"""The wire: who answers which request."""

from __future__ import annotations

from aiohttp import web

from emulator import rest
from emulator.auth import Caller, identify
from emulator.database import Database, Databases
from emulator.delivery import Dispatcher
from emulator.errors import ServiceError
from emulator.faults import Faults
from emulator.keys import Path, parse_path
from emulator.requests import method_of, namespace_of, places_of
from emulator.responses import CORS, error_response
from emulator.settings import PREFIXES, Settings
from emulator.websocket import converse

MAX_BODY = 1 << 30
"""Bytes of one request, imports included."""


class Server:
    """Answers requests for all databases of one process."""

    def __init__(self, dispatcher: Dispatcher, faults: Faults) -> None:
        self._databases = Databases(dispatcher)
        self._dispatcher, self._faults = dispatcher, faults
        self._settings = Settings(self._databases, dispatcher, faults)

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
        if path == ".ws":
            return await converse(request, self._databases[namespace_of(request)], self._faults)
        if path.startswith(PREFIXES):
            return await self._settings.answer(request, path, caller)
        if path == "":
            return web.Response(text="Realtime Database\n")
        if not path.endswith(".json"):
            return error_response(404, "404 Not Found")
        database, place = (
            self._databases[namespace_of(request)],
            parse_path(path.removesuffix(".json"), may_be_priority=True),
        )
        if self._faults.concern_requests:
            return await self._answer_with_faults(request, database, place, caller)
        return await rest.answer(request, database, place, caller, self._faults)

    async def _answer_with_faults(
        self, request: web.Request, database: Database, place: Path, caller: Caller
    ) -> web.StreamResponse:
        fault = self._faults.of_request(method_of(request), await places_of(request, place))
        if fault is not None and not fault.after_effect:
            await fault.strike()
        try:
            answer = await rest.answer(request, database, place, caller, self._faults)
        except ServiceError as problem:
            answer = error_response(problem.status, problem.message)
        if fault is not None and fault.after_effect:
            await fault.strike()
        return answer
