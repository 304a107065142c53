"""Waiting for another process."""

import time


def wait_until(condition, patience_s=60.0):
    """Return the value of ``condition`` once it is true; fail the test if that takes longer than ``patience_s``."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not after {patience_s:.0f} s: {condition.__name__}")
