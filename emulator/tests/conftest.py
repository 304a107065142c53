"""The fixtures of ``tests.database_server``."""

from tests.database_server import deliveries, port, server

__all__ = ["deliveries", "port", "server"]
