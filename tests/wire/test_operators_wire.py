"""Calls of the operators' functions in the client SDKs' form, through the real SDK and main.py.

Tokens are those of the Auth emulator: unsigned, and otherwise verified.
"""

import base64
import importlib
import json
import time

import pytest
from flask import Flask, request

from backend import composition
from backend.logs import FunctionFailedError, reported
from backend.parameters import read_settings
from bookrec import paths
from bookrec.errors import BadSetting
from tests.fakes import World

PROJECT = "demo-bookrec"
OPERATOR = {"operator": True}
FUNCTIONS = {
    "operator_retrain": {},
    "operator_rollback": {"version": "v1"},
    "operator_release": {},
    "operator_experiment": {"version": "v1", "share": 0.5},
    "operator_reconcile": {},
}


@pytest.fixture
def world():
    world = World()
    world.publish("v1", 1)
    world.publish("v2", 2)
    composition.use(world.backend)
    yield world
    composition.use(None)


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)


@pytest.fixture
def main():
    return importlib.import_module("main")


def token(uid, **claims):
    now = int(time.time())
    content = {
        "iss": f"https://securetoken.google.com/{PROJECT}", "aud": PROJECT, "sub": uid, "user_id": uid,
        "iat": now - 1, "auth_time": now - 1, "exp": now + 3_600, **claims,
    }  # fmt: skip
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, content)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


def call(main, function, data, *, bearer=None, method="POST", **headers):
    """Return (status, body) of a call."""
    headers = {"Content-Type": "application/json", "Origin": "http://localhost:5000", **headers}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    body = {} if method == "OPTIONS" else {"json": {"data": data}}
    with Flask("client").test_request_context(method=method, headers=headers, **body):
        answer = getattr(main, function)(request)
        return answer.status_code, answer.get_json(silent=True), answer.headers


