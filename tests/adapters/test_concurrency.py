"""Calls that run at the same time."""

import threading
import time
from functools import partial

import pytest

from bookrec_database import concurrency
from bookrec_database.concurrency import run_concurrently


def test_results_come_in_the_order_of_the_calls():
    assert run_concurrently(partial(pow, number, 2) for number in range(20)) == [number**2 for number in range(20)]
    assert run_concurrently([]) == []


def test_the_first_error_is_raised_once_all_have_ended():
    done = []

    def fail(name, after_s):
        time.sleep(after_s)
        done.append(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="first"):
        run_concurrently([partial(fail, "first", 0.02), partial(fail, "second", 0), partial(done.append, "third")])
    assert set(done) == {"first", "second", "third"}


def test_at_most_the_given_number_of_calls_run_at_the_same_time():
    running, most, lock = 0, [], threading.Lock()

    def call():
        nonlocal running
        with lock:
            running += 1
            most.append(running)
        time.sleep(0.005)
        with lock:
            running -= 1

    run_concurrently([call] * 20, at_most=3)
    assert 1 < max(most) <= 3


def test_nested_calls_never_wait_for_a_thread_that_is_not_free():
    def nest(depth):
        return 1 if depth == 0 else sum(run_concurrently([partial(nest, depth - 1)] * 4))

    began = time.monotonic()
    assert nest(5) == 4**5  # far more calls than threads, and each call waits for others
    assert time.monotonic() - began < 60
    assert len(concurrency._threads._threads) <= concurrency.MAX_THREADS
