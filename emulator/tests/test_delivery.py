"""Delivery: bounded, in the background, and not upset by a receiver that fails."""

import asyncio
import logging
import time

import pytest
from aiohttp import web

from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.triggers import delivery
from rtdb_emulator.triggers.delivery import Dispatcher
from rtdb_emulator.triggers.trigger import parse_trigger

ADMIN = Caller(is_admin=True)
TRIGGER = {
    "name": "projects/p/locations/us-central1/triggers/us-central1-f-0",
    "path": "n/{id}",
    "event": "google.firebase.database.ref.v1.written",
}


class Receiver:
    """A functions emulator that takes its time and notes how many requests it has at once."""

    def __init__(self, status=200, seconds=0.01):
        self.status, self.seconds = status, seconds
        self.now = self.most = 0
        self.refs = []

    async def handle(self, request):
        self.now += 1
        self.most = max(self.most, self.now)
        event = await request.json()
        await asyncio.sleep(self.seconds)
        self.refs.append(event["ref"])
        self.now -= 1
        return web.Response(status=self.status)


def run(receiver, scenario, *, in_flight=3, faults=None, timeouts=None):
    async def main():
        app = web.Application()
        app.router.add_post("/functions/projects/p/triggers/us-central1-f-0", receiver.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        dispatcher = Dispatcher(f"127.0.0.1:{port}", "127.0.0.1:9000", in_flight, faults or Faults(), timeouts)
        dispatcher.register(parse_trigger(TRIGGER))
        await scenario(Databases(dispatcher)["x"], dispatcher, runner)
        await dispatcher.close()
        await runner.cleanup()

    asyncio.run(main())


async def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_a_burst_is_delivered_whole_a_few_at_a_time_and_the_write_does_not_wait():
    receiver = Receiver()

    async def scenario(database, dispatcher, runner):
        database.write({("n",): {f"k{i}": i for i in range(100)}}, ADMIN)
        assert receiver.refs == []
        await until(lambda: len(receiver.refs) == 100)

    run(receiver, scenario)
    assert sorted(receiver.refs) == sorted(f"n/k{i}" for i in range(100))
    assert receiver.most == 3


def test_a_second_write_while_the_first_is_under_way_keeps_to_the_bound():
    receiver = Receiver(seconds=0.05)

    async def scenario(database, dispatcher, runner):
        for i in range(9):
            database.write({("n", f"k{i}"): i}, ADMIN)
            await asyncio.sleep(0.005)
        dispatcher.register(parse_trigger(TRIGGER))
        await until(lambda: len(receiver.refs) == 9)

    run(receiver, scenario)
    assert receiver.most == 3


@pytest.mark.parametrize("status", [404, 500])
def test_a_failure_is_logged_once_and_not_tried_again(status, caplog):
    receiver = Receiver(status)

    async def scenario(database, dispatcher, runner):
        database.write({("n", "k"): 1}, ADMIN)
        await until(lambda: len(caplog.records) == 1)
        await asyncio.sleep(0.05)

    with caplog.at_level(logging.WARNING, logger="rtdb_emulator"):
        run(receiver, scenario)
    assert receiver.refs == ["n/k"]
    assert f"answered {status} to an event of /n/k" in caplog.text
    assert len(caplog.records) == 1


class Mute(Receiver):
    """A functions emulator that does not answer the first events: it breaks the connection, or keeps it."""

    def __init__(self, mute, keeps):
        super().__init__()
        self.left, self.keeps, self.ids = mute, keeps, []

    async def handle(self, request):
        event = await request.json()
        self.ids.append(event["id"])
        if self.left:
            self.left -= 1
            if self.keeps:
                await asyncio.sleep(30)
            request.transport.abort()
            return web.Response()
        self.refs.append(event["ref"])
        return web.Response()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(delivery, "START_S", 0.4)
    monkeypatch.setattr(delivery, "SILENCE_S", 0.1)
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.6)
    monkeypatch.setattr(delivery, "WAITS_S", (0.01, 0.02))


