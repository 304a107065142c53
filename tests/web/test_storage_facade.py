"""Model files as clients get them: Firebase Storage's interface with the access that storage.rules allow."""

import base64
import json
import time
from urllib.parse import quote

import pytest
import requests

from local.storage_facade import may_get, signed_in

PROJECT = "demo-project"


def token(**otherwise):
    claims = {"aud": PROJECT, "sub": "ana", "exp": time.time() + 60, **otherwise}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Firebase e30.{body}."


NOBODY = {
    "nobody": "",
    "no token": "Firebase",
    "half a token": "Firebase a.b",
    "no token at all": "Firebase a.%%%.c",
    "another scheme": f"Basic {token().split()[1]}",
    "a user of another project": token(aud="another-project"),
    "a user whose token has expired": token(exp=time.time() - 1),
    "a token of nobody": token(sub=""),
    "a token of many brackets": f"Bearer a.{base64.urlsafe_b64encode(b'[' * 200_000).decode()}.c",
}


@pytest.mark.parametrize("who", NOBODY)
def test_only_a_valid_token_of_this_project_counts_as_signed_in(who):
    assert not signed_in(NOBODY[who], PROJECT, time.time())


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("models/20261125/manifest.json", True),
        ("models/20261125/recommend.tflite", True),
        ("models/20261125/my-report.html", True),
        ("models/20261125/report.html", False),
        ("models/20261125/lists/0.json", False),
        ("models/manifest.json", False),
        ("lists/20261125/0.json", False),
        ("models//manifest.json", False),
    ],
)
def test_a_signed_in_reader_may_read_a_versions_files_except_its_report(name, allowed):
    assert may_get(name, token(), PROJECT, time.time()) == allowed
    assert not may_get(name, "", PROJECT, time.time())


def test_a_reader_can_read_what_the_pointer_names_and_nothing_else(stack, new_reader):
    version = stack.admin_get("Recommender/model/version")
    objects = f"http://{stack.addresses.firebase_storage}/v0/b/{stack.addresses.bucket}/o"
    reader = {"Authorization": f"Firebase {new_reader().token}"}

    def ask(name, headers=reader, method="GET", **query):
        return requests.request(method, f"{objects}/{quote(name, safe='')}", params=query, headers=headers, timeout=30)

    manifest = f"models/{version}/manifest.json"
    assert ask(manifest, alt="media").json()["version"] == version
    assert ask(manifest).json()["size"] == str(len(ask(manifest, alt="media").content))
    assert ask(manifest).headers["Access-Control-Allow-Origin"] == "*"
    denied = {
        "not signed in": ask(manifest, headers={}),
        "the report": ask(f"models/{version}/report.html"),
        "a deletion": ask(manifest, method="DELETE"),
        "an upload": ask(manifest, method="POST"),
        "a listing": requests.get(objects, params={"prefix": "models/"}, headers=reader, timeout=30),
    }
    assert {what: answer.status_code for what, answer in denied.items()} == dict.fromkeys(denied, 403)
    assert ask(f"models/{version}/nothing").status_code == 404
