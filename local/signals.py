"""Signals that end a command: one that started processes has to end them, whichever signal it gets."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_signals() -> None:
    """Have Ctrl-C, SIGTERM and a closed terminal raise KeyboardInterrupt in the main thread.

    A shell starts a background job with SIGINT ignored, and Python leaves it so: ``kill -INT`` would do nothing, and
    every process that the job starts would ignore it too. SIGHUP stays ignored if it is: that is what ``nohup`` asks.
    """
    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back the signals that would interrupt the block; they are raised after it.

    A second Ctrl-C, from an impatient user, would otherwise interrupt the clean-up. Outside the main thread, which
    no signal interrupts, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDING}
    ours = {number: handler for number, handler in before.items() if callable(handler)}
    for number in ours:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