def call_with_body(main, function, body, **headers):
    """Return (status, body) of an operator's call with a body as it is."""
    bearer = {"Authorization": f"Bearer {token('boss', **OPERATOR)}"}
    headers = {"Content-Type": "application/json", "Origin": "http://localhost:5000", **bearer, **headers}
    with Flask("client").test_request_context(method="POST", headers=headers, data=body):
        answer = getattr(main, function)(request)
        return answer.status_code, answer.get_json(silent=True), answer.headers


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no json", b"[]", b"7", b"null", b'"data"', b"[" * 100_000, b'{"data":' * 100_000, b"{}", b'{"data": {}',
        b'{"data": {}, "more": 1}', b"\xff\xfe", b'{"data": ' + b"[" * 960 + b"]" * 960 + b"}", b"9" * 5_000, b"\x00",
        b'{"data": []}', b'{"data": "text"}', b'{"data": 7}', b'{"data": false}',
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_malformed_body_is_an_invalid_argument(main, world, function, body):
    status, answer, headers = call_with_body(main, function, body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert headers["Access-Control-Allow-Origin"]
    assert world.jobs.started == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=x", ""])
def test_a_body_of_another_type_is_an_invalid_argument_too(main, world, content_type):
    status, answer, _ = call_with_body(main, "operator_release", b"no json", **{"Content-Type": content_type})
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_arguments_may_be_nested_but_not_deeply(main, world):
    for depth, status in ((20, 200), (40, 400)):
        body = b'{"data": {"a": ' + b"[" * depth + b"]" * depth + b"}}"
        assert call_with_body(main, "operator_release", body)[0] == status


@pytest.mark.parametrize("version", [None, 7, True, ["v1"], {"v": "v1"}, "", "a/b", "v" * 10_000, "\ud800", 10**400])
def test_a_malformed_version_is_an_invalid_argument(main, world, version):
    body = json.dumps({"data": {"version": version, "share": 0.5}}).encode()
    for function in ("operator_rollback", "operator_experiment"):
        status, answer, _ = call_with_body(main, function, body)
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("share", [None, "0.5", True, 0, 1, -1, float("inf"), float("nan"), 10**400, [], {}])
def test_a_malformed_share_is_an_invalid_argument(main, world, share):
    body = json.dumps({"data": {"version": "v1", "share": share}}).encode()
    status, answer, _ = call_with_body(main, "operator_experiment", body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def denied(main, function, data, **who):
    status, body, _ = call(main, function, data, **who)
    return status, body["error"]["status"]


@pytest.mark.parametrize(("function", "data"), FUNCTIONS.items())
def test_only_an_operator_is_allowed(main, world, function, data):
    before = world.database.get("/")
    assert denied(main, function, data) == (401, "UNAUTHENTICATED")
    assert denied(main, function, data, bearer="no token") == (401, "UNAUTHENTICATED")
    for claims in ({}, {"operator": "true"}, {"operator": 1}, {"operator": False}, {"admin": True}):
        assert denied(main, function, data, bearer=token("ana", **claims)) == (403, "PERMISSION_DENIED")
    assert world.database.get("/") == before
    status, body, _ = call(main, function, data, bearer=token("olga", **OPERATOR))
    assert (status, list(body)) == (200, ["result"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_page_of_another_origin_may_call(main, world, function):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    status, _, headers = call(main, function, {}, method="OPTIONS", **asks)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] in ("*", "http://localhost:5000")
    assert headers["Access-Control-Allow-Methods"] == "POST"


def test_each_function_answers_as_documented(main, world):
    def answer(function, data):
        return call(main, function, data, bearer=token("olga", **OPERATOR))[1]["result"]

    experiment = answer("operator_experiment", {"version": "v1", "share": 0.25})["experiment"]
    assert set(experiment) == {"id", "version", "share", "startedAt"}
    assert (experiment["version"], experiment["share"]) == ("v1", 0.25)
    assert answer("operator_experiment", {"action": "end"}) == {"experiment": None}
    assert answer("operator_experiment", {"action": "end"}) == {"experiment": None}
    begun = answer("operator_experiment", {"action": "start", "version": "v1", "share": 0.5})
    assert begun["experiment"]["share"] == 0.5
    assert answer("operator_rollback", {"version": "v1"}) == {"version": "v1"}
    assert answer("operator_release", {}) == {"failures": 0}
    assert answer("operator_reconcile", {}) == {"repaired": {"fanouts": 1}}
    assert answer("operator_reconcile", {}) == {"repaired": {}}
    assert answer("operator_retrain", {}) == {"outcome": "started"}
    assert answer("operator_retrain", {}) == {"outcome": "busy"}


@pytest.mark.parametrize(
    ("function", "data", "code", "says"),
    [
        ("operator_rollback", {"version": "v9"}, "FAILED_PRECONDITION", "version v9 is not kept; these are: v1, v2"),
        ("operator_rollback", {}, "INVALID_ARGUMENT", "version is the name of one of the kept versions"),
        ("operator_rollback", ["v1"], "INVALID_ARGUMENT", "the arguments are an object"),
        ("operator_experiment", {"version": "v2", "share": 0.5}, "FAILED_PRECONDITION", "version v2 is live"),
        ("operator_experiment", {"version": "v1", "share": 7}, "INVALID_ARGUMENT", "a number between 0 and 1"),
        ("operator_experiment", {}, "INVALID_ARGUMENT", "version is the name of one of the kept versions"),
        ("operator_experiment", None, "INVALID_ARGUMENT", "version is the name of one of the kept versions"),
        (
            "operator_experiment",
            {"action": "stop"},
            "INVALID_ARGUMENT",
            'action is "start", with version and share',
        ),
        ("operator_experiment", {"action": None}, "INVALID_ARGUMENT", 'action is "start", with version and share'),
        ("operator_experiment", {"action": "end", "version": "v1"}, "INVALID_ARGUMENT", 'or "end", with neither'),
    ],
)
def test_a_rejected_call_says_what_is_wrong(main, world, function, data, code, says):
    _, body, _ = call(main, function, data, bearer=token("olga", **OPERATOR))
    assert body["error"]["status"] == code
    assert says in body["error"]["message"]


def test_an_unavailable_store_gives_a_retryable_error(main, world):
    world.store.is_away = True
    assert denied(main, "operator_rollback", {"version": "v1"}, bearer=token("olga", **OPERATOR))[1] == "UNAVAILABLE"


def test_a_parameter_that_is_not_a_number_is_named_in_the_answer_and_the_log(main, monkeypatch, capfd):
    monkeypatch.setenv("LEASE_SECONDS", "two minutes")
    composition.use(None)
    says = "LEASE_SECONDS is 'two minutes' in the environment: set it to a whole number of at least 1"
    _, body, _ = call(main, "operator_release", {}, bearer=token("olga", **OPERATOR))
    assert body["error"]["status"] == "FAILED_PRECONDITION"
    assert body["error"]["message"].startswith(says)
    with pytest.raises(FunctionFailedError), reported("reconcile"):
        composition.reconcile()
    out, err = capfd.readouterr()
    (line,) = (json.loads(line) for line in (out + err).splitlines() if "function-failed" in line)
    assert (line["error"], line["reason"][: len(says)]) == ("BadSetting", says)


@pytest.mark.parametrize(
    ("parameter", "value"), [("FANOUT_SHARD_SIZE", "0"), ("RETRAIN_ATTEMPTS", "x"), ("RETRAIN_QUIET_SECONDS", "-1")]
)
def test_every_numeric_parameter_must_be_a_number(monkeypatch, parameter, value):
    monkeypatch.setenv(parameter, value)
    with pytest.raises(BadSetting, match=parameter):
        read_settings()
    monkeypatch.setenv(parameter, "")
    assert read_settings().fanout_shard_size == 100


def test_an_unexpected_failure_reveals_no_details_and_no_log_names_the_operator(main, world, capfd):
    world.database.lease = lambda: {}["olga@secret"]
    assert denied(main, "operator_release", {}, bearer=token("olga", **OPERATOR)) == (500, "INTERNAL")
    denied(main, "operator_rollback", {"version": "v9"}, bearer=token("olga", **OPERATOR))
    call(main, "operator_experiment", {"action": "end"}, bearer=token("olga", **OPERATOR))
    out, err = capfd.readouterr()
    assert "an operator has acted" in out + err
    assert "olga" not in out + err


def test_a_rollback_waits_for_a_live_run(main, world):
    until = world.clock.now + 3_600_000
    world.database.update({paths.LEASE: {"holder": "run-7", "fence": 7, "expiresAt": until, "endsBy": until}})
    _, body, _ = call(main, "operator_rollback", {"version": "v1"}, bearer=token("olga", **OPERATOR))
    message = "a run is live: ask again when it has ended (the lease is held by run run-7 under fence 7)"
    assert body["error"] == {"status": "FAILED_PRECONDITION", "message": message}