@pytest.mark.parametrize("keeps", [False, True], ids=["breaks", "keeps"])
def test_an_event_that_nobody_answers_is_delivered_again_with_the_same_id(impatient, keeps):
    receiver = Mute(2, keeps)

    async def scenario(database, dispatcher, runner):
        database.write({("n", "k"): 1}, ADMIN)
        await until(lambda: receiver.refs)

    run(receiver, scenario)
    assert len(receiver.ids) == 3
    assert len(set(receiver.ids)) == 1


@pytest.mark.parametrize(("name", "deliveries"), [("central1-f", 1), ("another", 3)])
def test_a_function_that_may_run_longer_is_waited_for_longer(impatient, name, deliveries):
    class Slow(Mute):
        async def handle(self, request):
            self.ids.append((await request.json())["id"])
            await asyncio.sleep(1 if deliveries == 1 else 30)
            self.refs.append("answered")
            return web.Response()

    receiver = Slow(0, keeps=True)

    async def scenario(database, dispatcher, runner):
        database.write({("n", "k"): 1}, ADMIN)
        await until(lambda: receiver.refs if deliveries == 1 else len(receiver.ids) == deliveries)

    run(receiver, scenario, timeouts={name: 20})
    assert len(receiver.ids) == deliveries


def test_an_event_that_nobody_ever_answers_is_given_up(impatient, caplog):
    receiver = Mute(100, keeps=False)

    async def scenario(database, dispatcher, runner):
        database.write({("n", "k"): 1}, ADMIN)
        await until(lambda: len(caplog.records) == 3)
        await asyncio.sleep(0.2)

    with caplog.at_level(logging.WARNING, logger="rtdb_emulator"):
        run(receiver, scenario)
    assert len(receiver.ids) == len(caplog.records) == 3


def test_deliveries_to_killed_workers_do_not_hold_up_the_events_after_them(impatient, monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE_S", 20)
    receiver = Mute(3, keeps=True)

    async def scenario(database, dispatcher, runner):
        for number in range(9):
            database.write({("n", f"k{number}"): 1}, ADMIN)
        began = time.monotonic()
        await until(lambda: len(receiver.refs) == 6)
        assert time.monotonic() - began < 8

    run(receiver, scenario)


def test_places_are_given_up_one_after_the_other_until_somebody_answers(impatient, monkeypatch):
    """Each place that is given up may start a process: not all of them at once."""
    monkeypatch.setattr(delivery, "START_S", 20)
    monkeypatch.setattr(delivery, "PATIENCE_S", 20)
    receiver, taken = Mute(5, keeps=True), []

    async def scenario(database, dispatcher, runner):
        for number in range(20):
            database.write({("n", f"k{number}"): 1}, ADMIN)
        began = time.monotonic()
        while not receiver.refs:
            taken.append((time.monotonic() - began, len(receiver.ids)))
            await asyncio.sleep(0.005)
        await until(lambda: len(receiver.refs) == 15)

    run(receiver, scenario)
    assert len(receiver.ids) == 20
    assert all(number <= 3 + seconds / 0.1 for seconds, number in taken)


def test_an_absent_functions_emulator_does_not_fail_writes(caplog):
    async def scenario(database, dispatcher, runner):
        await runner.cleanup()
        database.write({("n", "k"): 1}, ADMIN)
        await until(lambda: "did not answer an event of /n/k" in caplog.text)
        assert database.read(("n", "k"), ADMIN) == 1

    with caplog.at_level(logging.WARNING, logger="rtdb_emulator"):
        run(Receiver(), scenario)


def test_waiting_deliveries_are_dropped_on_exit():
    async def scenario(database, dispatcher, runner):
        database.write({("n",): {f"k{i}": i for i in range(50)}}, ADMIN)
        await asyncio.sleep(0.02)
        began = time.monotonic()
        await dispatcher.close()
        assert time.monotonic() - began < 5

    run(Receiver(seconds=30), scenario)
