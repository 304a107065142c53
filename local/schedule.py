"""The part of Cloud Scheduler: the scheduled function runs again and again while the stack is up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import requests

from local.stack import Stack

EVERY_S = 60.0


@contextmanager
def reconciling(stack: Stack, every_s: float = EVERY_S) -> Iterator[None]:
    """Run ``reconcile`` every minute until the block ends: without the Pub/Sub emulator, the suite has no clock."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            # A failed run is in the functions' log, and the next one makes up for it.
            with suppress(requests.RequestException):
                stack.call_scheduled("reconcile")

    thread = threading.Thread(target=run, name="schedule", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)
