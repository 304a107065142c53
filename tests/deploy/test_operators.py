"""The claim set through firebase-admin, against a small server with the auth emulator's interface."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import firebase_admin
import pytest

from deploy import operators

PROJECT = "book-club-1"


class Accounts(BaseHTTPRequestHandler):
    """``accounts:lookup`` and ``accounts:update`` of the Identity Toolkit, over the server's ``users``."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        users = self.server.users
        prefix = f"/identitytoolkit.googleapis.com/v1/projects/{PROJECT}/accounts:"
        assert self.path.startswith(prefix), self.path
        if self.path == f"{prefix}lookup":
            matches = [user for user in users.values() if user["email"] in asked["email"]]
            self.answer({"users": matches} if matches else {})
        else:
            users[asked["localId"]].update({name: value for name, value in asked.items() if name != "localId"})
            self.answer({"localId": asked["localId"]})

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@pytest.fixture
def users(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Accounts)
    server.users = {"u1": {"localId": "u1", "email": "ana@example.com", "customAttributes": '{"admin": true}'}}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", f"127.0.0.1:{server.server_port}")
    yield server.users
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def accounts(users):
    yield operators.FirebaseAccounts(PROJECT)
    firebase_admin.delete_app(firebase_admin.get_app("operators"))


def test_a_user_becomes_an_operator_and_stops_being_one(users, accounts):
    operators.change(accounts, "ana@example.com", is_operator=True)
    assert json.loads(users["u1"]["customAttributes"]) == {"admin": True, "operator": True}
    assert "validSince" not in users["u1"]
    operators.change(accounts, "ana@example.com", is_operator=False)
    assert json.loads(users["u1"]["customAttributes"]) == {"admin": True}
    assert int(users["u1"]["validSince"]) > 0  # issued tokens cannot be renewed


def test_the_last_claim_can_be_removed(users, accounts):
    users["u1"]["customAttributes"] = '{"operator": true}'
    operators.change(accounts, "ana@example.com", is_operator=False)
    assert json.loads(users["u1"]["customAttributes"]) == {}


def test_an_unknown_address_has_no_user(accounts):
    with pytest.raises(LookupError):
        operators.change(accounts, "ben@example.com", is_operator=True)
