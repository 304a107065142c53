"""The cloud project that this process works for: its name, its databases, its storage, and the time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud import storage

_BEGAN_MS, _BEGAN = time.time() * 1000, time.monotonic()


def project_id() -> str:
    """Return the project that this process works for.

    Raises:
        RuntimeError: if the environment names none.
    """
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        if os.environ.get(name):
            return os.environ[name]
    raise RuntimeError("no project: set GOOGLE_CLOUD_PROJECT (the emulators' is demo-bookrec)")


def database_url(project: str) -> str:
    """Return the address of the first database: ``DATABASE_URL``, or the project's default one or its emulator."""
    emulator, name = os.environ.get("FIREBASE_DATABASE_EMULATOR_HOST"), f"{project}-default-rtdb"
    default = f"http://{emulator}?ns={name}" if emulator else f"https://{name}.firebaseio.com"
    return os.environ.get("DATABASE_URL") or default


def other_database_urls() -> list[str]:
    """Return the addresses of the further databases that ``DATABASES`` lists, separated by commas."""
    return [url.strip() for url in os.environ.get("DATABASES", "").split(",") if url.strip()]


def storage_client(project: str) -> storage.Client:
    """Return a client of Cloud Storage, or of the emulator that ``STORAGE_EMULATOR_HOST`` names."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    credentials = AnonymousCredentials() if os.environ.get("STORAGE_EMULATOR_HOST") else None
    return storage.Client(project=project, credentials=credentials)


def now_ms() -> int:
    """Return this machine's time in milliseconds since 1970; within this process, it never goes back.

    A clock that is set back in the middle of a run would let the run's lease end before its time.
    """
    return int(_BEGAN_MS + (time.monotonic() - _BEGAN) * 1000)
