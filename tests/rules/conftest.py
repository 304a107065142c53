"""A database with the project's rules, and a client that can be any user."""

import pytest

from tests.database_server import ROOT, port, server
from tests.rules.world import WORLD, as_user

__all__ = ["port", "server"]


@pytest.fixture
def database(server):
    answer = server.request("PUT", ".settings/rules", data=(ROOT / "database.rules.json").read_bytes())
    assert answer.ok, answer.text
    server.put("", WORLD)
    return server


@pytest.fixture
def allowed(database):
    """Sends a request as a reader (``uid`` None: as nobody) and returns whether the rules allow it."""

    def ask(method, path, value=None, uid="ana", **query):
        headers = {} if uid is None else as_user(uid)
        answer = database.request(method, path, value, headers=headers, **query)
        assert answer.ok or (answer.status_code, answer.json()["error"]) == (401, "Permission denied"), answer.text
        return answer.ok

    return ask
