"""Progress of long work: a bar on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

EVERY_S = 15.0
"""Seconds between two lines, if there is no terminal."""

AT_ONCE_S = 0.5
"""Seconds between two updates of the time on a terminal, even if nothing else changes."""


class Progress:
    """A context manager that shows progress on standard error.

    Args:
        what: name of the work.
        total: number of units; None if unknown.
        unit: name of what is counted.
        stream: where progress is shown; None uses standard error as it is at that moment.
        every_s: seconds between two lines if ``stream`` is not a terminal.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        unit: str = "",
        stream: TextIO | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._what, self._total, self._unit, self._every_s = what, total, unit, every_s
        self._stream = stream or sys.stderr
        self._count, self._began, self._step = 0, time.monotonic(), ""
        self._bar: Any = None
        self._is_over = threading.Event()

    def __enter__(self) -> Progress:
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, desc=self._what, unit=f" {self._unit}", file=self._stream, leave=False)
        every_s, show = (AT_ONCE_S, self._bar.refresh) if self._bar is not None else (self._every_s, self._say)
        self._ticker = threading.Thread(target=self._tick, args=(every_s, show), name="progress", daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._is_over.set()
        self._ticker.join()
        if self._bar is not None:
            self._bar.close()

    def advance(self, number: int = 1) -> None:
        """Count finished units."""
        self._count += number
        if self._bar is not None:
            self._bar.update(number)

    def step(self, name: str) -> None:
        """Name the present step."""
        self._step = name
        if self._bar is not None:
            self._bar.set_description(f"{self._what}: {name}")
        else:
            self._say()

    def _tick(self, every_s: float, show: Callable[[], object]) -> None:
        while not self._is_over.wait(every_s):
            show()

    def _say(self) -> None:
        parts = [self._step] if self._step else []
        if self._count or self._total:
            of = f" of {self._total}" if self._total else ""
            parts.append(f"{self._count}{of} {self._unit}".rstrip())
        parts.append(f"{time.monotonic() - self._began:.0f} s")
        print(f"{self._what}: {', '.join(parts)}", file=self._stream, flush=True)
