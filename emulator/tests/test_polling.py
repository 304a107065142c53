"""The client SDKs' long polling, request by request."""

import asyncio
import base64
import json
import re

import aiohttp
import pytest
import requests

from rtdb_emulator.database.databases import Databases
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.wire import polling

from .database_server import token

PING = {"t": "c", "d": {"t": "p", "d": {}}}


def ask(number, action, **body):
    return {"t": "d", "d": {"r": number, "a": action, "b": body}}


class Poller:
    """A client that polls, of which only the calls that scripts make are known."""

    def __init__(self, server):
        self._url, self._namespace = f"http://{server.host}/.lp", server.namespace
        self._sent = 0
        text = self.load(start="t", cb="7", v=5, ser=1)
        assert text.startswith("function pLPCommand(c,a,b){parent.window['pLPCommand7'](c,a,b)}")
        self.id, self.password = re.search(r"pLPCommand\('start','([^']+)','([^']+)'\)", text).groups()
        ((number, (hello,)),) = packets(text)
        assert number == 0
        assert hello["d"]["t"] == "h"
        self.session = hello["d"]["d"]["s"]

    def load(self, **parameters):
        answer = requests.get(self._url, params={"ns": self._namespace, **parameters}, timeout=30)
        assert answer.status_code == 200
        return answer.text

    def parts(self, message, size=1000):
        """The parts of a message, as they stand in an address."""
        text = base64.b64encode(json.dumps(message).encode()).decode().translate(str.maketrans("+/=", "-_."))
        found = [text[place : place + size] for place in range(0, len(text), size)]
        first, self._sent = self._sent, self._sent + len(found)
        return [(first + number, len(found), part) for number, part in enumerate(found)]

    def poll(self, *parts, **more):
        named = {}
        for number, (place, total, part) in enumerate(parts):
            named |= {f"seg{number}": place, f"ts{number}": total, f"d{number}": part}
        return self.load(id=self.id, pw=self.password, ser=2, **named, **more)


def packets(text):
    return [(int(number), json.loads(data)) for number, data in re.findall(r"pRTLPCB\((\d+),(\[.*?\])\);", text)]


def test_requests_and_their_answers(server):
    server.put("a", "é\u2028")
    poller = Poller(server)
    sent = [*poller.parts(ask(1, "g", p="a")), *poller.parts(PING)]
    ((number, messages),) = packets(poller.poll(*sent))
    assert number == 1
    assert messages[0]["d"] == {"r": 1, "b": {"s": "ok", "d": "é\u2028"}}
    assert messages[1]["d"]["t"] == "o"


def test_a_request_waits_for_a_change(server):
    poller = Poller(server)
    poller.poll(*poller.parts(ask(1, "q", p="a", h="")))
    told = asyncio.run(poll_and_write(poller, server))
    ((number, (message,)),) = packets(told)
    assert number == 2
    assert message["d"] == {"a": "d", "b": {"p": "a", "d": 5}}


async def poll_and_write(poller, server):
    waiting = asyncio.create_task(asyncio.to_thread(poller.poll))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await asyncio.to_thread(server.put, "a", 5)
    return await waiting


def test_a_second_request_frees_the_first(server):
    async def both():
        poller = Poller(server)
        first = asyncio.create_task(asyncio.to_thread(poller.poll))
        await asyncio.sleep(0.2)
        second = await asyncio.to_thread(poller.poll, *poller.parts(PING))
        return await first, second

    texts = asyncio.run(both())
    assert [len(packets(text)) for text in texts] in ([0, 1], [1, 0])


def test_parts_may_come_in_any_order(server):
    poller = Poller(server)
    first, second, third = poller.parts(ask(1, "p", p="a", d="x" * 100), size=80)
    after = poller.parts(ask(2, "g", p="a"))

    async def all_of_them():
        early = asyncio.create_task(asyncio.to_thread(poller.poll, third, *after))
        await asyncio.sleep(0.2)
        late = await asyncio.to_thread(poller.poll, second, first)
        return packets(await early) + packets(late)

    messages = [message["d"] for _, each in asyncio.run(all_of_them()) for message in each]
    assert messages == [{"r": 1, "b": {"s": "ok", "d": ""}}, {"r": 2, "b": {"s": "ok", "d": "x" * 100}}]


def test_a_page_that_ends_ends_the_client(server):
    poller = Poller(server)
    poller.poll(*poller.parts(ask(1, "o", p="gone", d=True)))
    frame = poller.poll(dframe="t")
    assert "sendBeacon" in frame
    assert server.get("gone") is None
    poller.poll(disconn="t")
    assert server.get("gone") is True
    assert poller.poll() == "pLPCommand('close');"


def test_a_client_without_requests_has_left(monkeypatch):
    monkeypatch.setattr(polling, "IDLE_S", 0.05)
    ended = []

    async def leave():
        database = Databases()["x"]
        poll = polling._Poll(database, Faults(), on_end=lambda: ended.append(True))
        await poll.session.take(json.dumps(ask(1, "o", p="gone", d=1)))
        await asyncio.sleep(0.2)
        return database.root

    assert asyncio.run(leave()) == {"gone": 1}
    assert ended == [True]


