"""Frames, and the connection itself: what only shows over the wire."""

import asyncio
import json

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.launch.process import start
from rtdb_emulator.wire.websocket import MAX_FRAME, _framed, _Inbox

from .database_server import token


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


async def signed_in(port, namespace, headers, query, *tokens):
    """Connect, and sign in with each token; return the kind of the handshake and the statuses."""
    url = f"http://127.0.0.1:{port}/.ws?v=5&ns={namespace}{query}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
        for number, each in enumerate(tokens):
            await socket.send_json({"t": "d", "d": {"r": number, "a": "auth", "b": {"cred": each}}})
        hello, *answers = [await socket.receive_json(timeout=10) for _ in range(1 + len(tokens))]
    return [hello["d"]["t"], *(answer["d"]["b"]["s"] for answer in answers)]


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "Bearer fake-auth-token"}, ""),
        ({"Authorization": f"Bearer {token('ana', exp=1)}"}, ""),
        ({"Authorization": "Bearer a.b.c"}, ""),
        ({"Authorization": "Basic eA=="}, ""),
        ({}, "&access_token=x"),
        ({}, f"&auth={token('ana', exp=1)}"),
        ({}, ""),
    ],
)
def test_the_token_of_a_connection_is_judged_by_the_auth_message(port, headers, query):
    tokens = (token("ana", exp=1), "x", token("ana"))
    statuses = asyncio.run(signed_in(port, "tokens", headers, query, *tokens))
    assert statuses == ["h", "expired_token", "invalid_token", "ok"]


async def come_again(port, namespace):
    """Connect twice as one client; return whether the first connection is over then."""
    url = f"http://127.0.0.1:{port}/.ws?v=5&ns={namespace}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as first:
        hello = await first.receive_json(timeout=10)
        await first.send_json({"t": "d", "d": {"r": 1, "a": "o", "b": {"p": "a", "d": "left"}}})
        await first.receive_json(timeout=10)
        async with http.ws_connect(f"{url}&ls={hello['d']['d']['s']}") as second:
            await second.receive_json(timeout=10)
            await second.send_json({"t": "d", "d": {"r": 1, "a": "g", "b": {"p": "a"}}})
            read = await second.receive_json(timeout=10)
            ended = await first.receive(timeout=10)
            return read["d"]["b"]["d"], ended.type


def test_a_client_that_reconnects_has_one_connection(server, port):
    closed = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    value, ended = asyncio.run(come_again(port, server.namespace))
    assert value == "left"
    assert ended in closed


def test_a_connection_to_an_invalid_database_name_is_rejected(port):
    with pytest.raises(aiohttp.WSServerHandshakeError):
        asyncio.run(conversation(port, "a.b", [], 0))


async def at_the_end_of(emulator):
    """Leave a write for the connection's end, stop the server; return how it ended."""
    left = {"t": "d", "d": {"r": 1, "a": "o", "b": {"p": "left", "d": 1}}}
    async with aiohttp.ClientSession() as http, http.ws_connect(f"http://{emulator.address}/.ws?v=5&ns=ws") as socket:
        await socket.receive_json(timeout=10)
        await socket.send_json(left)
        await socket.receive_json(timeout=10)
        emulator.process.terminate()
        message = await socket.receive(timeout=10)
        return message.type


def test_a_server_that_is_stopped_ends_its_connections(tmp_path):
    emulator = start("--export-on-exit", str(tmp_path / "kept"))
    kind = asyncio.run(at_the_end_of(emulator))
    assert emulator.process.wait(10) == 0
    assert kind in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert json.loads((tmp_path / "kept/database_export/ws.json").read_text()) == {"left": 1}
