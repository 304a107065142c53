"""The client SDKs' long polling: what browsers begin with once a WebSocket has failed them, to go on to one from there.

The client asks by loading scripts: each carries what it sends in its address, and what it is sent in calls of two
functions of the page. Source: the open-source JavaScript SDK.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress

from aiohttp import web

from rtdb_emulator.database.databases import Database
from rtdb_emulator.errors import ServiceError
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.wire.responses import CORS
from rtdb_emulator.wire.session import Session, later

POLL_S = 20.0
"""How long a request waits for something to send; the SDK makes another after 25 s."""

IDLE_S = 30.0
"""How long a client may be without a request before it is taken to have left."""

MAX_SEGMENTS = 1 << 14
"""Parts of one message, or waiting for one before them."""

_CALLBACK = re.compile(r"\w{0,64}", re.ASCII)
_FORM = str.maketrans("-_.", "+/=")
_CLOSE = "pLPCommand('close');"

# What frames that load scripts need to call functions of the page that holds them.
_FUNCTIONS = (
    "function pLPCommand(c,a,b){{parent.window['pLPCommand{0}'](c,a,b)}}"
    "function pRTLPCB(n,d){{parent.window['pRTLPCB{0}'](n,d)}}"
)

# A frame of the page: its end is the client's, which has no connection that could break.
_FRAME = (
    "<!DOCTYPE html><script>addEventListener('pagehide',()=>navigator.sendBeacon("
    "location.href.replace('dframe=t','disconn=t')))</script>"
)


class Polls:
    """The clients of one process that poll."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._by_id: dict[str, _Poll] = {}

    async def answer(self, request: web.Request, database: Database) -> web.Response:
        """Answer one request of a client.

        Raises:
            ServiceError: 400 for what is none of the protocol's.
        """
        given = request.query
        if "start" in given:
            return _script(self._begin(request, database))
        poll = self._by_id.get(given.get("id", ""))
        if poll is None or not secrets.compare_digest(poll.password.encode(), given.get("pw", "").encode()):
            return _script(_CLOSE)
        if "dframe" in given:
            return web.Response(text=_FRAME, content_type="text/html", headers=CORS)
        if "disconn" in given:
            poll.end()
            return _script("")
        return _script(await poll.answer(given))

    def session(self, session_id: str) -> Session | None:
        """Return the session of a client that polls, for it to go on with over another connection."""
        poll = self._by_id.get(session_id)
        return poll.session if poll else None

    def _begin(self, request: web.Request, database: Database) -> str:
        callback = request.query.get("cb", "")
        if not _CALLBACK.fullmatch(callback):
            raise ServiceError(400, "cb must be part of a function's name")
        poll_id = secrets.token_urlsafe(24)
        poll = _Poll(database, self._faults, on_end=lambda: self._by_id.pop(poll_id, None))
        self._by_id[poll_id] = poll
        poll.session.hang_up = poll.end
        poll.session.greet(request.host, poll_id, request.query.get("ls", ""))
        return f"{_FUNCTIONS.format(callback)}pLPCommand('start','{poll_id}','{poll.password}');{poll.taken()}"


class _Poll:
    """One client that polls.

    Attributes:
        session: what it says and is told.
        password: what its requests have to know.
    """

    def __init__(self, database: Database, faults: Faults, on_end: Callable[[], object]) -> None:
        self.session = Session(database, faults, self._send, later)
        self.password = secrets.token_urlsafe(24)
        self._waiting: list[str] = []
        self._packets = 0
        self._turn: asyncio.Future[None] | None = None
        self._newest = -1
        self._segments: dict[int, tuple[int, str]] = {}
        self._next_segment = 0
        self._lock = asyncio.Lock()
        self._on_end = on_end
        self._release = faults.watch_connection(database.namespace, self.end)
        self._keep = later(IDLE_S, self.end)

    async def answer(self, given: Mapping[str, str]) -> str:
        """Take what a request carries; return the script that it gets, at once or when there is something to send."""
        self._keep()
        is_late = self._is_late(given.get("ser", ""))
        for text in self._messages(given):
            async with self._lock:
                await self.session.take(text)
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)  # one request waits at a time
        if not self._waiting and not is_late:
            self._turn = asyncio.get_running_loop().create_future()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turn, POLL_S)
        script = self.taken()
        if self.session.has_moved:
            self.end()
            return f"{script}pLPCommand('close',{self._packets - 1});"
        if self.session.is_over:
            return _CLOSE
        self._keep()
        self._keep = later(IDLE_S, self.end)
        return script

    def _is_late(self, serial: str) -> bool:
        """Return whether a request was sent before one that came already, by the number that the client gives it.

        Neither may wait then: some browsers run scripts in the order in which they were requested, so the answer to the
        later request would have no effect until this one is answered.
        """
        if not (serial.isascii() and serial.isdigit() and len(serial) < 20):
            return False
        is_late = int(serial) < self._newest
        self._newest = max(self._newest, int(serial))
        return is_late

    def taken(self) -> str:
        """Return the script with what waits, which does not wait any more."""
        if not self._waiting:
            return ""
        messages, self._waiting = ",".join(self._waiting), []
        self._packets += 1
        return f"pRTLPCB({self._packets - 1},[{messages}]);"

    def end(self) -> None:
        """Forget the client; its session goes on if it has moved."""
        self._keep()
        self._release()
        self._on_end()
        if not self.session.has_moved:
            self.session.end()
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def _send(self, text: str) -> None:
        self._waiting.append(text)
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def _messages(self, given: Mapping[str, str]) -> list[str]:
        """Return the messages that the parts which a request carries complete; parts may come in any order."""
        for number in range(len(given)):
            if f"d{number}" not in given:
                break
            place, total = _number(given, f"seg{number}"), _number(given, f"ts{number}")
            self._segments[place] = (total, given[f"d{number}"])
        if len(self._segments) > MAX_SEGMENTS:
            raise ServiceError(400, "too many parts of messages wait for one before them")
        messages = []
        while self._next_segment in self._segments:
            total = max(1, self._segments[self._next_segment][0])
            places = range(self._next_segment, self._next_segment + total)
            if not all(place in self._segments for place in places):
                break
            messages.append(_decoded("".join(self._segments.pop(place)[1] for place in places)))
            self._next_segment += total
        return messages


def _number(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ServiceError(400, f"{name} must be a number")
    return int(text)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text.translate(_FORM), validate=True).decode()
    except ValueError as problem:
        raise ServiceError(400, "a part of a message is not Base64 of UTF-8") from problem


def _script(text: str) -> web.Response:
    headers = {**CORS, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, content_type="application/javascript", charset="utf-8", headers=headers)
