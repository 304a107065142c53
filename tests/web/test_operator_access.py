"""Access to the operator's page and the backend behind it: operators only."""

import json

import pytest
import requests
from playwright.sync_api import expect

from local.accounts import ADMIN
from tests.web.axe import violations
from tests.web.operating import FUNCTIONS, call, shoot, sign_in

READER = ("reader@example.com", "reader-password")
NODES = (
    "",
    "/status",
    "/status/training",
    "/lease",
    "/changes",
    "/dirty",
    "/rejected",
    "/readers",
    "/shelvings",
    "/paused",
)


def test_nobody_gets_in_with_a_wrong_password(visit):
    page = visit("/operator")
    sign_in(page, "operator@example.com", "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("address or password is wrong")
    expect(page.locator("#dashboard")).to_be_empty()
    assert violations(page) == []


def test_a_reader_is_denied_and_the_page_is_empty(visit, stack):
    page = visit("/operator")
    asked = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: asked.append(str(frame))))
    sign_in(page, *READER)
    expect(page.get_by_role("heading", name="Operators only")).to_be_visible()
    expect(page.get_by_text("reader@example.com", exact=True).last).to_be_visible()
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("status")).to_contain_text("does not have the claim")
    expect(page.locator("#dashboard")).to_be_empty()
    assert stack.admin_get("Recommender/model/version") not in page.content()
    assert not [frame for frame in asked if "Recommender" in frame]
    assert violations(page) == []
    shoot(page, "refusal")


@pytest.mark.parametrize("node", NODES)
def test_a_readers_token_reads_no_operator_node(new_reader, node):
    assert new_reader().request("GET", f"Recommender{node}").status_code == 401


def test_no_function_can_be_called_with_a_readers_token_or_without_one(stack, new_reader):
    token = new_reader().token
    version = stack.admin_get("Recommender/model/version")
    before = {node: stack.admin_get(f"Recommender/{node}") for node in ("model", "lease")}
    for function in FUNCTIONS:
        for data in ({}, {"version": version, "share": 0.5}):
            denied = call(stack, function, data, token)
            assert (denied.status_code, denied.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
            unknown = call(stack, function, data)
            assert (unknown.status_code, unknown.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert before == {node: stack.admin_get(f"Recommender/{node}") for node in before}


def test_a_new_operator_gets_in_without_signing_in_again(visit, stack, new_reader):
    reader = new_reader()
    page = visit("/operator")
    sign_in(page, reader.email, "a password for the emulator")
    expect(page.get_by_role("heading", name="Operators only")).to_be_visible()
    where = f"http://{stack.addresses.auth}/identitytoolkit.googleapis.com/v1/projects/{stack.addresses.project}"
    claims = {"localId": reader.uid, "customAttributes": json.dumps({"operator": True})}
    requests.post(f"{where}/accounts:update", json=claims, headers=ADMIN, timeout=30).raise_for_status()
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("heading", name="Live model", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
    expect(page.locator("#dashboard")).to_be_empty()
