"""The fixtures of ``tests.database_server``, and one database with the project's rules for the whole corpus."""

import pytest

from tests.database_server import ROOT, Server, port, server

__all__ = ["port", "server"]


@pytest.fixture(scope="module")
def shared(port):
    shared = Server(port, "corpus")
    assert shared.request("PUT", ".settings/rules", data=(ROOT / "database.rules.json").read_bytes()).ok
    return shared
