"""What all tests of the emulator share."""

from hypothesis import settings

from .database_server import deliveries, port, server

__all__ = ["deliveries", "port", "server"]

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
