"""The table of error messages is what the code says, and the code says what an operator can use."""

import re

import pytest
from firebase_admin import exceptions as firebase
from google.api_core import exceptions as google
from requests import Response
from requests.exceptions import JSONDecodeError

from tests.memory_database import RULES
from tests.trainer.commands import messages
from tests.trainer.commands.command_line import command, project, storage_url
from trainer.command_line.errors import explain
from trainer.command_line.options import EXIT_CODES

__all__ = ["command", "project", "storage_url"]


def test_the_table_of_messages_matches_the_code():
    written = messages.page()
    assert messages.PAGE.read_text() == written, f"rewrite it: python -m {messages.__name__}"
    rows = re.findall(r"^\| (?!message|---)", written, re.MULTILINE)
    assert len(rows) > 100
    for text in ("no usable rating in", "is not UTF-8", "no column COLUMN", "lacks the index"):
        assert text in written


def test_every_message_has_an_exit_code_of_the_commands():
    assert {code for code, _, _ in (*messages.made(), *messages.explained())} <= set(EXIT_CODES)


@pytest.mark.parametrize("node", ["/User_Book", "/Recommender/readers", "/Recommender/changes"])
@pytest.mark.parametrize("index", ["userId", ".value", "at"])
def test_a_missing_index_is_named_with_the_command_that_makes_it(monkeypatch, node, index):
    for name in ("FIREBASE_DATABASE_EMULATOR_HOST", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    said = f'Index not defined, add ".indexOn": "{index}", for path "{node}", to the rules'
    code, line = explain(firebase.InvalidArgumentError(said))
    assert code == 2
    assert f'lacks the index "{index}" of {node}' in line
    assert "`firebase deploy --only database`" in line
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", "localhost:9000")
    monkeypatch.setenv("DATABASE_URL", "http://localhost:9000?ns=books")
    assert "`curl -X PUT " in (line := explain(firebase.InvalidArgumentError(said))[1])
    assert "'http://localhost:9000/.settings/rules.json?ns=books'" in line


@pytest.mark.parametrize("path", ["/Users/reader-7", "/reader-7", "/User_Book/-Nreader-7"])
def test_an_index_on_a_readers_node_is_not_repeated(path):
    line = explain(firebase.InvalidArgumentError(f'Index not defined, add ".indexOn": "x", for path "{path}", to'))[1]
    assert "lacks an index of database.rules.json" in line
    assert "reader-7" not in line


@pytest.mark.parametrize("words", [["status"], ["export", "--out", "OUT"], ["release"]])
def test_commands_name_the_missing_rules_of_a_database_and_work_once_they_are_there(command, project, tmp_path, words):
    words = [tmp_path / "out" if word == "OUT" else word for word in words]
    assert project.request("PUT", ".settings/rules", data='{"rules": {".read": false, ".write": false}}').ok
    ended = command(*words)
    if words[0] != "release":  # needs no index
        assert ended.code == 2
        assert "does not answer" not in ended.err
        assert "lacks the index" in ended.err
        assert ".settings/rules.json" in ended.err
    assert project.request("PUT", ".settings/rules", data=RULES).ok
    assert "lacks" not in command(*words).err


def answer(status):
    response = Response()
    response.status_code = status
    return response


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (firebase.UnavailableError("reader-7", http_response=answer(503)), "answered with status 503"),
        (firebase.InternalError("reader-7", http_response=answer(500)), "answered with status 500"),
        (firebase.ResourceExhaustedError("reader-7", http_response=answer(429)), "answered with status 429"),
        (firebase.DeadlineExceededError("reader-7", http_response=answer(504)), "answered with status 504"),
        (JSONDecodeError("reader-7", "<html>reader-7", 0), "does not send JSON"),
        (google.ServiceUnavailable("reader-7", response=answer(503)), "request to Cloud Storage failed (status 503"),
        (google.InternalServerError("reader-7", response=answer(500)), "request to Cloud Storage failed (status 500"),
        (google.TooManyRequests("reader-7", response=answer(429)), "request to Cloud Storage failed (status 429"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_is_never_told_as_silence(problem, words):
    code, line = explain(problem)
    assert code == 1
    assert words in line
    assert "does not answer" not in line
    assert "reader-7" not in line


@pytest.mark.parametrize("problem", [firebase.UnavailableError("x"), firebase.DeadlineExceededError("x")])
def test_silence_is_told_as_silence(problem):
    assert "does not answer" in explain(problem)[1]


@pytest.mark.parametrize("bucket", ["books", "my-books.firebasestorage.app", "my-books.appspot.com"])
def test_the_bucket_that_was_asked_is_named(monkeypatch, bucket):
    asked = google.NotFound(f"GET https://storage.googleapis.com/storage/v1/b/{bucket}/o/models%2Fv: No such bucket")
    monkeypatch.delenv("MODEL_BUCKET", raising=False)
    assert f"Cloud Storage has no bucket {bucket}, or no such object" in explain(asked)[1]
    monkeypatch.setenv("MODEL_BUCKET", bucket)
    assert f"Cloud Storage has no bucket {bucket} ($MODEL_BUCKET), or" in explain(asked)[1]


def test_without_a_bucket_in_the_answer_both_default_names_are_named(monkeypatch):
    monkeypatch.delenv("MODEL_BUCKET", raising=False)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-books")
    assert "bucket my-books.firebasestorage.app or my-books.appspot.com" in explain(google.NotFound("reader-7"))[1]
