"""The fixtures of ``tests.database_server`` and ``tests.storage_server``."""

from tests.database_server import deliveries, port, server
from tests.storage_server import storage_url

__all__ = ["deliveries", "port", "server", "storage_url"]
