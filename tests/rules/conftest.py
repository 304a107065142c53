"""A database with the project's rules, and a client that can be any user."""

import os
from pathlib import Path

import pytest
import requests

from tests.database_server import ROOT, port, server
from tests.rules.world import WORLD, as_user

__all__ = ["port", "server"]

COVERAGE = "RULES_COVERAGE"
"""Names a file, to which each test then adds a line with what the rules were evaluated to, as JSON."""


@pytest.fixture
def database(server):
    answer = server.request("PUT", ".settings/rules", data=(ROOT / "database.rules.json").read_bytes())
    assert answer.ok, answer.text
    server.put("", WORLD)
    yield server
    if COVERAGE in os.environ:
        report = requests.get(f"http://{server.host}/.inspect/coverage.json", {"ns": server.namespace}, timeout=10)
        with Path(os.environ[COVERAGE]).open("a") as file:
            print(report.text, file=file)


@pytest.fixture
def allowed(database):
    """Sends a request as a reader (``uid`` None: as nobody) and returns whether the rules allow it."""

    def ask(method, path, value=None, uid="ana", **query):
        headers = {} if uid is None else as_user(uid)
        answer = database.request(method, path, value, headers=headers, **query)
        assert answer.ok or (answer.status_code, answer.json()["error"]) == (401, "Permission denied"), answer.text
        return answer.ok

    return ask
