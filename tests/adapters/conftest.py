"""The fixtures of ``tests.database_server`` and ``tests.storage_server``."""

from tests.database_server import port, server
from tests.storage_server import storage_url

__all__ = ["port", "server", "storage_url"]
