"""REST streaming over the wire: the events that a client gets, and when they end."""

import contextlib
import json
import queue
import signal
import threading
import time

import pytest
import requests

from rtdb_emulator.launch.process import free_port, start
from rtdb_emulator.wire import streaming

from .database_server import ADMIN, Server, token

RULES = {
    "rules": {"own": {"$uid": {".read": "auth.uid === $uid"}}, "door": {".read": "root.child('open').val() === true"}}
}
LISTEN = {"Accept": "text/event-stream"}


class Stream:
    """One open stream; ``next()`` gives its events, and None if it has ended."""

    def __init__(self, server, path, headers=ADMIN, **query):
        self._answer = requests.get(
            f"http://{server.host}/{path}.json",
            params={"ns": server.namespace, **query},
            headers={**LISTEN, **headers},
            stream=True,
            timeout=10,
        )
        self.status, self.headers = self._answer.status_code, self._answer.headers
        self._events = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        kind = None
        try:
            for line in self._answer.iter_lines(chunk_size=1, decode_unicode=True):
                name, _, text = line.partition(": ")
                if name == "event":
                    kind = text
                elif name == "data":
                    self._events.put((kind, text if kind == "auth_revoked" else json.loads(text)))
        except (requests.RequestException, AttributeError, ValueError):
            pass  # cut off, or closed
        self._events.put(None)

    def next(self):
        return self._events.get(timeout=5)

    def close(self):
        with contextlib.suppress(RuntimeError, ValueError, OSError):  # it has ended, or was closed
            self._answer.raw.shutdown()
        self._thread.join()
        self._answer.close()


@pytest.fixture
def listen(server):
    streams = []

    def open_stream(path, headers=ADMIN, **query):
        streams.append(Stream(server, path, headers, **query))
        return streams[-1]

    yield open_stream
    for each in streams:
        each.close()


def put(path, data):
    return ("put", {"path": path, "data": data})


def patch(path, data):
    return ("patch", {"path": path, "data": data})


def test_the_first_event_is_the_whole_node_and_then_comes_each_change(server, listen):
    server.put("n", {"a": 1, "list": ["x", "y"]})
    stream = listen("n")
    assert stream.status == 200
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert stream.next() == put("/", {"a": 1, "list": ["x", "y"]})
    server.put("n/b/c", 2)
    assert stream.next() == put("/b/c", 2)
    server.request("PATCH", "n", {"a": None, "d/e": "é"})
    assert stream.next() == patch("/", {"a": None, "d/e": "é"})
    server.request("DELETE", "n/list")
    assert stream.next() == put("/list", None)
    name = server.request("POST", "n/list", True).json()["name"]
    assert stream.next() == put(f"/list/{name}", True)


def test_a_write_above_sends_the_new_node_and_one_to_a_sibling_sends_nothing(server, listen):
    stream = listen("a/b")
    assert stream.next() == put("/", None)
    server.put("a/other", 1)
    server.put("", {"a": {"b": {"x": 1}, "c": 2}})
    assert stream.next() == put("/", {"x": 1})
    server.request("PATCH", "", {"a/b/y": 1, "z": 1})
    assert stream.next() == put("/y", 1)
    server.request("DELETE", "a")
    assert stream.next() == put("/", None)


def test_a_stream_with_a_query_sends_only_what_it_selects(server, listen):
    server.put(".settings/rules", {"rules": {"n": {".indexOn": "age"}}})
    server.put("n", {"x": {"age": 1}, "y": {"age": 2}, "z": {"age": 3}})
    stream = listen("n", orderBy='"age"', startAt="2", limitToFirst="1")
    assert stream.next() == put("/", {"y": {"age": 2}})
    server.put("n/x/age", 2)  # it enters before y, which leaves
    assert stream.next() == patch("/", {"x": {"age": 2}, "y": None})
    server.put("n/z/other", 1)
    server.put("n/x/name", "X")
    assert stream.next() == patch("/", {"x/name": "X"})
    rejected = listen("n", orderBy='"name"')
    assert rejected.status == 400
    assert rejected.next() is None


