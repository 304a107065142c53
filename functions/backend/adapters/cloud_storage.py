"""Cloud Storage, or fake-gcs-server if ``STORAGE_EMULATOR_HOST`` is set.

Objects are read through the JSON API: importing google-cloud-storage would take a tenth of a second and 16 MB before
an instance's first list (``docs/profile.md``). Neither the store nor what is in it is trusted: a download is bounded in
bytes after decoding, and in time as a whole.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPResponse
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any
from urllib.parse import quote

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests import Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from backend.guards import deadline
from bookrec.errors import BadModel, StoreUnavailable

PATIENCE_S = 5.0
"""How long one try waits for an answer to begin, or to go on."""

DOWNLOAD_S = 20.0
"""How long an object may take in all tries together; within ``deadline.within``, all objects together."""

RETRY = Retry(
    2,
    redirect=0,
    backoff_factor=0.5,
    status_forcelist=(408, 429, 500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,  # it could name any time
)
"""What may be tried again. Source: Cloud Storage documentation, Retry strategy."""

GOOGLE = "https://storage.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
PIECE = 1 << 20
"""How many bytes are read at a time at most; with 10 KB, a file of 10 MB takes five times as long."""

OK, PARTIAL, FORBIDDEN, NOT_FOUND, EMPTY = 200, 206, 403, 404, 416


class _UntilDeadline(RawIOBase):
    """What arrives at a socket, in whatever part of an answer: its head, too, may come byte by byte, and never end."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if deadline.remaining(PATIENCE_S) <= 0:
            raise TimeoutError
        size: int | None = self._socket.readinto(buffer)
        return size

    def close(self) -> None:
        self._socket.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.fp = BufferedReader(_UntilDeadline(self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Reads no answer for longer than there is time, so that the thread ends that nobody waits for any more."""

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class CloudModelStore:
    """Implements ``ports.ModelStore``.

    Args:
        bucket: its name.
        others: names that it may have instead, if there is no bucket of the first one.
    """

    def __init__(self, bucket: str, *others: str) -> None:
        emulator = os.environ.get("STORAGE_EMULATOR_HOST")
        credentials = AnonymousCredentials() if emulator else google.auth.default(scopes=SCOPES)[0]
        self._buckets, self._store = (bucket, *others), emulator or GOOGLE  # those that may be there, at least one
        self._session = AuthorizedSession(credentials)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(max_retries=RETRY))

    def download(self, name: str, max_bytes: int) -> bytes:
        """Request one byte more than allowed, to notice a larger object."""
        try:
            return deadline.call_within(deadline.remaining(DOWNLOAD_S), lambda: self._download(name, max_bytes))
        except TimeoutError as problem:
            raise StoreUnavailable(f"{name} could not be read in the time that there is") from problem
        except (RequestException, HTTPError, GoogleAuthError) as problem:
            raise StoreUnavailable(f"{name} could not be read: {type(problem).__name__}") from problem

    def _download(self, name: str, max_bytes: int) -> bytes:
        buckets = self._buckets  # another thread may find out meanwhile that the first of them is not there
        url = f"{self._objects(buckets[0])}/{quote(name, safe='')}"
        headers = {"Range": f"bytes=0-{max_bytes}", "Accept-Encoding": "gzip"}  # gzip: as it is stored
        patience = max(deadline.remaining(PATIENCE_S), 0.001)
        options: dict[str, Any] = {"timeout": patience, "stream": True, "allow_redirects": False}
        with closing(self._session.get(url, params={"alt": "media"}, headers=headers, **options)) as answer:
            is_missing = answer.status_code in (FORBIDDEN, NOT_FOUND)
            if is_missing and len(buckets) > 1 and not self._is_there(buckets[0], options):
                self._buckets = buckets[1:]
                return self._download(name, max_bytes)
            if answer.status_code == NOT_FOUND:
                raise BadModel(f"{name} is not in bucket {buckets[0]}")
            if answer.status_code == EMPTY:
                raise BadModel(f"{name} is empty")
            if answer.status_code not in (OK, PARTIAL):
                raise StoreUnavailable(f"{name} could not be read: the store answered {answer.status_code}")
            content = _content(answer, name, max_bytes)
        if not content:
            raise BadModel(f"{name} is empty")
        return content

    def _objects(self, bucket: str) -> str:
        return f"{self._store}/storage/v1/b/{bucket}/o"

    def _is_there(self, bucket: str, options: dict[str, Any]) -> bool:
        """Return whether a bucket is there; to those who may not see it, one that is not there is forbidden."""
        with closing(self._session.get(self._objects(bucket), params={"maxResults": "1"}, **options)) as answer:
            if answer.status_code not in (OK, FORBIDDEN, NOT_FOUND):
                raise StoreUnavailable(f"{bucket} could not be looked for: the store answered {answer.status_code}")
            return bool(answer.status_code == OK)


def _content(answer: Response, name: str, max_bytes: int) -> bytes:
    """Return an answer's decoded content; never more than ``max_bytes`` and a piece are in memory."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise BadModel(f"{name} has a content encoding that is not used here")
    decode = _gunzip(name) if encoding == "gzip" else lambda piece, most: piece
    content = BytesIO()
    for piece in _pieces(answer):
        content.write(decode(piece, max_bytes + 1 - content.tell()))
        if content.tell() > max_bytes:
            raise BadModel(f"{name} is larger than {max_bytes} bytes")
    decode(b"", 1)
    return content.getvalue()


def _pieces(answer: Response) -> Iterator[bytes]:
    """Yield the body as it arrives: a read of a certain size would wait until all of it is there."""
    while piece := answer.raw.read1(PIECE, decode_content=False):
        yield piece


def _gunzip(name: str) -> Callable[[bytes, int], bytes]:
    """Return a function that decodes a piece to at most so many bytes; an empty piece is the end."""
    unpacker = zlib.decompressobj(wbits=31)

    def decode(piece: bytes, most: int) -> bytes:
        try:
            content = unpacker.decompress(piece, most)
        except zlib.error as problem:
            raise BadModel(f"{name} is not the gzip that its content encoding says") from problem
        if unpacker.unused_data or (not piece and not unpacker.eof):
            raise BadModel(f"{name} is not the gzip that its content encoding says")
        return content

    return decode
