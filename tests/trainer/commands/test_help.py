"""What all commands share: help, the commands page, errors in one line, exit codes, JSON, progress, Ctrl-C."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from firebase_admin import exceptions as firebase
from firebase_admin.db import TransactionAbortedError
from google.api_core import exceptions as google
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from scipy.sparse import csr_matrix

from bookrec import paths
from bookrec.environment import whole
from bookrec.errors import BadArgument, BadInput, BadModel, LeaseLost, NotNow
from bookrec.list_shards import INDEX
from local.stack import ROOT
from tests.trainer.commands.command_line import command, fill, project, storage_url
from tests.trainer.serving.batch.snapshots import small_world
from tests.trainer.small_ratings import clusters
from trainer import commands_page as reference
from trainer.command_line.errors import explain
from trainer.command_line.options import EXIT_CODES, PROGRAM
from trainer.command_line.progress import Progress
from trainer.commands import simulate
from trainer.commands.parser import ENVIRONMENT, GROUPS, make_parser
from trainer.data.exchange.database_export import write_export
from trainer.data.ingest.snapshot import SourceError
from trainer.evaluation.ease import ease
from trainer.model import distributed
from trainer.serving.batch import model_file

__all__ = ["command", "project", "storage_url"]

COMMANDS = (
    "train", "evaluate", "publish", "rollback", "release", "status", "experiment", "import", "export", "lists",
    "events", "simulate", "run",
)  # fmt: skip


def test_the_help_lists_every_command_with_a_summary_and_the_exit_codes(command):
    ended = command("--help")
    assert ended.code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w", ended.out, re.MULTILINE), name
    assert sorted(COMMANDS) == sorted(name for names in GROUPS.values() for name in names)
    for text in (*GROUPS, *ENVIRONMENT, *map(str, EXIT_CODES)):
        assert text in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_summary_defaults_and_examples_that_its_parser_accepts(command, name):
    ended = command(name, "--help")
    assert ended.code == 0
    assert "(default: None)" not in ended.out
    assert "(default: False)" not in ended.out
    assert "--json" in ended.out
    parser, parsers = make_parser()
    assert (parsers[name].description or "").endswith(".")
    undocumented = [action.dest for action in parsers[name]._actions if not action.help]
    assert undocumented == []
    examples = re.findall(rf"^  {re.escape(PROGRAM)} (.+)$", ended.out, re.MULTILINE)
    assert examples
    for example in examples:
        words = example.split(" | ")[0].split()
        assert words[0] == name
        assert parser.parse_args(words).command == name


def test_the_commands_page_matches_the_parsers(monkeypatch):
    for name in ("BY_USER", "SNAPSHOTS", "BATCH_LISTS", "BASELINES"):
        monkeypatch.setenv(name, "7")  # the page must not depend on the environment
    assert reference.PAGE.read_text() == reference.page(), "rewrite it: python -m trainer.commands_page"
    for name in COMMANDS:
        assert f"\n## {name}\n" in reference.page()


def test_help_imports_no_heavy_library():
    program = "import sys; from trainer.__main__ import main\ntry: main(['train', '--help'])\nexcept SystemExit: pass\n"
    heavy = {"numpy", "pandas", "tensorflow", "firebase_admin", "google.cloud.storage", "tqdm"}
    check = f"print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program + check], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("words", [[], ["no-such-command"], ["status", "--no-such-option"], ["run", "--fence", "x"]])
def test_bad_arguments_are_bad_input(command, words):
    ended = command(*words)
    assert ended.code == 2
    assert ended.err.splitlines()[0].startswith(f"usage: {PROGRAM}")
    assert ended.err.splitlines()[-1].startswith("trainer: ")
    assert "; for help: " in ended.err
    assert command(*words, "--json").json["exitCode"] == 2


@pytest.mark.parametrize("name", ["train", "status", "rollback", "release", "experiment", "run"])
def test_without_a_project_the_variable_is_named(command, monkeypatch, name):
    for variable in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    ended = command(name, "--json")
    assert ended.code == 2
    assert "set GOOGLE_CLOUD_PROJECT" in ended.json["error"]
    assert ended.json["exitCode"] == 2


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DATABASES"])
def test_an_invalid_address_is_named_with_its_variable(command, project, monkeypatch, variable):
    monkeypatch.setenv(variable, "not an address")
    ended = command("status")
    assert ended.code == 2
    assert ended.err.startswith(f"trainer: {variable}: Invalid database URL")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LEASE_SECONDS", "two minutes"), ("LEASE_SECONDS", "0"), ("TRAINER_TIMEOUT_SECONDS", "1.5"), ("BY_USER", "-1")],
)
def test_an_invalid_number_is_named_with_its_variable_before_anything_is_read(
    command, project, monkeypatch, variable, value
):
    monkeypatch.setenv(variable, value)
    ended = command("run", "--json")
    assert ended.code == 2
    assert ended.json["error"].startswith(f"{variable} is '{value}' in the environment: set it to a whole number of ")
    assert project.get("Recommender") is None
    assert command("status").code == 3  # it needs none of them


def test_an_empty_variable_counts_as_unset():
    assert whole("LEASE_SECONDS", "", 120) == whole("LEASE_SECONDS", None, 120) == 120


def test_an_invalid_workers_patience_is_named(command, project, monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}})
    )
    monkeypatch.setenv("WORKERS_PATIENCE_SECONDS", "long")
    distributed.strategy.cache_clear()  # earlier training in this process may have filled it
    ended = command("run")
    assert ended.code == 2
    assert ended.err.startswith("trainer: WORKERS_PATIENCE_SECONDS is 'long' in the environment")


def test_a_bucket_with_a_wrong_name_is_named(command, project, monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL_BUCKET", "-models")
    ended = command("rollback", "20260102T030405Z-7")
    assert (ended.code, ended.err.startswith("trainer: MODEL_BUCKET: ")) == (2, True)
    monkeypatch.delenv("MODEL_BUCKET")
    ended = command("evaluate", "--source", "gs://-models/backup.json.gz", "--out", str(tmp_path))
    assert (ended.code, "gs://-models/backup.json.gz: " in ended.err) == (2, True)


def test_a_database_that_does_not_answer_is_named(command, project, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "http://127.0.0.1:1?ns=nobody")
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", "127.0.0.1:1")
    ended = command("status", "--json")
    assert ended.code == 1
    assert "127.0.0.1:1 ($FIREBASE_DATABASE_EMULATOR_HOST) does not answer" in ended.json["error"]


def test_missing_credentials_are_named(command, monkeypatch, tmp_path):
    for variable in ("FIREBASE_DATABASE_EMULATOR_HOST", "DATABASE_URL", "DATABASES", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-nobody")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    ended = command("status")
    assert ended.code == 2
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in ended.err


@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (LeaseLost("held by run-1"), 1, "held by run-1"),
        (BadModel("a file\nis missing"), 1, "a file is missing"),
        (NotNow("end it first"), 1, "end it first"),
        (BadArgument("no share"), 2, "no share"),
        (BadInput("no column"), 2, "no column"),
        (SourceError("ratings.csv: no column"), 2, "ratings.csv: no column"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 2, "x.csv: No such file"),
        (PermissionError(13, "Permission denied", "out"), 2, "out: Permission denied"),
        (DefaultCredentialsError("reader-7"), 2, "GOOGLE_APPLICATION_CREDENTIALS"),
        (RefreshError("reader-7"), 1, "sign in again"),
        (firebase.UnavailableError("/reader-7"), 1, "the database at"),
        (firebase.PermissionDeniedError("/reader-7"), 2, "docs/access.md"),
        (firebase.NotFoundError("/reader-7"), 2, "DATABASE_URL"),
        (firebase.InvalidArgumentError("Index not defined: /reader-7"), 2, "firebase deploy --only database"),
        (firebase.InvalidArgumentError("Couldn't parse: /reader-7"), 2, "answered that a request is invalid"),
        (firebase.DeadlineExceededError("/reader-7"), 1, "does not answer"),
        (firebase.InternalError("/reader-7"), 1, "answered with an error"),
        (TransactionAbortedError("/reader-7"), 1, "answered with an error"),
        (google.BadRequest("reader-7"), 1, "a request to Cloud Storage failed (BadRequest)"),
        (google.TooManyRequests("reader-7"), 1, "a request to Cloud Storage failed (TooManyRequests)"),
        (requests.ConnectionError("reader-7"), 1, "Cloud Storage does not answer"),
        (requests.exceptions.InvalidURL("reader-7"), 1, "a request to Cloud Storage failed (InvalidURL)"),
        (google.NotFound("reader-7"), 2, "MODEL_BUCKET"),
        (google.Forbidden("reader-7"), 2, "docs/access.md"),
        (google.ServiceUnavailable("reader-7"), 1, "Cloud Storage"),
        (google.RetryError("reader-7", None), 1, "Cloud Storage"),
        (ConnectionResetError("reader-7"), 1, "does not answer"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_expected_failure_is_one_line_with_its_code_and_no_reader(problem, code, words):
    exit_code, line = explain(problem)
    assert exit_code == code
    assert exit_code in EXIT_CODES
    assert words in line
    assert "\n" not in line
    assert "reader-7" not in line


@pytest.mark.parametrize(
    "fault", [RuntimeError("a fault"), KeyError("x"), AssertionError(), ValueError("of a library")]
)
def test_a_bug_keeps_its_traceback(fault):
    assert explain(fault) is None


@pytest.mark.parametrize(
    "fault",
    [
        lambda: np.ones(3) + np.ones(4),
        lambda: np.linalg.inv(np.zeros((2, 2))),
        lambda: pd.DataFrame({"a": [1, 2]}, index=["x"]),
        lambda: int("seven"),
        lambda: b"\xff".decode(),
        lambda: json.loads("{"),
        lambda: ease(csr_matrix((1, 2), dtype=np.float32), csr_matrix((2, 0), dtype=np.float32), 0.0, 1.0),
    ],
)
def test_what_a_library_raises_for_a_fault_in_the_program_keeps_its_traceback(fault):
    with pytest.raises(ValueError) as raised:
        fault()
    assert explain(raised.value) is None


def test_no_module_of_the_trainer_raises_a_plain_value_error_for_input():
    """What a person may cause is a ``BadInput``; these are for faults of the program."""
    internal = {"trainer/evaluation/ease.py", "trainer/model/reranker.py", "trainer/candidate.py"}
    files = {str(f.relative_to(ROOT)) for f in (ROOT / "trainer").rglob("*.py") if "raise ValueError(" in f.read_text()}
    assert files <= internal


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Watched(io.StringIO):
    """Signals when a text has been written."""

    def __init__(self, text):
        super().__init__()
        self._text, self.is_written = text, threading.Event()

    def write(self, part):
        written = super().write(part)
        if self._text in part:
            self.is_written.set()
        return written


def test_elsewhere_progress_is_a_line_from_time_to_time():
    shown = Watched("3 of 10")
    with Progress("export", 10, "nodes", stream=shown, every_s=0.01) as progress:
        progress.step("/archive")
        progress.advance(3)
        assert shown.is_written.wait(20)
    lines = shown.getvalue().splitlines()
    assert lines[0] == "export: /archive, 0 of 10 nodes, 0 s"
    assert lines[-1] == "export: /archive, 3 of 10 nodes, 0 s"
    said = len(lines)
    assert len(shown.getvalue().splitlines()) == said  # no line after the end


def test_short_work_shows_no_progress():
    shown = io.StringIO()
    with Progress("export", stream=shown) as progress:
        progress.advance(3)
    assert shown.getvalue() == ""


def test_on_a_terminal_progress_is_a_bar():
    shown = Terminal()
    with Progress("simulating", 10, "histories", stream=shown) as progress:
        progress.step("still")
        progress.advance(10)
    assert "simulating: still" in shown.getvalue()
    assert "0/10" in shown.getvalue()


def test_simulate_runs_histories_and_replays_one(command):
    ended = command("simulate", "--seeds", 2, "--jobs", 1, "--json")
    assert ended.code == 0, ended.err
    assert ended.json == {"histories": 2, "first": 0, "failed": [], "byInvariant": {}, "violations": []}
    ended = command("simulate", "--seed", 1, "--trace")
    assert ended.code == 0
    assert "seed 1: " in ended.out.splitlines()[-1]
    assert len(ended.out.splitlines()) > 100
    assert command("simulate", "--seed", 1, "--json").json["turns"] > 100


class Broken:
    """A simulation in which one history breaks a promise."""

    @staticmethod
    def explore(seed):
        return seed, [(4, "the pointer names nothing")] if seed == 3 else []


def test_a_broken_promise_ends_with_1_and_says_how_to_replay_it(command, monkeypatch):
    monkeypatch.setattr(simulate, "_simulation", lambda: Broken)
    ended = command("simulate", "--seeds", 5, "--jobs", 1)
    assert ended.code == 1
    assert "5 histories, 1 failed" in ended.out
    assert "simulate --seed 3 --trace" in ended.out
    assert "seed 3: invariant 4: the pointer names nothing" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--trace"], "select it with --seed"), (["--seeds", "0"], "0 is less than 1"), (["--seeds", "x"], "invalid")],
)
def test_bad_options_of_simulate_are_bad_input(command, words, message):
    ended = command("simulate", *words)
    assert ended.code == 2
    assert message in ended.err


def test_simulate_says_if_the_tests_are_missing(command, monkeypatch, tmp_path):
    monkeypatch.setattr(simulate, "ROOT", tmp_path)
    ended = command("simulate", "--json")
    assert ended.code == 2
    assert "the container has none" in ended.json["error"]


def test_import_reports_as_json_what_it_wrote_and_overwrites_nothing(command, tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,isbn,myRate\nu1,i1,4\nu1,,3\n")
    ended = command("import", tmp_path / "ratings.csv", "--out", tmp_path / "out", "--json")
    assert ended.code == 0
    assert ended.json["nodes"][paths.USER_BOOK] == 1
    assert paths.USER_BOOK in json.loads(Path(ended.json["file"]).read_text())
    assert ended.json["dropped"] == {"isbn_missing": 1}
    ended = command("import", tmp_path / "missing.csv", "--out", tmp_path / "out")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].endswith(
        "out: exists already, and nothing is overwritten; give another folder, or remove it"
    )
    ended = command("import", tmp_path / "missing.csv", "--out", tmp_path / "other")
    assert ended.code == 2
    assert "missing.csv: cannot be read" in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ratings.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "database_export", "firebase-export-metadata.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "--train", "a.csv", "--out", "o"], "give --train and --test"),
        (["lists", "--input", "x.parquet", "--model", "m", "--version", "v", "--output", "o"], "--books"),
        (["lists", "--input", "missing", "--model", "m", "--version", "v", "--output", "o"], "missing: cannot be read"),
    ],
)
def test_other_commands_say_in_one_line_what_is_missing(command, words, message):
    ended = command(*words)
    assert ended.code == 2
    assert message in ended.err.splitlines()[-1]


def test_lists_are_made_from_an_export_into_a_folder(command, tmp_path):
    entries, archive, serving = small_world(readers=12)
    write_export({paths.USER_BOOK: entries, paths.ARCHIVE: archive}, tmp_path / "export")
    (tmp_path / "model.npz").write_bytes(model_file.to_bytes(serving))
    ended = command(
        "lists", "--input", tmp_path / "export", "--model", tmp_path / "model.npz", "--version", "v", "--output",
        tmp_path / "out", "--runner=DirectRunner", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.json == {"output": str(tmp_path / "out"), "version": "v"}
    assert (tmp_path / "out" / INDEX).exists()


def test_ctrl_c_frees_the_lease_and_publishes_nothing(project):
    ratings, books = clusters()
    fill(project, ratings, books)
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", "train", "--json"],
        cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("training: judging"):
            break
    assert project.get(f"{paths.LEASE}/holder") == "manual-1"
    for _ in range(3):  # an impatient user
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out)["exitCode"] == 130
    assert project.get(f"{paths.LEASE}/holder") is None
    assert project.get(paths.MODEL) is None
    run = project.get(f"{paths.STATUS}/training/run")
    assert (run["outcome"], run["reason"]) == ("failed", "interrupted by hand")
    assert project.get(f"{paths.LEASE}/failures") in (None, 0)
