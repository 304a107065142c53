"""Reading a node page by page: one range of keys after the other, or several at a time; each page patiently."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from firebase_admin import exceptions
from google.api_core.retry import Retry

from bookrec.errors import BookrecError
from bookrec.paths import key_order
from bookrec.push_keys import first_key, push_time
from trainer.data.ingest.keys import WHOLE, KeyRange, cut

PAGE_SIZE = 2_000
"""Nodes a read: a page of entries is about 250 kB, a page of catalogue nodes with descriptions about 2 MB."""

FIREBASE_MS = 1_325_376_000_000
"""2012: there is no older push key, save from a clock that is wrong."""

DAY_MS = 86_400_000

TRANSIENT = (
    exceptions.UnavailableError,
    exceptions.InternalError,
    exceptions.DeadlineExceededError,
    exceptions.ResourceExhaustedError,
    exceptions.AbortedError,
    exceptions.UnknownError,
    ConnectionError,
)
"""Failures that another attempt may not meet."""

Page = Mapping[str, Any]
Given = TypeVar("Given")
Found = TypeVar("Found")


class ReadError(BookrecError):
    """The database could not be read; the message names node, keys and cause, and no reader."""


class Nodes(Protocol):
    """The database, as far as reading in pages needs it. It is asked from several threads."""

    def page(self, path: str, size: int, keys: KeyRange, after: str | None) -> Page:
        """Return the first ``size`` children of a node in a range of keys, or those that follow the key ``after``."""
        ...

    def last_key(self, path: str, bound: str) -> str | None:
        """Return the last child's key up to ``bound``, or None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How a database is read.

    Attributes:
        workers: how many requests are under way at a time.
        spans: how many ranges at most the time of the push keys is cut into: many, since readers come in waves.
        attempts: how often a request is tried.
        wait_s, longest_wait_s: bounds of the random wait after the first failure, which doubles with each further
            one, and of any wait, in seconds.
    """

    workers: int = 8
    spans: int = 128
    attempts: int = 6
    wait_s: float = 0.5
    longest_wait_s: float = 30.0

    def patiently(self, request: Callable[[], Found], what: str) -> Found:
        """Make a request, again where it fails for now.

        Args:
            request: reads and nothing else.
            what: is read, for the error.

        Raises:
            ReadError: where it failed for good, or too often.
        """
        failures = itertools.count(1)
        again: Any = Retry(
            predicate=lambda problem: isinstance(problem, TRANSIENT) and next(failures) < self.attempts,
            initial=self.wait_s,
            maximum=self.longest_wait_s,
            timeout=None,
        )
        try:
            found: Found = again(request)()
        except (exceptions.FirebaseError, *TRANSIENT) as problem:
            tried = f" in {self.attempts} attempts" if isinstance(problem, TRANSIENT) else ""
            # The cause's own message and the trace hold addresses, and with them user ids.
            raise ReadError(f"{what} could not be read{tried}: {_cause(problem)}") from None
        return found


def pages(
    nodes: Nodes, path: str, size: int = PAGE_SIZE, keys: KeyRange = WHOLE, how: Reading | None = None
) -> Iterator[Page]:
    """Yield the children of ``path`` in a range of keys, ascending, at most ``size`` at a time and none empty.

    Args:
        how: reads patiently; None tries each page once.

    Raises:
        ReadError: as ``Reading.patiently`` does.
    """
    after: str | None = None
    while True:
        request = partial(nodes.page, path, size, keys, after)
        page = how.patiently(request, f"/{path}, {keys}, after {after or 'nothing'},") if how else request()
        if page:
            yield page
        if len(page) < size:
            return
        after = max(page, key=key_order)


def parallel_pages(nodes: Nodes, path: str, size: int = PAGE_SIZE, how: Reading | None = None) -> Iterator[Page]:
    """Yield all children of ``path``, as ``pages`` does but in no order: ranges are read side by side.

    At most three pages a worker are in memory.

    Raises:
        ReadError: as ``Reading.patiently`` does; the other workers end first.
    """
    how = how or Reading()
    start = how.patiently(partial(nodes.page, path, size, WHOLE, None), f"/{path}, its first page,")
    if len(start) < size:
        yield from filter(None, [start])
        return
    last = how.patiently(lambda: nodes.last_key(path, first_key(_latest())), f"/{path}, its last key,")
    ranges = _ranges(start, last or "", how)
    yield from side_by_side(lambda keys: pages(nodes, path, size, keys, how), ranges, how.workers)


def _latest() -> int:
    return int(time.time() * 1000) + DAY_MS


def _ranges(start: Iterable[str], last_key: str, how: Reading) -> list[KeyRange]:
    """Cut from the middle of the first page, which no single wrong clock moves, to the last key; by a page's span."""
    times = sorted(at for at in map(push_time, start) if at >= FIREBASE_MS) or [FIREBASE_MS]
    first, last = times[len(times) // 2], push_time(last_key)
    last = last if last >= first else _latest()
    number_of_pages = (last - first) // (2 * (times[-1] - first) + 1)
    return cut(first, last, max(2 * how.workers, min(number_of_pages, how.spans)))


def side_by_side(read: Callable[[Given], Iterable[Found]], inputs: Iterable[Given], workers: int) -> Iterator[Found]:
    """Yield what ``read`` finds for each input, in no order, from threads that wait for whoever takes it.

    Raises:
        Exception: the first that a thread meets; the others end first.
    """
    waiting, found = iter(inputs), queue.Queue[tuple[bool, Any]](2 * workers)
    is_over, taking = threading.Event(), threading.Lock()

    def take() -> Any:
        with taking:
            return next(waiting, END)

    def put(is_found: bool, value: object) -> None:
        while not is_over.is_set():
            try:
                return found.put((is_found, value), timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for given in iter(take, END):
                for value in read(given):
                    put(True, value)
                    if is_over.is_set():
                        return
            put(False, None)
        except Exception as problem:
            put(False, problem)

    with ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):
            pool.submit(work)
        try:
            while workers:
                is_found, value = found.get()
                if is_found:
                    yield value
                elif value is not None:
                    raise value
                else:
                    workers -= 1
        finally:
            is_over.set()


END = object()
"""There is no input left."""


def _cause(problem: Exception) -> str:
    response = getattr(problem, "http_response", None)
    return type(problem).__name__ + (f" (status {response.status_code})" if response is not None else "")
