"""Databases and buckets over the wire."""

import pytest

from tests.memory_database import RULES
from tests.storage_server import storage_url
from trainer.publishing.adapters import Database, connect, disconnect

__all__ = ["storage_url"]


@pytest.fixture
def database(server, monkeypatch):
    """An empty database with the project's rules; ``server`` is its client."""
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", server.host)
    assert server.request("PUT", ".settings/rules", data=RULES).ok
    yield Database(connect("demo", f"http://{server.host}?ns={server.namespace}"))
    disconnect()
    server.request("DELETE", ".settings/faults")
