"""Cloud Storage, or fake-gcs-server if ``STORAGE_EMULATOR_HOST`` is set.

Objects are read through the JSON API: importing google-cloud-storage would take a tenth of a second and 16 MB before
an instance's first list (``docs/profile.md``).
"""

from __future__ import annotations

import os
from urllib.parse import quote

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.util.retry import Retry

from bookrec.errors import BadModel, StoreUnavailable

PATIENCE_S = 5.0
"""How long one try waits for an answer; after three tries, the model that was loaded before stays in use."""

RETRY = Retry(2, backoff_factor=0.5, status_forcelist=(408, 429, 500, 502, 503, 504), raise_on_status=False)
"""What may be tried again. Source: Cloud Storage documentation, Retry strategy."""

GOOGLE = "https://storage.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
PIECE = 1 << 20
"""How many bytes are read at a time; with the default of 10 KB, a file of 10 MB takes five times as long."""

OK, PARTIAL, NOT_FOUND, EMPTY = 200, 206, 404, 416


class CloudModelStore:
    """Implements ``ports.ModelStore``."""

    def __init__(self, bucket: str) -> None:
        emulator = os.environ.get("STORAGE_EMULATOR_HOST")
        credentials = AnonymousCredentials() if emulator else google.auth.default(scopes=SCOPES)[0]
        self._bucket, self._objects = bucket, f"{emulator or GOOGLE}/storage/v1/b/{bucket}/o"
        self._session = AuthorizedSession(credentials)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRY))

    def download(self, name: str, max_bytes: int) -> bytes:
        """Request one byte more than allowed, to notice a larger object."""
        url, headers = f"{self._objects}/{quote(name, safe='')}", {"Range": f"bytes=0-{max_bytes}"}
        try:
            answer = self._session.get(url, params={"alt": "media"}, headers=headers, timeout=PATIENCE_S, stream=True)
            content = b"".join(answer.iter_content(PIECE))
        except (RequestException, GoogleAuthError) as problem:
            raise StoreUnavailable(f"{name} could not be read: {type(problem).__name__}") from problem
        if answer.status_code == NOT_FOUND:
            raise BadModel(f"{name} is not in bucket {self._bucket}")
        if answer.status_code == EMPTY:
            raise BadModel(f"{name} is empty")
        if answer.status_code not in (OK, PARTIAL):
            raise StoreUnavailable(f"{name} could not be read: the store answered {answer.status_code}")
        if not content:
            raise BadModel(f"{name} is empty")
        if len(content) > max_bytes:
            raise BadModel(f"{name} is larger than {max_bytes} bytes")
        return content