def test_a_client_without_the_password_is_unknown(server):
    poller = Poller(server)
    assert poller.load(id=poller.id, pw="x") == "pLPCommand('close');"
    assert poller.load(id=poller.id, pw="é") == "pLPCommand('close');"
    assert poller.load(id="x", pw=poller.password) == "pLPCommand('close');"
    assert poller.load() == "pLPCommand('close');"


def late_polls(first, second):
    """Send two polls, the second while the first may wait; return what each is answered, or None while it waits."""

    async def run():
        poll = polling._Poll(Databases()["x"], Faults(), on_end=lambda: None)
        answers = [None, None]

        async def ask_for(place, given):
            answers[place] = await poll.answer(given)

        tasks = []
        for place, given in enumerate((first, second)):
            tasks.append(asyncio.create_task(ask_for(place, given)))
            for _ in range(20):
                await asyncio.sleep(0)
        poll.end()
        held = [answer is None for answer in answers]
        await asyncio.gather(*tasks)
        return [None if is_held else answer for is_held, answer in zip(held, answers, strict=True)]

    return asyncio.run(run())


def carrying(message):
    text = base64.b64encode(json.dumps(message).encode()).decode()
    return {"seg0": "0", "ts0": "1", "d0": text.translate(str.maketrans("+/=", "-_."))}


@pytest.mark.parametrize(
    ("first", "second"),
    [("102", "101"), ("100000000", "99999999"), ("10", "9"), ("7", "0"), ("4294967296", "7")],
)
def test_a_poll_that_arrives_late_releases_both(first, second):
    assert late_polls({"ser": first}, {"ser": second}) == ["", ""]
    early, late = late_polls({"ser": first, **carrying(PING)}, {"ser": second})
    assert [len(packets(early)), late] == [1, ""]
    early, late = late_polls({"ser": first}, {"ser": second, **carrying(PING)})
    assert sorted([len(packets(early)), len(packets(late))]) == [0, 1]


@pytest.mark.parametrize(
    ("first", "second"), [("101", "102"), ("9", "10"), ("5", "5"), ("5", ""), ("x", "1"), ("5", "-1"), ("5", "²")]
)
def test_a_poll_that_arrives_in_its_turn_waits_and_releases_the_one_before(first, second):
    assert late_polls({"ser": first}, {"ser": second}) == ["", None]
    assert late_polls({}, {}) == ["", None]


@pytest.mark.parametrize("bearer", ["x", token("ana", exp=1), "owner"])
def test_a_token_in_the_headers_of_a_client_that_polls_does_not_count(server, bearer):
    url, headers = f"http://{server.host}/.lp", {"Authorization": f"Bearer {bearer}"}
    answer = requests.get(url, {"ns": server.namespace, "start": "t", "cb": "1", "v": 5}, headers=headers, timeout=10)
    assert answer.status_code == 200
    assert "pLPCommand('start'" in answer.text


@pytest.mark.parametrize(
    "parameters",
    [
        {"start": "t", "cb": "1');alert('"},
        {"seg0": "x", "ts0": "1", "d0": "e30."},
        {"seg0": "0", "d0": "e30."},
        {"seg0": "0", "ts0": "1", "d0": "?"},
        {"seg0": "0", "ts0": "1", "d0": "_w.."},
    ],
)
def test_requests_outside_the_protocol_are_rejected(server, parameters):
    poller = Poller(server)
    given = {"ns": server.namespace, "id": poller.id, "pw": poller.password, **parameters}
    answer = requests.get(f"http://{server.host}/.lp", params=given, timeout=10)
    assert answer.status_code == 400
    assert "error" in answer.json()


async def going_on(server, poller):
    """Go on over a WebSocket as the SDK does; return what came there, and the last script."""
    url = f"http://{server.host}/.ws?v=5&ns={server.namespace}&s={poller.session}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        assert (await socket.receive_json(timeout=10))["d"]["t"] == "a"
        await socket.send_str('{"t":"c","d":{"t":"p","d":{}}}')
        assert (await socket.receive_json(timeout=10))["d"]["t"] == "o"
        await socket.send_json({"t": "c", "d": {"t": "a", "d": {}}})
        await socket.send_json(ask(2, "p", p="a", d=2))  # must wait for what is sent on the old way
        await asyncio.sleep(0.2)
        end = {"t": "c", "d": {"t": "n", "d": {}}}
        sent = [*poller.parts(ask(1, "p", p="a", d=1)), *poller.parts(end)]
        script = await asyncio.to_thread(poller.poll, *sent)
        found = [await socket.receive_json(timeout=10) for _ in range(2)]
    return script, [message["d"] for message in found]


def test_a_client_goes_on_over_a_websocket_in_order(server):
    poller = Poller(server)
    poller.poll(*poller.parts(ask(0, "q", p="a", h="")))
    script, messages = asyncio.run(going_on(server, poller))
    ((number, told),) = packets(script)
    assert [each["d"] for each in told[:-1]] == [
        {"a": "d", "b": {"p": "a", "d": 1}},
        {"r": 1, "b": {"s": "ok", "d": ""}},
    ]
    assert told[-1]["d"]["t"] == "n"
    assert script.endswith(f"pLPCommand('close',{number});")
    assert messages[0] == {"a": "d", "b": {"p": "a", "d": 2}}
    assert messages[1] == {"r": 2, "b": {"s": "ok", "d": ""}}
