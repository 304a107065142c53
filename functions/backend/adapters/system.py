"""The clock, and threads for calls that do not depend on each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class SystemClock:
    """Implements ``ports.Clock``."""

    def now_ms(self) -> int:
        """Return the machine's time."""
        return int(time.time() * 1000)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def run_together(calls: Iterable[Callable[[], Any]], at_most: int = 8) -> list[Any]:
    """Implement ``ports.Together``: run all, at most so many at a time; the first error is raised once all ended.

    Each call has threads of its own, so that nested calls never wait for each other's.
    """
    calls = list(calls)
    if len(calls) <= 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(max_workers=min(at_most, len(calls))) as pool:
        futures = [pool.submit(call) for call in calls]
    return [future.result() for future in futures]
