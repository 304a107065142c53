"""The lease is renewed by a process of its own, whatever holds the interpreter of the run."""

import ctypes
import os
import subprocess
import sys
import time

import psutil
import pytest

from bookrec.life_cycle import lease as leases
from bookrec_operations.lease_holder import Beat, LeaseHolder
from tests.database_server import connected
from tests.waiting import wait_until
from trainer.cloud import now_ms
from trainer.publishing import heart

EVERY_S = 0.25


@pytest.fixture
def database(server, monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-bookrec")
    monkeypatch.setenv("DATABASE_URL", f"http://{server.host}?ns={server.namespace}")
    monkeypatch.delenv("DATABASES", raising=False)
    with connected(server) as adapter:
        yield adapter


@pytest.fixture
def beating(database):
    """A lease that a process renews, and the calls of a thread that would renew it in its place."""
    started, calls = [], []

    def start():
        lease = database.change_lease(lambda held: leases.acquire(held, "run", now_ms(), 60_000, 600_000))
        beat = Beat(lease.holder, lease.fence, 60_000, lambda: bool(calls.append(1)) or len(calls) < 3)
        started.append(heart.beat_in_process(beat, EVERY_S))
        wait_until(lambda: database.lease().expires_at > lease.expires_at)
        return lease

    yield start, calls, started
    for stop in started:
        stop()


def programs():
    return [
        process
        for process in psutil.process_iter(["ppid", "cmdline"])
        if process.info["ppid"] == os.getpid() and heart.PROGRAM in (process.info["cmdline"] or ())
    ]


def test_a_library_that_holds_the_interpreter_does_not_stop_the_heart(database, beating):
    start, calls, _ = beating
    start()
    before = database.lease().expires_at
    ctypes.PyDLL(None).usleep(3_000_000)  # unlike CDLL, it keeps the interpreter's lock
    assert database.lease().expires_at >= before + 1_000
    assert calls == []


def test_the_process_ends_with_the_run_and_renews_nothing_afterwards(database, beating):
    start, _, started = beating
    lease = start()
    (program,) = programs()
    started.pop()()
    assert not program.is_running()
    database.change_lease(lambda held: leases.release(held, lease.holder, lease.fence, "published", now_ms()))
    assert database.lease().holder is None


def test_if_the_process_is_killed_a_thread_takes_over_until_the_lease_is_lost(beating):
    start, calls, _ = beating
    start()
    (program,) = programs()
    program.kill()
    wait_until(lambda: len(calls) == 3)


def test_the_process_ends_when_the_lease_is_another_runs(database, beating):
    start, calls, _ = beating
    lease = start()
    database.change_lease(lambda held: leases.release(held, lease.holder, lease.fence, "failed", now_ms()))
    wait_until(lambda: calls)  # the thread asks for itself once the process has ended
    assert database.lease().holder is None


PROGRAM = """
import time
from trainer.publishing.heart import beat_in_process
from bookrec_operations.lease_holder import Beat
beat_in_process(Beat("run-1", 1, 60_000, lambda: True), 0.25)
time.sleep(600)
"""


def test_the_process_ends_when_the_run_is_killed(database):
    database.change_lease(lambda held: leases.acquire(held, "run", now_ms(), 60_000, 600_000))
    before = database.lease().expires_at
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment) as run:
        wait_until(lambda: database.lease().expires_at > before)
        (program,) = psutil.Process(run.pid).children()
        run.kill()
    program.wait(30)


def test_a_heart_that_does_not_start_leaves_no_lease_behind(database):
    def broken(beat, every_s):
        raise OSError("no more processes")

    with pytest.raises(OSError, match="no more processes"):
        LeaseHolder(database, now_ms, broken, 60_000, 600_000).__enter__()
    assert database.lease().holder is None


def test_the_time_of_a_run_never_goes_back(monkeypatch):
    before = now_ms()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert now_ms() >= before
