"""The command line in this process, over databases and buckets on the wire."""

import json
from dataclasses import dataclass

import pytest
import requests

from bookrec import paths
from tests.memory_database import RULES
from tests.storage_server import storage_url
from tests.trainer.tiny import COMMANDS, TINY
from trainer.__main__ import main

__all__ = ["command", "project", "storage_url", "tiny"]

PROJECT = "demo-commands"


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def command(capsys):
    """Runs a command as a user types it."""

    def run(*words):
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as ended:  # argparse
            code = ended.code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Ended(code, printed.out, printed.err)

    return run


@pytest.fixture
def tiny(monkeypatch):
    """Has commands train in seconds."""
    for module in COMMANDS:
        monkeypatch.setattr(f"{module}.DEFAULTS", TINY)


_numbers = iter(range(10_000))


@pytest.fixture
def project(server, storage_url, monkeypatch):
    """An empty database with the rules, and an empty bucket, which the environment names; the database's client."""
    assert server.request("PUT", ".settings/rules", data=RULES).ok
    server.bucket = f"commands-{next(_numbers)}"
    requests.post(f"{storage_url}/storage/v1/b", json={"name": server.bucket}, timeout=5).raise_for_status()
    for name, value in {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "DATABASE_URL": f"http://{server.host}?ns={server.namespace}",
        "FIREBASE_DATABASE_EMULATOR_HOST": server.host,
        "STORAGE_EMULATOR_HOST": storage_url,
        "MODEL_BUCKET": server.bucket,
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("DATABASES", "SNAPSHOTS", "BY_USER", "BATCH_LISTS", "BASELINES", "TF_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    yield server
    assert server.get(f"{paths.LEASE}/holder") is None, "a command kept the lease"


def fill(server, ratings, books):
    """Put shelves and a catalogue into a database."""
    server.put(
        paths.USER_BOOK,
        {
            f"-k{n:05}": {"userId": row.userId, "bookId": f"b{n}", "isbn": row.isbn, "myRate": float(row.myRate)}
            for n, row in enumerate(ratings.itertuples())
        },
    )
    server.put(
        paths.ARCHIVE,
        {f"a{n}": {"isbn": b.isbn, "title": b.title, "author": b.authors} for n, b in enumerate(books.itertuples())},
    )
