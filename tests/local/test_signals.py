"""Signals that end a command: taken where a shell has them ignored, held back during the clean-up."""

import signal
import subprocess
import sys
import threading

import pytest

from local.signals import ENDING, held_back

CHILD = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
PROGRAM = f"""
import subprocess, sys, time
from local.signals import interrupt_on_signals
interrupt_on_signals()
try:
    child = subprocess.run([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE, text=True, timeout=300)
    print(child.stdout, end="", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def start(ignored):
    """Start the program from a shell that ignores a signal, and so has its children ignore it."""
    command = ["sh", "-c", f"trap '' {ignored}; exec \"$@\"", "sh", sys.executable, "-c", PROGRAM]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", ENDING)
def test_each_signal_interrupts_also_where_a_shell_has_sigint_ignored(number):
    with start("INT") as program:
        assert program.stdout.readline() == "True\n"  # its children do not ignore it
        program.send_signal(number)
        assert program.stdout.read() == "interrupted\n"


def test_what_nohup_has_ignored_stays_ignored():
    with start("HUP") as program:
        program.stdout.readline()
        program.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.5)
        program.terminate()
        assert program.stdout.read() == "interrupted\n"


def test_a_signal_waits_for_the_end_of_the_block():
    done = []

    def clean_up():
        with held_back():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        clean_up()
    assert done == [True]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_without_a_signal_nothing_is_raised_and_in_other_threads_nothing_is_held():
    before = {number: signal.getsignal(number) for number in ENDING}
    with held_back():
        pass
    problems = []

    def run():
        try:
            with held_back():
                pass
        except Exception as problem:
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert problems == []
    assert {number: signal.getsignal(number) for number in ENDING} == before
