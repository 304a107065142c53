"""One deadline for several requests, and calls that are not waited for any longer than that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Result = TypeVar("Result")

MAX_CALLS = 32
"""How many calls may be under way, including those that nobody waits for any more."""

_until: ContextVar[float | None] = ContextVar("until", default=None)
_calls = threading.BoundedSemaphore(MAX_CALLS)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give all that is done in this block ``seconds`` together, or what is left of an outer block's time if less."""
    token = _until.set(time.monotonic() + remaining(seconds))
    try:
        yield
    finally:
        _until.reset(token)


def remaining(at_most: float) -> float:
    """Return how many seconds are left: ``at_most`` outside of ``within``, and never less than 0."""
    until = _until.get()
    return at_most if until is None else min(at_most, max(until - time.monotonic(), 0.0))


def call_within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return the result of ``call``, which runs in a thread ``within`` these seconds.

    The timeouts of network clients are for one wait each: they do not bound name resolution, a token's renewal, or an
    answer that comes byte by byte.

    Raises:
        TimeoutError: if it takes longer than ``seconds``, or if too many calls are under way, or no thread can be
            started. The call itself may go on: it should look at the time.
    """
    places = _calls
    if seconds <= 0 or not places.acquire(blocking=False):
        raise TimeoutError
    results: list[Result] = []
    problems: list[BaseException] = []

    def work() -> None:
        try:
            with within(seconds):
                results.append(call())
        except BaseException as problem:
            problems.append(problem)
        finally:
            places.release()

    thread = threading.Thread(target=work, name="call_within", daemon=True)
    try:
        thread.start()
    except RuntimeError as problem:  # there is no memory for one
        places.release()
        raise TimeoutError from problem
    thread.join(seconds)
    if problems:
        raise problems[0]
    if not results:
        raise TimeoutError
    return results[0]
