"""What a stack keeps and says if something goes wrong, without the Emulator Suite."""

import subprocess
import sys

import pytest
import requests

from local import stack as stacks
from local.kept_data import BUCKET, KeptData
from local.stack import ROOT, Stack, StackError
from local.up import PROBLEMS, started
from tests.local.test_kept_data import content, write_export

FAILED = "functions: Failed to load function definition from source: FirebaseError: It may have a syntax error"


class RunningStack:
    """In the place of a stack; its emulators export unless they have ended too."""

    can_export = True

    def __init__(self, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        pass

    def export(self, kept):
        if not self.can_export:
            raise StackError(f"{kept.folder} was not written: connection refused")
        write_export(kept.part, "of this run")
        kept.replace()


@pytest.mark.parametrize(("can_export", "expected"), [(True, "of this run"), (False, "of the last run")])
def test_data_are_kept_if_a_program_of_the_stack_ends(can_export, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("local.up.Stack", RunningStack)
    monkeypatch.setattr(RunningStack, "can_export", can_export)
    folder = write_export(tmp_path / "kept", "of the last run")
    with (
        pytest.raises(StackError, match="the facade ended"),
        started(tmp_path, tmp_path / "out", kept=KeptData(folder)),
    ):
        raise StackError("the facade ended")
    assert content(folder) == expected
    said = capsys.readouterr().out
    assert ("are kept in" in said, "was not written" in said) == (can_export, not can_export)


def suite_that_prints(monkeypatch, text):
    """Have a program that prints this in the place of firebase-tools."""
    monkeypatch.setattr(stacks, "under_emulator", lambda command: ["sh", "-c", f"echo '{text}'; exec sleep 600"])


def test_functions_that_cannot_be_loaded_keep_a_stack_from_starting(tmp_path, monkeypatch):
    suite_that_prints(monkeypatch, f"{FAILED}\nAll emulators ready")
    stack = Stack(data=None, logs=tmp_path, fresh_ports=True, say=lambda line: None)
    with (
        pytest.raises(StackError, match="the functions cannot be loaded: FirebaseError: It may have a syntax error"),
        stack,
    ):
        pytest.fail("it started")
    assert stack.processes.alive() == []


@pytest.mark.parametrize("index", [None, "", "[1]", '[{"name": "models/v/items.json", "file": "000000"}]'])
def test_a_bucket_that_is_not_whole_keeps_a_stack_from_starting(tmp_path, index):
    export = write_export(tmp_path / "export")
    (export / BUCKET).mkdir()
    if index is not None:
        (export / BUCKET / "objects.json").write_text(index)
    stack = Stack(data=export, logs=tmp_path / "logs", fresh_ports=True, say=lambda line: None)
    with pytest.raises(StackError, match="bucket_export is not a whole copy of the bucket"), stack:
        pytest.fail("it started")
    assert stack.processes.alive() == []


def test_a_folder_for_logs_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    words = ["--fresh-ports", "--out", str(tmp_path / "file" / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "local.up", *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "The stack failed: " in done.stdout
    assert f"{tmp_path / 'file'}" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("problem", [requests.ConnectionError(), TimeoutError(), PermissionError()])
def test_what_fails_outside_is_expected(problem):
    assert isinstance(problem, PROBLEMS)