def test_several_streams_each_get_their_own_part(server, listen):
    streams = [listen("n"), listen("n/a"), listen(""), listen("n", format="export")]
    for stream in streams:
        assert stream.next() == put("/", None)
    server.put("n/a", {".value": 1, ".priority": 2})
    seen = [stream.next() for stream in streams]
    assert seen == [put("/a", 1), put("/", 1), put("/n/a", 1), put("/a", {".value": 1, ".priority": 2})]
    server.put("n/a/.priority", 3)  # only the export tells of priorities
    server.put("n/a", 5)
    assert streams[0].next() == put("/a", 5)
    assert streams[3].next() == put("/a/.priority", 3)


def test_a_denied_read_is_reported_at_once(server, listen):
    server.put(".settings/rules", RULES)
    assert listen("own/u1", {}).status == 401
    assert listen("own/u1", {"Authorization": "Bearer nonsense"}).status == 401
    assert listen("own/u1", {}, auth=token("u1")).next() == put("/", None)


def test_new_rules_and_data_that_rules_refer_to_cancel_a_stream(server, listen):
    server.put(".settings/rules", RULES)
    server.put("open", True)
    door, own = listen("door", {}), listen("own/u1", {}, auth=token("u1"))
    assert door.next() == own.next() == put("/", None)
    server.put("open", False)
    assert door.next() == ("cancel", None)
    assert door.next() is None
    server.put(".settings/rules", {"rules": {".read": False}})
    assert own.next() == ("cancel", None)
    assert own.next() is None


def test_a_token_that_expires_ends_its_stream(server, listen):
    stream = listen("n", {}, auth=token("u1", exp=time.time() + 0.5))
    assert stream.next() == put("/", None)
    assert stream.next() == ("auth_revoked", "credential is no longer valid")
    assert stream.next() is None


def test_a_client_that_leaves_is_forgotten(server, listen):
    rule = {"connection": server.namespace, "cut": 0}
    server.put(".settings/faults", {"rules": [rule]})
    stream = listen("n")
    assert stream.next() == put("/", None)
    assert open_connections(server, rule) == 1
    stream.close()
    deadline = time.monotonic() + 5
    while open_connections(server, rule) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert open_connections(server, rule) == 0
    server.request("DELETE", ".settings/faults")


def open_connections(server, rule):
    """The number of open streams of a namespace: a new plan decides about each of them again."""
    server.put(".settings/faults", {"rules": [rule]})
    counts = server.get(".settings/faults")["counts"]["connections"]
    return counts[server.namespace]["kept"] if counts else 0


def test_keep_alive_events_are_sent_if_nothing_changes(monkeypatch):
    import asyncio

    from aiohttp import ClientSession, web

    from rtdb_emulator.database.auth import Caller
    from rtdb_emulator.database.databases import Database
    from rtdb_emulator.faults.injector import Faults

    monkeypatch.setattr(streaming, "KEEP_ALIVE_S", 0.01)
    database = Database("n", lambda change: None)

    async def handle(request):
        return await streaming.stream(request, database, ("a",), None, Caller(is_admin=True), Faults())

    async def main():
        application = web.Application()
        application.router.add_get("/", handle)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            lines = [(await answer.content.readline()).decode().strip() for _ in range(5)]
        await runner.cleanup()
        return lines

    assert asyncio.run(main())[3:] == ["event: keep-alive", "data: null"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_emulator_with_open_streams_ends_at_once(stop):
    emulator = start()
    stream = Stream(Server(emulator.port, "n"), "a")
    assert stream.next() == put("/", None)
    assert emulator.stop(stop) == 0
    assert stream.next() is None
    stream.close()


@pytest.mark.parametrize("fault", [{"fail": 1}, {"fail": 1, "after_effect": True}])
def test_opening_a_stream_can_be_made_to_fail(server, listen, fault):
    server.put(".settings/faults", {"rules": [{"path": "n", **fault}]})
    assert listen("n").status == 503
    server.request("DELETE", ".settings/faults")
    assert listen("n").next() == put("/", None)
