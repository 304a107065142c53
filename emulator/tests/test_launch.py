"""How firebase-tools finds this emulator, or Google's."""

import os
import subprocess
import time
from pathlib import Path

import pytest
import requests

from rtdb_emulator.launch import firebase_tools
from rtdb_emulator.launch.process import free_port


def test_the_package_s_java_comes_first_on_path_and_has_a_version():
    env = firebase_tools.environment({"PATH": "/usr/bin:/bin"})
    assert Path(env["DATABASE_EMULATOR_BINARY_PATH"]).exists()
    done = subprocess.run(
        ["java", "-Duser.language=en", "-version"], env=env, capture_output=True, text=True, check=True, timeout=300
    )
    assert 'version "21' in done.stderr


@pytest.mark.parametrize(("version", "found"), [(None, "there is none"), (17, "this is Java 17")])
def test_google_s_emulator_without_its_java_is_a_clear_error(monkeypatch, version, found):
    monkeypatch.setattr(firebase_tools, "java_version", lambda path: version)
    with pytest.raises(firebase_tools.LaunchError, match=f"needs Java 21 or newer on PATH, and {found}"):
        firebase_tools.environment({"EMULATOR": "official"})


def test_google_s_emulator_with_its_java_is_left_in_charge(monkeypatch):
    monkeypatch.setattr(firebase_tools, "java_version", lambda path: 21)
    assert firebase_tools.environment({"EMULATOR": "official", "PATH": "/bin"}) == {
        "EMULATOR": "official",
        "PATH": "/bin",
    }


def fake_java(folder, script):
    folder.mkdir(exist_ok=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("answer", "version"),
    [('openjdk version "21.0.4" 2024-07-16', 21), ('java version "1.8.0_202"', 1), ("no idea", None)],
)
def test_the_version_of_a_real_java_is_read(tmp_path, answer, version):
    assert firebase_tools.java_version(fake_java(tmp_path, f"echo '{answer}' >&2")) == version
    assert firebase_tools.java_version(str(tmp_path / "none")) is None


def test_any_other_jar_goes_to_the_real_java(tmp_path):
    real = fake_java(tmp_path, 'echo "real $*"')
    env = firebase_tools.environment({"PATH": f"{real}:{os.environ['PATH']}"})
    command = ["java", "-Duser.language=en", "-jar", "firestore.jar", "--port", "1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "real -Duser.language=en -jar firestore.jar --port 1\n"


def test_the_command_line_of_firebase_tools_serves_and_ends_on_sigterm(tmp_path):
    port = free_port()
    (tmp_path / "aiohttp.py").write_text("raise ImportError('a module of the project, not the library')")
    env = firebase_tools.environment(dict(os.environ))
    command = ["java", "-Duser.language=en", "-jar", env["DATABASE_EMULATOR_BINARY_PATH"], "--host", "127.0.0.1"]
    command += ["--port", str(port), "--single_project_mode", "Warning", "--an_option_to_come", "x"]
    process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                assert requests.get(f"http://127.0.0.1:{port}/x.json?ns=n", timeout=5).json() is None
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        process.terminate()
    assert process.wait(10) == 0
