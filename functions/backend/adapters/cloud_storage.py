"""Cloud Storage, or fake-gcs-server where ``STORAGE_EMULATOR_HOST`` names one."""

from __future__ import annotations

import os

from google.api_core.exceptions import GoogleAPIError, NotFound, RequestRangeNotSatisfiable
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from bookrec.errors import BadModel, StoreUnavailable

PATIENCE_S = 15.0
"""How long a list waits for a model; then the one that was loaded before serves on."""


class CloudModelStore:
    """Implements ``ports.ModelStore``."""

    def __init__(self, project: str, bucket: str) -> None:
        credentials = AnonymousCredentials() if os.environ.get("STORAGE_EMULATOR_HOST") else None
        self._bucket = storage.Client(project=project, credentials=credentials).bucket(bucket)

    def download(self, name: str, max_bytes: int) -> bytes:
        """Ask for one byte more than is allowed, so that a larger object shows."""
        try:
            content: bytes = self._bucket.blob(name).download_as_bytes(
                end=max_bytes, timeout=PATIENCE_S, retry=DEFAULT_RETRY.with_timeout(PATIENCE_S)
            )
        except NotFound as problem:
            raise BadModel(f"{name} is not in bucket {self._bucket.name}") from problem
        except RequestRangeNotSatisfiable as problem:
            raise BadModel(f"{name} is empty") from problem
        except (GoogleAPIError, OSError) as problem:  # a refused connection is an OSError
            raise StoreUnavailable(f"{name} could not be read: {problem}") from problem
        if len(content) > max_bytes:
            raise BadModel(f"{name} is larger than {max_bytes} bytes")
        return content
