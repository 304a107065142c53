"""Threads for requests that do not depend on each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Concurrently = Callable[[Iterable[Callable[[], Any]]], list[Any]]
"""Runs independent calls at the same time and returns their results in order; the first error is raised."""

MAX_THREADS = 64
"""Of an instance: 16 events at a time, with four requests at a time each."""

_threads = ThreadPoolExecutor(MAX_THREADS)  # starts a thread when one is needed, and keeps it


def run_concurrently(calls: Iterable[Callable[[], Any]], at_most: int = 8) -> list[Any]:
    """Implement ``Concurrently``: run all, at most so many at a time; the first error is raised once all ended.

    The caller's thread works too, and does what no other thread has begun. So nobody ever waits for a thread to
    become free, and calls may be nested.
    """
    waiting = deque((call, Future[Any]()) for call in calls)
    outcomes = [outcome for _, outcome in waiting]
    helpers = [_threads.submit(_work, waiting) for _ in range(min(at_most, len(outcomes)) - 1)]
    _work(waiting)
    for helper in helpers:
        if not helper.cancel():
            helper.result()
    return [outcome.result() for outcome in outcomes]


def _work(waiting: deque[tuple[Callable[[], Any], Future[Any]]]) -> None:
    while True:
        try:
            call, outcome = waiting.popleft()
        except IndexError:
            return
        try:
            outcome.set_result(call())
        except Exception as problem:
            outcome.set_exception(problem)
