"""Databases and buckets over the wire."""

import pytest

from tests.database_server import connected
from tests.storage_server import storage_url

__all__ = ["storage_url"]


@pytest.fixture
def database(server):
    """An empty database with the project's rules; ``server`` is its client."""
    with connected(server) as adapter:
        yield adapter
    server.request("DELETE", ".settings/faults")
