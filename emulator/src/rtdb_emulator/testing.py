"""The emulator in tests: as a process of its own, or one database in this process, without the wire.

``running`` starts a process, which every client can talk to. ``InProcessDatabase`` is the same tree, rules, queries
and indexes as an object: for simulations and tests that make thousands of reads and writes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtdb_emulator.data.keys import Path, parse_path
from rtdb_emulator.data.query import parse_query
from rtdb_emulator.data.tree import children, etag, get, to_json
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.changes import Change
from rtdb_emulator.database.databases import Database, system_time
from rtdb_emulator.errors import PermissionDeniedError, ServiceError
from rtdb_emulator.launch.process import Emulator, running, start
from rtdb_emulator.rules.coverage import Evaluation, evaluations, never_evaluated

__all__ = [
    "ADMIN",
    "Caller",
    "Emulator",
    "Evaluation",
    "InProcessDatabase",
    "PermissionDeniedError",
    "ServiceError",
    "Write",
    "evaluations",
    "never_evaluated",
    "running",
    "start",
    "user",
]

ADMIN = Caller(is_admin=True)
"""The caller whom rules do not bind."""


def user(uid: str, **claims: Any) -> Caller:
    """Return the caller that rules see as a signed-in user, with ``claims`` in its token."""
    return Caller(is_admin=False, auth={"uid": uid, "token": claims})


@dataclass(frozen=True, slots=True)
class Write:
    """A write that took effect."""

    _change: Change

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths that it wrote, as tuples of keys."""
        return self._change.paths

    @property
    def caller(self) -> Caller:
        """Who wrote."""
        return self._change.caller

    def before(self, path: str | Path) -> Any:
        """Return the JSON value that was at a path, a text or a tuple of keys."""
        return to_json(get(self._change.before, _keys(path)))

    def after(self, path: str | Path) -> Any:
        """Return the JSON value that is at a path now."""
        return to_json(get(self._change.after, _keys(path)))


def _keys(path: str | Path) -> Path:
    return parse_path(path) if isinstance(path, str) else path


class InProcessDatabase:
    """One database. Not for threads. Paths are texts: ``users/ana/name``; the root is the empty one.

    Args:
        rules: security rules, as the text of a rules file; None for open ones.
        on_write: is called with each write, before the write returns.
        now_ms: the clock for ``now`` in rules and for timestamps, in milliseconds since 1970.
        coverage: whether to count what the expressions of the rules are evaluated to, for ``coverage()``.

    Raises:
        ValueError: for bad rules; the message has a line ``line:column: reason`` for each fault.
    """

    def __init__(
        self,
        rules: str | None = None,
        on_write: Callable[[Write], object] = lambda write: None,
        now_ms: Callable[[], int] = system_time,
        *,
        coverage: bool = False,
    ) -> None:
        def tell(change: Change) -> None:
            on_write(Write(change))

        self._database = Database("in-process", tell, now_ms, counts_rules=coverage)
        if rules is not None:
            self._database.set_rules(rules)

    def get(self, path: str, caller: Caller = ADMIN) -> Any:
        """Return the JSON value at ``path``.

        Raises:
            PermissionDeniedError: if the rules deny it.
        """
        return to_json(self._database.read(parse_path(path), caller))

    def etag(self, path: str, caller: Caller = ADMIN) -> str:
        """Return the ETag of the node at ``path``: equal nodes have equal ones.

        Raises:
            PermissionDeniedError: if the rules deny reading it.
        """
        return etag(self._database.read(parse_path(path), caller))

    def keys(self, path: str, caller: Caller = ADMIN) -> list[str]:
        """Return the keys of the children of ``path``, in no order.

        Raises:
            PermissionDeniedError: if the rules deny reading it.
        """
        return list(children(self._database.read(parse_path(path), caller)))

    def select(self, path: str, query: Mapping[str, str], caller: Caller = ADMIN) -> dict[str, Any]:
        """Return the children of ``path`` that a query selects, in its order, as JSON values by key.

        Args:
            path: whose children.
            query: the parameters of REST: ``{"orderBy": '"$key"', "limitToFirst": "2"}``.
            caller: who reads.

        Raises:
            PermissionDeniedError: if the rules deny it.
            ServiceError: for an invalid query, or one whose index the rules do not name.
        """
        node = self._database.read(parse_path(path), caller, parse_query(query))
        return {key: to_json(child) for key, child in children(node).items()}

    def coverage(self) -> dict[str, Any]:
        """Return the rules coverage so far, as ``/.inspect/coverage.json`` of the emulator does.

        Raises:
            RuntimeError: for a database that was made without ``coverage=True``.
        """
        return self._database.coverage()

    def update(self, values: Mapping[str, Any], caller: Caller = ADMIN) -> None:
        """Write JSON values at several paths as one write; None removes what is there.

        Raises:
            PermissionDeniedError: if the rules deny it.
            ServiceError: for bad data. Nothing is written then.
        """
        self._database.write({parse_path(path): value for path, value in values.items()}, caller)
