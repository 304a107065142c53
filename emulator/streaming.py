"""REST streaming: a node as server-sent events, for as long as the client listens.

Source: Firebase Database REST API, "Streaming from the REST API".
"""

from __future__ import annotations

import asyncio
import json
import time

from aiohttp import web

from emulator.auth import Caller
from emulator.database import Database
from emulator.faults import Faults
from emulator.keys import PRIORITY, Path
from emulator.query import Query
from emulator.responses import CORS
from emulator.watches import Listener, Update

KEEP_ALIVE_S = 30.0
REVOKED = "credential is no longer valid"


async def stream(
    request: web.Request, database: Database, path: Path, query: Query | None, caller: Caller, faults: Faults
) -> web.StreamResponse:
    """Send the node at ``path``, then what changes in it, until the client leaves or may not read any more.

    Raises:
        ServiceError: 401 without permission, 400 without the index that the query needs.
    """
    export = request.query.get("format") == "export"
    events: asyncio.Queue[str | None] = asyncio.Queue()

    def tell(update: Update) -> None:
        key = ("events", export)
        if update.path[-1:] == (PRIORITY,) and not export:
            return
        if key not in update.memo:
            place = json.dumps("/" + "/".join(update.path[len(path) :]), ensure_ascii=False)
            kind = "patch" if update.is_merge else "put"
            update.memo[key] = _event(kind, f'{{"path":{place},"data":{update.text(export=export)}}}')
        events.put_nowait(update.memo[key])

    def end(kind: str, data: str) -> None:
        events.put_nowait(_event(kind, data))
        events.put_nowait(None)

    listener = Listener(path, query, caller, tell, revoke=lambda: end("cancel", "null"))
    node = database.listen(listener)
    tell(Update(path, {(): node}, is_merge=False))
    loop = asyncio.get_running_loop()
    expiry = None
    if caller.expires is not None:
        expiry = loop.call_later(max(0.0, caller.expires - time.time()), end, "auth_revoked", json.dumps(REVOKED))
    release = faults.watch_connection(database.namespace, lambda: _cut(request))
    response = web.StreamResponse(
        headers={**CORS, "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    )
    try:
        await response.prepare(request)
        await _send(response, events)
    except ConnectionError:
        pass  # the client left
    finally:
        database.unlisten(listener)
        release()
        if expiry is not None:
            expiry.cancel()
    return response


async def _send(response: web.StreamResponse, events: asyncio.Queue[str | None]) -> None:
    """Send events as they come, until there is a None among them."""
    while True:
        try:
            event = await asyncio.wait_for(events.get(), KEEP_ALIVE_S)
        except TimeoutError:
            event = _event("keep-alive", "null")
        if event is None:
            return
        await response.write(event.encode())


def _event(kind: str, data: str) -> str:
    return f"event: {kind}\ndata: {data}\n\n"


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
