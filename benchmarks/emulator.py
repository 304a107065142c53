"""``make bench-emulator``: the database emulator under load, over the wire: writes, listeners, queries, memory."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import statistics
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import psutil

from benchmarks.data import OUT
from local.database_emulator import DatabaseEmulator, running

LISTENERS = 100
TARGET_WRITES = 1_000
"""Small writes a second, with ``LISTENERS`` live, on one core."""

IN_FLIGHT = 64
"""Writes of one client that wait for their answers."""

CALLS = 200
SIZES = (1_000, 10_000, 100_000, 1_000_000)
RULES = '{"rules": {".read": true, ".write": true, "n": {".indexOn": "a"}}}'
ADMIN = {"Authorization": "Bearer owner"}


class Server:
    """The emulator as a process of its own, on a core of its own where there are two."""

    def __init__(self, emulator: DatabaseEmulator) -> None:
        self.port, self._process = emulator.port, psutil.Process(emulator.process.pid)

    def cpu_s(self) -> float:
        """Return the processor time that it has used, in seconds."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """Return its resident memory in MB."""
        return float(self._process.memory_info().rss) / 1e6


@contextmanager
def alone() -> Iterator[Server]:
    """Run an emulator on one core, and this on the others."""
    cores = sorted(os.sched_getaffinity(0))
    with running() as emulator:
        os.sched_setaffinity(emulator.process.pid, cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        try:
            yield Server(emulator)
        finally:
            os.sched_setaffinity(0, cores)


class Connection(asyncio.Protocol):
    """A client of the SDKs' protocol that only counts what it gets, so that it costs less than the server does."""

    def __init__(self) -> None:
        self.answers = self.events = 0
        self._tail = b""
        self.greeted = asyncio.get_running_loop().create_future()
        self.arrived = asyncio.Event()

    @classmethod
    async def open(cls, port: int, namespace: str) -> Connection:
        """Connect, and wait for the handshake."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        key = base64.b64encode(random.randbytes(16)).decode()
        connection.transport.write(
            f"GET /.ws?v=5&ns={namespace} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        await connection.greeted
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count."""
        data = self._tail + data
        if not self.greeted.done() and b'"t":"h"' in data:
            self.greeted.set_result(None)
        self.answers += data.count(b'"s":"ok"')
        self.events += data.count(b'"a":"d"') + data.count(b'"a":"m"')
        # A mark may be cut in two, and must not be counted twice.
        self._tail = data[-6:] if data[-7:] not in (b'"a":"d"', b'"a":"m"') else b""
        self.arrived.set()

    def send(self, number: int, action: str, body: dict[str, Any]) -> None:
        """Send a request."""
        payload = json.dumps({"t": "d", "d": {"r": number, "a": action, "b": body}}).encode()
        size = len(payload)
        head = bytes((0x81, 0x80 | size)) if size < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, size)
        self.transport.write(head + bytes(4) + payload)  # masked with zeros

    async def wait(self, is_done: Callable[[], bool]) -> None:
        """Wait until what has arrived is enough."""
        while not is_done():
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 60)


async def _writes(port: int, writes: int, places: int) -> None:
    """Write small values over one connection of the SDKs' protocol, in turn at so many places."""
    writer = await Connection.open(port, "load")
    for number in range(writes):
        writer.send(number, "p", {"p": f"n/{number % places}/a", "d": number})
        await writer.wait(lambda: writer.answers > number - IN_FLIGHT)  # noqa: B023  (awaited at once)
    await writer.wait(lambda: writer.answers >= writes)
    writer.transport.close()


async def _rest_writes(port: int, writes: int, places: int) -> None:
    """The same by REST, over 8 kept connections."""
    numbers = iter(range(writes))

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            url = f"http://127.0.0.1:{port}/n/{number % places}/a.json?ns=load&print=silent"
            async with session.put(url, data=str(number)) as answer:
                assert answer.status == 204, await answer.text()

    async with aiohttp.ClientSession(headers=ADMIN) as session:
        await asyncio.gather(*(work(session) for _ in range(8)))


async def _load(
    server: Server, write: Callable[[int, int, int], Awaitable[None]], writes: int, *, shared: bool
) -> dict[str, float]:
    """Measure writes while ``LISTENERS`` clients listen: each to a place of its own, or all to the one written."""
    listeners = [await Connection.open(server.port, "load") for _ in range(LISTENERS)]
    places = 1 if shared else LISTENERS
    for number, listener in enumerate(listeners):
        listener.send(1, "q", {"p": f"n/{0 if shared else number}", "h": ""})
        await listener.wait(lambda listener=listener: listener.answers == 1)  # type: ignore[misc]
    # The hash of nothing is what they sent: there was nothing to tell yet.
    expected = writes if shared else writes // LISTENERS
    cpu, start = server.cpu_s(), time.perf_counter()
    await write(server.port, writes, places)
    for listener in listeners:
        await listener.wait(lambda listener=listener: listener.events >= expected)  # type: ignore[misc]
    took, used = time.perf_counter() - start, server.cpu_s() - cpu
    told = sum(listener.events for listener in listeners)
    for listener in listeners:
        listener.transport.close()
    return {
        "writes": writes,
        "events told": told,
        "events expected": expected * LISTENERS,
        "seconds": took,
        "writes a second": writes / took,
        "processor ms a write": used / writes * 1e3,
        "share of one core at the target": used / writes * TARGET_WRITES,
    }


