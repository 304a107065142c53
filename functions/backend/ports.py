"""What the handlers need from outside. Each port has one adapter per service, and an in-memory fake in the tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from bookrec.life_cycle.lease import Lease
from bookrec.life_cycle.retraining import Pending
from bookrec.reader import Reader
from bookrec.recommender import Recommender
from bookrec.server_values import TIMESTAMP as TIMESTAMP
from bookrec.server_values import increment as increment
from bookrec.usage.dismissed import Dismissals


class Database(Protocol):
    """The Realtime Database in this backend's terms. Values are JSON; a missing node is None."""

    def shelf_nodes(self, user_ids: Sequence[str]) -> Mapping[str, object]:
        """Return the entries that name one of the users, by push key: of each the newest ``shelf.MAX_SHELF``."""
        ...

    def entry(self, key: str) -> object:
        """Return one node of ``/User_Book``."""
        ...

    def page(self, path: str, after: str, size: int) -> Mapping[str, object]:
        """Return at most ``size`` children that follow the key ``after`` in ``paths.key_order``; all follow ""."""
        ...

    def user_ids(self) -> Sequence[str]:
        """Return the keys of ``/Users``, ascending."""
        ...

    def readers(self, user_ids: Sequence[str]) -> Mapping[str, Reader]:
        """Return the profile, dismissals and list of each of the users."""
        ...

    def with_entries(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Return those of the users whom an entry names."""
        ...

    def list_writes(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """Return what ``/Recommender/writes`` says of each: it grows with each write of the list."""
        ...

    def remove_dismissals(
        self, user_id: str, chosen: Callable[[Dismissals], Collection[str]]
    ) -> Collection[str] | None:
        """Remove the dismissals that ``chosen`` returns, by key, and set the count to what is left; return the keys.

        It is one write, and only if the reader's node is still what ``chosen`` saw; None if nothing was written.
        """
        ...

    def listed(self, after: str, last: str | None, size: int, *, numbered: bool = False) -> Sequence[str]:
        """Return who had a list written, at most ``size``, of the readers after ``after`` and up to ``last``.

        Args:
            after: an id; "" for all.
            last: an id; None is the end.
            size: how many there are at most: the first of them.
            numbered: see ``readers_after``.
        """
        ...

    def present(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Return those of the users who have a profile or a list."""
        ...

    def readers_after(
        self, after: str, size: int, *, numbered: bool = False
    ) -> tuple[Mapping[str, Reader], str | None]:
        """Return readers who follow the key ``after``, and the last key up to which they are complete; None is all.

        They have a profile, a list or a mark.

        Args:
            size: how many with a profile or a list there are at most.
            numbered: return the ids that the database sorts as integers, instead of all others.
        """
        ...

    def without_list(self, size: int) -> Sequence[str]:
        """Return at most ``size`` readers who have a profile and no list."""
        ...

    def entries_by_reader(self, after: str, last: str | None, size: int) -> Mapping[str, object]:
        """Return at most ``size`` entries in ``paths.text_order`` of their ``userId``, a text.

        Args:
            after: entries of this reader, and of those before, are left out; "" is before all readers.
            last: so are those of the readers who follow this one, if it is not None.
        """
        ...

    def entries_of_nobody(self, size: int) -> Mapping[str, object]:
        """Return at most ``size`` entries whose ``userId`` is missing, empty, or neither a text nor an object.

        An id that begins with a NUL character is one of these: it comes before all others.
        """
        ...

    def readers_page(self, after: str, size: int) -> Mapping[str, Reader]:
        """Return at most ``size`` readers of ``/Users`` that follow the key ``after`` in ``paths.key_order``."""
        ...

    def pointer(self) -> object:
        """Return ``/Recommender/model``."""
        ...

    def change_pointer(self, change: Callable[[object], Mapping[str, object] | None]) -> object:
        """Change ``/Recommender/model`` in a transaction and return it; if ``change`` returns None, it stays."""
        ...

    def catalogue(self, etag: str) -> tuple[Mapping[str, object] | None, str]:
        """Return the nodes of ``/archive`` and their ETag; None instead of the nodes if the ETag is still ``etag``."""
        ...

    def pending(self, enough: int) -> Pending:
        """Return the changes since the last run's snapshot, of which at most ``enough`` are counted and read."""
        ...

    def has_pending(self) -> bool:
        """Return whether there are any; reads one of them."""
        ...

    def status(self, path: str) -> Any:
        """Return a node under ``/Recommender/status``."""
        ...

    def change_status(self, path: str, change: Callable[[object], Mapping[str, object] | None]) -> bool:
        """Change a node under ``/Recommender/status`` in a transaction; if ``change`` returns None, it stays: False."""
        ...

    def rejected_keys(self) -> Sequence[str]:
        """Return the keys of the entries that are recorded as rejected."""
        ...

    def records(self) -> Mapping[str, object]:
        """Return all records of rejected entries."""
        ...

    def record(self, key: str) -> object:
        """Return the record of a rejected entry."""
        ...

    def gone(self) -> Sequence[str]:
        """Return the users who are marked as gone while they still have entries."""
        ...

    def dirty(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Return the users whose shelf is marked as changed since the live model's snapshot."""
        ...

    def clear_changes(self, until: int) -> int:
        """Remove marks of changes up to ``until`` (ms), or to the last clearing, all or some; return how many.

        Those that were renewed stay.
        """
        ...

    def change_seen(self, user_id: str, change: Callable[[object], Mapping[str, object] | None]) -> bool:
        """Change ``/Users/{uid}/seen`` in a transaction; if ``change`` returns None, write nothing and return False."""
        ...

    def lease(self) -> Lease:
        """Return the lease."""
        ...

    def update(self, values: Mapping[str, object]) -> None:
        """Write values at several paths atomically; None removes."""
        ...

    def change_lease(self, change: Callable[[Lease], Lease | None]) -> Lease | None:
        """Change the lease in a transaction and return it; if ``change`` returns None, nothing is written."""
        ...

    def reject(self, key: str, node: object, record: Mapping[str, object]) -> bool:
        """Move an entry from ``/User_Book`` to its ``rejected`` record, if it is still ``node``."""
        ...

    def restore(self, key: str, node: object, value: Mapping[str, object]) -> bool:
        """Write ``value`` to an entry of ``/User_Book``, if it is still ``node``."""
        ...


class ModelStore(Protocol):
    """Where published models are stored."""

    def download(self, name: str, max_bytes: int) -> bytes:
        """Return an object's content.

        Raises:
            BadModel: if it does not exist or is larger.
            StoreUnavailable: if the store does not answer.
        """
        ...


class ModelLoader(Protocol):
    """Makes a recommender from downloaded bytes."""

    def __call__(self, version: str, model: bytes, items: bytes) -> Recommender:
        """Return the recommender.

        Raises:
            BadModel: if the bytes are not a model.
        """
        ...


class TaskQueue(Protocol):
    """The task-queue functions."""

    def enqueue(self, function: str, payload: Mapping[str, object], task_id: str, at_ms: int | None = None) -> None:
        """Queue a task; a task with a used id is the same task and is not queued again."""
        ...


class TrainerJobs(Protocol):
    """The trainer, wherever it runs."""

    def start(self, run_id: str, fence: int) -> None:
        """Start one run; return once it was started."""
        ...


class Clock(Protocol):
    """Time."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970: for what is stored, or compared with what others have stored."""
        ...

    def elapsed_ms(self) -> int:
        """Return milliseconds since any moment; unlike ``now_ms`` it never steps back: for how long something took."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


Concurrently = Callable[[Iterable[Callable[[], Any]]], list[Any]]
"""Runs independent calls at the same time and returns their results in order; the first error is raised."""
