"""A small chaos test: a few readers, two killed runs, one restart of the functions."""

import json
import subprocess
import sys

import pytest

from bookrec.shelf import MAX_SHELF
from local.stack import ROOT

READERS = 15
"""So many readers of the emulator data are enough for a run to pass the gate, in half the time."""


@pytest.fixture
def few_readers(tmp_path):
    data = tmp_path / "data"
    export = ROOT / "emulator-data"
    for file in [path for path in export.rglob("*.json") if path.is_file()]:
        value = json.loads(file.read_text())
        if "User_Book" in value:
            kept = sorted(value["Users"])[:READERS]
            value["Users"] = {user_id: value["Users"][user_id] for user_id in kept}
            entries = value["User_Book"].items()
            value["User_Book"] = {key: entry for key, entry in entries if entry["userId"] in kept}
        copy = data / file.relative_to(export)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(json.dumps(value))
    return data


def test_lost_and_doubled_events_killed_runs_and_restarts_leave_nothing_wrong(tmp_path, few_readers):
    command = [sys.executable, "-m", "local.chaos", "--kills", "2", "--data", str(few_readers), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "chaos.json").read_text())
    assert result["problems"] == []
    assert len(result["kills"]) == 2
    assert result["workers_killed"] > 0
    assert result["largest_shelf"] >= MAX_SHELF
    deliveries = result["deliveries"]["on_user_book_written"]
    assert deliveries["dropped"] > 0
    assert deliveries["duplicated"] > 0
