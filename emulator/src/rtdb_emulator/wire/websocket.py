"""The client SDKs' connection: messages in frames of limited size, sent in batches when there are many."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import WSMsgType, web

from rtdb_emulator.database.databases import Database
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.wire.polling import Polls
from rtdb_emulator.wire.requests import MAX_SDK_WRITE
from rtdb_emulator.wire.session import PONG, Session, later

MAX_FRAME = 16_384
"""Characters in a frame; a longer message is sent as its number of frames, then the frames."""

BATCH_S = 0.005
"""How long a message may wait for others if one was sent just before."""

MAX_BACKLOG = 256 << 20
"""Bytes that may wait for a client that does not read, before it is cut off."""

HEARTBEAT_S = 30.0
"""How often a client has to answer: one that has vanished is noticed."""

MOVE_S = 30.0
"""How long a client that polled may take to go on."""

PING = '{"t":"c","d":{"t":"p","d":{}}}'


async def converse(request: web.Request, database: Database, faults: Faults, polls: Polls) -> web.StreamResponse:
    """Serve one client until either side ends the connection; it may have polled until now."""
    socket = web.WebSocketResponse(compress=False, heartbeat=HEARTBEAT_S, max_msg_size=MAX_SDK_WRITE)
    await socket.prepare(request)
    outbox = _Outbox(request, asyncio.get_running_loop())
    release = faults.watch_connection(database.namespace, outbox.cut)
    try:
        polled = polls.session(request.query.get("s", ""))
        if polled is not None:
            await _go_on(socket, outbox, polled)
        else:
            session = Session(database, faults, outbox.send, later)
            session.greet(request.host, secrets.token_urlsafe(24), request.query.get("ls", ""))
            await _serve(socket, outbox, session)
    finally:
        release()
        outbox.flush()
    return socket


async def _serve(socket: web.WebSocketResponse, outbox: _Outbox, session: Session) -> None:
    session.hang_up = outbox.cut
    try:
        async for text in _messages(socket):
            await session.take(text)
    finally:
        session.end()


async def _go_on(socket: web.WebSocketResponse, outbox: _Outbox, session: Session) -> None:
    """Serve a client that polled: its requests here wait until all its earlier ones have come."""
    moved = session.offer(outbox.send)
    async for text in _messages(socket):
        if text == PING:
            outbox.send(PONG)
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(moved.wait(), MOVE_S)
        break
    if moved.is_set():
        await session.take(text)
        await _serve(socket, outbox, session)


async def _messages(socket: web.WebSocketResponse) -> AsyncIterator[str]:
    inbox = _Inbox()
    async for message in socket:
        if message.type is WSMsgType.TEXT and (text := inbox.add(message.data)) is not None:
            yield text


class _Inbox:
    """Joins the frames of a message."""

    def __init__(self) -> None:
        self._missing, self._frames = 0, list[str]()

    def add(self, frame: str) -> str | None:
        """Take a frame; return the message that it completes, if any."""
        if self._missing:
            self._frames.append(frame)
            self._missing -= 1
            if self._missing:
                return None
            frame, self._frames = "".join(self._frames), []
            return frame
        if len(frame) <= 6 and frame.isdigit():
            self._missing = int(frame)  # 0 only keeps the connection alive
            return None
        return frame


class _Outbox:
    """Sends messages in their order, without waiting for the client."""

    def __init__(self, request: web.Request, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = request.transport, loop
        self._waiting: list[bytes] = []
        self._sent_at = 0.0

    def send(self, text: str) -> None:
        """Queue a message."""
        if not self._waiting:
            wait_s = self._sent_at + BATCH_S - self._loop.time()
            if wait_s > 0:
                self._loop.call_later(wait_s, self.flush)
            else:
                self._loop.call_soon(self.flush)
        self._waiting.append(_framed(text))

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
            if self._transport.get_write_buffer_size() > MAX_BACKLOG:
                self._transport.abort()
        self._waiting.clear()
        self._sent_at = self._loop.time()

    def cut(self) -> None:
        """End the connection as a broken network does."""
        if self._transport is not None:
            self._transport.abort()


def _framed(text: str) -> bytes:
    """Return a message as frames of the WebSocket protocol (RFC 6455), which the server does not mask."""
    if len(text) <= MAX_FRAME:
        return _frame(text)
    parts = [text[place : place + MAX_FRAME] for place in range(0, len(text), MAX_FRAME)]
    return b"".join(map(_frame, (str(len(parts)), *parts)))


def _frame(text: str) -> bytes:
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return (struct.pack("!BBH", 0x81, 126, size) if size < 1 << 16 else struct.pack("!BBQ", 0x81, 127, size)) + payload
