"""Waiting for what another process does."""

import time


def wait_until(condition, patience_s=60.0):
    """Return what ``condition`` gives once that is true; what never becomes true fails the test."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not after {patience_s:.0f} s: {condition.__name__}")
