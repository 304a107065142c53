"""What goes back over the wire: JSON in the forms that a client may ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from aiohttp import web

from rtdb_emulator.data.tree import Node, json_text, to_json, to_text
from rtdb_emulator.errors import ServiceError

MAX_READ = 256 << 20
"""Bytes of one answer, but for an export."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, PUT, POST, PATCH, DELETE",
    # "*" would leave out Authorization.
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, X-Firebase-ETag, "
    "X-HTTP-Method-Override, X-Firebase-AppCheck",
    "Access-Control-Expose-Headers": "ETag",
}
"""What lets a page of any origin call, with credentials."""


def preflight(request: web.Request) -> web.Response:
    """Return what a browser asks for before it sends a request of a page of another origin."""
    headers = {**CORS, "Access-Control-Max-Age": "3600"}
    asked = request.headers.get("Access-Control-Request-Headers")
    return web.Response(headers={**headers, "Access-Control-Allow-Headers": asked} if asked else headers)


def value_response(request: web.Request, value: Any, tag: str | None) -> web.Response:
    """Return the answer with a JSON value in the form that the request asks for, and its ETag if there is one.

    Raises:
        ServiceError: 400 for an answer that is too large.
    """
    return _in_form(request, lambda: value, lambda: json_text(value), tag)


def node_response(
    request: web.Request, node: Node, tag: str | None, status: int = 200, *, export: bool = False
) -> web.Response:
    """Return the answer with a node, with its priorities for ``export``, in the form that the request asks for.

    Raises:
        ServiceError: 400 for an answer that is too large.
    """
    value = partial(to_json, node, export=export)
    return _in_form(request, value, lambda: json_text(value()) if export else to_text(node), tag, status)


def _in_form(
    request: web.Request, value: Callable[[], Any], text: Callable[[], str], tag: str | None, status: int = 200
) -> web.Response:
    query, headers = request.query, {"Cache-Control": "no-cache"}
    if tag is not None:
        headers["ETag"] = tag
    if query.get("print") == "silent" and status == 200:
        return web.Response(status=204, headers={**CORS, **headers})
    body = _to_be_read(value()) if query.get("print") == "pretty" else text()
    if request.method not in ("GET", "HEAD"):
        return _response(body, status, headers)
    if query.get("format") != "export" and len(body) > MAX_READ:
        raise ServiceError(400, "Data requested exceeds the maximum size that can be accessed with a single request.")
    if query.get("download"):
        name = quote(query["download"], safe=" ()+,;=@!&")
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if "callback" in query:
        return _response(f"{query['callback']}({body});", status, headers, "application/javascript")
    return _response(body, status, headers)


def json_response(value: Any, status: int = 200) -> web.Response:
    """Return an answer that is JSON."""
    return _response(json_text(value), status, {})


def error_response(status: int, message: str) -> web.Response:
    """Return an error as the service words it."""
    return _response(_to_be_read({"error": message}), status, {})


def _to_be_read(value: Any) -> str:
    """Return JSON text in lines; the service puts spaces around the colon."""
    return json.dumps(value, indent=2, separators=(",", " : "), ensure_ascii=False)


def _response(
    text: str, status: int, headers: Mapping[str, str], content_type: str = "application/json"
) -> web.Response:
    return web.Response(
        text=text, status=status, headers={**CORS, **headers}, content_type=content_type, charset="utf-8"
    )
