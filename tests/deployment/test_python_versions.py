"""The functions' own requirements, unit tests and model files on every Python that they support."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.adapters.test_tflite_model import write_files
from tests.missing import find_python

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis")
FAKES = ("google-re2", "lark", "psutil", "sortedcontainers")
"""What the database in memory and the tests' own servers need."""

THEIRS = ("execnet", "iniconfig", "packaging", "pluggy", "pygments")
"""What the tools need beyond that."""


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """Requirements with hashes: what the unit tests need, as the development environment has it."""
    locked = (ROOT / "requirements-dev.txt").read_text()
    blocks = dict(re.findall(r"^([a-z0-9-]+)(==.*(?:\n    .*)*)", locked, re.MULTILINE))
    file = tmp_path_factory.mktemp("tools") / "requirements.txt"
    file.write_text("".join(f"{name}{blocks[name]}\n" for name in (*TOOLS, *FAKES, *THEIRS)))
    return file


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_files(folder)
    return folder


def run(words, **more):
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_all_supported_pythons_are_tested_and_the_default_runtime_is_the_newest():
    oldest, beyond = re.search(
        r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text()
    ).groups()
    assert [f"3.{minor}" for minor in range(int(oldest), int(beyond))] == list(PYTHONS)
    assert f'"runtime": "python{PYTHONS[-1].replace(".", "")}"' in (ROOT / "firebase.json").read_text()
    assert f"PYTHON ?= $(shell local/find-python {' '.join(PYTHONS[::-1])})" in (ROOT / "Makefile").read_text()
    assert f"FROM python:{PYTHONS[-1]}-" in (ROOT / "trainer" / "Dockerfile").read_text()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", PYTHONS)
def test_the_functions_work_on(version, tools, models, tmp_path):
    python = find_python(version)
    if not python:
        pytest.skip(f"there is no Python {version} on this machine")  # in CI too: one Python is enough for the rest
    environment = tmp_path / "venv"
    run([python, "-m", "venv", environment])
    pip = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    run([*pip, "-r", ROOT / "functions" / "requirements.txt"])
    run([environment / "bin" / "pip", "check", "--disable-pip-version-check"])
    run([*pip, "-r", tools])
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "CI") if name in os.environ}
    kept["PYTHONPATH"] = str(ROOT / "emulator" / "src")
    words = [environment / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = ["tests/unit", "tests/adapters/test_tflite_model.py"]
    told = run([*words, *tests], env={**kept, "MODEL_FILES": str(models), "PYTHONDONTWRITEBYTECODE": "1"})
    assert re.search(r"\d+ passed", told)
    assert "failed" not in told


def test_pyenvs_command_for_a_python_that_is_not_switched_on_is_passed_over(tmp_path):
    for name, lines in (("python3.13", "exit 127"), ("python3.12", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def found(*versions):
        words = [ROOT / "local" / "find-python", *versions]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout.strip()

    assert found("3.13", "3.12") == (0, str(tmp_path / "python3.12"))
    assert found("3.99") == (1, "")
