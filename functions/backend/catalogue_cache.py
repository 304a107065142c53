"""The catalogue as last read, shared by all events of an instance."""

from __future__ import annotations

import threading

from backend.ports import Clock, Database
from bookrec.catalogue import Catalogue, parse_catalogue


class CatalogueCache:
    """The catalogue, read again only if its ETag has changed, and checked at most once in ``ttl_ms``."""

    def __init__(self, database: Database, clock: Clock, ttl_ms: int) -> None:
        self._database, self._clock, self._ttl_ms = database, clock, ttl_ms
        self._lock = threading.Lock()
        self._catalogue, self._etag, self._checked_at = Catalogue(()), "", 0

    def cached(self) -> Catalogue:
        """Return the catalogue as last read, no matter how long ago; read it only if it never was."""
        return self._catalogue if self._etag else self.current()

    def current(self) -> Catalogue:
        """Return the catalogue, at most ``ttl_ms`` old; the same object as before if it has not changed."""
        return self._at_most(self._ttl_ms)

    def fresh(self) -> Catalogue:
        """Return the catalogue as it is now; the same object as before if it has not changed."""
        return self._at_most(-1)

    def _at_most(self, age_ms: int) -> Catalogue:
        with self._lock:
            if not self._etag or self._clock.elapsed_ms() - self._checked_at > age_ms:
                nodes, etag = self._database.catalogue(self._etag)
                if nodes is not None:
                    self._catalogue, _ = parse_catalogue(nodes)
                self._etag, self._checked_at = etag, self._clock.elapsed_ms()
            return self._catalogue
