"""The real services of the project, for commands that need them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trainer.run import Services


@contextmanager
def project_services() -> Iterator[Services]:
    """Yield the services of the project that the environment names."""
    from trainer.holder import beat_in_thread
    from trainer.product import answers
    from trainer.services import Bucket, Database, connect, connect_others, disconnect, now_ms, project_id

    project = project_id()
    database = Database(connect(project), connect_others(project))
    try:
        yield Services(database, Bucket(project), answers, now_ms, beat_in_thread)
    finally:
        disconnect()
