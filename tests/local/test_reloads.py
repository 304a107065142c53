"""What is said about a reload, and the end of the workers that it replaces."""

import sys
from pathlib import Path

import pytest

from local.processes import Processes
from local.reloads import Reloads, end_replaced_workers, failed_load, is_watched
from tests.waiting import wait_until

LOADED = "\x1b[32m✔  functions:\x1b[39m Loaded functions definitions from source: fanout, retrain.\n"
FAILED = "⬢  functions: Failed to load function definition from source: FirebaseError: It has a syntax error\n"


def test_each_reload_is_said_once_from_the_beginning_of_the_watch(tmp_path):
    log = tmp_path / "emulators.log"
    log.write_text(LOADED)
    reloads = Reloads(log)
    assert list(reloads.news()) == []
    with log.open("a") as output:
        output.write("i  functions: Beginning execution\n" + FAILED + LOADED[:20])
    assert list(reloads.news()) == [
        "functions/ has changed and cannot be loaded; the old functions stay. FirebaseError: It has a syntax error. "
        f"Look at the end of {log}"
    ]
    with log.open("a") as output:
        output.write(LOADED[20:])
    assert list(reloads.news()) == ["functions/ has changed: the functions are reloaded"]
    assert list(reloads.news()) == []


def test_functions_that_cannot_be_loaded_at_the_start_are_named_with_the_place():
    lines = [
        "Traceback (most recent call last):",
        '  File "main.py", line 3',
        "    def broken(:",
        "SyntaxError: invalid",
    ]
    traceback = "\n".join(lines) + "\n\n127.0.0.1 - - GET /__/functions.yaml 500\n\n"
    assert failed_load(traceback + FAILED + "All emulators ready") == "\n".join(
        ["FirebaseError: It has a syntax error", *lines[1:]]
    )
    assert failed_load(FAILED) == "FirebaseError: It has a syntax error"
    assert failed_load(LOADED) is None
    assert failed_load(FAILED + LOADED) is None


@pytest.mark.parametrize(
    ("folder", "expected"), [("/home/me/books/functions", True), ("/home/me/.work/books/functions", False)]
)
def test_a_path_with_a_hidden_folder_is_not_watched(folder, expected):
    assert is_watched(Path(folder)) is expected


def test_workers_whose_shell_was_ended_are_ended_and_no_others(tmp_path):
    program = tmp_path / "functions-framework"
    program.write_text("import time\ntime.sleep(60)\n")
    processes = Processes()
    command = ["sh", "-c", f'. /dev/null && "{sys.executable}" "{program}"; true']  # with "; true" no shell execs it
    try:
        replaced, used = (processes.start(command, log=tmp_path / "log") for _ in range(2))

        def workers():
            return {process.ppid(): process for process in processes.alive() if str(program) in process.cmdline()}

        both = wait_until(lambda: found if len(found := workers()) == 2 else None)
        assert end_replaced_workers(processes) == 0
        replaced.kill()
        replaced.wait()
        wait_until(lambda: end_replaced_workers(processes) == 1)
        wait_until(lambda: not both[replaced.pid].is_running() or both[replaced.pid].status() == "zombie")
        assert both[used.pid].is_running()
    finally:
        processes.stop(patience_s=0)
