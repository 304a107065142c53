"""The fixtures of ``tests.database_server``."""

from tests.database_server import port, server

__all__ = ["port", "server"]
