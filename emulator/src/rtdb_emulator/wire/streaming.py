"""REST streaming: a node as server-sent events, for as long as the client listens.

Source: Firebase Database REST API, "Streaming from the REST API".
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from rtdb_emulator.data.keys import PRIORITY, Path
from rtdb_emulator.data.query import Query
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Database
from rtdb_emulator.database.watches import Listener, Update
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.wire.responses import CORS

KEEP_ALIVE_S = 30.0
"""How often a client is told that the stream is alive if nothing changes."""

LOOK_S = 1.0
"""How often to check that the client is still there if nothing changes."""

MAX_BACKLOG = 256 << 20
"""Characters that may wait for a client that does not read; it is cut off then."""

REVOKED = "credential is no longer valid"
"""What ``auth_revoked`` says, without quotes: firebase-admin for Python connects again when it reads this."""


async def stream(
    request: web.Request, database: Database, path: Path, query: Query | None, caller: Caller, faults: Faults
) -> web.StreamResponse:
    """Send the node at ``path``, then what changes in it, until the client leaves or may no longer read.

    Raises:
        ServiceError: 401 without permission, 400 without the index that the query needs.
    """
    outbox = _Outbox(request, path, export=request.query.get("format") == "export")
    listener = Listener(path, query, caller, outbox.tell, revoke=lambda: outbox.end("cancel", "null"))
    headers = {**CORS, "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers=headers)
    with ExitStack() as ending:
        ending.callback(database.unlisten, listener)
        outbox.tell(Update(path, {(): database.listen(listener, needs_index=True)}, is_merge=False))
        if caller.expires is not None:
            wait_s = max(0.0, caller.expires - time.time())
            end = partial(outbox.end, "auth_revoked", REVOKED)
            ending.callback(asyncio.get_running_loop().call_later(wait_s, end).cancel)
        ending.callback(faults.watch_connection(database.namespace, outbox.cut))
        with suppress(ConnectionError):  # the client left
            await response.prepare(request)
            await outbox.send(response)
    return response


@dataclass(eq=False, slots=True)
class _Outbox:
    """The events that are still to be sent to one client.

    Attributes:
        path: the place that it listens to.
        export: whether it is told of priorities.
        backlog: characters that wait.
    """

    request: web.Request
    path: Path
    export: bool
    backlog: int = 0
    _events: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)

    def tell(self, update: Update) -> None:
        """Queue what changed; several clients that get the same share its text."""
        key = ("events", self.export)
        if key not in update.memo:
            update.memo[key] = self._text(update)
        if update.memo[key] is not None:
            self._put(update.memo[key])

    def end(self, kind: str, data: str) -> None:
        """Queue the last event."""
        self._put(_event(kind, data))
        self._events.put_nowait(None)

    def cut(self) -> None:
        """End the connection as a broken network does."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def send(self, response: web.StreamResponse) -> None:
        """Send events as they come, until the last one or until the client is gone.

        Raises:
            ConnectionError: if the client left during a write.
        """
        quiet_s = 0.0
        while self._is_open():
            try:
                event = await asyncio.wait_for(self._events.get(), min(LOOK_S, KEEP_ALIVE_S))
            except TimeoutError:
                quiet_s += min(LOOK_S, KEEP_ALIVE_S)
                if quiet_s < KEEP_ALIVE_S:
                    continue
                event = _event("keep-alive", "null")
                self.backlog += len(event)
            if event is None:
                return
            quiet_s = 0.0
            await response.write(event.encode())
            self.backlog -= len(event)

    def _is_open(self) -> bool:
        return self.request.transport is not None and not self.request.transport.is_closing()

    def _put(self, event: str) -> None:
        self.backlog += len(event)
        self._events.put_nowait(event)
        if self.backlog > MAX_BACKLOG:
            self.cut()

    def _text(self, update: Update) -> str | None:
        """Return the event for an update, None if it is all priorities that the client does not ask for."""
        if not self.export:
            if update.path[-1:] == (PRIORITY,):
                return None
            nodes = {place: node for place, node in update.nodes.items() if place[-1:] != (PRIORITY,)}
            if not nodes:
                return None
            update = Update(update.path, nodes, is_merge=update.is_merge)
        place = json.dumps("/" + "/".join(update.path[len(self.path) :]), ensure_ascii=False)
        data = update.text(export=self.export)
        return _event("patch" if update.is_merge else "put", f'{{"path":{place},"data":{data}}}')


def _event(kind: str, data: str) -> str:
    return f"event: {kind}\ndata: {data}\n\n"
