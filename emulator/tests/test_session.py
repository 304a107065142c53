"""The client SDKs' protocol, message by message."""

import base64
import json
import time

import pytest

from rtdb_emulator.data.tree import get, hash_of, to_json
from rtdb_emulator.database.auth import Caller
from rtdb_emulator.database.databases import Databases
from rtdb_emulator.faults.injector import Faults
from rtdb_emulator.faults.plan import parse_plan

from .conversation import Conversation

ADMIN = Caller(is_admin=True)
OK = {"s": "ok", "d": ""}


def token(uid, lifetime_s=3600, **claims):
    """An ID token as the Auth emulator makes them: signed by nobody."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": uid, "user_id": uid, "iat": now, "exp": now + lifetime_s, **claims})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.fixture
def database():
    return Databases()["x"]


@pytest.fixture
def client(database):
    return Conversation(database)


def test_the_handshake_names_the_host_and_the_time(database, client):
    client.session.greet("127.0.0.1:9000", "id")
    (control,) = client.controls
    assert control["t"] == "h"
    assert control["d"] | {"ts": 0} == {"ts": 0, "v": "5", "h": "127.0.0.1:9000", "s": "id"}
    assert abs(control["d"]["ts"] - time.time() * 1000) < 60_000


def test_the_time_of_the_handshake_is_never_that_of_a_write_after_it():
    database = Databases()["x"]
    database.now_ms = lambda: 1_700_000_000_000
    client = Conversation(database)
    client.session.greet("127.0.0.1:9000", "id")
    client.ask("p", "at", d={".sv": "timestamp"})
    assert client.controls[0]["d"]["ts"] < to_json(database.root)["at"]


def test_a_ping_is_answered(client):
    client.say({"t": "c", "d": {"t": "p", "d": {}}})
    assert client.controls == [{"t": "o", "d": None}]


@pytest.mark.parametrize("message", ["", "x", "[]", "1", "{}", '{"t":"d"}', '{"t":"d","d":{"r":1}}', "[" * 100_000])
def test_an_invalid_message_is_ignored(client, message):
    client.say(message)
    assert client.ask("s", c={}) == OK


@pytest.mark.parametrize("body", [{"p": 5}, {"p": "a.b"}, {}, {"p": "a", "d": {"b.c": 1}}])
def test_an_invalid_request_is_rejected(database, client, body):
    assert client.ask("p", **body)["s"] == "invalid_data"
    assert database.root is None


def test_an_unknown_request_is_rejected(client):
    assert client.ask("zz", "a")["s"] == "error"


def test_a_node_that_a_client_already_has_is_not_sent_again(database, client):
    database.write({("a",): {"b": 1.5}}, ADMIN)
    assert client.ask("q", "a", h=hash_of(get(database.root, ("a",)))) == {"s": "ok", "d": {}}
    assert client.pushes == []
    client.ask("n", "a")
    client.ask("q", "a", h="other")
    assert client.pushes == [("d", {"p": "a", "d": {"b": 1.5}})]


def test_after_unlisten_nothing_is_told(database, client):
    query = {"l": 1, "vf": "l"}
    client.ask("q", "a", h="")
    client.ask("q", "a", h="", q=query, t=1)
    assert client.ask("n", "a", q=query, t=1) == OK
    database.write({("a", "b"): 1}, ADMIN)
    assert client.pushes == [("d", {"p": "a/b", "d": 1})]


def test_a_query_without_an_index_selects_and_warns(database, client):
    database.write({("a",): {"x": {"n": 2}, "y": {"n": 1}}}, ADMIN)
    answer = client.ask("q", "a", h="", q={"i": "n", "l": 1, "vf": "l"}, t=7)
    assert answer == {"s": "ok", "d": {"w": ["no_index"]}}
    assert client.pushes == [("d", {"p": "a", "d": {"y": {"n": 1}}, "t": 7})]
    assert client.ask("g", "a", q={"i": "n", "l": 1})["d"].startswith("Index not defined")


def test_a_transaction_on_old_data_is_rejected(database, client):
    database.write({("a",): 1}, ADMIN)
    known = hash_of(1)
    assert client.ask("p", "a", d=2, h=known) == OK
    assert client.ask("p", "a", d=3, h=known)["s"] == "datastale"
    assert to_json(database.root) == {"a": 2}
    assert client.ask("p", "new", d=1, h="") == OK


def test_a_writer_is_told_before_it_is_answered(database, client):
    order = []
    client.ask("q", "a", h="")
    send = client.session._send
    client.session._send = lambda text: (order.append(json.loads(text)["d"]), send(text))
    client.ask("p", "a", d=1)
    assert [next(iter(message)) for message in order] == ["a", "r"]


def test_a_write_that_is_too_big_is_rejected(client):
    assert client.ask("p", "a", d=["x" * 5_000_000] * 4)["s"] == "write_too_big"


def test_rules_apply_to_the_user_who_is_signed_in(database, client):
    database.set_rules('{"rules": {"$uid": {".read": "auth.uid === $uid", ".write": "auth.uid === $uid"}}}')
    denied = {"s": "permission_denied", "d": "Permission denied"}
    assert client.ask("p", "ada", d=1) == denied
    assert client.ask("auth", cred=token("ada"))["s"] == "ok"
    assert client.ask("p", "ada", d=1) == OK
    assert client.ask("q", "ada", h="")["s"] == "ok"
    assert client.ask("g", "bob") == denied
    query = {"l": 1, "vf": "l"}
    assert client.ask("q", "ada/list", h="", q=query, t=1)["s"] == "ok"
    client.pushes.clear()
    assert client.ask("unauth") == OK
    assert sorted(client.pushes, key=str) == [("c", {"p": "ada"}), ("c", {"p": "ada/list", "q": [query]})]
    database.write({("ada",): 2}, ADMIN)
    assert len(client.pushes) == 2
    assert client.ask("gauth", cred="owner")["s"] == "ok"
    assert client.ask("g", "bob") == {"s": "ok", "d": None}
    client.ask("gauth", cred="owner", authvar={"uid": "bob"})
    assert client.ask("g", "ada") == denied
    client.ask("gauth", cred="owner", noauth=True)
    assert client.ask("g", "bob") == denied


def test_a_listen_ends_when_the_data_deny_it(database, client):
    database.set_rules('{"rules": {"a": {".read": "root.child(\'open\').val() === true"}}}')
    database.write({("open",): True}, ADMIN)
    client.ask("q", "a", h="")
    database.write({("open",): False, ("a",): 1}, ADMIN)
    database.write({("a",): 2}, ADMIN)
    assert client.pushes == [("c", {"p": "a"})]


def test_a_listen_ends_when_new_rules_deny_it(database, client):
    client.ask("q", "a", h="")
    database.set_rules('{"rules": {}}')
    assert client.pushes == [("c", {"p": "a"})]


def test_a_token_expires(database, client):
    database.set_rules('{"rules": {".read": "auth !== null"}}')
    client.ask("auth", cred=token("ada", lifetime_s=100))
    client.ask("q", "a", h="")
    ((wait_s, act),) = client.timers
    assert 90 < wait_s <= 100
    act()
    assert [action for action, _ in client.pushes] == ["ac", "c"]
    assert client.pushes[0][1]["s"] == "expired_token"


@pytest.mark.parametrize(("cred", "status"), [("x", "invalid_token"), (token("a", -10), "expired_token")])
def test_a_bad_token_is_rejected_and_signs_out(database, client, cred, status):
    database.set_rules('{"rules": {".read": "auth !== null"}}')
    client.ask("auth", cred=token("ada"))
    assert client.ask("auth", cred=cred)["s"] == status
    assert client.ask("g", "a")["s"] == "permission_denied"


def test_writes_at_the_end(database, client):
    database.write({("a",): {"x": 1, "n": 5}}, ADMIN)
    client.ask("o", "a/x", d={".sv": {"increment": 2}})
    client.ask("om", "a", d={"y": 2, "z/deep": 3})
    client.ask("o", "gone", d=1)
    client.ask("oc", "gone")
    watcher = Conversation(database)
    watcher.ask("q", "a", h="")
    client.session.end()
    assert to_json(database.root) == {"a": {"n": 5, "x": 3, "y": 2, "z": {"deep": 3}}}
    assert watcher.pushes[1:] == [("m", {"p": "a", "d": {"x": 3, "y": 2, "z/deep": 3}})]


def test_writes_at_the_end_take_effect_as_one(database, client):
    client.ask("o", "a", d={"x": 1, "y": 2})
    client.ask("om", "a", d={"z": 3})
    client.ask("o", "a/y", d=None)
    watcher, windowed = Conversation(database), Conversation(database)
    watcher.ask("q", "", h="")
    windowed.ask("q", "a", q={"l": 2, "vf": "r"}, t=1, h="")
    client.session.end()
    assert watcher.pushes == [("d", {"p": "a", "d": {"x": 1, "z": 3}})]
    assert [body["d"] for _, body in windowed.pushes] == [{"x": 1, "z": 3}]


def test_writes_at_the_end_that_are_denied_as_one_are_tried_one_by_one(database, client):
    database.set_rules('{"rules": {"a": {".write": true}, "b": {".write": "auth !== null"}}}')
    client.ask("auth", cred=token("ada"))
    client.ask("o", "b", d=1)
    client.ask("o", "a", d=2)
    client.ask("unauth")
    client.session.end()
    assert to_json(database.root) == {"a": 2}


def test_writes_at_the_end_are_checked_when_queued_and_again_at_the_end(database, client):
    database.set_rules('{"rules": {"a": {".write": "auth !== null"}}}')
    assert client.ask("o", "a", d=1)["s"] == "permission_denied"
    client.ask("auth", cred=token("ada"))
    assert client.ask("o", "a", d=1) == OK
    client.ask("unauth")
    client.session.end()
    assert database.root is None


def test_a_client_that_reconnects_ends_its_earlier_session(database, client):
    ends = []
    client.session.hang_up = lambda: ends.append("old")
    client.session.greet("127.0.0.1:9000", "old")
    client.ask("q", "online", h="")
    client.ask("o", "online", d={".sv": {"increment": -1}})
    again = Conversation(database)
    again.session.greet("127.0.0.1:9000", "new", "old")
    assert ends == ["old"]
    assert to_json(database.root) == {"online": -1}
    client.session.end()  # its connection breaks for the server, too
    client.say({"t": "d", "d": {"r": 9, "a": "p", "b": {"p": "online", "d": 5}}})
    assert to_json(database.root) == {"online": -1}
    assert client.pushes == []
    again.session.greet("127.0.0.1:9000", "newer", "unknown")


def test_a_client_that_left_is_told_nothing(database, client):
    client.ask("q", "a", h="")
    client.session.end()
    database.write({("a",): 1}, ADMIN)
    assert client.pushes == []


def test_faults_apply_to_this_protocol_too(database):
    faults = Faults()
    plan = {"rules": [{"path": "a*", "methods": ["PUT"], "fail": 1}, {"path": "b", "fail": 1, "after_effect": True}]}
    faults.follow(parse_plan(plan))
    client = Conversation(database, faults)
    assert client.ask("p", "a", d=1)["s"] == "unavailable"
    assert client.ask("g", "a") == {"s": "ok", "d": None}
    assert client.ask("m", "", d={"b": 1})["s"] == "unavailable"
    assert to_json(database.root) == {"b": 1}
