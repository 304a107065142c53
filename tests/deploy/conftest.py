"""A copy of the checkout, and a cloud that is a file."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import source
from deploy.commands import Answer
from deploy.plan import plan
from deploy.steps import content_of, due, state_of
from deploy.target import Target
from tests.deploy import faults
from tests.deploy.cloud import Cloud

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = Path(__file__).parent / "projects"
COPIED = (
    "deploy",
    "functions",
    "trainer",
    "web",
    "firebase.json",
    "database.rules.json",
    "storage.rules",
    ".dockerignore",
)

CHANNEL = "projects/book-club-1/notificationChannels/7"
TARGET = Target("book-club-1", "europe-west1", number="123456789012", notify=CHANNEL)


class Desk:
    """A separate checkout with fake tools, from which ``python -m deploy`` runs as a real process."""

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
        """Return the arguments of every call of a tool, and clear the log."""
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines()]
        self.log_file.write_text("")
        return [line["argv"] for line in lines]

    def run(self, command, *words, project="book-club-1", region="europe-west1", failing=""):
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.checkout), "CLOUD_FAIL": failing}
        environment |= {"CLOUD_STATE": str(self.state_file), "CLOUD_LOG": str(self.log_file)}
        argv = [sys.executable, "-m", "deploy", command, "--project", project, "--region", region, *words]
        return subprocess.run(argv, cwd=self.checkout, env=environment, capture_output=True, text=True, timeout=300)


def copy_checkout(folder):
    """Copy what is deployed, without files installed or written on this machine; return the copy."""
    left_out = shutil.ignore_patterns("venv", "__pycache__", ".env*", "config.json", "*_cache")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def make_project(checkout, target):
    """Carry out the plan of a checkout in this process; return the state of the project that it creates."""
    cloud = Cloud(json.loads((PROJECTS / "fresh.json").read_text()), checkout)

    def run(command):
        return Answer(*cloud.answer(list(command.argv)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "ROOT", checkout)
        for number in range(len(plan(target))):
            step = plan(target)[number]
            if step.file is not None:
                (checkout / step.file.path.relative_to(ROOT)).write_text(content_of(step.file, run))
            elif state_of(step, run).name != "done":
                for command in due(step, run):
                    run(command)
    return cloud.state


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def desk(tmp_path, original):
    checkout = tmp_path / "checkout"
    shutil.copytree(original, checkout, copy_function=os.link)
    desk = Desk(tmp_path, checkout)
    desk.open(json.loads((PROJECTS / "fresh.json").read_text()))
    return desk


@pytest.fixture(scope="session")
def made(tmp_path_factory, original):
    """A project after a deployment, as (state, the checkout that it was deployed from)."""
    checkout = tmp_path_factory.mktemp("made") / "checkout"
    shutil.copytree(original, checkout)
    return make_project(checkout, TARGET), checkout


@pytest.fixture
def made_desk(tmp_path, made):
    """A desk from which that project was deployed."""
    shutil.copytree(made[1], tmp_path / "checkout", copy_function=os.link)
    desk = Desk(tmp_path, tmp_path / "checkout")
    desk.open(made[0])
    return desk


@pytest.fixture(scope="session")
def examined(made):
    """The doctor's findings for each fault, by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "ROOT", made[1])
        return faults.examined(made[0])
