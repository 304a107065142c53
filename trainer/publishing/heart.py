"""The heart of a training run: a process of its own renews the lease, whatever holds this process's interpreter."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from bookrec_operations.lease_holder import Beat

PROGRAM = "trainer.command_line.heartbeat"

PATIENCE_S = 10
"""How long the process may take to end; a renewal that it begins meanwhile finds the lease released."""

log = logging.getLogger(__name__)


def beat_in_process(beat: Beat, every_s: float) -> Callable[[], None]:
    """Implement ``bookrec_operations.lease_holder.Heart``.

    A thread needs the interpreter's lock to renew the lease, and libraries hold it: LAPACK for minutes, if a catalogue
    is large. The process ends with this one, even if this one is killed: its standard input ends then. If it ends
    earlier, a thread takes over.
    """
    command = [sys.executable, "-m", PROGRAM, beat.holder, str(beat.fence), str(beat.lease_ms), str(every_s)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # In a session of its own, Ctrl-C does not reach it: the lease is held until this process has cleaned up.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)
    ended = threading.Event()

    def watch() -> None:
        is_alone = False
        while not ended.wait(every_s):
            if process.poll() is None:
                continue
            if not beat():
                return
            if not is_alone:
                log.warning("the process that renews the lease ended (%s): a thread renews it now", process.returncode)
            is_alone = True

    thread = threading.Thread(target=watch, name="lease", daemon=True)
    thread.start()

    def stop() -> None:
        ended.set()
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        thread.join()

    return stop
