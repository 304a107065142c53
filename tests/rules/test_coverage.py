"""The tests in this folder evaluate every expression of the rules, and every condition to true and to false."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtdb_emulator.testing import evaluations, never_evaluated
from tests.database_server import ROOT
from tests.rules.conftest import COVERAGE

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
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, COVERAGE: str(file)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return evaluations(map(json.loads, file.read_text().splitlines()))


def test_every_expression_of_the_rules_is_evaluated(rows):
    missing = never_evaluated(rows)
    assert not missing, "add a test that evaluates, in database.rules.json:\n" + "\n".join(map(str, missing))


def test_every_condition_is_both_true_and_false(rows):
    one_sided = {(row.node, row.kind, row.text): row for row in rows if row.is_one_sided}
    missing = [f"{row} (always {next(iter(row.values))})" for key, row in one_sided.items() if key not in ONE_SIDED]
    assert not missing, "add a test for the other outcome of, in database.rules.json:\n" + "\n".join(missing)
    assert one_sided.keys() == ONE_SIDED.keys(), "ONE_SIDED has conditions with two outcomes"
