"""The package in an environment of its own, for a project that has nothing of this one. Takes about a minute."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rtdb_emulator.launch.process import free_port

from .missing import firebase_program, skip_without

PACKAGE = Path(__file__).resolve().parents[1]
RULES = {"rules": {"shared": {".read": True, "$key": {".write": "newData.isNumber()"}}}}
SCRIPT = """
import json, os, sys, urllib.error, urllib.request

def call(method, path, value=None):
    address = f"http://{os.environ['FIREBASE_DATABASE_EMULATOR_HOST']}/{path}.json?ns=demo-stranger-default-rtdb"
    body = None if value is None else json.dumps(value).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, method=method), timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as problem:
        return problem.code

assert call("PUT", "shared/a", 1) == 1
assert call("GET", "shared") == {"a": 1}
assert call("PUT", "shared/b", "text") == 401
assert call("GET", "other") == 401
sys.exit(int(sys.argv[1]))
"""


def environment(folder):
    """The variables of a stranger: the programs of an environment come first, and nothing leads back to here."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "EMULATOR", "FIREBASE_DATABASE_EMULATOR_HOST", "FIREBASE_EMULATOR_HUB")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    return {**env, "PATH": os.pathsep.join([str(folder / "bin"), env["PATH"]]), "CI": "1"}


def run(*command, folder, cwd, timeout=300):
    return subprocess.run(
        command, cwd=cwd, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with the package and what pip brings for it, nothing else."""
    folder = tmp_path_factory.mktemp("stranger")
    env, source = folder / "env", folder / "source"
    subprocess.run([sys.executable, "-m", "venv", env], check=True, timeout=120)
    pip = [str(env / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    index = run(*pip, "download", "--no-deps", "--retries", "1", "sortedcontainers", folder=env, cwd=folder)
    if index.returncode != 0:
        skip_without(f"pip has no index at hand: {index.stderr.strip().splitlines()[-1]}")
    # A copy: a build leaves files in the folder, and nothing outside it may be needed.
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("tests", "*.egg-info", "__pycache__", "build"))
    done = run(*pip, "install", str(source), folder=env, cwd=folder, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return env


@pytest.fixture
def project(tmp_path):
    """A project of somebody else: the database alone, with its rules."""
    ports = {name: {"host": "127.0.0.1", "port": free_port()} for name in ("database", "hub", "logging")}
    config = {"database": {"rules": "rules.json"}, "emulators": {**ports, "ui": {"enabled": False}}}
    (tmp_path / "firebase.json").write_text(json.dumps(config))
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    (tmp_path / ".firebaserc").write_text(json.dumps({"projects": {"default": "demo-stranger"}}))
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def test_what_is_installed_is_complete_and_from_nowhere_else(installed, tmp_path):
    where = run("python", "-c", "import rtdb_emulator; print(rtdb_emulator.__file__)", folder=installed, cwd=tmp_path)
    package = Path(where.stdout.strip()).parent
    assert package.is_relative_to(installed)
    assert os.access(package / "launch" / "bin" / "java", os.X_OK)
    assert (package / "py.typed").exists()
    check = run("python", "-m", "pip", "check", folder=installed, cwd=tmp_path)
    assert check.returncode == 0, check.stdout
    assert run("rtdb-emulator", "--version", folder=installed, cwd=tmp_path).stdout.startswith("rtdb-emulator 1.")


@pytest.mark.parametrize("code", [0, 7])
def test_firebase_tools_serves_the_project_with_it_and_the_exit_code_comes_through(installed, project, code):
    firebase = [firebase_program(), "emulators:exec", "--only", "database", f"python script.py {code}"]
    done = run("rtdb-emulator", "exec", "--", *firebase, folder=installed, cwd=project)
    assert done.returncode == code, done.stdout + done.stderr
