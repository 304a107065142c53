"""`make up` as a developer uses it, in a clone: from the background of a shell, with a change of the functions."""

import json
import re
import signal
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests

from bookrec.ranking import LIST_SIZE
from local.accounts import READERS
from local.bucket import Bucket
from local.reader import Reader
from local.reloads import FRAMEWORK
from local.stack import Addresses
from tests.clone import ROOT, clone_into, environment_of
from tests.waiting import wait_until

TOKEN = "BOOKREC_TEST_UP"
"""Environment variable by which the test finds every process that it has started, and their children."""

READY_S, END_S = 240, 120
LONGER = LIST_SIZE + 2


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return clone_into(tmp_path_factory.mktemp("up") / "project")


@pytest.fixture(scope="module")
def cache_with_ui(tmp_path_factory):
    """A cache of firebase-tools with files in the place of the Emulator UI's: the real ones are a download."""
    details = json.loads((ROOT / "node_modules/firebase-tools/lib/emulator/downloadableEmulatorInfo.json").read_text())
    program = tmp_path_factory.mktemp("cache") / details["ui"]["main"]["binaryPathRelativeToCacheDir"]
    page = program.parents[1] / "client" / "index.html"
    for file, text in ((program, ""), (page, "the page of the Emulator UI")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return program.parents[2]


class Job:
    """`make up` in the background of a shell, which has it ignore SIGINT."""

    def __init__(self, clone, cache, log, *variables):
        self.log, self._token = log, uuid.uuid4().hex
        command = f'make up TRAIN=0 FRESH_PORTS=1 {" ".join(variables)} & wait $!; echo "code $?"'
        environment = {**environment_of(clone), "FIREBASE_EMULATORS_PATH": str(cache), TOKEN: self._token}
        with log.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash", "-c", command],
                cwd=clone,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self):
        return self.log.read_text()

    def processes(self):
        """Return those that run, each with its command in ``info``: a later question may find it ended."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "environ", "status"])
            if (process.info["environ"] or {}).get(TOKEN) == self._token
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]

    def running(self, *words):
        """Return the processes whose command has these words."""
        return [
            process
            for process in self.processes()
            if set(words) <= {Path(word).name for word in process.info["cmdline"] or ()}
        ]

    def the(self, *words):
        """Return the one process whose command has these words."""
        [process] = self.running(*words)
        return process

    def addresses(self):
        """Wait until the stack is up, and return what it printed."""
        wait_until(lambda: "until Ctrl-C" in self.text() or self._shell.poll() is not None, READY_S)
        text = self.text()
        assert "until Ctrl-C" in text, text
        at = {name: re.search(rf"{name} +http://([\d.:]+)/", text)[1] for name in ("auth", "database", "functions")}
        storage, firebase_storage = re.search(r"storage +http://([\d.:]+)/.* http://([\d.:]+)/", text).groups()
        return Addresses(
            project="demo-bookrec",
            **at,
            tasks="",
            hosting=re.search(r"http://(\S+)/ +for readers", text)[1],
            hub="",
            storage=storage,
            firebase_storage=firebase_storage,
            ui=re.search(r"http://(\S+)/ +the Emulator UI", text)[1],
        )

    def ended(self):
        """Wait for the end; return the exit code that the shell saw."""
        self._shell.wait(END_S)
        return int(re.search(r"^code (\d+)$", self.text(), re.MULTILINE)[1])

    def end(self):
        """End what a failed test has left, by id."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # It ended by itself.
                process.kill()
        self._shell.wait()


@pytest.fixture
def start(clone, cache_with_ui, tmp_path):
    jobs = []

    def start(*variables):
        jobs.append(Job(clone, cache_with_ui, tmp_path / f"up-{len(jobs)}.log", *variables))
        return jobs[-1]

    yield start
    for job in jobs:
        job.end()


def ignores_sigint(process):
    ignored = re.search(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)[1]
    return bool(int(ignored, 16) & 1 << signal.SIGINT - 1)


def workers_of(job):
    return {process.pid for process in job.running(FRAMEWORK)}


def has_length(length):
    return lambda recommendations: len(recommendations["items"]) == length


def test_it_reloads_functions_ends_on_a_signal_and_keeps_its_data(clone, start, tmp_path):
    kept = tmp_path / "kept"
    job = start(f"KEEP_DATA={kept}")
    at = job.addresses()
    assert ignores_sigint(job.the("make", "up"))
    assert "No model is live: lists have popular books" in job.text()
    assert requests.get(f"http://{at.hosting}/", timeout=30).ok
    assert requests.get(f"http://{at.hosting}/operator", timeout=30).ok
    assert requests.get(f"http://{at.ui}/", timeout=30).text == "the page of the Emulator UI"
    assert "database" in requests.get(f"http://{at.ui}/api/config", timeout=30).json()

    account = READERS[0]
    assert f"{account.email}     {account.password}" in job.text()
    reader = Reader(at, account.email, account.password)
    isbns = sorted({book["isbn"] for book in reader.request("GET", "archive").json().values()})
    reader.shelve(isbns[0], 4)
    first, _ = reader.wait_for_list()
    assert (len(first["items"]), first["source"], first["modelVersion"]) == (LIST_SIZE, "popular", "none")

    replaced = workers_of(job)
    ranking = clone / "functions/bookrec/ranking.py"
    ranking.write_text(ranking.read_text().replace(f"LIST_SIZE = {LIST_SIZE}\n", f"LIST_SIZE = {LONGER}\n"))
    wait_until(lambda: "the functions are reloaded" in job.text())
    reader.shelve(isbns[1], 5)
    reader.wait_for_list(has_length(LONGER))
    wait_until(lambda: not replaced & workers_of(job))

    Bucket(at.storage, at.bucket).write("models/a version/file", b"\0\1", "text/x-test")
    job.the("make", "up").send_signal(signal.SIGTERM)
    assert job.ended() != 0  # make's own code for SIGTERM
    wait_until(lambda: not job.processes(), END_S)
    assert f"are kept in {kept}" in job.text()
    assert job.text().count("nothing is left running") == 1

    job = start(f"KEEP_DATA={kept}")
    at = job.addresses()
    again = Reader(at, account.email, account.password)
    assert again.uid == reader.uid
    assert again.shelf().ratings == {isbns[0]: 4, isbns[1]: 5}
    again.wait_for_list(has_length(LONGER))
    bucket = Bucket(at.storage, at.bucket)
    assert bucket.names() == ["models/a version/file"]
    assert bucket.read("models/a version/file") == b"\0\1"
    assert bucket.metadata("models/a version/file")["contentType"] == "text/x-test"
    job.the("-m", "local.up").send_signal(signal.SIGINT)
    assert job.ended() == 0, job.text()
    assert job.processes() == []


def test_a_folder_that_holds_something_else_is_rejected_before_anything_starts(start, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to a friend.txt").write_text("Dear")
    job = start(f"KEEP_DATA={tmp_path / 'letters'}")
    assert job.ended() == 2  # make's own code for a command that failed
    assert "holds something else (to a friend.txt), which would be lost" in job.text()
    assert "Starting" not in job.text()
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["to a friend.txt"]
