"""Waiting for another process."""

import time

from bookrec import paths
from bookrec.life_cycle.manifest import parse_pointer


def wait_until(condition, patience_s=60.0):
    """Return the value of ``condition`` once it is true; fail the test if that takes longer than ``patience_s``."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not after {patience_s:.0f} s: {condition.__name__}")


def is_fanned_out(stack):
    """Return whether all readers have had their lists from what is published now."""
    pointer = parse_pointer(stack.admin_get(paths.MODEL))
    fanout = paths.children(stack.admin_get(f"{paths.STATUS}/fanout"))
    is_of_pointer = pointer is not None and fanout.get("publication") == pointer.publication
    return is_of_pointer and len(paths.children(fanout.get("done"))) == fanout["shards"]