def _entry(number: int, chance: random.Random) -> dict[str, Any]:
    return {"a": chance.random(), "b": number}


async def _among(server: Server, size: int, calls: int) -> dict[str, float]:
    """Measure a query over an index and a write of one child, among so many siblings."""
    base, chance = f"http://127.0.0.1:{server.port}", random.Random(1)
    async with aiohttp.ClientSession(headers=ADMIN) as session:
        await _put(session, f"{base}/.settings/rules.json?ns=load", RULES)
        before = server.memory_mb()
        body = json.dumps({f"k{number}": _entry(number, chance) for number in range(size)})
        await _put(session, f"{base}/n.json?ns=load&print=silent&writeSizeLimit=unlimited", body)
        memory = server.memory_mb() - before
        query = f'{base}/n.json?ns=load&orderBy="a"&startAt=0.5&limitToFirst=10'
        start = time.perf_counter()
        await _get(session, query)
        first = time.perf_counter() - start
        queries, writes = [], []
        for number in range(calls):
            start = time.perf_counter()
            assert len(await _get(session, query)) == 10
            queries.append(time.perf_counter() - start)
            place = f"{base}/n/k{number * 7 % size}.json?ns=load&print=silent"
            body = json.dumps(_entry(number, chance))
            start = time.perf_counter()
            await _put(session, place, body)
            writes.append(time.perf_counter() - start)
    return {
        "children": size,
        "memory MB": memory,
        "first query s": first,
        "query ms": statistics.median(queries) * 1e3,
        "write ms": statistics.median(writes) * 1e3,
    }


def _shapes(nodes: int) -> Iterator[tuple[str, Any]]:
    """Yield so many scalars, as one flat node and as entries of ten fields."""
    yield "flat", {f"k{number}": number for number in range(nodes)}
    chance = random.Random(1)
    fields = ("author", "bookId", "isbn", "myRate", "pages", "publisher", "shelf", "title", "userId", "year")
    entries = range(nodes // 10)
    yield "entries", {f"-N{number:018d}": {field: chance.randrange(10**6) for field in fields} for number in entries}


async def _memory(server: Server, value: Any) -> dict[str, float]:
    """Measure the memory that a value takes."""
    before = server.memory_mb()
    body = json.dumps(value)
    async with aiohttp.ClientSession(headers=ADMIN) as session:
        url = f"http://127.0.0.1:{server.port}/n.json?ns=load&print=silent&writeSizeLimit=unlimited"
        await _put(session, url, body)
    return {"JSON MB": len(body) / 1e6, "memory MB": server.memory_mb() - before}


async def _put(session: aiohttp.ClientSession, url: str, body: str) -> None:
    async with session.put(url, data=body) as answer:
        assert answer.status in (200, 204), await answer.text()


async def _get(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emulator", description=__doc__)
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"listeners": LISTENERS, "target": f"{TARGET_WRITES} writes a second on one core"}
    for name, write, shared in (
        ("SDK protocol, each listener its own node", _writes, False),
        ("SDK protocol, all listeners the node written", _writes, True),
        ("REST, each listener its own node", _rest_writes, False),
        ("REST, all listeners the node written", _rest_writes, True),
    ):
        with alone() as server:
            row = asyncio.run(_load(server, write, arguments.writes // (4 if shared else 1), shared=shared))
        results[name] = row
        verdict = "met" if row["writes a second"] >= TARGET_WRITES else "MISSED"
        print(f"{name}: {row['writes a second']:,.0f} writes/s ({verdict}); {row['events told']:,.0f} events told")
        print(f"  server: {row['processor ms a write']:.3f} ms of processor time a write")
    results["sizes"] = []
    for size in SIZES:
        with alone() as server:
            row = asyncio.run(_among(server, size, CALLS))
        results["sizes"].append(row)
        print("  ".join(f"{name} {value:,.3g}" for name, value in row.items()))
    first, last = results["sizes"][0], results["sizes"][-1]
    for what in ("query ms", "write ms"):
        ratio = last[what] / first[what]
        print(f"{what}: {ratio:.2f} times as long among {last['children']:,} as among {first['children']:,}")
    results["memory"] = {}
    for name, value in _shapes(arguments.nodes):
        with alone() as server:
            row = results["memory"][name] = asyncio.run(_memory(server, value))
        print(
            f"{arguments.nodes:,} nodes, {name}: {row['JSON MB']:,.0f} MB of JSON, {row['memory MB']:,.0f} MB of memory"
        )
    OUT.mkdir(exist_ok=True)
    (OUT / "emulator.json").write_text(json.dumps(results, indent=1))
    print(f"written: {OUT}/emulator.json")


if __name__ == "__main__":
    main()
