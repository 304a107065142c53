"""The tools' own parsers accept every command of the plan, its checks and the doctor's advice; nothing is run."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy import gcloud_parser
from tests.deploy.commands import all_commands, lines_in
from tests.deploy.conftest import ROOT

PARSERS = {"table": gcloud_parser.problems_by_table}
if gcloud_parser.gcloud():
    PARSERS["gcloud"] = gcloud_parser.problems_by_gcloud
WRONG = [
    ["gcloud", "run", "jobs", "deploy", "book-trainer", "--imagine", "x"],
    ["gcloud", "run", "jobs", "get-iam-policy", "one", "two", "--region", "europe-west1"],
    ["gcloud", "tasks", "queues", "pauze", "retrain"],
    ["gcloud", "scheduler", "jobs", "resume", "one", "--location"],
]
TEARDOWN = ROOT / "docs" / "deploying.md"


@pytest.fixture(scope="module")
def lines(examined):
    return all_commands(examined)


def documented():
    """Return the gcloud and firebase command lines in the documentation's blocks that need a cloud."""
    blocks = TEARDOWN.read_text().split("```sh cloud\n")[1:]
    commands = []
    for line in "\n".join(block.partition("```")[0] for block in blocks).splitlines():
        values = {"PROJECT": "book-club-1", "REGION": "europe-west1", "BUCKET": "book-club-1-book-models"}
        for name, value in values.items():
            line = line.replace(name, value)
        commands += lines_in(line.strip())
    return commands


@pytest.mark.parametrize("parser", PARSERS)
def test_gcloud_accepts_every_command(parser, lines):
    wanted = [words for words in lines if words[0] == "gcloud"]
    assert len(wanted) > 90
    assert PARSERS[parser](wanted) == []


@pytest.mark.parametrize("parser", PARSERS)
def test_the_parsers_reject_wrong_commands(parser):
    assert [bool(PARSERS[parser]([words])) for words in WRONG] == [True] * len(WRONG)


def by_firebase(lines, tmp_path):
    script = Path(__file__).parent / "parse_firebase.js"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        [shutil.which("node"), str(script)], input=json.dumps(lines), env=environment, cwd=tmp_path,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_firebase_tools_accepts_every_command(lines, tmp_path):
    wanted = [words[1:] for words in [*lines, *documented()] if words[0] == "firebase"]
    assert len({words[0] for words in wanted}) >= 9
    wrong = [
        (words, one["error"])
        for words, one in zip(wanted, by_firebase(wanted, tmp_path), strict=True)
        if "error" in one
    ]
    assert wrong == []


def test_firebase_tools_rejects_unknown_commands(tmp_path):
    lines = [
        ["deploy", "--onlyy", "functions"],
        ["apps:create", "WEB", "one", "two"],
        ["database:get", "--instance", "x"],
        ["database:rules:publish"],
        ["deploy", "--project"],
    ]
    assert ["error" in one for one in by_firebase(lines, tmp_path)] == [True] * len(lines)


@pytest.mark.parametrize("parser", PARSERS)
def test_gcloud_accepts_the_commands_in_the_documentation(parser):
    wanted = [words for words in documented() if words[0] == "gcloud"]
    assert wanted
    if parser == "table":  # it has only what the code uses
        known = json.loads(gcloud_parser.TABLE.read_text())["commands"]
        wanted = [words for words in wanted if any(words[: len(one.split())] == one.split() for one in known)]
    assert PARSERS[parser](wanted) == []


def test_curl_gets_the_token_on_standard_input_and_calls_google_only(lines):
    urls = [words[-1] for words in lines if words[0] == "curl"]
    assert urls
    for words in (words for words in lines if words[0] == "curl"):
        assert words[words.index("--header") + 1] == "@-"
        assert words[-1].startswith("https://firebase")
        assert words[-1].split("/")[2].endswith(".googleapis.com")
        assert not [word for word in words if "Bearer" in word]
