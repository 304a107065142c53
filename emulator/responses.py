"""What goes back over the wire: JSON in the forms that a client may ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, PUT, POST, PATCH, DELETE",
    # "*" would leave out Authorization.
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, X-Firebase-ETag, "
    "X-HTTP-Method-Override, X-Firebase-AppCheck",
    "Access-Control-Expose-Headers": "ETag",
}
"""What lets a page of any origin call, with credentials."""


def value_response(request: web.Request, value: Any, tag: str | None, status: int = 200) -> web.Response:
    """Return the answer with a value, printed as the request asks, and its ETag if there is one."""
    headers = {"ETag": tag} if tag is not None else {}
    if request.query.get("print") == "silent" and status == 200:
        return web.Response(status=204, headers={**CORS, **headers})
    return json_response(value, status, headers, pretty=request.query.get("print") == "pretty")


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, pretty: bool = False
) -> web.Response:
    """Return an answer that is JSON."""
    text = json.dumps(
        value, indent=2 if pretty else None, separators=None if pretty else (",", ":"), ensure_ascii=False
    )
    return web.Response(text=text, status=status, headers={**CORS, **(headers or {})}, content_type="application/json")


def error_response(status: int, message: str) -> web.Response:
    """Return a refusal."""
    return json_response({"error": message}, status)
