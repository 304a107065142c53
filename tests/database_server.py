"""A real server on a free port, without triggers, and its clients."""

import base64
import json
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bookrec_database.concurrency import run_concurrently
from bookrec_database.connection import connect, disconnect
from bookrec_database.database import FirebaseDatabase
from local.database_emulator import running

ROOT = Path(__file__).resolve().parents[1]
ADMIN = {"Authorization": "Bearer owner"}


class Server:
    """A client of one namespace of a running emulator."""

    def __init__(self, port, namespace):
        self.host, self.namespace = f"127.0.0.1:{port}", namespace
        self._session = requests.Session()

    def request(self, method, path, value=None, *, headers=ADMIN, data=None, **query):
        parameters = {"ns": self.namespace, **query}
        body = {"data": data} if data is not None else {} if value is None and method == "GET" else {"json": value}
        return self._session.request(
            method, f"http://{self.host}/{path}.json", params=parameters, headers=headers, timeout=10, **body
        )

    def get(self, path, **query):
        answer = self.request("GET", path, **query)
        assert answer.ok, answer.text
        return answer.json()

    def put(self, path, value, **query):
        answer = self.request("PUT", path, value, **query)
        assert answer.ok, answer.text


def token(uid, **claims):
    """An ID token as the Auth emulator makes them: nobody signed it."""
    body = {"user_id": uid, "sub": uid, "exp": int(time.time()) + 60, **claims}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, body)
    ]
    return ".".join([*parts, ""])


def references(server):
    """Connect to a server's namespace, with the project's rules."""
    assert server.request("PUT", ".settings/rules", data=(ROOT / "database.rules.json").read_bytes()).ok
    return connect("demo-bookrec", f"http://{server.host}?ns={server.namespace}")


@contextmanager
def connected(server):
    """The real adapter over a server's namespace, with the project's rules."""
    yield FirebaseDatabase(references(server), run_concurrently)
    disconnect()


@pytest.fixture(scope="session")
def port():
    with running() as emulator:
        yield emulator.port
    assert emulator.process.returncode == 0


_numbers = iter(range(10_000))


@pytest.fixture
def server(port):
    """An empty namespace of its own for each test."""
    return Server(port, f"test-{next(_numbers)}")
