"""The REST interface over the wire, with plain HTTP and with firebase-admin."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import firebase_admin
import pytest
from firebase_admin import db

from .database_server import ADMIN, Server, token

OPEN = {"rules": {".read": True, ".write": True, "people": {".indexOn": ["age", "name/last"]}}}


@pytest.fixture
def app(server, monkeypatch):
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", server.host)
    url = f"http://{server.host}?ns={server.namespace}"
    app = firebase_admin.initialize_app(options={"databaseURL": url, "projectId": "demo"}, name=server.namespace)
    yield app
    firebase_admin.delete_app(app)


def test_values_are_written_read_changed_and_removed(server):
    server.put("a/b", {"c": 1, "d": None, "e": {}})
    assert server.get("a") == {"b": {"c": 1}}
    assert server.request("PATCH", "a/b", {"c": 2, "f/g": True}).json() == {"c": 2, "f/g": True}
    assert server.get("a/b") == {"c": 2, "f": {"g": True}}
    server.request("DELETE", "a/b/f")
    server.request("DELETE", "a/b/c")
    assert server.get("") is None


def test_a_multi_path_update_is_all_or_nothing(server):
    server.put("a", {"b": 1})
    answer = server.request("PATCH", "", {"a/b": 2, "bad.key": 1})
    assert answer.status_code == 400
    assert server.get("a/b") == 1
    assert server.request("PATCH", "", {"a": {"x": 1}, "a/b": 2}).status_code == 400
    assert server.request("PATCH", "", {"a/b": None, "c/d": "new"}).ok
    assert server.get("") == {"c": {"d": "new"}}


def test_an_update_that_is_null_removes_the_node(server):
    server.put("a", {"b": {"c": 1}, "d": "text"})
    assert server.request("PATCH", "a/b", data="null").text == "null"
    assert server.request("PATCH", "a/d", data="null", print="silent", writeSizeLimit="tiny").status_code == 204
    assert server.get("") is None


def test_a_large_node_is_read_as_of_one_moment_while_others_write(server):
    server.put("wide", {f"k{n}": {"title": "text", "n": n} for n in range(5_000)})
    ends = ("wide/a", "wide/z")
    server.request("PATCH", "", dict.fromkeys(ends, 0))
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(server.get, "wide") for _ in range(4)]
        written = 0
        while not all(read.done() for read in reads):
            written += 1
            assert server.request("PATCH", "", dict.fromkeys(ends, written)).ok
        found = [read.result() for read in reads]
    assert written > 1
    assert all(len(read) == 5_002 and read["a"] == read["z"] for read in found)
    etag = server.request("GET", "wide", headers={"X-Firebase-ETag": "true"}).headers["ETag"]
    assert server.request("GET", "wide", headers={"If-None-Match": etag}).status_code == 304


def test_push_keys_ascend_also_within_a_millisecond(server):
    keys = [server.request("POST", "list", n).json()["name"] for n in range(20)]
    assert keys == sorted(keys)
    assert {len(key) for key in keys} == {20}


def test_conditional_writes(server):
    with_etag = {**ADMIN, "X-Firebase-ETag": "true"}
    assert server.request("GET", "n", headers=with_etag).headers["ETag"] == "null_etag"
    tag = server.request("PUT", "n", 1, headers={**with_etag, "if-match": "null_etag"}).headers["ETag"]
    rejected = server.request("PUT", "n", 2, headers={**ADMIN, "if-match": "other"})
    assert (rejected.status_code, rejected.json(), rejected.headers["ETag"]) == (412, 1, tag)
    assert server.request("PUT", "n", 2, headers={**ADMIN, "if-match": tag}).ok
    assert server.get("n") == 2


def test_server_values(server):
    before = time.time() * 1000
    server.put("t", {".sv": "timestamp"})
    assert before - 1000 <= server.get("t") <= time.time() * 1000 + 1000
    for _ in range(3):
        server.request("PATCH", "", {"count/n": {".sv": {"increment": 2}}})
    assert server.get("count/n") == 6


def test_queries(server):
    server.put("people", {"x": {"age": 30, "name": {"last": "B"}}, "y": {"age": 20}, "z": {"name": {"last": "A"}}})
    missing = server.request("GET", "people", orderBy='"age"', equalTo="20")
    assert missing.status_code == 400
    assert missing.json()["error"] == ('Index not defined, add ".indexOn": "age", for path "/people", to the rules')
    server.request("PUT", ".settings/rules", OPEN)
    assert list(server.get("people", orderBy='"age"', equalTo="20")) == ["y"]
    assert set(server.get("people", orderBy='"age"', startAt="20")) == {"x", "y"}
    assert set(server.get("people", orderBy='"name/last"', endBefore='"B"')) == {"y", "z"}
    assert list(server.get("people", orderBy='"$key"', limitToLast="1")) == ["z"]
    assert server.get("people", orderBy='"age"', equalTo="99") == {}
    assert server.get("people", shallow="true") == {"x": True, "y": True, "z": True}
    for bad in ({"equalTo": "1"}, {"orderBy": "age"}, {"orderBy": '"age"', "limitToFirst": "0"}):
        assert server.request("GET", "people", **bad).status_code == 400


def test_firebase_admin_reads_writes_queries_and_transacts(server, app):
    server.request("PUT", ".settings/rules", OPEN)
    people = db.reference("people", app=app)
    people.set({"x": {"age": 30}, "y": {"age": 20}})
    key = people.push({"age": 25}).key
    assert list(people.order_by_child("age").limit_to_first(2).get()) == ["y", key]
    assert db.reference("n", app=app).transaction(lambda n: (n or 0) + 5) == 5
    value, etag = people.child("x").get(etag=True)
    assert people.child("x").get_if_changed(etag) == (False, None, None)
    assert people.child("x").set_if_unchanged(etag, {"age": 31})[0]
    assert not people.child("x").set_if_unchanged(etag, {"age": 32})[0]
    assert value == {"age": 30}
    db.reference("/", app=app).update({"people/x/age": 33, "people/y": None})
    assert people.get() == {"x": {"age": 33}, key: {"age": 25}}


def test_transactions_of_several_clients_lose_no_update(server, app):
    counter = db.reference("n", app=app)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: counter.transaction(lambda n: (n or 0) + 1), range(20)))
    assert counter.get() == 20


def test_invalid_data_is_rejected_with_400(server):
    bad = [b"{", b"NaN", b'{"a.b": 1}', b'{"": 1}', b'{"a": {"$x": 1}}', b'{"a": {".sv": "nonsense"}}']
    deep = b'{"a":' * 33 + b"1" + b"}" * 33
    for body in [*bad, deep]:
        assert server.request("PUT", "n", data=body).status_code == 400, body
    assert server.get("n") is None
    assert server.request("PUT", "x" * 769, 1).status_code == 400
    assert server.request("PUT", "/".join("a" * 33), 1).status_code == 400


def test_malformed_requests_are_rejected_and_never_fail_the_server(server):
    for body in (b'{"a":' * 700 + b"1" + b"}" * 700, b"1" * 5000, b'{".value": 1, "a": 2}'):
        assert server.request("PUT", "n", data=body).status_code == 400
    assert server.request("PATCH", "", {"a/b": 1, "/a/b/": 2}).status_code == 400
    assert server.request("PATCH", "/".join("a" * 31), {"b/c": 1}).status_code == 400
    for claims in ({"exp": "soon"}, {"user_id": 3}, {"user_id": None, "sub": None}):
        assert server.request("GET", "n", auth=token("u", **claims)).status_code == 200  # the header counts
        assert server.request("GET", "n", headers={}, auth=token("u", **claims)).status_code == 401
    assert server.request("GET", "n", headers={}, auth=token("u", firebase=3)).ok
    assert server.request("GET", "n", headers={}, auth="a.b.c").status_code == 401
    assert server.request("GET", "n", ns="../n").status_code == 400
    assert server.request("GET", "n", orderBy='"$nonsense"').status_code == 400


def test_a_method_can_be_named_in_a_header_or_a_parameter(server):
    server.put("n", {"a": 1})
    server.request("POST", "n", {"b": 2}, headers={**ADMIN, "X-HTTP-Method-Override": "PATCH"})
    server.request("POST", "n", {"c": 3}, **{"x-http-method-override": "PATCH"})
    assert server.get("n") == {"a": 1, "b": 2, "c": 3}


def test_a_browser_may_send_credentials(server):
    answer = server.request("OPTIONS", "n", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 200
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_the_forms_of_an_answer(server):
    server.put("n", {"a": "é"})
    assert server.request("GET", "n", print="pretty").text == '{\n  "a" : "é"\n}'
    assert server.request("PUT", "n", 1, print="silent").status_code == 204


def test_firebase_tools_finds_the_namespaces_to_export(server):
    server.put("a", {"b": 1})
    assert server.namespace in [found["name"] for found in server.request("GET", ".inspect/databases").json()]
    assert server.get("", shallow="true", limitToFirst="1") == {"a": True}
    assert server.get("", format="export") == {"a": {"b": 1}}
    assert server.request("GET", "", shallow="true", orderBy='"$key"').status_code == 400


def test_rules_bind_users_and_not_admins(server):
    rules = {"rules": {"own": {"$uid": {".read": "auth.uid === $uid", ".write": "auth.uid === $uid"}}}}
    server.request("PUT", ".settings/rules", rules)
    anybody, user = {}, {"Authorization": f"Bearer {token('u1')}"}
    assert server.request("PUT", "own/u1", 1, headers=anybody).status_code == 401
    assert server.request("PUT", "own/u1", 1, headers=user).ok
    assert server.request("GET", "own/u1", headers=anybody, auth=token("u1")).json() == 1
    rejected = server.request("GET", "own/u2", headers=user)
    assert (rejected.status_code, rejected.json()) == (401, {"error": "Permission denied"})
    assert server.request("GET", "own/u2").ok
    assert server.request("GET", "own/u1", auth_variable_override='{"uid": "u1"}').ok
    assert server.request("GET", "own/u2", auth_variable_override='{"uid": "u1"}').status_code == 401
    assert server.request("GET", "own/u1", auth_variable_override="null").status_code == 401
    for bad in ("Bearer nonsense", f"Bearer {token('u1', exp=1)}"):
        assert server.request("GET", "own/u1", headers={"Authorization": bad}).status_code == 401


def test_bad_rules_are_rejected_with_line_and_reason_and_the_old_ones_stay(server):
    server.request("PUT", ".settings/rules", OPEN)
    bad = b'{"rules": {\n  ".read": true,\n  // a comment\n  ".write": "auth.uid == "\n}}'
    answer = server.request("PUT", ".settings/rules", data=bad)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("4:")
    assert server.request("GET", "x", headers={}).ok


def test_a_request_without_a_database_uses_the_default_one(server):
    default, named, digits = (Server(server.host.rpartition(":")[2], name) for name in ("", "fake-server", "10"))
    default.put("unnamed", 1)
    assert named.get("unnamed") == 1
    assert server.get("unnamed") is None
    digits.put("unnamed", 2)
    assert digits.get("unnamed") == 2
    assert default.get("unnamed") == 1
    assert server.request("GET", "unnamed", headers={**ADMIN, "Host": "127.0.0.1:9000"}, ns="").json() == 1
    assert server.request("GET", "unnamed", headers={**ADMIN, "Host": "other.localhost"}, ns="").json() is None
    assert server.request("GET", "unnamed", ns="a.b").status_code == 400


def test_rules_come_back_as_they_were_or_strictly_as_json(server):
    text = '// all\n{"rules": {".read": true, /* why */ "n": {".indexOn": ["v", ".value"]},},}'
    assert server.request("PUT", ".settings/rules", data=text).ok
    assert server.request("GET", ".settings/rules").text == text
    expected = {"rules": {".read": True, "n": {".indexOn": ["v", ".value"]}}}
    assert server.request("GET", ".settings/rules", format="strict").json() == expected


def test_a_dry_run_checks_rules_without_setting_them(server):
    server.request("PUT", ".settings/rules", OPEN)
    closed = {"rules": {".read": False}}
    assert server.request("PUT", ".settings/rules", closed, dryRun="true").ok
    assert server.request("PUT", ".settings/rules", data='{"rules": 1}', dryRun="true").status_code == 400
    assert server.request("GET", "x", headers={}).ok


def test_a_busy_port_is_a_clear_error(port):
    done = subprocess.run(
        [sys.executable, "-m", "rtdb_emulator", "--port", str(port)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
