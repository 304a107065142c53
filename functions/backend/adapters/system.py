"""The machine's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """Implements ``ports.Clock``."""

    def now_ms(self) -> int:
        """Return the machine's time."""
        return int(time.time() * 1000)

    def elapsed_ms(self) -> int:
        """Return the time since the machine was started, or another moment."""
        return int(time.monotonic() * 1000)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
