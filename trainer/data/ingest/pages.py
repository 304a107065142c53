"""Reads a node page by page, several ranges of keys concurrently if wanted; failed requests are tried again."""

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
from bookrec_database.key_range import WHOLE, KeyRange
from trainer.data.ingest.keys import cut

PAGE_SIZE = 2_000
"""Nodes per read: a page of entries is about 250 kB, a page of catalogue nodes with descriptions about 2 MB."""

FIREBASE_MS = 1_325_376_000_000
"""2012: only a wrong clock makes older push keys."""

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
"""Failures that may not happen again."""

Page = Mapping[str, Any]
Input = TypeVar("Input")
Result = TypeVar("Result")


class ReadError(BookrecError):
    """The database could not be read; the message names node, keys and cause, but no reader."""


class Nodes(Protocol):
    """The part of the database that reading in pages needs; safe for threads."""

    def page(self, path: str, after: str, size: int, keys: KeyRange = WHOLE) -> Page:
        """Return the first ``size`` children of a node in a range of keys that follow the key ``after``, or all ""."""
        ...

    def last_key(self, path: str, bound: str) -> str | None:
        """Return the last child key up to ``bound``, or None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How a database is read.

    Attributes:
        workers: concurrent requests.
        spans: greatest number of ranges that the push keys' time is cut into: many, since readers come in waves.
        attempts: how often a request is tried.
        wait_s: upper bound of the random wait after the first failure, in seconds; it doubles with each further one.
        longest_wait_s: upper bound of any wait, in seconds.
    """

    workers: int = 8
    spans: int = 128
    attempts: int = 6
    wait_s: float = 0.5
    longest_wait_s: float = 30.0

    def with_retries(self, request: Callable[[], Result], what: str) -> Result:
        """Make a request, and repeat it after transient failures.

        Args:
            request: only reads.
            what: what is read, for the error message.

        Raises:
            ReadError: if it failed permanently, or too often.
        """
        failures = itertools.count(1)
        again: Any = Retry(
            predicate=lambda problem: isinstance(problem, TRANSIENT) and next(failures) < self.attempts,
            initial=self.wait_s,
            maximum=self.longest_wait_s,
            timeout=None,
        )
        try:
            result: Result = again(request)()
        except (exceptions.FirebaseError, *TRANSIENT) as problem:
            cause = _cause(problem) + (f", in {self.attempts} attempts" if isinstance(problem, TRANSIENT) else "")
            # The cause's message and traceback contain addresses, and these contain user ids.
            raise ReadError(f"{what} could not be read: {cause}") from None
        return result


def pages(
    nodes: Nodes, path: str, size: int = PAGE_SIZE, keys: KeyRange = WHOLE, how: Reading | None = None
) -> Iterator[Page]:
    """Yield the children of ``path`` in a range of keys, ascending, in non-empty pages of at most ``size``.

    Args:
        how: how failed requests are repeated; None tries each page once.

    Raises:
        ReadError: as ``Reading.with_retries`` does.
    """
    after = ""
    while True:
        request = partial(nodes.page, path, after, size, keys)
        page = how.with_retries(request, f"/{path}, {keys}, after {after or 'nothing'},") if how else request()
        if page:
            yield page
        if len(page) < size:
            return
        after = max(page, key=key_order)


def parallel_pages(nodes: Nodes, path: str, size: int = PAGE_SIZE, how: Reading | None = None) -> Iterator[Page]:
    """Yield all children of ``path``, as ``pages`` does but in any order: ranges are read concurrently.

    At most three pages per worker are in memory.

    Raises:
        ReadError: as ``Reading.with_retries`` does, after the other workers have ended.
    """
    how = how or Reading()
    start = how.with_retries(partial(nodes.page, path, "", size), f"/{path}, its first page,")
    if len(start) < size:
        yield from filter(None, [start])
        return
    last = how.with_retries(lambda: nodes.last_key(path, first_key(_latest())), f"/{path}, its last key,")
    ranges = _ranges(start, last or "", how)
    yield from read_concurrently(lambda keys: pages(nodes, path, size, keys, how), ranges, how.workers)


def _latest() -> int:
    return int(time.time() * 1000) + DAY_MS


def _ranges(start: Iterable[str], last_key: str, how: Reading) -> list[KeyRange]:
    """Cut the time from the middle of the first page, which a single wrong clock cannot move, to the last key.

    The number of ranges follows from the time that the first page spans.
    """
    times = sorted(at for at in map(push_time, start) if at >= FIREBASE_MS) or [FIREBASE_MS]
    first, last = times[len(times) // 2], push_time(last_key)
    last = last if last >= first else _latest()
    number_of_pages = (last - first) // (2 * (times[-1] - first) + 1)
    return cut(first, last, max(2 * how.workers, min(number_of_pages, how.spans)))


def read_concurrently(
    read: Callable[[Input], Iterable[Result]], inputs: Iterable[Input], workers: int
) -> Iterator[Result]:
    """Yield the results of ``read`` for all inputs, in any order; the threads wait until their results are taken.

    Raises:
        Exception: the first one in a thread, after the other threads have ended.
    """
    waiting, results = iter(inputs), queue.Queue[tuple[bool, Any]](2 * workers)
    is_over, taking = threading.Event(), threading.Lock()

    def take() -> Any:
        with taking:
            return next(waiting, END)

    def put(is_result: bool, value: object) -> None:
        while not is_over.is_set():
            try:
                return results.put((is_result, value), timeout=0.1)
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
                is_result, value = results.get()
                if is_result:
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
