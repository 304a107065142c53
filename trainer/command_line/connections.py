"""Connections to the project's services, for commands that need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.command_line.errors import SettingError

if TYPE_CHECKING:
    from bookrec_database.connection import NodeAt
    from bookrec_database.database import FirebaseDatabase
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
    database: FirebaseDatabase
    instances: Sequence[tuple[str, NodeAt]]


@contextmanager
def project_databases() -> Iterator[Databases]:
    """Yield the databases of the project that the environment names.

    Raises:
        SettingError: naming the variable that is missing or wrong.
    """
    from bookrec_database.concurrency import run_concurrently
    from bookrec_database.connection import disconnect
    from bookrec_database.database import FirebaseDatabase
    from trainer.cloud import database_url, other_database_urls, project_id

    try:
        project = project_id()
    except RuntimeError as problem:
        raise SettingError(str(problem)) from problem
    try:
        first = _connect(project, database_url(project), "DATABASE_URL")
        others = [(url, _connect(project, url, "DATABASES")) for url in other_database_urls()]
        database = FirebaseDatabase(first, run_concurrently, others=[node_at for _, node_at in others])
        yield Databases(project, database, [("", first), *others])
    finally:
        disconnect()


def _connect(project: str, url: str, variable: str) -> NodeAt:
    """Return the references of a database; the client checks the address, without a request."""
    from bookrec_database.connection import connect

    try:
        return connect(project, url, uses_proxies=True)
    except ValueError as problem:
        raise SettingError(f"{variable}: {problem}") from problem


def services_of(databases: Databases) -> Services:
    """Return the services of a project whose databases are connected.

    Raises:
        SettingError: if ``MODEL_BUCKET`` is not the name of a bucket.
    """
    from trainer.cloud import now_ms
    from trainer.pipeline import answers
    from trainer.publishing.bucket import CloudBucket
    from trainer.publishing.heart import beat_in_process
    from trainer.run import Services

    try:
        bucket = CloudBucket(databases.project)
    except ValueError as problem:  # the client checks the name, without a request
        raise SettingError(f"MODEL_BUCKET: {problem}") from problem
    return Services(databases.database, bucket, answers, now_ms, beat_in_process)


@contextmanager
def project_services() -> Iterator[Services]:
    """Yield the services of the project that the environment names.

    Raises:
        SettingError: naming the variable that is missing or wrong.
    """
    with project_databases() as databases:
        yield services_of(databases)
