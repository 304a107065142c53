"""The tests in this folder evaluate every expression of the rules, and every condition to true and to false."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rtdb_emulator.testing import evaluations, never_evaluated
from tests.database_server import ROOT
from tests.rules.conftest import COVERAGE

TIMEOUT_S = 900
"""These tests take half a minute on an idle machine."""

ONE_SIDED = {
    ("/User_Book/$entryId/userId", ".validate", "newData.val() === auth.uid"): ".write of the entry checks it first"
}
"""Conditions that can have one outcome only, and why: a second line of defence."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Every expression of the rules, with what the other tests in this folder evaluate it to."""
    file = tmp_path_factory.mktemp("coverage") / "reports.jsonl"
    here = Path(__file__)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", here.parent, f"--ignore={here}"]
    log = tmp_path_factory.mktemp("log") / "pytest.txt"
    with log.open("w") as out:  # a file: what the tests start may outlive them, and would keep a pipe open
        run = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, COVERAGE: str(file)}, stdout=out, stderr=out, start_new_session=True
        )
        try:
            code = run.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"tests/rules did not end within {TIMEOUT_S} s:\n{log.read_text()}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
    assert code == 0, log.read_text()
    return evaluations(map(json.loads, file.read_text().splitlines()))


def test_every_expression_of_the_rules_is_evaluated(rows):
    missing = never_evaluated(rows)
    assert not missing, "add a test that evaluates, in database.rules.json:\n" + "\n".join(map(str, missing))


def test_every_condition_is_both_true_and_false(rows):
    one_sided = {(row.node, row.kind, row.text): row for row in rows if row.is_one_sided}
    missing = [f"{row} (always {next(iter(row.values))})" for key, row in one_sided.items() if key not in ONE_SIDED]
    assert not missing, "add a test for the other outcome of, in database.rules.json:\n" + "\n".join(missing)
    assert one_sided.keys() == ONE_SIDED.keys(), "ONE_SIDED has conditions with two outcomes"
