"""Connections to the project's services, for commands that need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.command_line.errors import SettingError

if TYPE_CHECKING:
    from trainer.publishing.adapters import Database, NodeAt
    from trainer.run import Services


@dataclass(frozen=True, slots=True)
class Databases:
    """The project's database instances.

    Attributes:
        project: its name.
        database: all instances as one.
        instances: name and references of each instance; the one with pointer and lease comes first.
    """

    project: str
    database: Database
    instances: Sequence[tuple[str, NodeAt]]


@contextmanager
def project_databases() -> Iterator[Databases]:
    """Yield the databases of the project that the environment names.

    Raises:
        SettingError: naming the variable that is missing or wrong.
    """
    import os

    from trainer.publishing.adapters import Database, connect, connect_others, disconnect, project_id

    try:
        project = project_id()
    except RuntimeError as problem:
        raise SettingError(str(problem)) from problem
    first, others = connect(project), connect_others(project)
    try:
        urls = [url.strip() for url in os.environ.get("DATABASES", "").split(",") if url.strip()]
        instances = [("", first), *zip(urls, others, strict=True)]
        for name, node_at in instances:
            _check(node_at, "DATABASES" if name else "DATABASE_URL")
        yield Databases(project, Database(first, others), instances)
    finally:
        disconnect()


def _check(node_at: NodeAt, variable: str) -> None:
    """Have the client check its address, without a request."""
    try:
        node_at("Recommender")
    except ValueError as problem:
        raise SettingError(f"{variable}: {problem}") from problem


def services_of(databases: Databases) -> Services:
    """Return the services of a project whose databases are connected."""
    from trainer.pipeline import answers
    from trainer.publishing.adapters import Bucket, now_ms
    from trainer.publishing.lease_holder import beat_in_thread
    from trainer.run import Services

    return Services(databases.database, Bucket(databases.project), answers, now_ms, beat_in_thread)


@contextmanager
def project_services() -> Iterator[Services]:
    """Yield the services of the project that the environment names.

    Raises:
        SettingError: naming the variable that is missing or wrong.
    """
    with project_databases() as databases:
        yield services_of(databases)
