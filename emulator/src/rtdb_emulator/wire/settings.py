"""Requests to the emulator itself: rules, triggers, the list of databases, faults."""

from __future__ import annotations

from aiohttp import web

from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.faults.plan import Plan, parse_plan
from rtdb_emulator.rules.document import BadRulesError, plain_json
from rtdb_emulator.rules.parser import parse_rules
from rtdb_emulator.triggers.delivery import Dispatcher
from rtdb_emulator.triggers.trigger import parse_trigger
from rtdb_emulator.wire.coverage_page import PAGE_HEADERS, coverage_page
from rtdb_emulator.wire.requests import body_of, method_of, namespace_of
from rtdb_emulator.wire.responses import error_response, json_response

PREFIXES = (".settings/", ".inspect/")
"""How the paths of these requests begin."""

COVERAGE = (".inspect/coverage", ".inspect/coverage.json")
"""The paths of rules coverage, which everybody may read."""


class Settings:
    """Answers the requests that are not for the data of a database."""

    def __init__(self, databases: Databases, dispatcher: Dispatcher, faults: Faults) -> None:
        self._databases, self._dispatcher, self._faults = databases, dispatcher, faults

    async def answer(self, request: web.Request, path: str, caller: Caller) -> web.StreamResponse:
        """Answer an admin.

        Raises:
            ServiceError: 403 for other callers, 400 for bad rules, triggers or faults.
        """
        if not caller.is_admin:
            raise ServiceError(403, "Settings need 'Authorization: Bearer owner'")
        if path == ".inspect/databases.json":
            return json_response([{"name": name} for name in self._databases.names])
        if path == ".settings/rules.json":
            return await self._rules(request)
        if path == ".settings/functionTriggers.json":
            return await self._triggers(request)
        if path == ".settings/faults.json":
            return await self._set_faults(request)
        return error_response(404, "404 Not Found")

    def coverage(self, request: web.Request, path: str) -> web.Response:
        """Answer with the rules coverage of one database, as a page or as JSON."""
        if method_of(request) != "GET":
            return error_response(405, "405 Method Not Allowed: GET the coverage")
        namespace = namespace_of(request)
        report = self._databases[namespace].coverage()
        if path.endswith(".json"):
            return json_response(report)
        return web.Response(text=coverage_page(report, namespace), content_type="text/html", headers=PAGE_HEADERS)

    async def _rules(self, request: web.Request) -> web.StreamResponse:
        database = self._databases[namespace_of(request)]
        if request.method == "GET":
            if request.query.get("format") == "strict":
                return json_response(plain_json(database.rules_text))
            return web.Response(text=database.rules_text, content_type="application/json")
        try:
            text = (await request.read()).decode()
            if request.query.get("dryRun") == "true":
                parse_rules(text)
            else:
                database.set_rules(text)
        except (BadRulesError, UnicodeDecodeError) as problem:
            raise ServiceError(400, str(problem)) from problem
        return json_response({"status": "ok"})

    async def _triggers(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return json_response(self._dispatcher.names)
        namespace = request.query.get("ns") and namespace_of(request)
        self._dispatcher.register(parse_trigger(await body_of(request), namespace))
        return json_response({"status": "ok"})

    async def _set_faults(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return json_response(self._faults.report())
        if request.method not in ("PUT", "DELETE"):
            return error_response(405, "405 Method Not Allowed: GET, PUT or DELETE the faults")
        self._faults.follow(parse_plan(await body_of(request)) if request.method == "PUT" else Plan())
        return json_response({"status": "ok"})
