"""Firebase Storage's own interface in front of ``fake-gcs-server``, which speaks only that of Google Cloud.

python -m local.storage_facade --port PORT --behind HOST:PORT --project PROJECT

Phones and pages read models through Firebase's SDKs, which request ``/v0/b/{bucket}/o/{name}``. The suite's own
Storage emulator would answer, but it is a download and lacks the conditional writes that the trainer needs. This
program answers the two requests that the SDKs make for a file, metadata and bytes, from ``fake-gcs-server``. It allows
what ``storage.rules`` allow: a signed-in user gets a file of a model by its name, but not the report.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import time
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession, web

MODEL_FILE = re.compile(r"models/[^/]+/(?!report\.html$)[^/]+")
"""The objects that ``storage.rules`` let a signed-in user get."""

KEPT = ("name", "bucket", "generation", "metageneration", "contentType", "timeCreated", "updated", "size", "md5Hash")
PROJECT = web.AppKey("project", str)
BEHIND = web.AppKey("behind", str)
SESSION = web.AppKey("session", ClientSession)
OPEN_TO_PAGES = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Max-Age": "600",
    "Access-Control-Expose-Headers": "Content-Length, Content-Type",
}


def signed_in(header: str, project: str, now_s: float) -> bool:
    """Return True if a request has a token of this project's Auth emulator, whose tokens are unsigned."""
    scheme, _, token = header.partition(" ")
    parts = token.split(".")
    if scheme not in ("Firebase", "Bearer") or len(parts) != 3:
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return bool(claims["aud"] == project and claims["sub"] and claims["exp"] > now_s)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def may_get(name: str, authorization: str, project: str, now_s: float) -> bool:
    """Return True if ``storage.rules`` allow getting this object."""
    return MODEL_FILE.fullmatch(name) is not None and signed_in(authorization, project, now_s)


async def get_object(request: web.Request) -> web.StreamResponse:
    """Answer with an object's metadata or, with ``alt=media``, its bytes."""
    bucket, name = request.match_info["bucket"], request.match_info["name"]
    if not may_get(name, request.headers.get("Authorization", ""), request.app[PROJECT], time.time()):
        return _error(403, "Permission denied.")
    media = request.query.get("alt") == "media"
    url = f"{request.app[BEHIND]}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
    async with request.app[SESSION].get(url, params={"alt": "media"} if media else {}) as answer:
        if answer.status == 404:
            return _error(404, "Not Found.")
        answer.raise_for_status()
        if media:
            kind = answer.headers.get("Content-Type", "application/octet-stream")
            return web.Response(body=await answer.read(), headers={"Content-Type": kind})
        return web.json_response(_metadata(await answer.json()))


async def deny(request: web.Request) -> web.Response:
    """Deny every other request: the rules let no client list, write or delete."""
    return _error(403, "Permission denied.")


async def allow_pages(request: web.Request, response: web.StreamResponse) -> None:
    """Allow pages of other origins to read the answers, as the real service does."""
    response.headers.update(OPEN_TO_PAGES)


async def preflight(request: web.Request) -> web.Response:
    """Answer a browser's preflight request."""
    return web.Response(status=204)


def application(project: str, behind: str) -> web.Application:
    """Return the façade for a project whose Cloud Storage is at ``behind`` (``host:port``)."""
    app = web.Application()
    app[PROJECT], app[BEHIND] = project, f"http://{behind}"

    async def session(app: web.Application) -> Any:
        async with ClientSession() as app[SESSION]:
            yield

    app.cleanup_ctx.append(session)
    app.on_response_prepare.append(allow_pages)
    app.router.add_route("OPTIONS", "/{any:.*}", preflight)
    app.router.add_get("/v0/b/{bucket}/o/{name:.+}", get_object, allow_head=False)
    app.router.add_route("*", "/{any:.*}", deny)
    return app


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in KEPT if key in metadata} | {"downloadTokens": ""}


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message}}, status=status)


def main() -> None:
    """Serve on loopback until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.storage_facade", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--behind", required=True, help="host:port of fake-gcs-server")
    parser.add_argument("--project", required=True)
    arguments = parser.parse_args()
    app = application(arguments.project, arguments.behind)
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
