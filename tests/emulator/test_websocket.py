"""Frames, and the connection itself: what only shows over the wire."""

import asyncio
import json

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.websocket import MAX_FRAME, _framed, _Inbox


def payloads(data):
    """The texts of unmasked frames."""
    found = []
    while data:
        size, start = data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        found.append(data[start : start + size].decode())
        data = data[start + size :]
    return found


@given(st.text(max_size=20), st.integers(1, 3 * MAX_FRAME))
def test_a_message_comes_back_from_its_frames(text, size):
    message = json.dumps({"t": text * size})[: 3 * MAX_FRAME]
    inbox = _Inbox()
    found = [inbox.add(frame) for frame in ["0", *payloads(_framed(message)), "0"]]
    assert [each for each in found if each is not None] == [message]


def test_the_longest_frames_are_those_of_the_sdks():
    frames = payloads(_framed("\U0001f600" * (MAX_FRAME + 1)))
    assert frames[0] == "2"
    assert [len(frame) for frame in frames[1:]] == [MAX_FRAME, 1]


async def conversation(port, namespace, frames, answers):
    """Send frames; return the handshake and so many answers."""
    url = f"http://127.0.0.1:{port}/.ws?v=5&ns={namespace}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        for frame in frames:
            await socket.send_str(frame)
        return [await socket.receive_json(timeout=10) for _ in range(1 + answers)]


def test_a_conversation_over_the_wire(server, port):
    server.put("a", 1)
    request = json.dumps({"t": "d", "d": {"r": 1, "a": "g", "b": {"p": "a"}}})
    frames = ["0", request, "2", request[:10], request[10:], "0"]
    hello, *answers = asyncio.run(conversation(port, server.namespace, frames, 2))
    assert hello["d"]["d"]["h"] == f"127.0.0.1:{port}"
    assert answers == [{"t": "d", "d": {"r": 1, "b": {"s": "ok", "d": 1}}}] * 2


def test_a_connection_needs_a_namespace(port):
    with pytest.raises(aiohttp.WSServerHandshakeError):
        asyncio.run(conversation(port, "", [], 0))
