"""``rtdb-emulator exec``: what becomes of a command."""

import os
import signal
import subprocess
import sys

import pytest

from rtdb_emulator.launch import command

COMMAND = [sys.executable, "-m", "rtdb_emulator"]


def run(*words, cwd=None, **variables):
    command, env = [*COMMAND, "exec", *words], {**os.environ, **variables}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("separator", [[], ["--"]])
def test_the_exit_code_and_the_output_are_the_command_s(separator):
    done = run(*separator, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_the_command_s_own_options_are_left_to_it():
    assert run("--", "echo", "--help", "--", "-x").stdout == "--help -- -x\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_command(sent):
    program = (
        "import signal, sys\n"
        f"signal.signal({int(sent)}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "signal.pause()"
    )
    with subprocess.Popen([*COMMAND, "exec", "--", sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(sent)
        assert process.wait(20) == 5


def test_a_command_that_a_signal_ends_ends_by_that_signal():
    assert run("--", "sh", "-c", "kill -9 $$").returncode == -signal.SIGKILL


def test_the_command_runs_where_it_was_called_and_finds_the_emulator_as_its_java(tmp_path):
    done = run("--", "sh", "-c", 'pwd; test -e "$DATABASE_EMULATOR_BINARY_PATH" && java -version', cwd=tmp_path)
    assert done.stdout == f"{tmp_path}\n"
    assert 'version "21' in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "no command is given: rtdb-emulator exec -- COMMAND"),
        (["--"], 2, "no command is given"),
        (["--", ""], 2, "no command is given"),
        (["--only", "x"], 2, "unknown option --only"),
        (["--", "no-such-program", "x"], 127, "no-such-program: there is no such command on PATH"),
        (["--", "./no-such-program"], 127, "./no-such-program: there is no such command\n"),
        (["--", "/dev/null"], 126, "/dev/null cannot be run: Permission denied"),
    ],
)
def test_what_cannot_be_run_is_a_clear_error(words, code, message):
    done = run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("rtdb-emulator exec: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_google_s_emulator_without_java_is_a_clear_error(tmp_path):
    done = run("--", "/bin/true", EMULATOR="official", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "needs Java 21 or newer on PATH, and there is none" in done.stderr


def test_its_help_says_how_it_is_used():
    assert "rtdb-emulator exec -- firebase emulators:start" in run("--help").stdout


def test_the_command_line_has_help_and_a_version_and_rejects_unknown_commands():
    def plain(*words):
        return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60)

    assert plain("--version").stdout.startswith("rtdb-emulator 1.")
    assert "rtdb-emulator exec -- firebase emulators:start" in plain("--help").stdout
    wrong = plain("excc", "--", "firebase")
    assert wrong.returncode == 2
    assert "unknown command 'excc'" in wrong.stderr


@pytest.mark.parametrize(
    "words",
    [("--port", "99999"), ("--port", "-1"), ("--port", "http"), ("--functions_emulator_port", "65536"),
     ("--in-flight", "0"), ("--in-flight", "-1"), ("--timeout", "f=0"), ("--timeout", "f=1.5"), ("--timeout", "f=")],
)  # fmt: skip
def test_numbers_that_cannot_be_meant_are_rejected(words):
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"argument {words[0]}: {words[1].rpartition('=')[2]!r} is not a whole number from" in done.stderr


@pytest.mark.parametrize("text", ["f", "=5", "f=5,g", "f=x"])
def test_time_limits_in_the_environment_that_cannot_be_meant_are_rejected(text):
    env = {**os.environ, "RTDB_EMULATOR_TIMEOUTS": text}
    done = subprocess.run([*COMMAND], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "RTDB_EMULATOR_TIMEOUTS: '" in done.stderr


def test_time_limits_come_from_the_environment_and_from_options(monkeypatch):
    seen = []
    monkeypatch.setattr(command, "_serve", lambda options, ignored, timeouts: seen.append(timeouts))
    monkeypatch.setenv("RTDB_EMULATOR_TIMEOUTS", "f=540, g=70,")
    command.main(["--timeout", "g=80", "--timeout", "a=b=90", "--rules", "x"])
    assert seen == [{"f": 540, "g": 80, "a=b": 90}]
