"""What the use cases need of the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from bookrec.life_cycle.lease import Lease
from bookrec.life_cycle.manifest import Manifest


class Database(Protocol):
    """The pointer and the lease."""

    def pointer(self) -> object:
        """Return ``/Recommender/model``."""
        ...

    def change_pointer(self, change: Callable[[object], Mapping[str, object] | None]) -> object:
        """Change ``/Recommender/model`` in a transaction and return it; if ``change`` returns None, it stays."""
        ...

    def lease(self) -> Lease:
        """Return the lease."""
        ...

    def change_lease(self, change: Callable[[Lease], Lease | None]) -> Lease | None:
        """Change the lease in a transaction and return it; if ``change`` returns None, nothing is written."""
        ...


Verify = Callable[[str, str], Manifest]
"""Checks all files of a version, given the SHA-256 of its manifest, and lets its model answer; returns the manifest.

Raises ``BadModel``, or ``StoreUnavailable`` if the bucket does not answer.
"""
