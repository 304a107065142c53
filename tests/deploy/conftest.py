"""A copy of what is deployed, and a cloud that is a file."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = Path(__file__).parent / "projects"
COPIED = ("deploy", "functions", "trainer", "web", "firebase.json", "database.rules.json", "storage.rules", ".dockerignore")


class Desk:
    """A checkout of its own with the tools replaced, from which ``python -m deploy`` is run as a person would."""

    def __init__(self, folder, checkout):
        self.checkout = checkout
        self.state_file, self.log_file, self.bin = folder / "state.json", folder / "log.jsonl", folder / "bin"
        self.bin.mkdir()
        for tool in ("gcloud", "firebase", "curl"):
            script = self.bin / tool
            script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {Path(__file__).parent}/cloud.py {tool} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def open(self, state):
        self.state_file.write_text(json.dumps(state))
        self.log_file.write_text("")

    @property
    def state(self):
        return json.loads(self.state_file.read_text())

    def calls(self):
        """Return the words of every call of a tool, and empty the list."""
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines()]
        self.log_file.write_text("")
        return [line["argv"] for line in lines]

    def run(self, command, *words, project="book-club-1", region="europe-west1", failing=""):
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.checkout), "CLOUD_FAIL": failing}
        environment |= {"CLOUD_STATE": str(self.state_file), "CLOUD_LOG": str(self.log_file)}
        argv = [sys.executable, "-m", "deploy", command, "--project", project, "--region", region, *words]
        return subprocess.run(argv, cwd=self.checkout, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """What is deployed, without what was installed or written on this machine."""
    folder = tmp_path_factory.mktemp("checkout")
    left_out = shutil.ignore_patterns("venv", "__pycache__", ".env*", "config.json", "*_cache")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def desk(tmp_path, original):
    checkout = tmp_path / "checkout"
    shutil.copytree(original, checkout, copy_function=os.link)
    desk = Desk(tmp_path, checkout)
    desk.open(json.loads((PROJECTS / "fresh.json").read_text()))
    return desk


@pytest.fixture(scope="session")
def made(tmp_path_factory, original):
    """The state of a project after a deployment: what the other tests begin with or damage."""
    folder = tmp_path_factory.mktemp("made")
    desk = Desk(folder, original)
    desk.open(json.loads((PROJECTS / "fresh.json").read_text()))
    done = desk.run("apply", "--notify", "projects/book-club-1/notificationChannels/7")
    assert done.returncode == 0, done.stdout + done.stderr
    return desk.state
