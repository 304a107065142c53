"""A small simulation: no history breaks an invariant, each can be replayed, and faults are found."""

import os
import subprocess
import sys

import pytest

from tests.simulation import mutants
from tests.simulation.world import World

HISTORIES = 60
QUICK = ("switches the pointer before the files are there", "makes the list of the event, not of the shelf")


@pytest.mark.parametrize("first", range(0, HISTORIES, 10))
def test_no_history_breaks_an_invariant(first):
    broken = {seed: violations for seed in range(first, first + 10) if (violations := World(seed).run())}
    assert broken == {}


def test_a_history_can_be_replayed_by_another_process():
    def digest(hash_seed):
        command = [sys.executable, "-m", "tests.simulation", "--seed", "3"]
        env = {**os.environ, "PYTHONPATH": "functions", "PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, cwd=mutants.ROOT, env=env, capture_output=True, check=True, timeout=300).stdout

    assert digest("1") == digest("2") != b""


@pytest.mark.parametrize("what", QUICK)
def test_a_fault_in_the_code_is_found(what):
    mutant = next(mutant for mutant in mutants.MUTANTS if mutant.what == what)
    assert mutants.hunt(mutant, 20) is not None


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.what)
def test_the_code_that_a_mutant_replaces_is_there(mutant):
    assert (mutants.ROOT / mutant.file).read_text().count(mutant.code) == 1


def test_the_table_names_every_mutant_and_each_is_caught():
    page = mutants.TABLE.read_text()
    rows = page[page.index(mutants.BEGIN) : page.index(mutants.END)].splitlines()[3:]
    assert len(mutants.MUTANTS) >= 15
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [mutant.what for mutant in mutants.MUTANTS]
    assert "not caught" not in "".join(rows)
